"""The views as files, for other programs."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnesis import InputError, NotFound
from mnesis.errors import describe_value
from mnesis.progress import track
from mnesis_jupyter.frames.reading import (
    BOOL,
    CATEGORY,
    FLOAT,
    INT,
    TEXT,
    TIME,
    SessionLike,
    read_chunks,
    scope,
    snapshot,
)
from mnesis_jupyter.frames.tables import TABLES
from mnesis_jupyter.progress import shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_CHUNK = 50_000


def export(
    folder: str | Path,
    session: SessionLike = None,
    *,
    format: Literal["parquet", "csv"] = "parquet",
    tables: Iterable[str] | None = None,
    db: str | Path | None = None,
) -> list[Path]:
    """Write the views, all of one snapshot, as `folder/<table>.parquet` or `.csv`; files of these names are replaced.

    Of all sessions, or of one; all views but the context, or those named. Times are in UTC. Parquet needs pyarrow.
    Returns the files. Raises `InputError`, and `NotFound` where there is no store.

    >>> import tempfile
    >>> [path.name for path in frames.export(tempfile.mkdtemp(), "talk", format="csv", tables=["turns", "files"])]
    ['turns.csv', 'files.csv']
    """
    if format not in ("parquet", "csv"):
        raise InputError(f"format={describe_value(format)} is not known; give 'parquet' or 'csv'")
    names = list(TABLES) if tables is None else [tables] if isinstance(tables, str) else list(tables)
    if unknown := [name for name in names if name not in TABLES]:
        raise InputError(f"tables={unknown!r} are none of {', '.join(TABLES)}")
    path, id = scope(session, db)
    if not path.exists():
        raise NotFound("store", str(path), "there is no such file yet; the first session makes it")
    write = _parquet() if format == "parquet" else _write_csv
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with snapshot(path) as connection, shown():
            return [_replace(folder / f"{name}.{format}", write, name, connection, id) for name in names]
    except OSError as error:
        raise InputError(f"folder={str(folder)!r} cannot be written to: {error.strerror or error}") from error


def _replace(target: Path, write: Any, table: str, connection: sqlite3.Connection, session: str | None) -> Path:
    """A file is there whole, or as it was before."""
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        write(unfinished, table, connection, session)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _chunks(table: str, connection: sqlite3.Connection, session: str | None) -> "Iterator[pd.DataFrame]":
    with track(f"exporting {table}", unit="rows") as progress:
        for chunk in read_chunks(TABLES[table], connection, session, {}, _CHUNK):
            yield chunk
            progress.advance(len(chunk))


def _write_csv(target: Path, table: str, connection: sqlite3.Connection, session: str | None) -> None:
    with target.open("w", encoding="utf-8", newline="") as file:
        for number, chunk in enumerate(_chunks(table, connection, session)):
            chunk.to_csv(file, header=number == 0)


def _parquet() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError("Parquet needs pyarrow: pip install pyarrow, or give format='csv'") from error

    def write(target: Path, table: str, connection: sqlite3.Connection, session: str | None) -> None:
        schema = _schema(table, pa)
        with pq.ParquetWriter(target, schema) as writer:
            for chunk in _chunks(table, connection, session):
                writer.write_table(pa.Table.from_pandas(chunk.reset_index(), schema=schema, preserve_index=False))

    return write


def _schema(table: str, pa: Any) -> "pa.Schema":
    types = {
        INT: pa.int64(),
        FLOAT: pa.float64(),
        BOOL: pa.bool_(),
        TEXT: pa.string(),
        CATEGORY: pa.dictionary(pa.int32(), pa.string()),
        TIME: pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([(name, types[dtype]) for name, dtype in TABLES[table].columns.items()])
