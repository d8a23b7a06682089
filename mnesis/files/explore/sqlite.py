"""SQLite databases: tables, their columns, how many rows. Opened read-only, and never changed."""

from collections.abc import Iterator

from mnesis.files.explore.subject import Subject, Unreadable
from mnesis.store.foreign import NotReadable, tables_of

_MOST_TABLES = 40


def explore(subject: Subject) -> Iterator[str]:
    """Table by table."""
    try:
        tables = tables_of(subject.content.path, subject.deadline)
    except NotReadable as error:
        raise Unreadable(str(error)) from error
    yield f"{len(tables)} tables and views"
    for table in tables[:_MOST_TABLES]:
        rows = "" if table.is_view else ", rows not counted in time" if table.rows is None else f", {table.rows:,} rows"
        yield f"{'view' if table.is_view else 'table'} {table.name}{rows}"
        yield f"  {', '.join(table.columns)}"
