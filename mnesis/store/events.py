"""The `event` table: what happened, written in the transaction that made it happen."""

import sqlite3
from datetime import datetime

from mnesis.events.payloads import EventRecord, MnesisEvent, Payload
from mnesis.ids import new_id
from mnesis.store.rows import event_of, micros


def append(cx: sqlite3.Connection, event: MnesisEvent, payload: Payload, turn: int | None, now: datetime) -> None:
    """Add an event at the end of its session's record."""
    session_id = payload.session_id
    cx.execute(
        "INSERT INTO event (id, session_id, seq, type, payload, turn, created_at) VALUES "
        "(?, ?, (SELECT coalesce(max(seq) + 1, 0) FROM event WHERE session_id = ?), ?, ?, ?, ?)",
        (new_id("evt"), session_id, session_id, event.value, payload.model_dump_json(), turn, micros(now)),
    )


def read(cx: sqlite3.Connection, session_id: str) -> list[EventRecord]:
    """All events of a session, in order."""
    rows = cx.execute(
        "SELECT id, session_id, seq, type, payload, turn, created_at FROM event WHERE session_id = ? ORDER BY seq",
        (session_id,),
    )
    return [event_of(row) for row in rows]
