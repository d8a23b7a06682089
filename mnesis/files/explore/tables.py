"""CSV and TSV: columns, their types, ranges, how many rows, and some of them."""

import csv
from collections.abc import Iterator

from mnesis.files.explore.subject import Subject, Unreadable
from mnesis.files.text import count_lines

_MOST_COLUMNS = 60
_DISTINCT = 8
_TYPED = 100_000
_LONGEST_CELL = 1 << 16


class Column:
    """What is known of a column: what its values are, and between which they lie."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._counts = {"empty": 0, "integer": 0, "number": 0, "text": 0}
        self._least: float | None = None
        self._most: float | None = None
        self._values: set[str] = set()
        self._length = 0

    def see(self, value: str) -> None:
        """Take in a value."""
        text = value.strip()
        if len(self._values) <= _DISTINCT and text:
            self._values.add(text[:40])
        self._length = max(self._length, len(text))
        self._counts[self._type(text)] += 1

    def _type(self, text: str) -> str:
        if not text:
            return "empty"
        try:
            number = float(text)
        except ValueError:
            return "text"
        self._least = number if self._least is None else min(self._least, number)
        self._most = number if self._most is None else max(self._most, number)
        return "integer" if text.lstrip("+-").isdigit() else "number"

    def told(self) -> str:
        """The column in a line."""
        kinds = [kind for kind in ("integer", "number", "text") if self._counts[kind]]
        if kinds == ["integer", "number"]:
            kinds = ["number"]
        parts = [" or ".join(kinds) or "always empty"]
        if self._least is not None and "text" not in kinds:
            parts.append(f"{self._least:g} to {self._most:g}")
        elif 0 < len(self._values) <= _DISTINCT:
            parts.append(" | ".join(sorted(self._values)))
        elif self._values:
            parts.append(f"up to {self._length:,} characters")
        if self._counts["empty"] and kinds:
            parts.append(f"{self._counts['empty']:,} empty")
        return f"{self.name}: {', '.join(parts)}"


def csv_table(subject: Subject) -> Iterator[str]:
    """The first row names the columns, unless it holds numbers."""
    delimiter = _delimiter(subject)
    reader = csv.reader((f"{each[:_LONGEST_CELL]}\n" for each in subject.lines()), delimiter=delimiter)
    try:
        first = next(reader, None)
        if first is None:
            raise Unreadable("it is empty")
        has_header = not any(_is_number(cell) for cell in first) and len(first) > 0
        names = first if has_header else [f"column {index}" for index, _ in enumerate(first, 1)]
        columns = [Column(name) for name in names[:_MOST_COLUMNS]]
        rows = uneven = 0
        samples: list[list[str]] = []
        for row in reader if has_header else _with(first, reader):
            rows += 1
            uneven += len(row) != len(names)
            if len(samples) < 3:
                samples.append(row)
            for column, cell in zip(columns, row, strict=False):
                column.see(cell)
            if rows >= _TYPED:
                break
    except csv.Error as error:
        raise Unreadable(str(error)) from error
    if len(names) < 2 and uneven:
        raise Unreadable("its lines have no separator in common")
    yield _rows(subject, rows, has_header)
    separator = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}[delimiter]
    yield f"{len(names)} columns, separated by {separator}" + ("" if has_header else ", without a row of names")
    if uneven:
        yield f"{uneven:,} rows have another number of cells"
    yield from (f"  {column.told()}" for column in columns)
    for row in samples:
        yield f"row: {delimiter.join(cell[:60] for cell in row[:_MOST_COLUMNS])}"


def _rows(subject: Subject, rows: int, has_header: bool) -> str:
    if rows < _TYPED and not subject.late():
        return f"{rows:,} rows"
    assert subject.encoding is not None
    lines = count_lines(subject.content, subject.encoding, subject.late)
    of = "more" if lines is None else f"{lines - has_header:,} by its lines"
    return f"{of} rows; what follows is of the first {rows:,}"


def _with(first: list[str], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest


def _delimiter(subject: Subject) -> str:
    line = next(subject.lines(), "")
    return "\t" if subject.suffix in (".tsv", ".tab") else max((",", "\t", ";", "|"), key=line.count)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
