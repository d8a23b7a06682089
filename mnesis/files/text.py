"""Bytes as text: which encoding, and the lines of files whose lines may be longer than memory."""

import codecs
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mnesis.files.source import CHUNK, Content
from mnesis.tokens import TokenCounter

PIECE = 1 << 16
"""Characters of a line that are held at once."""

_COUNTED_WHOLE = 1 << 20
_SAMPLES, _SAMPLE = 24, 1 << 14

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\b"))


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes become text. `bom` is how many of them only say so; `note` what is to be said about it."""

    codec: str
    bom: int = 0
    note: str = ""

    @property
    def has_plain_newlines(self) -> bool:
        """Whether a byte 10 is a newline, wherever it stands."""
        return not self.codec.startswith(("utf-16", "utf-32"))

    def decode(self, data: bytes) -> str:
        """Text of bytes; what is not in this encoding becomes U+FFFD."""
        return data.decode(self.codec, "replace")


def encoding_of(content: Content) -> Encoding | None:
    """The encoding of a text, by its beginning; `None` for what is no text."""
    head = content.read(0, CHUNK)
    for bom, codec in _BOMS:
        if head.startswith(bom):
            return Encoding(codec, len(bom), f"{codec} with a byte order mark")
    if b"\0" in head[: 1 << 16] or len(head) - len(head.translate(None, _CONTROLS)) > len(head) // 50:
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) == content.size)
    except UnicodeDecodeError as error:
        bad = len(head.decode("utf-8", "replace").encode()) - len(head)
        if error.start > 256 and bad < len(head) // 100:
            return Encoding("utf-8", note="mostly utf-8: what is not is shown as \ufffd")
        if sum(byte >= 0x80 for byte in head) > len(head) // 3:
            return None
        return Encoding("cp1252", note="not utf-8; read as windows-1252, which is a guess")
    return Encoding("utf-8")


@dataclass(frozen=True, slots=True)
class Piece:
    """A line, counted from 1, or a part of a long one: `start` is its place in the line, in characters."""

    line: int
    text: str
    start: int = 0
    ends: bool = True


def pieces(content: Content, encoding: Encoding, at: int | None = None, line: int = 1) -> Iterator[Piece]:
    """The lines from a byte on, which is the beginning of `line`; without their ends."""
    decoder = codecs.getincrementaldecoder(encoding.codec)("replace")
    start, rest = 0, ""
    for chunk in content.chunks(encoding.bom if at is None else at):
        first, *others = (rest + decoder.decode(chunk)).split("\n")
        for other in others:
            yield Piece(line, first.removesuffix("\r"), start)
            line, start, first = line + 1, 0, other
        while len(first) > PIECE:
            yield Piece(line, first[:PIECE], start, ends=False)
            start, first = start + PIECE, first[PIECE:]
        rest = first
    rest += decoder.decode(b"", final=True)
    if rest or start:
        yield Piece(line, rest, start)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some of a file's text, and in a line where it is from and how to go on."""

    text: str
    place: str


class LineIndex:
    """Where lines begin, found by going through a file once: one number for each chunk of it."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._before = [0]
        """How many newlines stand before each chunk."""

    def seek(self, content: Content, line: int, late: Callable[[], bool]) -> tuple[int, int] | None:
        """The byte at which a line begins, or that of a line before it with its number; `None` where it took too long.

        Beyond the last line it is the end of the file.
        """
        if not self._encoding.has_plain_newlines:
            return self._encoding.bom, 1
        if self._before[-1] < line - 1:
            for chunk in content.chunks((len(self._before) - 1) * CHUNK):
                self._before.append(self._before[-1] + chunk.count(b"\n"))
                if self._before[-1] >= line - 1:
                    break
                if late():
                    return None
        at = bisect_right(self._before, line - 2) - 1 if line > 1 else -1
        if at < 0:
            return self._encoding.bom, 1
        skipped, chunk = self._before[at], content.read(at * CHUNK, CHUNK)
        place = -1
        while skipped < line - 1 and (found := chunk.find(b"\n", place + 1)) >= 0:
            place, skipped = found, skipped + 1
        return (at * CHUNK + place + 1, skipped + 1) if place >= 0 else (content.size, line)


class Lines(Protocol):
    """What a file holds, as lines from 1 on: those of a text, or those that stand for a document."""

    def begin(self, line: int, late: Callable[[], bool]) -> tuple[int, Iterator[Piece]] | None:
        """The number of a line, which is this one or one before it, and the pieces from there on; `None` where it took
        too long to get there.
        """
        ...


class TextLines:
    """A text as lines, read from any line on."""

    def __init__(self, content: Content, encoding: Encoding, index: LineIndex) -> None:
        self._content, self._encoding, self._index = content, encoding, index

    def begin(self, line: int, late: Callable[[], bool]) -> tuple[int, Iterator[Piece]] | None:
        """A line, or one before it, with all from there on; `None` where it took too long to get there."""
        found = self._index.seek(self._content, line, late)
        return None if found is None else (found[1], pieces(self._content, self._encoding, *found))


def count_lines(content: Content, encoding: Encoding, late: Callable[[], bool]) -> int | None:
    """How many lines there are; `None` where that takes too long to find out."""
    if not encoding.has_plain_newlines:
        count = 0
        for piece in pieces(content, encoding):
            count = piece.line
            if late():
                return None
        return count
    count, last = 0, b"\n"
    for chunk in content.chunks(encoding.bom):
        count, last = count + chunk.count(b"\n"), chunk[-1:]
        if late():
            return None
    return count + (last != b"\n")


def beginning(content: Content, encoding: Encoding, most: int) -> tuple[str, bool]:
    """The text of the first bytes, and whether that is all."""
    data = content.read(encoding.bom, most)
    return encoding.decode(data), encoding.bom + len(data) >= content.size


def count_tokens(content: Content, encoding: Encoding, counter: TokenCounter) -> tuple[int, bool]:
    """The tokens of a text, and whether all of it was counted: of a large one, samples spread over it are."""
    if content.size <= _COUNTED_WHOLE:
        return counter.count(beginning(content, encoding, content.size)[0]), True
    places = [(content.size - _SAMPLE) * number // (_SAMPLES - 1) // 4 * 4 for number in range(_SAMPLES)]
    counted = sum(counter.count(encoding.decode(content.read(place, _SAMPLE))) for place in places)
    return counted * content.size // (_SAMPLES * _SAMPLE), False
