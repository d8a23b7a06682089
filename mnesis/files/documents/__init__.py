"""Files that hold text without being text, as lines: the pages of a PDF, the rows of sheets and tables.

One module for each type, which gives the lines of a unit (a page, a sheet, a group of rows). A file's lines have the
same numbers each time, so that they can be named.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Protocol

from mnesis.errors import FileError
from mnesis.files.explore.subject import Unreadable
from mnesis.files.labels import line as in_one_line
from mnesis.files.source import Content
from mnesis.files.text import PIECE, Piece
from mnesis.llm.reply import well_formed

_MODULES = {
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "excel",
    "application/vnd.apache.parquet": "parquet",
}


class Document(Protocol):
    """An open document. Whatever it raises means that it cannot be read."""

    units: int

    def known(self) -> list[int]:
        """How many lines the first units have, as far as that is known without reading them."""
        ...

    def lines(self, unit: int) -> Iterator[str]:
        """The lines of a unit, from 0 on."""
        ...


class DocumentLines:
    """A document as lines, read from a unit's beginning on. `before` is how many lines stand before each unit, as far
    as the document has been gone through: first `[0]`, then what an earlier one of the same content has made of it.
    """

    def __init__(self, document: Document, before: list[int]) -> None:
        self._document, self._before = document, before
        for count in document.known()[len(self._before) - 1 :]:
            self._before.append(self._before[-1] + count)

    def begin(self, line: int, late: Callable[[], bool]) -> tuple[int, Iterator[Piece]] | None:
        """The last line before `line`, or that line, which can be begun at, and all from there on."""
        unit = min(bisect_right(self._before, line - 1) - 1, self._document.units)
        return self._before[unit] + 1, self._pieces(unit)

    def _pieces(self, first: int) -> Iterator[Piece]:
        for unit in range(first, self._document.units):
            number = self._before[unit]
            for text in self._document.lines(unit):
                number += 1
                yield from _cut(number, well_formed(text))
            if len(self._before) == unit + 1:
                self._before.append(number)


def is_document(media_type: str) -> bool:
    """Whether files of this type are read here."""
    return media_type in _MODULES


@contextmanager
def opened_document(content: Content, media_type: str, name: str) -> Iterator[Document]:
    """A document, for a block. Raises `FileError`, in the block too: for what is damaged, encrypted, or unpacks to too
    much, and where its parser is not installed.
    """
    try:
        with import_module(f"mnesis.files.documents.{_MODULES[media_type]}").opened(content) as document:
            yield document
    except ImportError as error:
        parser = str(error.name).partition(".")[0]
        raise FileError(f'{name} is read by {parser}, which is not installed: pip install "mnesis[files]"') from error
    except Unreadable as error:
        raise FileError(f"{name} cannot be read on in: {error}") from error


def guarded(lines: Iterator[str]) -> Iterator[str]:
    """Lines of a parser. A damaged file makes one raise nearly anything; what it raises becomes `Unreadable`."""
    try:
        yield from lines
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(explained(error)) from error


def explained(error: Exception) -> str:
    """What a parser says of a damaged file, as the end of a sentence."""
    return f"it is damaged, or another type than it was ({type(error).__name__}: {in_one_line(str(error))})"


def cell(value: object) -> str:
    """A value as it stands between two tabs."""
    text = "" if value is None else str(value)
    return text.replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")


def _cut(number: int, text: str) -> Iterator[Piece]:
    start = 0
    while len(text) - start > PIECE:
        yield Piece(number, text[start : start + PIECE], start, ends=False)
        start += PIECE
    yield Piece(number, text[start:], start)
