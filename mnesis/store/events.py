"""The `event` table: what happened, written in the transaction that made it happen."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from mnesis.events.payloads import EventRecord, MnesisEvent, Payload
from mnesis.ids import new_id
from mnesis.store import branches
from mnesis.store.rows import event_of, micros, one

_COLUMNS = "id, session_id, seq, type, payload, turn, created_at"


def append(cx: sqlite3.Connection, event: MnesisEvent, payload: Payload, turn: int | None, now: datetime) -> int:
    """Add an event at the end of its session's record. Returns its number."""
    seq = branches.next_number(cx, payload.session_id, "event")
    cx.execute(
        "INSERT INTO event (id, session_id, seq, type, payload, turn, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (new_id("evt"), payload.session_id, seq, event.value, payload.model_dump_json(), turn, micros(now)),
    )
    return seq


def find(cx: sqlite3.Connection, session_id: str, id: str) -> EventRecord | None:
    """An event of a session."""
    row = one(cx.execute(f"SELECT {_COLUMNS} FROM branch_event WHERE id = ? AND branch_id = ?", (id, session_id)))
    return event_of(row) if row else None


def recent(cx: sqlite3.Connection, session_id: str, types: Sequence[MnesisEvent], limit: int) -> list[EventRecord]:
    """The newest events of these types, newest first."""
    # Asked for several types at once, SQLite walks back through all events until it has enough.
    sql = (
        f"SELECT {_COLUMNS} FROM branch_event WHERE branch_id = ? AND type = ? ORDER BY segment DESC, seq DESC LIMIT ?"
    )
    found = [event_of(row) for type in types for row in cx.execute(sql, (session_id, type.value, limit))]
    found.sort(key=lambda event: -event.seq)
    return found[:limit] if limit >= 0 else found


def read(cx: sqlite3.Connection, session_id: str) -> list[EventRecord]:
    """All events of a session, in order."""
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM branch_event WHERE branch_id = ? ORDER BY segment, seq",
        (session_id,),
    )
    return [event_of(row) for row in rows]
