"""The `lineage` table: which rows of which sessions make up a session's past.

A fork shares the rows of its past rather than copy them. What it sees is a row of segments, oldest first: of each
ancestor the rows up to a turn, then all of its own. Turns, messages, views and events are numbered through all of them.
Only what stands in the window is copied, since it has a life of its own from there on.
"""

import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Self

from mnesis.store.rows import micros, one

END = 2**63 - 1
"""The last number of a segment that is open."""


class Segment(NamedTuple):
    """The rows of one session that a session sees, by their first and last numbers: the row of `lineage`."""

    ancestor_id: str
    first_turn: int = 0
    last_turn: int = END
    first_seq: int = 0
    last_seq: int = END
    first_view: int = 0
    last_view: int = END
    first_event: int = 0
    last_event: int = END
    first_summary: int = 0
    last_summary: int = END

    @classmethod
    def after(cls, past: "Sequence[Segment]", session_id: str) -> Self:
        """The open segment of a session behind its past."""
        if not past:
            return cls(session_id)
        last = past[-1]
        return cls(
            session_id,
            first_turn=last.last_turn + 1,
            first_seq=last.last_seq + 1,
            first_view=last.last_view + 1,
            first_event=last.last_event + 1,
            first_summary=last.last_summary + 1,
        )


_COLUMNS = ", ".join(Segment._fields)


def segments(cx: sqlite3.Connection, session_id: str) -> list[Segment]:
    """What a session sees, oldest first; its own rows come last."""
    rows = cx.execute(f"SELECT {_COLUMNS} FROM lineage WHERE session_id = ? ORDER BY idx", (session_id,))
    return list(map(Segment._make, rows))


def insert(cx: sqlite3.Connection, session_id: str, past: Sequence[Segment] = ()) -> Segment:
    """Store what a new session sees: its past, and what it is going to add. Returns the latter."""
    own = Segment.after(past, session_id)
    cx.executemany(
        f"INSERT INTO lineage (session_id, idx, {_COLUMNS}) VALUES (?, ?{', ?' * len(Segment._fields)})",
        [(session_id, index, *segment) for index, segment in enumerate((*past, own))],
    )
    return own


type Numbered = Literal["turn", "message", "event"]

_NUMBERS: dict[Numbered, tuple[str, str]] = {
    "turn": ("idx", "first_turn"),
    "message": ("seq", "first_seq"),
    "event": ("seq", "first_event"),
}


def next_number(cx: sqlite3.Connection, session_id: str, table: Numbered) -> int:
    """The number of the row that a session adds next."""
    column, first = _NUMBERS[table]
    (number,) = cx.execute(
        f"SELECT coalesce((SELECT max({column}) + 1 FROM {table} WHERE session_id = :session), "
        f"(SELECT {first} FROM lineage WHERE session_id = :session AND ancestor_id = :session))",
        {"session": session_id},
    ).fetchone()
    return int(number)


# -- forking -----------------------------------------------------------------------------------------------------


def fork(cx: sqlite3.Connection, session_id: str, turn: int, new_id: str, now: datetime) -> Segment:
    """Let a new session begin with what another one saw when the turn after `turn` began; now, where there is none.

    Returns the segment of the new one. Costs what stands in the window, and what has left it since.
    """
    held = segments(cx, session_id)
    at = next(index for index, segment in enumerate(held) if turn < segment.last_turn)
    last = _cut(cx, held[at], turn)
    # A segment in which nothing has happened is left out: forks of forks of forks do not get longer for it.
    idle = last.last_turn < last.first_turn and last.last_view <= last.first_view
    past = [] if turn < 0 else held[:at] if idle else [*held[:at], last]
    own = insert(cx, new_id, past)
    cx.execute(
        "INSERT INTO view (session_id, version, cause, turn, created_at) VALUES (?, ?, 'fork', ?, ?)",
        (new_id, own.first_view, turn if past else None, micros(now)),
    )
    if past:
        _copy_window(cx, last.ancestor_id, last.last_view, new_id)
    return own


def _cut(cx: sqlite3.Connection, segment: Segment, turn: int) -> Segment:
    """A segment up to the beginning of the turn after `turn`."""
    owner = segment.ancestor_id
    following = one(cx.execute("SELECT id FROM turn WHERE session_id = ? AND idx = ?", (owner, turn + 1)))
    if following is None:
        view, seq, event = (
            _number(cx, f"SELECT max({column}) FROM {table} WHERE session_id = ?", (owner,), first - 1)
            for table, column, first in (
                ("view", "version", segment.first_view),
                ("message", "seq", segment.first_seq),
                ("event", "seq", segment.first_event),
            )
        )
    else:
        since = "SELECT view FROM turn WHERE session_id = ? AND idx = ?"
        beginning = (owner, _number(cx, since, (owner, turn), segment.first_view), turn + 1)
        newer = "SELECT version FROM view WHERE session_id = ? AND version >= ? AND turn = ? ORDER BY version LIMIT 1"
        view = _number(cx, newer, beginning) - 1
        seq = _number(cx, "SELECT min(seq) FROM message WHERE turn_id = ?", following) - 1
        event = _first_event(cx, segment, turn + 1) - 1
    newest = (
        "SELECT s.rowid FROM summary s WHERE s.session_id = ? AND EXISTS (SELECT 1 FROM context_item c "
        "WHERE c.ref = s.id AND c.session_id = s.session_id AND c.born_view <= ?) ORDER BY s.rowid DESC LIMIT 1"
    )
    return segment._replace(
        last_turn=turn,
        last_seq=seq,
        last_view=view,
        last_event=event,
        last_summary=_number(cx, newest, (owner, view), segment.first_summary - 1),
    )


def _number(cx: sqlite3.Connection, sql: str, parameters: Sequence[object], default: int = 0) -> int:
    row = one(cx.execute(sql, parameters))
    return default if row is None or row[0] is None else int(row[0])


def _first_event(cx: sqlite3.Connection, segment: Segment, turn: int) -> int:
    """The number of the event that announces the first message of a turn: looked for by halves, as in a phone book."""
    owner = segment.ancestor_id
    announced = "SELECT seq, turn FROM event WHERE session_id = ? AND type = 'message.created' AND seq >= ?"
    find = f"{announced} ORDER BY seq LIMIT 1"
    end = _number(cx, "SELECT max(seq) + 1 FROM event WHERE session_id = ?", (owner,))

    def turn_from(number: int) -> int:
        row = one(cx.execute(find, (owner, number)))
        return END if row is None else int(row[1])

    numbers = range(segment.first_event, end)
    return _number(cx, find, (owner, numbers[bisect_left(numbers, turn, key=turn_from)]))


_STOOD = "FROM context_item INDEXED BY {} WHERE session_id = :owner AND {} AND born_view <= :view"


def _copy_window(cx: sqlite3.Connection, owner: str, view: int, new_id: str) -> None:
    """Let what stood in a view of one session stand in the window of a new one, since when it stood there."""
    items = " UNION ALL ".join(
        f"SELECT :new, pos, born_view, kind, ref, tokens {_STOOD.format(index, condition)}"
        for index, condition in (
            ("context_item_alive", "died_view IS NULL"),
            ("context_item_died", "died_view > :view"),
        )
    )
    values = {"new": new_id, "owner": owner, "view": view}
    cx.execute(f"INSERT INTO context_item (session_id, pos, born_view, kind, ref, tokens) {items}", values)
    cx.execute(
        "INSERT INTO tombstone (session_id, part_id, born_view, kind, text, tokens) "
        "SELECT :new, t.part_id, t.born_view, t.kind, t.text, t.tokens "
        "FROM context_item c INDEXED BY context_item_alive CROSS JOIN part p ON p.message_id = c.ref "
        "CROSS JOIN tombstone t ON t.session_id = :owner AND t.part_id = p.id AND t.born_view <= :view "
        "WHERE c.session_id = :new AND c.died_view IS NULL",
        values,
    )
