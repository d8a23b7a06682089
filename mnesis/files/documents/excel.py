"""Excel workbooks: a line that says which sheet, then its rows, their cells between tabs, sheet by sheet."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mnesis.files.documents import cell, explained, guarded
from mnesis.files.explore.subject import Unreadable
from mnesis.files.labels import shown
from mnesis.files.source import Content

UNPACKED = 1 << 27
"""Bytes that a workbook may unpack to."""


class Sheets:
    """An open workbook. Its units are sheets; row 1 of one is the line after the one with its name."""

    def __init__(self, book: Any) -> None:
        self._sheets = book.worksheets
        self.units = len(self._sheets)

    def known(self) -> list[int]:
        """None: how many rows a sheet has is found by reading it."""
        return []

    def lines(self, unit: int) -> Iterator[str]:
        """A sheet."""
        return guarded(self._lines(unit))

    def _lines(self, unit: int) -> Iterator[str]:
        sheet = self._sheets[unit]
        yield f"[sheet {unit + 1} of {self.units}: {shown(str(sheet.title))}]"
        sheet.reset_dimensions()  # what it says of its size may be anything, and rows would be filled up to it
        for row in sheet.iter_rows(values_only=True):
            yield "\t".join(map(cell, row)).rstrip("\t")


def unpacked(content: Content) -> int:
    """Bytes that a workbook says it unpacks to: more are never read. Raises `Unreadable`."""
    try:
        with zipfile.ZipFile(content.file) as archive:
            return sum(each.file_size for each in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Unreadable(str(error)) from error


def book_of(content: Content) -> Any:
    """What openpyxl reads a workbook with. Raises `ImportError`, and nearly anything for a damaged file."""
    import openpyxl

    return openpyxl.load_workbook(content.file, read_only=True, data_only=True)


@contextmanager
def opened(content: Content) -> Iterator[Sheets]:
    """A workbook, for a block."""
    if (size := unpacked(content)) > UNPACKED:
        raise Unreadable(f"it unpacks to {size:,} bytes, and at most {UNPACKED:,} are unpacked; split it")
    try:
        sheets = Sheets(book_of(content))
    except ImportError:
        raise
    except Exception as error:
        raise Unreadable(explained(error)) from error
    yield sheets
