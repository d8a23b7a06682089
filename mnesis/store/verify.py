"""Checks on the store, as queries that must find nothing. Each problem is a sentence that names the row."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from mnesis.store import erasures
from mnesis.store.migrations import migrate
from mnesis.store.search import register

type Check = Callable[[sqlite3.Connection, str], Iterator[str]]

_MOST = 20
"""Of each kind so many problems are named; one of them stands for the rest."""


def triggers(cx: sqlite3.Connection, _: str) -> Iterator[str]:
    """Invariant 1: what keeps the log append-only is as this version made it."""
    find = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    try:
        register(fresh)
        migrate(fresh)
        wanted = dict(fresh.execute(find).fetchall())
    finally:
        fresh.close()
    found = dict(cx.execute(find).fetchall())
    for name, sql in wanted.items():
        if found.get(name) != sql:
            yield f"trigger {name} is {'changed' if name in found else 'missing'}: rows may have been changed"


_GAPS = """
SELECT 'message', 'seq', count(*), min(seq), max(seq) FROM branch_message WHERE branch_id = :session
UNION ALL SELECT 'event', 'seq', count(*), min(seq), max(seq) FROM branch_event WHERE branch_id = :session
UNION ALL SELECT 'turn', 'idx', count(*), min(idx), max(idx) FROM branch_turn WHERE branch_id = :session
UNION ALL SELECT 'view', 'version', count(*), min(version), max(version) FROM branch_view WHERE branch_id = :session
"""


def gaps(cx: sqlite3.Connection, session_id: str) -> Iterator[str]:
    """Invariant 1: nothing is missing between the first and the last row."""
    for table, column, count, first, last in cx.execute(_GAPS, {"session": session_id}):
        if count and (first != 0 or last != count - 1):
            yield f"table {table} has {count} rows of this session, {column} from {first} to {last}: rows are missing"


_COVER = """
WITH RECURSIVE cover (kind, ref, hops) AS (
    SELECT kind, ref, 0 FROM context_item WHERE session_id = :session AND died_view IS NULL
    UNION ALL SELECT e.kind, e.ref, c.hops + 1 FROM cover c JOIN summary_source e ON e.summary_id = c.ref
    WHERE c.kind = 'summary' AND c.hops < 100)
"""

_IS_NONE = (
    "NOT EXISTS (SELECT 1 FROM branch_message m WHERE {0}.kind = 'message' AND m.id = {0}.ref "
    "AND m.branch_id = :session) "
    "AND NOT EXISTS (SELECT 1 FROM branch_summary c WHERE {0}.kind = 'summary' AND c.id = {0}.ref "
    "AND c.branch_id = :session)"
)

_QUERIES: tuple[tuple[str, str], ...] = (
    (  # 1
        "message {0} has {1} tokens, its parts have {2}: a part was lost or changed",
        "SELECT m.id, m.tokens, coalesce(sum(p.tokens + p.output_tokens), 0) AS held "
        "FROM branch_message m LEFT JOIN part p ON p.message_id = m.id WHERE m.branch_id = :session "
        "GROUP BY m.id HAVING held <> m.tokens",
    ),
    (  # 1
        "message {0} has {1} parts, numbered up to {2}: a part is missing",
        "SELECT m.id, count(*), max(p.idx) FROM branch_message m JOIN part p ON p.message_id = m.id "
        "WHERE m.branch_id = :session GROUP BY m.id HAVING max(p.idx) <> count(*) - 1",
    ),
    (  # 1
        "message {0} was never announced: it has no message.created event",
        "SELECT id FROM branch_message WHERE branch_id = :session EXCEPT "
        "SELECT payload ->> 'message_id' FROM branch_event WHERE branch_id = :session AND type = 'message.created'",
    ),
    (  # 2
        "message {0} is covered by the current window {1} times instead of once",
        _COVER + "SELECT m.id, count(c.ref) FROM branch_message m LEFT JOIN cover c ON c.kind = 'message' "
        "AND c.ref = m.id WHERE m.branch_id = :session AND m.partial = 0 GROUP BY m.id HAVING count(c.ref) <> 1",
    ),
    (  # 2
        "partial message {0} stands in the window, or in a summary",
        _COVER + "SELECT m.id FROM cover c JOIN message m ON m.id = c.ref WHERE c.kind = 'message' AND m.partial = 1",
    ),
    (  # 3
        "summary {0} has no text",
        "SELECT id FROM branch_summary WHERE branch_id = :session AND trim(text) = ''",
    ),
    (  # 3
        "summary {0} has no sources",
        "SELECT id FROM branch_summary s WHERE branch_id = :session "
        "AND NOT EXISTS (SELECT 1 FROM summary_source e WHERE e.summary_id = s.id)",
    ),
    (  # 3
        "source {1} of summary {0} is no {2} of this session",
        "SELECT s.id, e.ref, e.kind FROM branch_summary s JOIN summary_source e ON e.summary_id = s.id "
        "WHERE s.branch_id = :session AND " + _IS_NONE.format("e"),
    ),
    (  # 3
        "summary {0} says that it stands for {1} messages, its sources are {2}",
        "SELECT s.id, s.message_count, sum(coalesce(c.message_count, 1)) AS held FROM branch_summary s "
        "JOIN summary_source e ON e.summary_id = s.id LEFT JOIN summary c ON c.id = e.ref "
        "WHERE s.branch_id = :session GROUP BY s.id HAVING held <> s.message_count",
    ),
    (  # 4
        "summary {0} has depth {1}, its sources say {2}",
        "SELECT s.id, s.depth, max(coalesce(c.depth + 1, 0)) AS found FROM branch_summary s "
        "JOIN summary_source e ON e.summary_id = s.id LEFT JOIN summary c ON c.id = e.ref "
        "WHERE s.branch_id = :session GROUP BY s.id HAVING found <> s.depth",
    ),
    (  # 4
        "{1} stands in the window and is no {0} of this session",
        "SELECT i.kind, i.ref FROM context_item i WHERE i.session_id = :session AND " + _IS_NONE.format("i"),
    ),
    (  # 2
        "{0} stands in the window since view {1}, which is older than this fork, and did not stand there when it began",
        "SELECT i.ref, i.born_view FROM lineage l JOIN context_item i ON i.session_id = l.session_id "
        "WHERE l.session_id = :session AND l.ancestor_id = :session AND i.born_view < l.first_view "
        "AND NOT EXISTS (SELECT 1 FROM lineage a JOIN context_item o ON o.session_id = a.ancestor_id AND o.ref = i.ref "
        "AND o.pos = i.pos AND o.tokens = i.tokens AND o.born_view = i.born_view "
        "AND (o.died_view IS NULL OR o.died_view >= l.first_view) "
        "WHERE a.session_id = :session AND a.idx < l.idx)",
    ),
    (  # 9
        "summary {0} has {1} tokens and its sources {2}: it is not smaller",
        "SELECT id, tokens, source_tokens FROM branch_summary WHERE branch_id = :session AND tokens >= source_tokens",
    ),
    (  # 17
        "turn {0} says that its window has {1} tokens, its kinds sum up to {2}",
        "SELECT id, window_tokens, system_tokens + summary_tokens + message_tokens + tool_tokens AS held "
        "FROM branch_turn WHERE branch_id = :session AND held <> window_tokens",
    ),
)


def rows(cx: sqlite3.Connection, session_id: str) -> Iterator[str]:
    """Invariants 1 to 4, 9 and 17, by the rows of the session."""
    for sentence, query in _QUERIES:
        found: list[tuple[Any, ...]] = cx.execute(query, {"session": session_id}).fetchmany(_MOST + 1)
        yield from (sentence.format(*row) for row in found[:_MOST])
        if len(found) > _MOST:
            yield "and more of the same kind"


def open_turns(cx: sqlite3.Connection, session_id: str) -> Iterator[str]:
    """Invariant 10: turns that nobody finished. One of them may be running."""
    for id, index in cx.execute("SELECT id, idx FROM turn WHERE session_id = ? AND state = 'open'", (session_id,)):
        yield f"turn {id} (index {index}) is open, and nobody is working on it"


def file(cx: sqlite3.Connection, _: str) -> Iterator[str]:
    """The file itself: its pages and indexes, its references, the search index. Reads all of it."""
    for (problem,) in cx.execute("PRAGMA integrity_check"):
        if problem != "ok":
            yield f"integrity check: {problem}"
    for table, rowid, parent, _key in cx.execute("PRAGMA foreign_key_check"):
        yield f"row {rowid} of table {table} refers to a {parent} that is not there"
    try:
        cx.execute("INSERT INTO search (search) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        yield f"the search index is damaged ({error})"


def billed(cx: sqlite3.Connection, session_id: str) -> tuple[int, int, int]:
    """Input, output and total tokens of a session's own turns."""
    row = cx.execute(
        "SELECT coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(total_tokens), 0) "
        "FROM turn WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    return int(row[0]), int(row[1]), int(row[2])


def erased(cx: sqlite3.Connection, _: str) -> Iterator[str]:
    """Invariant 1: of a session that was erased there is nothing but the mark."""
    for table, id in erasures.left_over(cx):
        yield f"table {table} has rows of session {id}, which was erased"


CHECKS: tuple[Check, ...] = (triggers, gaps, rows, erased)
