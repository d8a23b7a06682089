"""Markdown, HTML and reStructuredText: their headings, with lines, and how they begin."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from mnesis.files.explore.prose import size_of
from mnesis.files.explore.subject import Subject

_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_ATX = re.compile(r"\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_SETEXT = re.compile(r"\s{0,3}(=+|-+)\s*$")
_ADORNED = re.compile(r"([=\-~^\"'`#*+:.<>_])\1{2,}\s*$")


def markdown(subject: Subject) -> Iterator[str]:
    """Headings outside of code."""
    yield size_of(subject)
    fenced, before = False, ""
    for number, text in enumerate(subject.lines(), 1):
        if _FENCE.match(text):
            fenced = not fenced
        elif not fenced and (match := _ATX.match(text)):
            yield f"{'  ' * (len(match[1]) - 1)}line {number}: {match[2]}"
        elif not fenced and before.strip() and (match := _SETEXT.match(text)) and not before.startswith(("-", "|")):
            yield f"{'' if match[1][0] == '=' else '  '}line {number - 1}: {before.strip()}"
        before = text


def rst(subject: Subject) -> Iterator[str]:
    """Titles by their adornments, in the order in which these come."""
    yield size_of(subject)
    levels: list[str] = []
    before = ""
    for number, text in enumerate(subject.lines(), 1):
        match = _ADORNED.match(text)
        if match and before.strip() and not _ADORNED.match(before) and len(text.rstrip()) >= len(before.strip()):
            if match[1] not in levels:
                levels.append(match[1])
            yield f"{'  ' * levels.index(match[1])}line {number - 1}: {before.strip()}"
        before = text


def html(subject: Subject) -> Iterator[str]:
    """Title and headings, and what else there is of a page."""
    yield size_of(subject)
    reader = _Headings()
    for text in subject.lines():
        reader.feed(f"{text}\n")
    reader.close()
    if reader.counts:
        yield ", ".join(f"{count:,} {tag}" for tag, count in reader.counts.items())
    yield from reader.found


_COUNTED = {"a": "links", "img": "images", "table": "tables", "form": "forms", "script": "scripts"}


class _Headings(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.counts: dict[str, int] = {}
        self._tag = ""
        self._text = ""
        self._line = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _COUNTED:
            word = _COUNTED[tag]
            self.counts[word] = self.counts.get(word, 0) + 1
        if tag == "title" or re.fullmatch("h[1-6]", tag):
            self._tag, self._text, self._line = tag, "", self.getpos()[0]

    def handle_data(self, data: str) -> None:
        if self._tag and len(self._text) < 400:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == self._tag and len(self.found) < 500:
            level = 0 if tag == "title" else int(tag[1]) - 1
            self.found.append(f"{'  ' * level}line {self._line}: {'title: ' * (tag == 'title')}{self._text.strip()}")
            self._tag = ""
