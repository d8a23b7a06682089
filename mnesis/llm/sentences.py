"""Text without a model: its sentences, and its parts by length.

Plain functions on plain strings. They are deterministic, take time proportional to the text, and accept any text,
control characters and lone surrogates included.
"""

import re
from collections.abc import Iterator, Sequence

from mnesis.llm.words import has_word

_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_BULLET = re.compile(r"[-*+•]\s+(?=\S)")
_OWN_LINE = re.compile(r"[-*+•|>#\[{<]|\d{1,3}[.)]\s|\d{2,4}[-/:.]\d")
_CODE = re.compile(r"::=|[{};\\]$|\s=\s|^(?:>>>|\$ |@\w|def \w|class \w+[(:])")
_UNDERLINE = re.compile(r"([=*~^#-])\1{2,}")
_FENCE = ("```", "~~~")
_WRAP_WIDTHS = range(60, 121)
# Each alternative can only start where the run of marks starts, so a megabyte of dots costs one pass, not a square.
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_`]*+(?=\s|$)|[。！？｡؟।]++[」』”’）】\"']*+")
_ABBREVIATIONS = frozenset(
    """
    e.g i.e etc vs cf al mr mrs ms dr prof st no nr fig eq sec ch vol pp ed approx ca inc ltd co jr sr bzw z.b d.h
    """.split()
)


def clean(text: str) -> str:
    """The text with what cannot be printed or encoded (controls, lone surrogates) replaced by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def sentences(text: str, longest: int = 600) -> list[str]:
    """The sentences of a text, in order, white space collapsed, none longer than `longest` characters.

    Hard-wrapped prose is joined first; code lines, list items and table rows are sentences of their own. Decimals,
    versions, URLs, file names and common abbreviations stay whole. What holds no word is left out; an underlined
    heading becomes a marked one (`# …`).
    """
    return [
        piece
        for line in _lines(clean(text))
        for sentence in _split(line)
        for piece in _pieces(sentence, longest)
        if has_word(piece)
    ]


def cut(text: str, length: int) -> str:
    """At most `length` characters, cut at a word's end and closed with an ellipsis."""
    if len(text) <= length:
        return text
    head = text[: max(length - 1, 0)]
    return f"{head[: _last_space(head, len(head) // 2, len(head))].rstrip()}…"


def heads_and_tails(texts: Sequence[str], total: int) -> list[str]:
    """The texts, the longest of them without their middle, so that all together have about `total` characters."""
    left, longest = total, total
    for position, length in enumerate(ordered := sorted(map(len, texts))):
        longest = left // (len(ordered) - position)
        if length > longest:
            break
        left -= length
    else:
        return list(texts)
    half = max(longest // 2, 1)
    return [text if len(text) <= longest else f"{text[:half]}\n\n…\n\n{text[-half:]}" for text in texts]


def _lines(text: str) -> Iterator[str]:
    """Logical lines: a paragraph that was wrapped by hand is one."""
    group: list[str] = []
    fenced = False
    for line in text.splitlines():
        stripped = line.strip()
        if fence := stripped.startswith(_FENCE):
            fenced = not fenced
        if stripped and not fence and not fenced:
            group.append(line.expandtabs(4).rstrip())
            continue
        yield from _unwrapped(group)
        group = []
        if stripped and not fence:
            yield " ".join(stripped.split())
    yield from _unwrapped(group)


def _unwrapped(group: list[str]) -> Iterator[str]:
    """Joins the lines of a paragraph that were broken because the next word did not fit any more."""
    width = max(map(len, group), default=0)
    parts: list[str] = []
    before = ""
    for line in group:
        content = line.lstrip()
        if parts and _UNDERLINE.fullmatch(content):
            parts.insert(0, "#")
            continue
        joins = (
            parts
            and width in _WRAP_WIDTHS
            and len(before) + 1 + len(content.split(maxsplit=1)[0]) > width
            and not before.endswith(":")
            and not _OWN_LINE.match(content)
            and not _CODE.search(content)
            and not _CODE.search(before.lstrip())
        )
        if parts and not joins:
            yield " ".join(" ".join(parts).split())
            parts = []
        parts.append(content if joins else content[_bullet(content) :])
        before = line
    if parts:
        yield " ".join(" ".join(parts).split())


def _bullet(content: str) -> int:
    """The length of the bullet that a line begins with."""
    marker = _BULLET.match(content)
    return marker.end() if marker else 0


def _split(line: str) -> Iterator[str]:
    start = 0
    for mark in _END.finditer(line):
        if _ends_sentence(line, start, mark):
            yield line[start : mark.end()].strip()
            start = mark.end()
    if rest := line[start:].strip():
        yield rest


def _ends_sentence(line: str, start: int, mark: re.Match[str]) -> bool:
    following = line[mark.end() + 1 : mark.end() + 2]
    if following == "(":  # a remark in brackets belongs to what it follows
        return False
    if mark[0].startswith(("...", "…")):
        return not following.islower()
    if mark[0] != ".":
        return True
    begin = max(line.rfind(" ", start, mark.start()) + 1, start)
    if mark.start() - begin > 8:
        return True
    word = line[begin : mark.start()].strip("([\"'“‘")
    numbered = begin == start and word.isdecimal()
    initial = len(word) == 1 and word.isupper() and word != "I"
    return not (numbered or initial or word.lower() in _ABBREVIATIONS)


def _pieces(text: str, longest: int) -> Iterator[str]:
    start = 0
    while len(text) - start > longest:
        end = _last_space(text, start + longest // 2, start + longest)
        yield text[start:end].strip()
        start = end
    yield text[start:].strip()


def _last_space(text: str, low: int, high: int) -> int:
    """Where the last word that starts after `low` ends before `high`; `high` where there is no space between."""
    found = text.rfind(" ", low, high)
    return high if found < 0 else found
