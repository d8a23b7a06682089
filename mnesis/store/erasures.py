"""The `erasure` table: the marks of sessions that were erased, and how their rows go."""

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime

from mnesis.store import search
from mnesis.store.rows import micros, moment, one


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is left of a session that was erased: how much it held, when it was begun and erased. `copies` of files were
    removed by the call that gives this; that is no part of the mark.
    """

    session_id: str
    turns: int
    messages: int
    summaries: int
    created_at: datetime
    erased_at: datetime
    copies: int = field(default=0, compare=False)


def find(cx: sqlite3.Connection, session_id: str) -> Erasure | None:
    """The mark of a session that was erased."""
    columns = "session_id, turns, messages, summaries, created_at, erased_at"
    row = one(cx.execute(f"SELECT {columns} FROM erasure WHERE session_id = ?", (session_id,)))
    return Erasure(*row[:4], *map(moment, row[4:])) if row else None


def standing_on(cx: sqlite3.Connection, session_id: str) -> list[str]:
    """What needs this one: its forks, sessions that it began, the run of a map that it answers an item of."""
    rows = cx.execute(
        "SELECT id FROM session WHERE forked_from = :session UNION SELECT id FROM session WHERE parent_id = :session "
        "UNION SELECT session_id FROM lineage WHERE ancestor_id = :session AND session_id <> :session "
        "UNION SELECT i.run_id FROM map_item i JOIN map_run r ON r.id = i.run_id "
        "WHERE i.session_id = :session AND r.session_id IS NOT :session",
        {"session": session_id},
    )
    return [id for (id,) in rows]


def erase(cx: sqlite3.Connection, session_id: str, now: datetime) -> Erasure:
    """Take away all rows of a session, and what they can be found by. Its mark stays."""
    cx.execute(
        "INSERT INTO erasure SELECT id, (SELECT count(*) FROM turn WHERE session_id = s.id), "
        "(SELECT count(*) FROM message WHERE session_id = s.id), "
        "(SELECT count(*) FROM summary WHERE session_id = s.id), created_at, ? FROM session s WHERE id = ?",
        (micros(now), session_id),
    )
    search.remove(cx, session_id)
    of_session = "SELECT id FROM {} WHERE session_id = ?"
    for table, condition in (
        ("map_item", f"run_id IN ({of_session.format('map_run')})"),
        ("map_run", "session_id = ?"),
        ("tombstone", "session_id = ?"),
        ("context_item", "session_id = ?"),
        ("summary_source", f"summary_id IN ({of_session.format('summary')})"),
        ("summary", "session_id = ?"),
        ("part", f"message_id IN ({of_session.format('message')})"),
        ("message", "session_id = ?"),
        ("file", "session_id = ?"),
        ("turn", "session_id = ?"),
        ("view", "session_id = ?"),
        ("event", "session_id = ?"),
        ("lineage", "session_id = ?"),
        ("search_session", "session_id = ?"),
        ("session", "id = ?"),
    ):
        cx.execute(f"DELETE FROM {table} WHERE {condition}", (session_id,))
    found = find(cx, session_id)
    assert found is not None, "it was just marked"
    return found


def left_over(cx: sqlite3.Connection) -> list[tuple[str, str]]:
    """Where rows of erased sessions are, with the session: nowhere, unless somebody has put them there."""
    tables = "turn message view context_item event summary tombstone lineage file search_session".split()
    rows = " UNION ALL ".join(
        f"SELECT '{table}', session_id FROM {table} WHERE session_id IN (SELECT session_id FROM erasure)"
        for table in tables
    )
    return cx.execute(f"SELECT DISTINCT * FROM ({rows})").fetchall()
