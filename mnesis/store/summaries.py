"""The `summary`, `summary_source` and `tombstone` tables: what stands in the window for something else."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from mnesis.errors import Corrupt
from mnesis.models.summary import LossCertificate, Summary, SummarySource
from mnesis.store import branches, search
from mnesis.store.messages import Tombstone, items_in
from mnesis.store.rows import micros, moment


@dataclass(frozen=True, slots=True)
class NewSummary:
    """A summary that is about to be stored. `tokens` is its block in the window."""

    id: str
    kind: Literal["leaf", "condensed"]
    depth: int
    level: Literal[1, 2, 3]
    model: str | None
    prompt_hash: str
    text: str
    tokens: int
    source_tokens: int
    first_turn: int
    last_turn: int
    message_count: int
    sources: tuple[SummarySource, ...]
    certificate: LossCertificate


def insert(cx: sqlite3.Connection, session_id: str, summary: NewSummary, now: datetime) -> None:
    """Store a summary and its edges."""
    after_seq = branches.next_number(cx, session_id, "message") - 1
    stored = cx.execute(
        "INSERT INTO summary (id, session_id, kind, depth, level, model, prompt_hash, text, tokens, source_tokens, "
        "first_turn, last_turn, message_count, certificate, after_seq, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(summary.id, session_id, summary.kind, summary.depth, summary.level, summary.model, summary.prompt_hash),
            *(summary.text, summary.tokens, summary.source_tokens, summary.first_turn, summary.last_turn),
            *(summary.message_count, summary.certificate.model_dump_json(exclude_defaults=True), after_seq),
            micros(now),
        ),
    )
    cx.executemany(
        "INSERT INTO summary_source (summary_id, idx, kind, ref, fidelity) VALUES (?, ?, ?, ?, ?)",
        [
            (summary.id, index, source.kind, source.id, source.fidelity.value)
            for index, source in enumerate(summary.sources)
        ],
    )
    assert stored.lastrowid is not None
    search.add_summary(cx, session_id, stored.lastrowid, summary.text)


_COLUMNS = (
    "s.id, s.session_id, s.kind, s.depth, s.level, s.model, s.prompt_hash, s.text, s.tokens, s.source_tokens, "
    "s.first_turn, s.last_turn, s.message_count, s.certificate, s.created_at"
)
_IN_WINDOW = (
    "EXISTS (SELECT 1 FROM context_item i WHERE i.ref = s.id AND i.session_id = s.branch_id AND i.died_view IS NULL)"
)


def read_all(cx: sqlite3.Connection, session_id: str) -> list[Summary]:
    """All summaries of a session, in the order in which they were made."""
    rows = cx.execute(
        f"SELECT {_COLUMNS}, {_IN_WINDOW} FROM branch_summary s WHERE s.branch_id = ? ORDER BY s.segment, s.place",
        (session_id,),
    ).fetchall()
    return [_summary(cx, row) for row in rows]


def find(cx: sqlite3.Connection, session_id: str, id: str) -> Summary | None:
    """A summary of a session."""
    return find_many(cx, session_id, [id]).get(id)


def sources_of(cx: sqlite3.Connection, id: str) -> tuple[SummarySource, ...]:
    """What a summary stands for, in order."""
    rows = cx.execute("SELECT kind, ref, fidelity FROM summary_source WHERE summary_id = ? ORDER BY idx", (id,))
    return tuple(SummarySource(kind=kind, id=ref, fidelity=fidelity) for kind, ref, fidelity in rows)


def read_placed(cx: sqlite3.Connection, session_id: str) -> list[tuple[Summary, int]]:
    """All summaries, each with the sequence number of the newest message when it was made."""
    seqs = cx.execute(
        "SELECT after_seq FROM branch_summary WHERE branch_id = ? ORDER BY segment, place", (session_id,)
    ).fetchall()
    return [(summary, seq) for summary, (seq,) in zip(read_all(cx, session_id), seqs, strict=True)]


def covering(cx: sqlite3.Connection, session_id: str, ref: str) -> list[tuple[str, bool]]:
    """The summaries of a session that stand for a message or a summary, the nearest first; whether each is in the
    current window.
    """
    rows = cx.execute(
        "WITH RECURSIVE up (id, hops) AS (SELECT summary_id, 1 FROM summary_source WHERE ref = ? "
        "UNION SELECT e.summary_id, up.hops + 1 FROM summary_source e JOIN up ON e.ref = up.id) "
        f"SELECT s.id, {_IN_WINDOW} FROM up JOIN branch_summary s ON s.id = up.id AND s.branch_id = ? "
        "ORDER BY up.hops",
        (ref, session_id),
    )
    return [(id, bool(alive)) for id, alive in rows]


def find_many(cx: sqlite3.Connection, session_id: str, ids: Iterable[str]) -> dict[str, Summary]:
    """The summaries of a session with these ids, as far as there are any."""
    rows = cx.execute(
        f"SELECT {_COLUMNS}, {_IN_WINDOW} FROM json_each(?) k "
        "CROSS JOIN branch_summary s ON s.id = k.value AND s.branch_id = ?",
        (json.dumps(list(ids)), session_id),
    ).fetchall()
    return {row[0]: _summary(cx, row) for row in rows}


def seqs_of(cx: sqlite3.Connection, id: str) -> tuple[int, int]:
    """The first and the last sequence number of the messages that a summary stands for."""

    def end(order: str) -> int:
        kind, ref = "summary", id
        while kind == "summary":
            step = f"SELECT kind, ref FROM summary_source WHERE summary_id = ? ORDER BY idx {order} LIMIT 1"
            kind, ref = cx.execute(step, (ref,)).fetchone()
        (seq,) = cx.execute("SELECT seq FROM message WHERE id = ?", (ref,)).fetchone()
        return int(seq)

    return end("ASC"), end("DESC")


@dataclass(frozen=True, slots=True)
class WindowRow:
    """What the window needs of a summary."""

    id: str
    depth: int
    level: Literal[1, 2, 3]
    model: str | None
    text: str
    tokens: int
    first_turn: int
    last_turn: int
    message_count: int


def read_window(cx: sqlite3.Connection, session_id: str, view: int | None) -> list[tuple[int, WindowRow]]:
    """The summaries that stand in a view of a session's own (`None`: the current one), with their positions."""
    items, alive, parameters = items_in(view)
    rows = cx.execute(
        "SELECT c.pos, s.id, s.depth, s.level, s.model, s.text, s.tokens, s.first_turn, s.last_turn, s.message_count "
        f"FROM {items} JOIN summary s ON s.id = c.ref WHERE c.session_id = ? AND c.kind = 'summary' AND {alive}",
        (session_id, *parameters),
    )
    return [(row[0], WindowRow(*row[1:])) for row in rows]


def bury(cx: sqlite3.Connection, session_id: str, view: int, refs: Sequence[str]) -> bool:
    """End the life of context items at a view. False, with nothing changed, unless all of them were alive."""
    if not are_alive(cx, session_id, refs):
        return False
    cx.executemany(f"UPDATE context_item SET died_view = ? WHERE {_ALIVE}", [(view, session_id, ref) for ref in refs])
    return True


def are_alive(cx: sqlite3.Connection, session_id: str, refs: Sequence[str]) -> bool:
    """Whether all of these stand in the current window."""
    find = f"SELECT 1 FROM context_item WHERE {_ALIVE}"
    return all(cx.execute(find, (session_id, ref)).fetchone() for ref in refs)


_ALIVE = "session_id = ? AND ref = ? AND died_view IS NULL"


def are_pruned(cx: sqlite3.Connection, session_id: str, part_ids: Iterable[str]) -> bool:
    """Whether a tombstone stands for one of these tool outputs already."""
    find = "SELECT 1 FROM tombstone WHERE session_id = ? AND part_id = ? AND kind = 'pruned'"
    return any(cx.execute(find, (session_id, id)).fetchone() for id in part_ids)


def set_tombstones(cx: sqlite3.Connection, session_id: str, view: int, stones: Iterable[Tombstone]) -> None:
    """Let texts stand for parts from a view on."""
    cx.executemany(
        "INSERT INTO tombstone (session_id, part_id, kind, born_view, text, tokens) VALUES (?, ?, ?, ?, ?, ?)",
        [(session_id, stone.part_id, stone.kind, view, stone.text, stone.tokens) for stone in stones],
    )


def _summary(cx: sqlite3.Connection, row: tuple[Any, ...]) -> Summary:
    names = (
        *("id", "session_id", "kind", "depth", "level", "model", "prompt_hash", "text", "tokens", "source_tokens"),
        *("first_turn", "last_turn", "message_count"),
    )
    try:
        return Summary(
            **dict(zip(names, row[:13], strict=True)),
            sources=sources_of(cx, row[0]),
            certificate=LossCertificate.model_validate_json(row[13]),
            created_at=moment(row[14]),
            in_window=bool(row[15]),
        )
    except ValidationError as error:
        raise Corrupt("summary", str(row[0]), str(error).splitlines()[0]) from error
