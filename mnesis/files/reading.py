"""Reading on in a file, and searching it: from wherever, in pieces, within limits of time and tokens."""

import time
from collections.abc import Iterator

import regex

from mnesis.errors import FileError, InputError, describe_value
from mnesis.files.labels import line as in_one_line
from mnesis.files.text import Excerpt, Lines, Piece
from mnesis.tokens import TokenCounter

_SECONDS = 20.0
_SECONDS_EACH = 1.0
_BESIDE = 120
_MOST_MATCHES = 100
MOST_LINES = 5_000


def read(
    source: Lines,
    *,
    start: int,
    lines: int,
    offset: int,
    room: int,
    counter: TokenCounter,
) -> Excerpt:
    """So many lines from line `start` on, of this without its first `offset` characters; at most `room` tokens."""
    _check(start, "start", 1)
    _check(lines, "lines", 1)
    _check(offset, "offset", 0)
    deadline = time.monotonic() + _SECONDS
    found = source.begin(start, lambda: time.monotonic() > deadline)
    if found is None:
        raise _not_reached(start)
    page = _Page(start, offset, min(lines, MOST_LINES), room, counter)
    first, pieces = found
    last = first - 1
    for piece in pieces:
        last = piece.line
        if not page.take(piece):
            break
        if time.monotonic() > deadline:
            if not page.parts:
                raise _not_reached(start)
            page.end_late(piece)
            break
    if not page.parts:
        said = f"it has {last:,} lines" if last < start else f"line {start:,} has fewer than {offset:,} characters"
        return Excerpt("", f"nothing there: {said}")
    return Excerpt(page.text, page.place)


class _Page:
    """The text that is being gathered."""

    def __init__(self, start: int, offset: int, lines: int, room: int, counter: TokenCounter) -> None:
        self.parts: list[str] = []
        self._start, self._offset, self._end = start, offset, start + lines
        self._left, self._counter = room, counter
        self._last = start
        self._more = ""

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @property
    def place(self) -> str:
        first = f"from character {self._offset:,} of line {self._start:,}" if self._offset else f"line {self._start:,}"
        return f"{first} to line {self._last:,}{self._more}"

    def take(self, piece: Piece) -> bool:
        """Add a piece, as much of it as is wanted and fits. False where that is all."""
        if piece.line >= self._end:
            self._more = f"; more follows from line {piece.line:,}"
            return False
        skipped = max(0, self._offset - piece.start) if piece.line == self._start else 0
        if piece.line < self._start or (skipped and skipped >= len(piece.text)):
            return True
        text = piece.text[skipped:] + "\n" * piece.ends
        self._last = piece.line
        kept = self._fitting(text)
        self.parts.append(text[:kept])
        if kept < len(text):
            at = piece.start + skipped + kept
            self._more = (
                f"; more follows: start={piece.line}, offset={at}" if at else f"; more follows: start={piece.line}"
            )
            return False
        return True

    def end_late(self, piece: Piece) -> None:
        """There is no time for more than this piece."""
        line, offset = (piece.line + 1, 0) if piece.ends else (piece.line, piece.start + len(piece.text))
        at = f"start={line}, offset={offset}" if offset else f"start={line}"
        self._more = f"; the time for one reading was over: go on with {at}"

    def _fitting(self, text: str) -> int:
        """How many of its characters there is room for."""
        kept = min(len(text), 16 * self._left)
        while kept and (tokens := self._counter.count(text[:kept])) > self._left:
            kept = min(kept - 1, int(kept * 0.95 * self._left / tokens))
        self._left -= self._counter.count(text[:kept]) if kept else 0
        return kept


def search(
    source: Lines,
    *,
    pattern: object,
    start: int,
    room: int,
    counter: TokenCounter,
) -> Excerpt:
    """The lines from `start` on that match a regular expression, in any case; of long ones what is around the match."""
    _check(start, "start", 1)
    expression = _compiled(pattern)
    deadline = time.monotonic() + _SECONDS
    found = source.begin(start, lambda: time.monotonic() > deadline)
    if found is None:
        raise _not_reached(start)
    shown: list[str] = []
    left, at, more = room, start, ""
    for piece in _overlapping(found[1]):
        late = time.monotonic() > deadline
        if piece.line < start:
            if late:
                raise _not_reached(start)
            continue
        at = piece.line
        if late:
            more = f"; the time for one search was over at line {at:,}: go on with start={at}"
            break
        try:
            match = expression.search(piece.text, timeout=_SECONDS_EACH, concurrent=True)
        except TimeoutError as error:
            raise InputError(f"the pattern took too long on line {at:,}; give a simpler one") from error
        if match is None:
            continue
        told = _told(piece, *match.span())
        left -= counter.count(told) + 1
        if left < 0 or len(shown) == _MOST_MATCHES:
            more = f"; more follows: start={at}"
            break
        shown.append(told)
    lines = f"{len(shown)} matching line{'s' * (len(shown) != 1)}" if shown else "nothing matches"
    return Excerpt("\n".join(shown), f"{lines} from line {start:,} to line {at:,}{more}")


def _not_reached(line: int) -> FileError:
    return FileError(f"line {line:,} was not reached within {_SECONDS:g} s; search the file, or begin earlier")


def _overlapping(found: Iterator[Piece]) -> Iterator[Piece]:
    """Pieces of a line with the end of the one before, so that what is cut by them is found; without those of zeros."""
    tail = ""
    for piece in found:
        if piece.start and not piece.ends and not piece.text.strip("\0"):
            tail = ""
            continue
        yield Piece(piece.line, tail + piece.text, piece.start - len(tail), piece.ends) if piece.start else piece
        tail = "" if piece.ends else piece.text[-1024:]


def _told(piece: Piece, start: int, end: int) -> str:
    text = piece.text
    head, tail = max(0, start - _BESIDE), min(len(text), max(end, start + 1) + _BESIDE)
    tail = min(tail, head + 4 * _BESIDE)
    place = f"{piece.line}" if not piece.start and head == 0 else f"{piece.line}, character {piece.start + start}"
    cut = f"{'…' * (head > 0)}{in_one_line(text[head:tail], 600)}{'…' * (tail < len(text) or not piece.ends)}"
    return f"{place}: {cut}"


def _compiled(pattern: object) -> "regex.Pattern[str]":
    if not isinstance(pattern, str) or not pattern.strip() or len(pattern) > 2_000:
        raise InputError(f"pattern={describe_value(pattern)} is not usable; give a text to look for")
    try:
        return regex.compile(pattern, regex.IGNORECASE)
    except regex.error as error:
        raise InputError(
            f"pattern={describe_value(pattern)} is no regular expression ({error}); put \\ before signs that are meant"
        ) from error


def _check(value: object, name: str, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name}={describe_value(value)} is not usable; give a number of at least {least}")
