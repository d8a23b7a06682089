"""The way from the store to DataFrames: read-only, on one snapshot, each column built with its dtype, never guessed."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mnesis import InputError, MnesisSession, NotFound, StoreError
from mnesis_jupyter.current import CURRENT

if TYPE_CHECKING:
    import pandas as pd

type SessionLike = MnesisSession | str | None
type Moment = datetime | date | str | None
"""A time; without a zone it is UTC."""
type Parameters = Sequence[Any] | Mapping[str, Any]

INT, FLOAT, BOOL, TEXT, CATEGORY = "Int64", "Float64", "boolean", "string", "category"
TIME = "datetime64[us, UTC]"

_WORDS = {
    TEXT: "id name title prompt from error origin hash text data arguments output url description payload certificate "
    "summary path replay",
    CATEGORY: "model agent state reason kind role type status event encoding counted fidelity in change cause",
    INT: "seq turn turns part parts source sources messages tokens depth level view pos far size width height unpriced "
    "budget largest compactions requests verbatim recall",
    FLOAT: "cost seconds saved cached",
    BOOL: "recorded partial kept window",
    TIME: "at day",
}
_DTYPES = {word: dtype for dtype, words in _WORDS.items() for word in words.split()}
"""By the last word of a column's name: `result_part_id` is a text as `id` is."""


def columns(names: str, **others: str) -> dict[str, str]:
    """Columns with their dtypes, which are the same in all views, but for `others`."""
    return {name: others.get(name) or _DTYPES[name.rpartition("_")[2]] for name in names.split()}


def period(moment: str) -> dict[str, str]:
    """The filters of a view by time."""
    return {"since": f"{moment} >= :since", "until": f"{moment} < :until"}


@dataclass(frozen=True, slots=True)
class View:
    """A query with a place for its conditions, its key, and its columns with their dtypes.

    `session` is the SQL of the session's id, `filters` the condition for each argument that narrows the view. Tables in
    braces, as `{turn}`, are all of the store, each row once; of one session they are as that session sees them, with
    the past that it shares with the one it was forked from. `{of}` is then the column of the session that sees the row.
    """

    query: str
    index: tuple[str, ...]
    columns: Mapping[str, str]
    order: str
    session: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)

    def sql(self, session: str | None, wanted: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The query with its conditions, and their values. What is `None` narrows nothing."""
        values = {name: _sql_value(name, value) for name, value in wanted.items() if value is not None}
        if unknown := values.keys() - self.filters.keys():
            raise InputError(
                f"{', '.join(sorted(unknown))} narrows nothing here; these do: {', '.join(self.filters) or 'none'}"
            )
        conditions = [self.filters[name] for name in values]
        if session is not None:
            conditions.insert(0, f"{self.session} = :session")
            values["session"] = session
        query = self.query.replace("{where}", f"WHERE {' AND '.join(conditions)}" if conditions else "")
        query = f"{query} ORDER BY {self.order}"
        for mark, whole, seen in _TABLES:
            query = query.replace(mark, whole if session is None else seen)
        return query, values


# What stands in the window of a fork from its beginning came into it before, in the session that it was forked from.
_CAME = (
    "{0}.born_view >= (SELECT first_view FROM lineage WHERE session_id = {0}.session_id AND ancestor_id = session_id)"
)

_TABLES = (
    *(
        (f"{{{name}}}", name, f"branch_{name}")
        for name in ("turn", "message", "event", "view", "summary", "tombstone", "file")
    ),
    ("{item}", "context_item", "branch_item"),
    ("{of}", "session_id", "branch_id"),
    ("{made}", "s.rowid", "s.place"),
    ("{within}", "", "AND m.branch_id = :session"),
    ("{came c}", _CAME.format("c"), "TRUE"),
    ("{came d}", _CAME.format("d"), "TRUE"),
)


def _sql_value(name: str, value: Any) -> Any:
    """A value as the store has it: times in microseconds."""
    if name not in ("since", "until"):
        return value
    import pandas as pd

    try:
        moment = pd.Timestamp(value)
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment
        return int(moment.to_datetime64().astype("datetime64[us]").astype("int64"))
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}={value!r} is not a time; give a datetime or a text as '2026-05-03 14:00'") from error


def store() -> Path:
    """The file that this kernel's new sessions go to, and that is read where no `db` is given."""
    return CURRENT.store


# -- rows -------------------------------------------------------------------------------------------------------------


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can only read, and that sees the store as it is now for as long as the block takes."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=30)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.create_function("is_alive", 1, _alive(path))
            connection.execute("BEGIN")
            yield connection
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} cannot be read as a store of mnesis ({error}); check db") from error


def _alive(path: Path) -> Callable[[str], bool]:
    """Whether somebody works on a run, as SQL asks it: found out once, when the first run is asked about."""

    @cache
    def alive() -> frozenset[str]:
        from mnesis.operators import running

        return running(path)

    return lambda run_id: run_id in alive()


def rows(path: Path, query: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
    """What a query finds. Nothing where there is no file yet: the first session makes it."""
    if not path.exists():
        return []
    with snapshot(path) as connection:
        return connection.execute(query, parameters).fetchall()


def scope(session: SessionLike, db: str | Path | None) -> tuple[Path, str | None]:
    """The file to read, and the id of the session if it is about one."""
    if db is not None and not Path(db).expanduser().exists():
        raise NotFound("store", str(db), "there is no such file; check db")
    if isinstance(session, MnesisSession):
        if session.db_path is None:
            raise InputError("this session is kept in memory, which only it can read; give it a db_path")
        return session.db_path, session.id
    path = CURRENT.store if db is None else Path(db).expanduser()
    if session is None:
        return path, None
    if not isinstance(session, str):
        raise InputError(f"session={session!r} is not a session; give the object, its id or its title")
    id = find_session(session, path)
    if id is None:
        raise NotFound("session", session, f"{path} has none of this id or title; frames.sessions() lists them")
    return path, id


def find_session(name: str, path: Path) -> str | None:
    """The id of a session named by id or title; of several with one title, the newest."""
    query = (
        "SELECT id FROM session_now WHERE id = :name OR title = :name "
        "ORDER BY id = :name DESC, created_at DESC, id DESC LIMIT 1"
    )
    found = rows(path, query, {"name": name})
    return found[0][0] if found else None


# -- frames -----------------------------------------------------------------------------------------------------------


def read(view: View, session: SessionLike, db: str | Path | None, **filters: Any) -> "pd.DataFrame":
    """The whole view of a session, or of all of them."""
    path, id = scope(session, db)
    return frame_of(view, rows(path, *view.sql(id, filters)))


def read_chunks(
    view: View, connection: sqlite3.Connection, session: str | None, filters: Mapping[str, Any], count: int
) -> Iterator["pd.DataFrame"]:
    """The view piece by piece, `count` rows at most in each; one without rows where there are none."""
    cursor = connection.execute(*view.sql(session, filters))
    found = cursor.fetchmany(count)
    yield frame_of(view, found)
    while len(found) == count and (found := cursor.fetchmany(count)):
        yield frame_of(view, found)


def frame_of(view: View, found: Sequence[tuple[Any, ...]]) -> "pd.DataFrame":
    """Rows as a DataFrame with the view's key and dtypes."""
    import pandas as pd

    from mnesis_jupyter.frames import accessor  # noqa: F401  # gives DataFrames their `.mnesis`

    columns = zip(*found, strict=True) if found else ((),) * len(view.columns)
    series = {name: column(values, dtype) for (name, dtype), values in zip(view.columns.items(), columns, strict=True)}
    return pd.DataFrame(series).set_index(list(view.index))


def column(values: Sequence[Any], dtype: str) -> "pd.Series[Any]":
    """Values of the store as a column of this dtype."""
    import numpy as np
    import pandas as pd

    if dtype == TIME:  # by numpy: pandas would go through nanoseconds, and through floats where one is missing
        return pd.Series(np.array(values, dtype="datetime64[us]")).dt.tz_localize("UTC")
    if dtype == CATEGORY:  # of texts also where there are none
        return pd.Series(list(values), dtype="string").astype("category")
    return pd.Series(list(values), dtype=dtype)
