"""The `event` table: what happened, written in the transaction that made it happen."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from mnesis.events.payloads import EventRecord, MnesisEvent, Payload
from mnesis.ids import new_id
from mnesis.store.rows import event_of, micros, one

_COLUMNS = "id, session_id, seq, type, payload, turn, created_at"


def append(cx: sqlite3.Connection, event: MnesisEvent, payload: Payload, turn: int | None, now: datetime) -> None:
    """Add an event at the end of its session's record."""
    session_id = payload.session_id
    cx.execute(
        "INSERT INTO event (id, session_id, seq, type, payload, turn, created_at) VALUES "
        "(?, ?, (SELECT coalesce(max(seq) + 1, 0) FROM event WHERE session_id = ?), ?, ?, ?, ?)",
        (new_id("evt"), session_id, session_id, event.value, payload.model_dump_json(), turn, micros(now)),
    )


def find(cx: sqlite3.Connection, id: str) -> EventRecord | None:
    """One event."""
    row = one(cx.execute(f"SELECT {_COLUMNS} FROM event WHERE id = ?", (id,)))
    return event_of(row) if row else None


def recent(cx: sqlite3.Connection, session_id: str, types: Sequence[MnesisEvent], limit: int) -> list[EventRecord]:
    """The newest events of these types, newest first."""
    # Asked for several types at once, SQLite walks back through all events until it has enough.
    sql = f"SELECT {_COLUMNS} FROM event WHERE session_id = ? AND type = ? ORDER BY seq DESC LIMIT ?"
    found = [event_of(row) for type in types for row in cx.execute(sql, (session_id, type.value, limit))]
    found.sort(key=lambda event: -event.seq)
    return found[:limit] if limit >= 0 else found


def read(cx: sqlite3.Connection, session_id: str) -> list[EventRecord]:
    """All events of a session, in order."""
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM event WHERE session_id = ? ORDER BY seq",
        (session_id,),
    )
    return [event_of(row) for row in rows]
