"""PDF: a line that says which page, then the lines of its text, page by page."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mnesis.files.documents import explained, guarded
from mnesis.files.explore.subject import Unreadable
from mnesis.files.source import Content

PARSED = 1 << 28
"""Bytes of the largest file that is parsed."""


class Pages:
    """An open PDF. Its units are pages."""

    def __init__(self, reader: Any) -> None:
        self._pages = reader.pages
        self.units = len(reader.pages)

    def known(self) -> list[int]:
        """None: how a page breaks into lines is found by reading it."""
        return []

    def lines(self, unit: int) -> Iterator[str]:
        """A page."""
        return guarded(self._lines(unit))

    def _lines(self, unit: int) -> Iterator[str]:
        text = self._pages[unit].extract_text()
        empty = "" if text.strip() else ": no text (it may be a picture)"
        yield f"[page {unit + 1} of {self.units}{empty}]"
        if not empty:
            yield from text.splitlines()


def reader_of(content: Content) -> Any:
    """What pypdf reads a PDF with. Raises `ImportError`, and nearly anything for a damaged file."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it reports what it mends
    return pypdf.PdfReader(content.file)


@contextmanager
def opened(content: Content) -> Iterator[Pages]:
    """A PDF, for a block."""
    if content.size > PARSED:
        raise Unreadable(f"it has {content.size:,} bytes, and at most {PARSED:,} are parsed; split it")
    try:
        reader = reader_of(content)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("it is encrypted and needs a password; attach a copy that is saved without one")
        pages = Pages(reader)
    except (ImportError, Unreadable):
        raise
    except Exception as error:
        raise Unreadable(explained(error)) from error
    yield pages
