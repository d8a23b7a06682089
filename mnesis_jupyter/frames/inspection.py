"""What the inspector reads of a session, as plain rows: all of it at first, then only what came since.

Times are in microseconds since 1970, UTC. A preview is the beginning of a text.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mnesis_jupyter.frames.reading import rows
from mnesis_jupyter.frames.window import WINDOW_ITEMS

PREVIEW = 160


class TurnRow(NamedTuple):
    """A turn, and the window that it sent, in tokens. `preamble` tells its system prompt and tools from others'."""

    turn: int
    state: str
    view: int
    system: int
    summaries: int
    messages: int
    tools: int
    size: int
    opened: int
    finished: int | None
    cost: float | None
    input: int | None
    output: int | None
    error: str | None
    origin: str | None
    preamble: str
    shared: int
    """Whether it is another session's, from which this one was forked."""


def turns(path: Path, session: str, since: int = 0) -> list[TurnRow]:
    """The turns from an index on."""
    query = """
        SELECT idx, state, view, system_tokens, summary_tokens, message_tokens, tool_tokens, window_tokens, opened_at,
            finished_at, cost, input_tokens, output_tokens, error, origin,
            coalesce(system_prompt, '') || char(0) || coalesce(tools, ''), session_id <> branch_id
        FROM branch_turn WHERE branch_id = ? AND idx >= ? ORDER BY segment, idx
    """
    return [TurnRow(*row) for row in rows(path, query, (session, since))]


class SaidRow(NamedTuple):
    """What a message adds to its turn, in tokens by kind, media with the files; and its tool calls."""

    seq: int
    turn: int
    user: int
    assistant: int
    tool: int
    file: int
    calls: str | None
    at: int


def said(path: Path, session: str, after: int = -1) -> list[SaidRow]:
    """The messages behind a sequence number. Partial replies are never sent, and left out."""
    query = """
        SELECT m.seq, m.turn,
            sum(CASE WHEN p.type = 'text' AND m.role = 'user' THEN p.tokens ELSE 0 END),
            sum(CASE WHEN p.type = 'text' AND m.role <> 'user' THEN p.tokens ELSE 0 END),
            sum(CASE WHEN p.type = 'tool' THEN p.tokens + p.output_tokens ELSE 0 END),
            sum(CASE WHEN p.type IN ('file_ref', 'media') THEN p.tokens ELSE 0 END),
            group_concat(CASE WHEN p.type = 'tool' AND m.role <> 'tool' THEN p.data ->> '$.tool_name' END, ', '),
            m.created_at
        FROM branch_message m JOIN part p ON p.message_id = m.id
        WHERE m.branch_id = ? AND m.seq > ? AND NOT m.partial GROUP BY m.seq ORDER BY m.seq
    """
    return [SaidRow(*row) for row in rows(path, query, (session, after))]


class SummaryRow(NamedTuple):
    """A summary, and the views in which it came into the window and left it."""

    id: str
    depth: int
    level: int
    first: int
    last: int
    messages: int
    source_tokens: int
    tokens: int
    born: int
    died: int | None
    lost: int
    sources: int
    preview: str


def summaries(path: Path, session: str) -> list[SummaryRow]:
    """The summaries, in the order in which they were made."""
    query = f"""
        SELECT s.id, s.depth, s.level, s.first_turn, s.last_turn, s.message_count, s.source_tokens, s.tokens,
            c.born_view, c.died_view,
            (SELECT coalesce(sum(coalesce(k.value ->> '$.in_sources', 0) - coalesce(k.value ->> '$.kept', 0)), 0)
                FROM json_each(s.certificate) k),
            (SELECT count(*) FROM summary_source e WHERE e.summary_id = s.id), substr(s.text, 1, {PREVIEW})
        FROM branch_summary s JOIN branch_item c ON c.branch_id = s.branch_id AND c.ref = s.id
        WHERE s.branch_id = ? ORDER BY s.segment, s.place
    """
    return [SummaryRow(*row) for row in rows(path, query, (session,))]


class EventRow(NamedTuple):
    """An event; its payload is JSON."""

    seq: int
    type: str
    turn: int | None
    at: int
    payload: str


def events(path: Path, session: str, types: Iterable[str], after: int = -1) -> list[EventRow]:
    """The events of these types behind a sequence number."""
    wanted = tuple(types)
    query = f"""
        SELECT seq, type, turn, created_at, payload FROM branch_event
        WHERE branch_id = ? AND seq > ? AND type IN ({", ".join("?" * len(wanted))}) ORDER BY seq
    """
    return [EventRow(*row) for row in rows(path, query, (session, after, *wanted))]


def breaks(path: Path, session: str, after: int = -1) -> list[tuple[int, str]]:
    """The views behind one that changed what had been sent already, and by what: there a prompt cache is of no use."""
    query = """
        SELECT died_view, 'compaction' FROM branch_item WHERE branch_id = :session AND died_view > :after
        UNION SELECT born_view, 'pruning' FROM branch_tombstone WHERE branch_id = :session AND kind = 'pruned'
            AND born_view > :after
        ORDER BY 1
    """
    return rows(path, query, {"session": session, "after": after})


class ItemRow(NamedTuple):
    """An item of a window. `pos` orders what it came from; `result` is 1 for the result of a tool call."""

    pos: int
    kind: str
    id: str
    first: int | None
    turn: int | None
    tokens: int
    result: int
    stand_in: str | None
    tool: str | None
    preview: str


def window(path: Path, session: str, turn: int | None = None, after: int = -1) -> list[ItemRow]:
    """The items of a past turn's window, or of the current one (`None`); only those behind position `after`."""
    query = f"""{WINDOW_ITEMS}
        SELECT pos, kind, id, first_turn, turn, tokens, result, stand_in, tool_name, substr(text, 1, {PREVIEW})
        FROM item WHERE pos > :after OR :after < 0 ORDER BY pos, texts, result, idx
    """
    return [ItemRow(*row) for row in rows(path, query, {"session": session, "turn": turn, "after": after})]


def text(path: Path, session: str, turn: int | None, item: ItemRow) -> str:
    """The text of an item as it is stored: of a summary without its label."""
    query = f"{WINDOW_ITEMS} SELECT text FROM item WHERE pos = :pos AND id = :id AND result = :result"
    parameters = {"session": session, "turn": turn, "after": item.pos - 1 if item.pos >= 0 else -1}
    found = rows(path, query, {**parameters, "pos": item.pos, "id": item.id, "result": item.result})
    return str(found[0][0]) if found else ""


def search(path: Path, session: str, turn: int | None, words: str) -> set[tuple[int, str, int]]:
    """The items of a window whose text, id or tool holds these words, in any case: position, id, whether a result."""
    query = f"""{WINDOW_ITEMS}
        SELECT pos, id, result FROM item
        WHERE instr(lower(text), lower(:words)) OR instr(lower(id || ' ' || coalesce(tool_name, '')), lower(:words))
    """
    return set(rows(path, query, {"session": session, "turn": turn, "after": -1, "words": words}))


def version(path: Path, session: str) -> tuple[int, int]:
    """The newest view of the window, and the newest event: whether anything has happened."""
    query = """
        SELECT (SELECT max(version) FROM view WHERE session_id = :session),
            (SELECT max(seq) FROM event WHERE session_id = :session)
    """
    ((view, event),) = rows(path, query, {"session": session}) or ((None, None),)
    return -1 if view is None else view, -1 if event is None else event
