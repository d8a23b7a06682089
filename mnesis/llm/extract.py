"""Text without a model: the names and numbers in it, and a summary of its own sentences."""

import heapq
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mnesis.llm.sentences import clean, cut, heads_and_tails, sentences
from mnesis.llm.words import STOP_WORDS, words

type Style = Literal["structured", "terse"]

HEADINGS = ("Goal", "Facts and names", "Decisions", "Open")
"""The sections of a structured summary, in order."""

# -- needles -----------------------------------------------------------------------------------------------------

_NEEDLE = re.compile(
    r"""
      [a-z][a-z0-9+.-]{1,9}://[^\s<>"'`)\]]+                     # a URL
    | [\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+                          # a mail address
    | (?<![\w/])(?:~|\.{1,2})?(?:/[\w.@+-]+)+/?                  # a path from the root, from home, from here
    | (?<![\w\\])[A-Za-z]:\\[^\s"'<>|]+                          # a Windows path
    | (?<![\w/-])\w[\w.-]*(?:/[\w.@+-]+)+                        # a relative path
    | (?<!\w)\w[\w-]*(?:\.\w+)*\.[A-Za-z]\w{0,9}(?!\w)           # a file, or a dotted name
    | (?<!\w)[^\W\d_]{1,12}(?:-\w+)*-\d[\w.-]*                   # a ticket, a model: AB-12
    | (?<!\w)_*[^\W_]+(?:_+[^\W_]+)+_*(?!\w) | (?<!\w)__\w+__    # snake_case
    | (?<!\w)[a-z]+[A-Z]\w* | (?<!\w)[A-Z][a-z]+[A-Z]\w*         # camelCase
    | (?<!\w)[$€£¥#]?\d+(?:[.,:/-]\d+)*(?:[%°€]|\w{1,12}(?!\w))? # a number with its unit
    | (?<!\w)\w*\d\w*                                            # an identifier with digits
    | `[^`\n]{1,80}`                                             # code
    | (?<!\w)[A-Z][A-Z0-9]+(?!\w)                                # an acronym, a constant
    | (?<!\w)[A-ZÀ-ÖØ-ÞΑ-ΩА-Я]\w*(?:[ -][A-ZÀ-ÖØ-ÞΑ-ΩА-Я]\w+)*  # a name, or the first word of a sentence
    """,
    re.VERBOSE,
)


def needles(text: str) -> list[str]:
    """What a summary must not lose: numbers, paths, URLs, identifiers and capitalised names, in order, once each."""
    return list(dict.fromkeys(needle for sentence in sentences(text) for needle in _needles(sentence)))


def _needles(sentence: str) -> Iterator[str]:
    for match in _NEEDLE.finditer(sentence):
        needle = match[0].strip("`").rstrip(".,:;-/")
        if not needle or needle.casefold() in STOP_WORDS:
            continue
        first, _, rest = needle.partition(" ")
        if first.istitle() and first.casefold() in _COMMON_OPENERS and _opens(sentence, match.start()):
            needle = rest
        if needle:
            yield needle


def _opens(sentence: str, at: int) -> bool:
    """Whether a word stands where every word is capitalised."""
    return not any(map(str.isalnum, sentence[:at]))


_COMMON_OPENERS = STOP_WORDS | frozenset(
    """
    decided agreed note remember todo open next done fixed added removed changed updated today tomorrow yesterday
    everything everyone everybody nothing nobody something someone anyone anything however therefore finally first
    second third later maybe perhaps sometimes usually always never another both either neither few several new
    old good great right wrong make made use using run see set add put try keep check create build write read
    start stop
    """.split()
)

# -- the summary -------------------------------------------------------------------------------------------------

_CUES: tuple[tuple[str, float, re.Pattern[str]], ...] = (
    (
        "Open",
        1.5,
        re.compile(
            r"\b(?:to-?do|fixme|open (?:question|issue|point)s?|not yet|pending|unresolved|undecided|remain(?:s|ing)?|"
            r"next steps?|still (?:need|have|has|to|open|missing)|blocked|follow[- ]up)\b|待办|未定|未解決",
            re.IGNORECASE,
        ),
    ),
    (
        "Decisions",
        2.5,
        re.compile(
            r"\b(?:decid|decision|agree|chose|approv|reject|settled|conclu)\w*|"
            r"\b(?:must|never|always|will|shall|won['’]t|instead of|from now on|no longer|deadline)\b"
            r"|决定|必须|決め|決定",
            re.IGNORECASE,
        ),
    ),
    (
        "Goal",
        2.0,
        re.compile(
            r"\b(?:goals?|aims?|objectives?|purpose|wants? to|need(?:s|ed)? to|trying to|working on|help (?:me|us)|"
            r"let['’]s|(?:the|my|our) (?:task|plan) is)\b|目标|目標|目的",
            re.IGNORECASE,
        ),
    ),
)
_PERSONAL = re.compile(
    r"\b(?:my|our) [\w' -]{1,40}? (?:is|are|was)\b|\bI(?:['’]m| am| live| work| have| like| love| prefer| was born)\b"
    r"|\bcall me\b|我叫|我的|私の|名前",
    re.IGNORECASE,
)
# Quotes of something said before, headings, tags and marks.
_HOLLOW = re.compile(r">|— \w+, \w|# |</?\w+>$|<<")
_TURNS = re.compile(r"\s*\((turns? [\d, –-]+)\)$")
_LONGEST = 240
_SHARE, _SMALL = 0.6, 200
_WORTH_SAYING = 0.25
_READS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Line:
    """A sentence that may stand in the summary. `worth` is what it says beyond its needles."""

    order: int
    text: str
    section: str
    needles: frozenset[str]
    worth: float

    def gain(self, covered: set[str]) -> float:
        """Its value for its length; the constant keeps scraps from beating whole sentences."""
        return self.value(covered) / (len(self.text) + 60)

    def value(self, covered: set[str]) -> float:
        return self.worth + sum(map(_weight, self.needles - covered))


def _weight(needle: str) -> float:
    return 0.7 if needle.isalpha() else 1.0


def summarise(
    sources: Sequence[tuple[str, str]], max_tokens: int, count: Callable[[str], int], *, style: Style = "structured"
) -> str:
    """The sentences that say most, in their order, each followed by the label of its source in brackets.

    `sources` are (label, text); `count` gives the tokens of a text. The result has at most `max_tokens` tokens, fewer
    tokens than the sources, and at most 60 % of them where they are long; it is empty only when the sources hold no
    word. Of more than a million characters it reads the heads and tails of the longest sources. "structured" groups the
    sentences under `HEADINGS`, "terse" is one list. Sentences are chosen greedily by what they say for their length,
    names and numbers already chosen not counted: budgeted maximum coverage, https://aclanthology.org/W09-1802/.
    """
    limit = _limit(sources, max_tokens, count)
    lines = _candidates(sources)
    chosen = _choose(lines, limit, count, style)
    while chosen and count(text := _render(chosen, style)) > limit:
        chosen.remove(min(chosen, key=lambda line: line.gain(set())))
    if chosen:
        return text
    best = max(lines, key=lambda line: line.gain(set()), default=None)
    return "" if best is None else _shortened(best.text, limit, count)


def _limit(sources: Sequence[tuple[str, str]], max_tokens: int, count: Callable[[str], int]) -> int:
    total = 0
    enough = int(max_tokens / _SHARE) + 1
    for _, text in sources:
        total += count(clean(text[: enough * 32]))
        if total > enough:
            break
    return max(min(max_tokens, total - 1, max(_SMALL, int(total * _SHARE))), 1)


def _candidates(sources: Sequence[tuple[str, str]]) -> list[_Line]:
    lines: dict[str, _Line] = {}
    labels = [label for label, _ in sources]
    for label, text in zip(labels, heads_and_tails([text for _, text in sources], _READS), strict=True):
        for sentence in sentences(text, _LONGEST):
            bare = _TURNS.sub("", sentence)
            key = " ".join(words(bare)).casefold()
            if key in lines or bare.lstrip("# ").rstrip(":") in HEADINGS:
                continue
            section, worth = _judge(bare)
            written = sentence if bare != sentence or not label else f"{sentence} ({label})"
            found = frozenset(_needles(bare)) if worth else frozenset()
            lines[key] = _Line(len(lines), written, section, found, worth)
    return list(lines.values())


def _judge(sentence: str) -> tuple[str, float]:
    """The section of a sentence, and its worth."""
    if _HOLLOW.match(sentence):
        return "Facts and names", 0.0
    personal = 2.0 if _PERSONAL.search(sentence) else 0.0
    if sentence.endswith(("?", "？", "؟")):
        return "Open", 0.05
    if not personal and len(words(sentence)) < 3:
        return "Facts and names", 0.05
    for section, worth, cue in _CUES:
        if cue.search(sentence):
            return section, worth + personal
    return "Facts and names", 0.3 + personal


def _choose(lines: list[_Line], limit: int, count: Callable[[str], int], style: Style) -> list[_Line]:
    """Greedy choice. Gains only shrink, so a line is looked at again only when it comes to the top of the heap."""
    headings = {heading: count(f"## {heading}\n\n") if style == "structured" else 0 for heading in HEADINGS}
    covered: set[str] = set()
    opened: set[str] = set()
    chosen: list[_Line] = []
    left, misses = limit, 0
    heap = [(-line.gain(covered), line.order) for line in lines]
    heapq.heapify(heap)
    while heap and misses < 100:
        line = lines[heap[0][1]]
        gain = line.gain(covered)
        if gain < -heap[0][0]:
            heapq.heapreplace(heap, (-gain, line.order))
            continue
        heapq.heappop(heap)
        cost = count(f"- {line.text}\n") + (0 if line.section in opened else headings[line.section])
        if cost > left or line.value(covered) < _WORTH_SAYING:
            misses += 1
            continue
        left -= cost
        chosen.append(line)
        covered |= line.needles
        opened.add(line.section)
    return chosen


def _render(chosen: list[_Line], style: Style) -> str:
    ordered = sorted(chosen, key=lambda line: line.order)
    if style == "terse":
        return "\n".join(f"- {line.text}" for line in ordered)
    sections = [
        "\n".join([f"## {heading}", *(f"- {line.text}" for line in ordered if line.section == heading)])
        for heading in HEADINGS
        if any(line.section == heading for line in ordered)
    ]
    return "\n\n".join(sections)


def _shortened(text: str, limit: int, count: Callable[[str], int]) -> str:
    """As much of the text as fits, at least one character."""
    if count(text) <= limit:
        return text
    low, high = 1, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(cut(text, middle)) <= limit else (low, middle)
    return cut(text, low) if low > 1 else text[:1]
