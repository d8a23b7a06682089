"""Parquet: its schema, rows, ranges from its statistics, and some rows; only the needed pages are read."""

from collections.abc import Iterator
from typing import Any

from mnesis.files.explore.subject import Subject, Unreadable

_MOST_COLUMNS = 60
_SAMPLED = 1 << 25


def explore(subject: Subject) -> Iterator[str]:
    """Columns with their types."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        yield 'its columns are read by pyarrow: pip install "mnesis[files]"'
        return
    try:
        file = pq.ParquetFile(subject.content.file)
        meta, schema = file.metadata, file.schema_arrow
        yield f"{meta.num_rows:,} rows, {meta.num_columns} columns, {meta.num_row_groups} row groups"
        for index, field in enumerate(schema):
            if index == _MOST_COLUMNS:
                yield f"  … and {len(schema) - index} columns more"
                break
            yield f"  {field.name}: {field.type}{'' if field.nullable else ', never null'}{_range(meta, field.name)}"
        if meta.num_rows and meta.num_row_groups and meta.row_group(0).total_byte_size < _SAMPLED:
            for batch in file.iter_batches(batch_size=3):
                yield from (f"row: {row}" for row in batch.slice(0, 3).to_pylist())
                break
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(str(error)) from error


def _range(meta: Any, name: str) -> str:
    """Between which values a column lies, where its row groups say so."""
    least: list[Any] = []
    most: list[Any] = []
    for number in range(min(meta.num_row_groups, 1_000)):
        group = meta.row_group(number)
        for index in range(group.num_columns):
            column = group.column(index)
            if column.path_in_schema == name and (known := column.statistics) is not None and known.has_min_max:
                least.append(known.min)
                most.append(known.max)
    try:
        return f", {str(min(least))[:40]} to {str(max(most))[:40]}" if least else ""
    except TypeError:
        return ""
