"""Excel workbooks: sheets, their columns, rows, and some of them; row by row."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mnesis.files.explore.subject import Subject, Unreadable
from mnesis.files.explore.tables import Column

_MOST_ROWS = 20_000
_MOST_SHEETS = 12
_MOST_COLUMNS = 40


def explore(subject: Subject) -> Iterator[str]:
    """Sheet by sheet. One that unpacks to too much is not unpacked."""
    from mnesis.files.documents.excel import UNPACKED, book_of, unpacked

    if (size := unpacked(subject.content)) > UNPACKED:
        yield f"it unpacks to {size:,} bytes, and is not unpacked for that"
        return
    try:
        book = book_of(subject.content)
        yield f"{len(book.sheetnames)} sheets: {', '.join(book.sheetnames[:_MOST_SHEETS])}"
        for sheet in islice(book.worksheets, _MOST_SHEETS):
            yield from _sheet(subject, sheet)
            if subject.late():
                break
    except ImportError:
        yield 'its sheets are read by openpyxl: pip install "mnesis[files]"'
    except Exception as error:  # a damaged workbook makes openpyxl raise nearly anything
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _sheet(subject: Subject, sheet: Any) -> Iterator[str]:
    rows = sheet.iter_rows(values_only=True)
    names = next(rows, ())
    columns = [Column(str(name if name is not None else f"column {i}")) for i, name in enumerate(names, 1)]
    samples: list[tuple[Any, ...]] = []
    count = 0
    for row in islice(rows, _MOST_ROWS):
        count += 1
        for column, value in zip(columns, row, strict=False):
            column.see("" if value is None else str(value))
        if len(samples) < 2:
            samples.append(row)
        if subject.late():
            break
    more = "at least " if count == _MOST_ROWS or subject.late() else ""
    yield f"sheet {sheet.title}: {more}{count:,} rows, {len(columns)} columns"
    yield from (f"  {column.told()}" for column in columns[:_MOST_COLUMNS])
    for row in samples:
        yield f"  row: {' | '.join('' if cell is None else str(cell)[:60] for cell in row[:_MOST_COLUMNS])}"
