"""Somebody else's SQLite files: what tables they have. Opened so that nothing is ever written, nor waited for."""

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_STEPS = 10_000
_MOST = 200


class NotReadable(Exception):
    """The file is no SQLite database, or a damaged one. The text says why."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, with its columns and their declared types. `rows` is `None` where counting them took too long."""

    name: str
    columns: tuple[str, ...]
    rows: int | None
    is_view: bool


def tables_of(path: Path, deadline: float) -> list[Table]:
    """The tables and views of a file, until `deadline` (of `time.monotonic`). Raises `NotReadable`.

    What is in a WAL beside the file is not seen: reading that could write.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)) as cx:
            cx.text_factory = lambda data: data.decode(errors="replace")
            cx.execute("PRAGMA trusted_schema = OFF")
            cx.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            names = cx.execute(
                "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' "
                "ESCAPE '\\' ORDER BY type, name LIMIT ?",
                (_MOST,),
            ).fetchall()
            return [_table(cx, name, type == "view") for name, type in names]
    except sqlite3.Error as error:
        raise NotReadable(str(error)) from error


def _table(cx: sqlite3.Connection, name: str, is_view: bool) -> Table:
    columns = cx.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall() if not is_view else ()
    told = tuple(f"{column} {type}".strip() for column, type in columns)
    return Table(name, told, None if is_view else _count(cx, name), is_view)


def _count(cx: sqlite3.Connection, name: str) -> int | None:
    quoted = name.replace('"', '""')
    try:
        count: int = cx.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_ERROR):  # no time, or a module it lacks
            return None
        raise
    return count
