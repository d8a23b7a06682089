"""Parquet: a line with the names of the columns, then the rows, their values between tabs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mnesis.files.documents import cell, explained, guarded
from mnesis.files.explore.subject import Unreadable
from mnesis.files.source import Content

_ROWS, _HELD = 256, 1 << 24
"""Rows, and about so many bytes of them, that are held at once."""

_BUFFER = 1 << 16
_LARGEST = 1 << 29
"""Bytes, unpacked, of the largest part of a column that is read."""


class Table:
    """An open file. Its units are row groups; row 1 is line 2."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.units = max(1, file.num_row_groups)

    def known(self) -> list[int]:
        """All: the file says how many rows each group has."""
        meta = self._file.metadata
        counts = [meta.row_group(unit).num_rows for unit in range(meta.num_row_groups)] or [0]
        return [counts[0] + 1, *counts[1:]]

    def lines(self, unit: int) -> Iterator[str]:
        """A row group, the first one after the names."""
        return guarded(self._lines(unit))

    def _lines(self, unit: int) -> Iterator[str]:
        if unit == 0:
            yield "\t".join(map(cell, self._file.schema_arrow.names))
        if unit == self._file.num_row_groups:
            return
        group = self._file.metadata.row_group(unit)
        for column in (group.column(number) for number in range(group.num_columns)):
            if column.total_uncompressed_size > _LARGEST:
                raise Unreadable(
                    f"column {column.path_in_schema!r} unpacks to {column.total_uncompressed_size:,} bytes in one row "
                    f"group, and at most {_LARGEST:,} are unpacked; write it with smaller row groups"
                )
        rows = max(1, min(_ROWS, group.num_rows * _HELD // max(1, group.total_byte_size)))
        for batch in self._file.iter_batches(rows, row_groups=[unit], use_threads=False):
            columns = [_without_times(column) for column in batch.columns]
            for row in range(batch.num_rows):
                yield "\t".join(cell(column[row].as_py()) for column in columns)


def _without_times(column: Any) -> Any:
    """A column of times as texts, in UTC where they have a zone: Python's own times lack nanoseconds, and far years."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = column.cast(pa.timestamp(column.type.unit))
    return column.cast(pa.string()) if pa.types.is_temporal(column.type) else column


@contextmanager
def opened(content: Content) -> Iterator[Table]:
    """A file, for a block."""
    try:
        import pyarrow.parquet as pq

        meta = pq.ParquetFile(content.file)
        # As dictionaries, so that a long text that stands in many rows is there once.
        texts = [
            column.path
            for column in map(meta.schema.column, range(len(meta.schema)))
            if column.physical_type == "BYTE_ARRAY" and "." not in column.path
        ]
        table = Table(
            pq.ParquetFile(
                content.file, metadata=meta.metadata, read_dictionary=texts, pre_buffer=False, buffer_size=_BUFFER
            )
        )
    except ImportError:
        raise
    except Exception as error:
        raise Unreadable(explained(error)) from error
    yield table
