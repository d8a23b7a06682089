"""Logs: their levels, between which times they lie, and the patterns that repeat."""

import re
from collections import Counter
from collections.abc import Iterator

from mnesis.files.explore.subject import Subject

_LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL|SEVERE)\b")
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d(?: [+-]\d{4})?|\b\w{3} [ \d]\d \d\d:\d\d:\d\d"
)
_VARIABLE = (
    (_TIME, "<time>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b(?=\w*\d)[0-9a-f]{12,}\b"), "<id>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<ip>"),
    (re.compile(r"\"[^\"]{0,200}\"|'[^']{0,200}'"), "<text>"),
    (re.compile(r"\d+(?:\.\d+)?"), "<n>"),
)
_MOST_PATTERNS = 5_000
_PATTERNED = 50_000


def explore(subject: Subject) -> Iterator[str]:
    """Levels, times, patterns."""
    levels: Counter[str] = Counter()
    patterns: Counter[str] = Counter()
    first = last = ""
    count = 0
    for text in subject.lines():
        count += 1
        head = text[:400]
        if found := _TIME.search(head):
            first, last = first or found[0], found[0]
        if level := _LEVEL.search(head):
            levels[level[1]] += 1
        if count <= _PATTERNED:
            pattern = _pattern(head)
            if pattern in patterns or len(patterns) < _MOST_PATTERNS:
                patterns[pattern] += 1
    yield f"{'at least ' * subject.late()}{count:,} lines"
    if first:
        yield f"from {first} to {last}"
    if levels:
        yield ", ".join(f"{count:,} {level}" for level, count in levels.most_common())
    of = f" of the first {_PATTERNED:,} lines" if count > _PATTERNED else ""
    repeated = [(pattern, times) for pattern, times in patterns.most_common(12) if times > 1]
    if repeated:
        yield f"patterns{of}:"
    yield from (f"  {times:,} x {pattern}" for pattern, times in repeated)


def _pattern(text: str) -> str:
    for variable, word in _VARIABLE:
        text = variable.sub(word, text)
    return text.strip()[:160]
