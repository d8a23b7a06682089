"""What explorers are given, and what they give."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from mnesis.files.source import Content
from mnesis.files.text import Encoding, Piece, beginning, pieces

PARSED_WHOLE = 1 << 23
"""Bytes that a parser is given at once."""


class Unreadable(Exception):
    """The content is not what it was taken for. The text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Subject:
    """A file that is explored until `deadline` (of `time.monotonic`). `encoding` is `None` where it is no text."""

    content: Content
    name: str
    encoding: Encoding | None
    deadline: float

    @property
    def size(self) -> int:
        """Bytes."""
        return self.content.size

    @cached_property
    def head(self) -> bytes:
        """The first bytes."""
        return self.content.read(0, 1 << 16)

    @property
    def suffix(self) -> str:
        """What the name ends on, as `.csv`."""
        _, dot, suffix = self.name.rpartition(".")
        return f".{suffix.lower()}" if dot else ""

    def late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self.deadline

    def text(self, most: int = PARSED_WHOLE) -> tuple[str, bool]:
        """The beginning of the text, and whether that is all of it."""
        return beginning(self.content, self._encoding(), most)

    def pieces(self) -> Iterator[Piece]:
        """The lines, as long as there is time."""
        for piece in pieces(self.content, self._encoding()):
            yield piece
            if self.late():
                return

    def lines(self) -> Iterator[str]:
        """The lines, as long as there is time; of long ones the beginning."""
        return (piece.text for piece in self.pieces() if not piece.start)

    def _encoding(self) -> Encoding:
        if self.encoding is None:
            raise Unreadable("it is not text")
        return self.encoding


type Explorer = Callable[[Subject], Iterable[str]]
"""Gives the lines of a summary, the most telling first. Raises `Unreadable`."""
