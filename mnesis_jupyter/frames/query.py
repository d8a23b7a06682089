"""SQL of one's own on the store. It only reads."""

import sqlite3
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnesis import InputError, NotFound, StoreError
from mnesis_jupyter.frames.reading import TIME, column, scope, snapshot

if TYPE_CHECKING:
    import pandas as pd

_STEPS = 10_000
"""Instructions of SQLite between two looks at the clock: about a millisecond."""
_LARGEST = 100_000_000
"""Bytes of one value."""

_ASKING = ("table_info", "table_xinfo", "table_list", "index_list", "index_info", "data_version")
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
# So SQLite calls it when a virtual table (`search`, `json_each`) says which columns it has. Real writes there are
# refused by SQLite itself.
_DECLARES = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE)
_NAMES = {
    value: name.removeprefix("SQLITE_").replace("_", " ")
    for name, value in vars(sqlite3).items()
    if name.startswith(("SQLITE_CREATE_", "SQLITE_DROP_", "SQLITE_ALTER_"))
    or name
    in (
        *("SQLITE_INSERT", "SQLITE_UPDATE", "SQLITE_DELETE", "SQLITE_ATTACH", "SQLITE_DETACH", "SQLITE_PRAGMA"),
        *("SQLITE_TRANSACTION", "SQLITE_SAVEPOINT", "SQLITE_REINDEX", "SQLITE_ANALYZE"),
    )
}


def sql(
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
    *,
    limit: int | None = 100_000,
    seconds: float = 30,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """What a SELECT finds in the store's own tables, whose columns docs/design.md and `PRAGMA table_list` tell.

    `parameters` are those of sqlite3: a sequence for `?`, a mapping for `:name`. Columns are nullable; integers in one
    that ends in `_at` are times. No more than `limit` rows, with a warning where there are more; `None` gives all.

    Raises `InputError` for what is not one statement that reads, `StoreError` for one that is wrong, or takes longer
    than `seconds`.

    Examples:
        >>> frames.sql("SELECT role, count(*) AS n FROM message WHERE turn < ? GROUP BY role", [2])
                role  n
        0  assistant  2
        1       user  2
    """
    if not isinstance(query, str) or not query.strip():
        raise InputError(f"query={query!r} is not a statement; give one SELECT")
    if limit is not None and (not isinstance(limit, int) or limit < 0):
        raise InputError(f"limit={limit!r} is not possible; give a number of rows, or None for all")
    path, _ = scope(None, db)
    if not path.exists():
        raise NotFound("store", str(path), "there is no such file yet; the first session makes it")
    names, found = _found(path, query, parameters, limit, seconds)
    if limit is not None and len(found) > limit:
        found = found[:limit]
        warnings.warn(f"only the first {limit:,} rows are shown; limit=None gives all of them", stacklevel=2)
    return _frame(names, found)


def _found(
    path: Path, query: str, parameters: Sequence[Any] | Mapping[str, Any], limit: int | None, seconds: float
) -> tuple[list[str], list[tuple[Any, ...]]]:
    refused: list[str] = []

    def authorize(action: int, first: str | None, *_: str | None) -> int:
        asks = action == sqlite3.SQLITE_PRAGMA and str(first).lower() in _ASKING
        if action in _ALLOWED or asks or (action in _DECLARES and first == "sqlite_master"):
            return sqlite3.SQLITE_OK
        refused.append(f"{_NAMES.get(action, 'something else')} {first or ''}".strip())
        return sqlite3.SQLITE_DENY

    with snapshot(path) as connection:
        deadline = time.monotonic() + seconds
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        connection.set_authorizer(authorize)
        try:
            cursor = connection.execute(query, parameters)
            if cursor.description is None:
                raise InputError("this statement gives no rows; sql() only reads: give one SELECT")
            found = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
            return [name for name, *_ in cursor.description], found
        except (sqlite3.Error, sqlite3.Warning) as error:
            if refused:
                raise InputError(f"sql() only reads, and this would {refused[0]}; give one SELECT") from error
            if any(sign in str(error) for sign in ("VACUUM", "readonly", "may not be modified")):
                raise InputError(f"sql() only reads, and this would write ({error}); give one SELECT") from error
            if time.monotonic() > deadline:
                raise StoreError(
                    f"the query was stopped after {seconds:g} s; ask for less, or give it more: seconds={seconds * 4:g}"
                ) from error
            if "one statement" in str(error):
                raise InputError("sql() takes one statement, and these are several; give one SELECT") from error
            raise StoreError(f"this cannot be asked ({error}); PRAGMA table_list tells the tables") from error
        finally:
            connection.set_authorizer(None)
            connection.set_progress_handler(None, 0)


def _frame(names: Sequence[str], found: Sequence[tuple[Any, ...]]) -> "pd.DataFrame":
    import pandas as pd

    values = list(zip(*found, strict=True)) if found else [()] * len(names)
    series = [column(each, _dtype(name, each)) for name, each in zip(names, values, strict=True)]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame()
    frame.columns = pd.Index(names)
    return frame


def _dtype(name: str, values: Sequence[Any]) -> str:
    """SQLite has types of values, not of columns."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds or kinds == {int}:
        return TIME if name.endswith("_at") else "Int64" if kinds else "object"
    if kinds <= {int, float}:
        return "Float64"
    return "string" if kinds == {str} else "object"
