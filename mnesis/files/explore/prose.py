"""Text of no known form: its size and how it begins."""

from collections.abc import Iterator
from itertools import islice

from mnesis.files.explore.subject import Subject
from mnesis.files.text import count_lines


def plain(subject: Subject) -> Iterator[str]:
    """Lines, and the first of them."""
    yield size_of(subject)
    yield from (f"  {each}" for each in islice((line for line in subject.lines() if line.strip()), 6))


def size_of(subject: Subject) -> str:
    """How many lines there are, and where one of them is huge."""
    assert subject.encoding is not None
    lines = count_lines(subject.content, subject.encoding, subject.late)
    if lines is None:
        return "lines not counted: it is too large for that"
    average = subject.size // max(lines, 1)
    return f"{lines:,} lines" + (f", {average:,} bytes each on average" if average > 2_000 else "")
