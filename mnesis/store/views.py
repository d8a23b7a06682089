"""The `view` and `context_item` tables: every version of the window."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mnesis.store.rows import micros, moment, one


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


@dataclass(frozen=True, slots=True)
class Moment:
    """When a view came to be: its cause, the newest turn by then, the time."""

    view: int
    cause: str
    turn: int | None
    at: datetime


def moment_of(cx: sqlite3.Connection, session_id: str, version: int) -> Moment:
    """When and why a version of the window came to be."""
    cause, at, turn = cx.execute(
        "SELECT v.cause, v.created_at, "
        "(SELECT max(turn) FROM view WHERE session_id = v.session_id AND version <= v.version) "
        "FROM branch_view v WHERE v.branch_id = ? AND v.version = ?",
        (session_id, version),
    ).fetchone()
    return Moment(version, cause, turn, moment(at))


def life_of(cx: sqlite3.Connection, session_id: str, ref: str) -> tuple[int, int | None] | None:
    """The views in which something came into the window and left it; `None` where it never stood there."""
    row = one(
        cx.execute(
            "SELECT born_view, died_view FROM branch_item WHERE ref = ? AND branch_id = ? "
            "ORDER BY born_view DESC LIMIT 1",
            (ref, session_id),
        )
    )
    return (int(row[0]), row[1]) if row else None


def stand_ins_of(cx: sqlite3.Connection, session_id: str, part_ids: Sequence[str]) -> list[tuple[str, str, int, int]]:
    """What has stood for these parts: part, kind, the view from which on, tokens; oldest first."""
    rows = [
        row
        for id in part_ids
        for row in cx.execute(
            "SELECT part_id, kind, born_view, tokens FROM branch_tombstone WHERE part_id = ? AND branch_id = ?",
            (id, session_id),
        )
    ]
    return sorted(rows, key=lambda row: row[2])
