"""The `map_run` and `map_item` tables: runs of map operators, and what became of each item.

An item is pending, then running (taken by an owner, whose lock file says whether it is alive), then done or failed.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from mnesis.errors import InputError, NotFound, StoreError
from mnesis.models.maps import RunState
from mnesis.models.message import TokenUsage
from mnesis.store.rows import micros, moment, one, usage_columns

type Kind = Literal["llm", "agentic"]

_RUN = "id, kind, session_id, model, template, schema, options, state, total, created_at, finished_at"


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as it is stored. `schema` and `options` are JSON; `total` is known once all inputs are stored."""

    id: str
    kind: Kind
    session_id: str | None
    model: str
    template: str
    schema: str | None
    options: str
    state: RunState
    total: int | None
    created_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """An item that somebody works on. `input` is JSON."""

    index: int
    input: str


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of an item: `output` as JSON, or an error. Times in microseconds since 1970."""

    index: int
    output: str | None
    error_kind: str | None
    error: str | None
    attempts: int
    tokens: TokenUsage
    cost: float | None
    session_id: str | None
    started_at: int
    finished_at: int


@dataclass(frozen=True, slots=True)
class ItemRow(Finished):
    """An item with its input, as it is stored. One that is not finished has neither output nor error."""

    input: str
    state: Literal["pending", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Where the items of a run are, and what they have used. `cost` is `None` as soon as that of one is unknown."""

    pending: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    tokens: TokenUsage = field(default_factory=TokenUsage)
    cost: float | None = 0.0


def owners_of(run_id: str) -> str:
    """What the name of everybody who works on this run begins with: of their locks, too."""
    return f"{run_id}."


# -- runs --------------------------------------------------------------------------------------------------------


def insert_run(cx: sqlite3.Connection, row: RunRow) -> None:
    """Store a new run."""
    cx.execute(
        f"INSERT INTO map_run ({_RUN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (
            *(row.id, row.kind, row.session_id, row.model, row.template, row.schema, row.options, row.state),
            *(row.total, micros(row.created_at)),
        ),
    )


def run(cx: sqlite3.Connection, id: str) -> RunRow:
    """The run with this id. Raises `NotFound`."""
    row = one(cx.execute(f"SELECT {_RUN} FROM map_run WHERE id = ?", (id,)))
    if row is None:
        raise NotFound("run", id, "check the id and the db_path")
    *head, created_at, finished_at = row
    values: list[Any] = [*head, moment(created_at), None if finished_at is None else moment(finished_at)]
    return RunRow(*values)


def set_total(cx: sqlite3.Connection, id: str, total: int) -> None:
    """All inputs are stored, and there are so many."""
    cx.execute("UPDATE map_run SET total = ? WHERE id = ?", (total, id))


def set_state(cx: sqlite3.Connection, id: str, state: RunState, now: datetime) -> None:
    """A run begins again, is stopped, or is through."""
    ended = None if state == "running" else micros(now)
    cx.execute("UPDATE map_run SET state = ?, finished_at = ? WHERE id = ?", (state, ended, id))


def counts(cx: sqlite3.Connection, id: str) -> Counts:
    """Where the items of a run are."""
    states = dict(cx.execute("SELECT state, count(*) FROM map_item WHERE run_id = ? GROUP BY state", (id,)).fetchall())
    row = cx.execute(
        "SELECT coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cache_read_tokens), 0), "
        "coalesce(sum(cache_write_tokens), 0), coalesce(sum(total_tokens), 0), coalesce(max(usage_counted), 0), "
        "sum(cost), coalesce(sum(attempts > 0 AND cost IS NULL), 0) FROM map_item WHERE run_id = ?",
        (id,),
    ).fetchone()
    usage = _usage(*row[:6])
    return Counts(**states, tokens=usage, cost=None if row[7] else row[6] or 0.0)


# -- items -------------------------------------------------------------------------------------------------------


def add(
    cx: sqlite3.Connection, run_id: str, first: int, inputs: Sequence[str], owner: str | None = None
) -> list[Taken]:
    """Store inputs from index `first` on, taken by `owner` at once if there is one. Those that are there stay.

    Returns the new ones. Raises `InputError` where one that is there is another than this.
    """
    last = first + len(inputs) - 1
    there: dict[int, str] = dict(
        cx.execute("SELECT idx, input FROM map_item WHERE run_id = ? AND idx BETWEEN ? AND ?", (run_id, first, last))
    )
    new = []
    for index, text in enumerate(inputs, first):
        if index not in there:
            new.append(Taken(index, text))
        elif there[index] != text:
            raise InputError(
                f"item {index} of the inputs is not the one that is stored with {run_id}; "
                "resume with the same inputs in the same order, or start a new run"
            )
    state = "running" if owner else "pending"
    cx.executemany(
        "INSERT INTO map_item (run_id, idx, input, state, owner) VALUES (?, ?, ?, ?, ?)",
        [(run_id, item.index, item.input, state, owner) for item in new],
    )
    return new


def take(cx: sqlite3.Connection, run_id: str, owner: str, count: int) -> list[Taken]:
    """Take so many pending items for `owner`, the first ones first."""
    rows = cx.execute(
        "SELECT rowid, idx, input FROM map_item WHERE run_id = ? AND state = 'pending' ORDER BY idx LIMIT ?",
        (run_id, count),
    ).fetchall()
    cx.executemany(
        "UPDATE map_item SET state = 'running', owner = ? WHERE rowid = ?", [(owner, row[0]) for row in rows]
    )
    return [Taken(index, text) for _, index, text in rows]


def finish(cx: sqlite3.Connection, run_id: str, owner: str, items: Sequence[Finished]) -> None:
    """Store what came of items that `owner` has taken. Raises `StoreError` where one is no longer its own."""
    done = cx.executemany(
        "UPDATE map_item SET state = ?, output = ?, error_kind = ?, error = ?, attempts = attempts + ?, "
        "input_tokens = coalesce(input_tokens, 0) + ?, output_tokens = coalesce(output_tokens, 0) + ?, "
        "cache_read_tokens = coalesce(cache_read_tokens, 0) + ?, "
        "cache_write_tokens = coalesce(cache_write_tokens, 0) + ?, total_tokens = coalesce(total_tokens, 0) + ?, "
        "usage_counted = max(coalesce(usage_counted, 0), ?), "
        "cost = CASE WHEN attempts > 0 THEN cost ELSE 0 END + ?, "  # unknown, once that of one go is
        "session_id = ?, started_at = ?, finished_at = ? "
        "WHERE run_id = ? AND idx = ? AND state = 'running' AND owner = ?",
        [
            (
                *("done" if item.error_kind is None else "failed", item.output, item.error_kind, item.error),
                *(item.attempts, *usage_columns(item.tokens).values(), item.cost, item.session_id),
                *(item.started_at, item.finished_at, run_id, item.index, owner),
            )
            for item in items
        ],
    )
    if items and done.rowcount != len(items):
        raise StoreError(
            f"{len(items) - done.rowcount} of {len(items)} items of {run_id} were taken over by somebody else while "
            "this process worked on them; resume the run"
        )


def release(cx: sqlite3.Connection, run_id: str, owner: str) -> int:
    """Let others take what `owner` has taken and not finished. Returns how many that are."""
    return cx.execute(
        "UPDATE map_item SET state = 'pending', owner = NULL WHERE run_id = ? AND owner = ? AND state = 'running'",
        (run_id, owner),
    ).rowcount


def owners(cx: sqlite3.Connection, run_id: str) -> list[str]:
    """Who works on items of this run, or died over them."""
    rows = cx.execute(
        "SELECT DISTINCT owner FROM map_item WHERE run_id = ? AND state = 'running' AND owner IS NOT NULL", (run_id,)
    )
    return [owner for (owner,) in rows]


def retry_failed(cx: sqlite3.Connection, run_id: str) -> int:
    """Let the failed items be done again. Returns how many there are."""
    return cx.execute(
        "UPDATE map_item SET state = 'pending', owner = NULL WHERE run_id = ? AND state = 'failed'", (run_id,)
    ).rowcount


def items(cx: sqlite3.Connection, run_id: str, first: int, limit: int) -> list[ItemRow]:
    """The items of a run in the order of the inputs, from index `first` on."""
    rows = cx.execute(
        "SELECT idx, output, error_kind, error, attempts, input_tokens, output_tokens, cache_read_tokens, "
        "cache_write_tokens, total_tokens, usage_counted, cost, session_id, started_at, finished_at, input, state "
        "FROM map_item WHERE run_id = ? AND idx >= ? ORDER BY idx LIMIT ?",
        (run_id, first, limit),
    )
    columns: Iterator[list[Any]] = ([*row[:5], _usage(*row[5:11]), *row[11:]] for row in rows)
    return [ItemRow(*each) for each in columns]


def _usage(
    input: int | None, output: int | None, read: int | None, written: int | None, total: int | None, counted: int | None
) -> TokenUsage:
    return TokenUsage(
        input=input or 0,
        output=output or 0,
        cache_read=read or 0,
        cache_write=written or 0,
        total=total or 0,
        counted=bool(counted),
    )
