"""The `turn` table. A turn is opened once and finished once."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from mnesis.models.context import ContextBreakdown
from mnesis.models.message import TokenUsage, TurnState
from mnesis.store.rows import micros, one


@dataclass(frozen=True, slots=True)
class ToolSet:
    """The definitions of the tools of a turn: `specs` as JSON, its hash, and its tokens."""

    hash: str
    specs: str
    tokens: int


@dataclass(frozen=True, slots=True)
class NewTurn:
    """A turn that is about to be opened."""

    id: str
    model: str
    recorded: bool
    system_prompt: str | None = None
    """Only where it differs from the session's."""
    origin: str | None = None
    tools: ToolSet | None = None
    """The tools that are offered."""
    key: str | None = None
    """Of a recorded turn: what tells it from all others, so that it is stored once."""
    at: datetime | None = None
    """When it began, where that is not now."""


def open_turn(
    cx: sqlite3.Connection,
    session_id: str,
    turn: NewTurn,
    index: int,
    view: int,
    request_hash: str,
    tokens: ContextBreakdown,
    now: datetime,
) -> None:
    """Store a turn as open, with the window that it sends."""
    if tools := turn.tools:
        cx.execute("INSERT OR IGNORE INTO tool_set VALUES (?, ?, ?)", (tools.hash, tools.specs, tools.tokens))
    cx.execute(
        "INSERT INTO turn (id, session_id, idx, state, recorded, model, origin, system_prompt, tools, key, view, "
        "request_hash, system_tokens, summary_tokens, message_tokens, tool_tokens, window_tokens, opened_at) "
        "VALUES (?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(turn.id, session_id, index, turn.recorded, turn.model, turn.origin, turn.system_prompt),
            *(turn.tools.hash if turn.tools else None, turn.key, view),
            *(request_hash, tokens.system_prompt, tokens.summary, tokens.messages, tokens.tool_outputs, tokens.total),
            micros(now),
        ),
    )


def mark_sent(cx: sqlite3.Connection, id: str, view: int, request_hash: str, tokens: ContextBreakdown) -> None:
    """Store what an open turn sends, where that is not what it was opened with."""
    cx.execute(
        "UPDATE turn SET view = ?, request_hash = ?, system_tokens = ?, summary_tokens = ?, message_tokens = ?, "
        "tool_tokens = ?, window_tokens = ? WHERE id = ?",
        (
            *(view, request_hash, tokens.system_prompt, tokens.summary, tokens.messages, tokens.tool_outputs),
            *(tokens.total, id),
        ),
    )


def finish_turn(
    cx: sqlite3.Connection, id: str, state: TurnState, now: datetime, columns: Mapping[str, Any] | None = None
) -> bool:
    """Close an open turn, with whatever is known of it by now. False when there is none open with this id."""
    values = {"finished_at": micros(now), **(columns or {})}
    assignments = ", ".join(f"{name} = ?" for name in values)
    done = cx.execute(
        f"UPDATE turn SET state = ?, {assignments} WHERE id = ? AND state = 'open'", (state.value, *values.values(), id)
    )
    return done.rowcount == 1


def open_turns(cx: sqlite3.Connection, session_id: str) -> list[tuple[str, int]]:
    """Id and index of the turns that nobody finished."""
    # Left to itself SQLite walks all turns, to have them in order.
    return cx.execute(
        "SELECT id, idx FROM turn INDEXED BY turn_open WHERE session_id = ? AND state = 'open' ORDER BY idx",
        (session_id,),
    ).fetchall()


class TurnRow(NamedTuple):
    """What the engine reads back of a turn. Usage columns are `None` until it is finished.

    A tuple, because loading a session makes one of every turn it ever had. `session_id` is the session that had it: the
    views of its window are that one's.
    """

    session_id: str
    idx: int
    state: str
    model: str
    system_prompt: str | None
    tools: str | None
    recorded: int
    view: int
    request_hash: str
    system_tokens: int
    summary_tokens: int
    message_tokens: int
    tool_tokens: int
    window_tokens: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    total_tokens: int | None
    usage_counted: int | None
    requests: int | None
    cost: float | None

    @property
    def tokens(self) -> ContextBreakdown:
        """The window that it sent, by kind."""
        return ContextBreakdown(
            system_prompt=self.system_tokens,
            summary=self.summary_tokens,
            messages=self.message_tokens,
            tool_outputs=self.tool_tokens,
            total=self.window_tokens,
        )

    @property
    def usage(self) -> TokenUsage:
        """What the provider counted; nothing where the turn did not get that far."""
        return TokenUsage(
            input=self.input_tokens or 0,
            output=self.output_tokens or 0,
            cache_read=self.cache_read_tokens or 0,
            cache_write=self.cache_write_tokens or 0,
            total=self.total_tokens or 0,
            counted=bool(self.usage_counted),
        )


_COLUMNS = ", ".join(TurnRow._fields)


def usage_of(rows: Iterable[TurnRow]) -> TokenUsage:
    """What the provider counted over these turns: the sum of `TurnRow.usage`, made once and not per turn."""
    input = output = cache_read = cache_write = total = 0
    counted = False
    for row in rows:
        asked, answered = row.input_tokens or 0, row.output_tokens or 0
        input, output = input + asked, output + answered
        cache_read, cache_write = cache_read + (row.cache_read_tokens or 0), cache_write + (row.cache_write_tokens or 0)
        total += row.total_tokens or asked + answered
        counted = counted or bool(row.usage_counted)
    return TokenUsage(
        input=input, output=output, cache_read=cache_read, cache_write=cache_write, total=total, counted=counted
    )


def read_turns(cx: sqlite3.Connection, session_id: str, since: int = 0) -> list[TurnRow]:
    """The turns of a session from an index on, in order."""
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM branch_turn WHERE branch_id = ? AND idx >= ? ORDER BY segment, idx",
        (session_id, since),
    )
    return list(map(TurnRow._make, rows))


def tool_set(cx: sqlite3.Connection, hash: str | None) -> ToolSet | None:
    """The tools that a turn offered."""
    row = one(cx.execute("SELECT hash, specs, tokens FROM tool_set WHERE hash = ?", (hash,))) if hash else None
    return ToolSet(*row) if row else None


def index_of(cx: sqlite3.Connection, session_id: str, id: str) -> int | None:
    """The index of a turn of a session."""
    row = one(cx.execute("SELECT idx FROM branch_turn WHERE id = ? AND branch_id = ?", (id, session_id)))
    return int(row[0]) if row else None


def find_turn(cx: sqlite3.Connection, session_id: str, index: int) -> TurnRow | None:
    """One turn by its index."""
    if index.bit_length() > 63:  # more than a column holds
        return None
    row = one(cx.execute(f"SELECT {_COLUMNS} FROM branch_turn WHERE branch_id = ? AND idx = ?", (session_id, index)))
    return TurnRow(*row) if row else None


class KnownTurn(NamedTuple):
    """A stored turn, with the ids of its first and its last message."""

    row: TurnRow
    first: str
    last: str


def of_key(cx: sqlite3.Connection, session_id: str, key: str) -> KnownTurn | None:
    """The turn of a session that was recorded under a key."""
    found = one(cx.execute("SELECT id, idx FROM branch_turn WHERE branch_id = ? AND key = ?", (session_id, key)))
    if found is None:
        return None
    ids = [id for (id,) in cx.execute("SELECT id FROM message WHERE turn_id = ? ORDER BY seq", (found[0],))]
    row = find_turn(cx, session_id, found[1])
    assert row is not None, "it was just found"
    return KnownTurn(row, ids[0] if ids else "", ids[-1] if ids else "")


def keys(cx: sqlite3.Connection, session_id: str) -> dict[int, str]:
    """The keys that turns of a session were recorded under, by the index of the turn."""
    found = cx.execute(
        "SELECT idx, key FROM branch_turn WHERE branch_id = ? AND key IS NOT NULL ORDER BY idx", (session_id,)
    )
    return dict(found.fetchall())
