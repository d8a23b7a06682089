"""All views by name: in pieces, and what is in them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnesis import InputError
from mnesis.errors import describe_value
from mnesis_jupyter.frames import contents, log, maps, memory
from mnesis_jupyter.frames.reading import SessionLike, View, frame_of, read_chunks, scope, snapshot

if TYPE_CHECKING:
    import pandas as pd

TABLES: Mapping[str, View] = {
    "sessions": log.SESSIONS,
    "turns": log.TURNS,
    "messages": log.MESSAGES,
    "parts": contents.PARTS,
    "tool_calls": contents.TOOL_CALLS,
    "attachments": contents.ATTACHMENTS,
    "files": contents.FILES,
    "context_changes": memory.CONTEXT_CHANGES,
    "summaries": memory.SUMMARIES,
    "sources": memory.SOURCES,
    "events": log.EVENTS,
    "usage": log.USAGE,
    "map_runs": maps.MAP_RUNS,
    "map_items": maps.MAP_ITEMS,
}
"""Those of any number of sessions: all but the context, which is one window."""

_CHUNK = 100_000


def chunks(
    table: str,
    session: SessionLike = None,
    *,
    chunksize: int = _CHUNK,
    db: str | Path | None = None,
    **filters: Any,
) -> Iterator["pd.DataFrame"]:
    """A view piece by piece, `chunksize` rows at most in each, all of one snapshot; at least one, also without rows.

    `filters` are those of the view's own function. A chunk's categories are those that are in it.

    >>> [len(chunk) for chunk in frames.chunks("messages", "talk", chunksize=5)]
    [5, 5, 2]
    """
    if table not in TABLES:
        raise InputError(f"table={describe_value(table)} is none of {', '.join(TABLES)}")
    if not isinstance(chunksize, int) or chunksize < 1:
        raise InputError(f"chunksize={chunksize!r} is not possible; give a number of rows, at least 1")
    path, id = scope(session, db)
    TABLES[table].sql(id, filters)  # wrong ones are an error now, not at the first chunk
    return _chunks(table, path, id, filters, chunksize)


def _chunks(
    table: str, path: Path, session: str | None, filters: Mapping[str, Any], count: int
) -> Iterator["pd.DataFrame"]:
    if not path.exists():
        yield frame_of(TABLES[table], [])
        return
    with snapshot(path) as connection:
        yield from read_chunks(TABLES[table], connection, session, filters, count)


def schema() -> "pd.DataFrame":
    """One row a column of a view: its dtype, and whether it is part of the key. Key: `table`, `column`.

    >>> frames.schema().loc["turns", "dtype"]["opened_at"]
    'datetime64[us, UTC]'
    """
    import pandas as pd

    tables = {**TABLES, "context": memory.CONTEXT}
    found = [
        (table, name, dtype, name in view.index)
        for table, view in tables.items()
        for name, dtype in view.columns.items()
    ]
    return pd.DataFrame(found, columns=["table", "column", "dtype", "key"]).set_index(["table", "column"])
