"""The `view` and `context_item` tables: every version of the window."""

import sqlite3
from datetime import datetime

from mnesis.store.rows import micros


def current(cx: sqlite3.Connection, session_id: str) -> int:
    """The newest version of the window; -1 before the first."""
    row = cx.execute("SELECT coalesce(max(version), -1) FROM view WHERE session_id = ?", (session_id,)).fetchone()
    return int(row[0])


def advance(cx: sqlite3.Connection, session_id: str, cause: str, turn: int | None, now: datetime) -> int:
    """Begin a new version, and say why. Returns its number."""
    version = current(cx, session_id) + 1
    cx.execute(
        "INSERT INTO view (session_id, version, cause, turn, created_at) VALUES (?, ?, ?, ?, ?)",
        (session_id, version, cause, turn, micros(now)),
    )
    return version


def add_item(cx: sqlite3.Connection, session_id: str, pos: int, view: int, kind: str, ref: str, tokens: int) -> None:
    """Let something stand in the window from this version on."""
    cx.execute(
        "INSERT INTO context_item (session_id, pos, born_view, kind, ref, tokens) VALUES (?, ?, ?, ?, ?, ?)",
        (session_id, pos, view, kind, ref, tokens),
    )
