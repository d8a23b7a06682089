"""Text without a model: sentences, search terms, the names and numbers in it, and an extractive summary.

Plain functions on plain strings. They are deterministic, take time proportional to the text, and accept any text,
control characters and lone surrogates included.
"""

import heapq
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from mnesis.tokens.scripts import UNSPACED

type Style = Literal["structured", "terse"]

HEADINGS = ("Goal", "Facts and names", "Decisions", "Open")
"""The sections of a structured summary, in order."""

# -- sentences ---------------------------------------------------------------------------------------------------

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
        if _WORD.search(piece)
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


# -- terms -------------------------------------------------------------------------------------------------------

# \w has no combining vowel signs: without them a Hindi word would fall apart.
_LETTER = r"\w\u0300-\u036f\u0610-\u065f\u0900-\u0dff\u0e31-\u0e4e"
_WORD = re.compile(rf"\d+(?:[.,:]\d+)+|[{_LETTER}]+(?:['’][{_LETTER}]+)*")
_FIRST_UNSPACED = re.compile(f"[{UNSPACED}]")
_RUNS = re.compile(rf"[{UNSPACED}]+|[^{UNSPACED}]+")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_VOWEL = re.compile("[aeiouy]")
_FORMS = """
    be was were been; begin began begun; bring brought; build built; buy bought; choose chose chosen;
    come came; draw drew drawn; drive drove driven; eat ate eaten; fall fell fallen; feel felt; find
    found; fly flew flown; forget forgot forgotten; get got gotten; give gave given; go went gone; grow
    grew grown; hold held; keep kept; know knew known; lead led; leave left; lose lost; make made; mean
    meant; meet met; pay paid; run ran; say said; see saw seen; sell sold; send sent; sing sang sung;
    speak spoke spoken; spend spent; take took taken; teach taught; tell told; think thought; throw
    threw thrown; understand understood; wear wore worn; win won; write wrote written; child children;
    person people; man men; woman women
"""
_IRREGULAR = {form: base for base, *forms in map(str.split, _FORMS.split(";")) for form in forms}


def terms(text: str) -> list[str]:
    """The search terms of a text: those of its words, in order."""
    return [term for word in words(text) for term in terms_of(word)]


def forms(word: str) -> tuple[str, ...]:
    """A word and, where it is irregular, its other forms: go, went, gone. What a suffix makes of it is left out."""
    base = _IRREGULAR.get(word.casefold(), word.casefold())
    return tuple(dict.fromkeys((word, base, *(form for form, other in _IRREGULAR.items() if other == base))))


def words(text: str) -> list[str]:
    """The words of a text as they stand there; in scripts without spaces, the runs of letters."""
    return _WORD.findall(text)


@lru_cache(maxsize=1 << 14)
def terms_of(word: str) -> tuple[str, ...]:
    """What a word is found by: its folded, light stem, the parts of an identifier, CJK characters and their pairs."""
    if not word.isascii():
        word = unicodedata.normalize("NFKC", word)
    if word[0].isdecimal() and not word.isalnum():
        return (word,)
    found: list[str] = []
    for number, part in enumerate(re.split("['’]", word)):
        if number and len(part) <= 2:  # the 's, 'm, 're, 'll of a contraction or a genitive
            continue
        for run in _RUNS.findall(part):
            found.extend(_unspaced_terms(run) if unspaced(run) else _spaced_terms(run))
    return tuple(dict.fromkeys(found))


def unspaced(word: str) -> bool:
    """Whether a word begins in a script where a run of letters is not one word."""
    return _FIRST_UNSPACED.match(word) is not None


def _unspaced_terms(run: str) -> Iterator[str]:
    yield from run
    yield from map("".join, pairwise(run))


def _spaced_terms(run: str) -> Iterator[str]:
    whole = run.strip("_")
    yield stem(whole.casefold())
    parts = _HUMPS.findall(whole)
    if len(parts) > 1:
        yield from (stem(part.casefold()) for part in parts)


def stem(word: str) -> str:
    """A folded English word without its inflection: one form for raise, raises, raised and raising."""
    word = _IRREGULAR.get(word, word)
    if len(word) < 4 or not word.isalpha():
        return word
    if word.endswith("ies"):
        word = f"{word[:-3]}y"
    elif word.endswith(("sses", "xes", "ches", "shes", "zzes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in ("ing", "ed", "ion", "ly"):
        base = word.removesuffix(suffix)
        if base != word and len(base) > 2 and _VOWEL.search(base):
            word = base[:-1] if base[-1] == base[-2] and base[-1] in "bdgmnprt" else base
            break
    if len(word) > 3:
        word = word.removesuffix("e")
    if len(word) > 5:
        word = word.replace("our", "or")
    return f"{word[:-1]}i" if word.endswith("y") else word


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


STOP_WORDS = frozenset(
    """
    a about actually after again ago all also although am an and any are aren as ask asked at be because been
    before being but by called can cannot could couldn did didn do does doesn doing don done during each earlier
    either else ever every exactly for from further gave get give given go goes going got had has hasn have haven
    having he hello her here hers hey hi him his how i if in into is isn it its itself just know known let ll like
    may me mean mention mentioned might mine more most much must my myself named no nor not now of off ok okay on
    once one only or other our ours out over own please previously quote re really recall remember remind repeat
    same say said says shall she should shouldn show since so some such sure tell thank thanks than that the their
    theirs them then there these they this those though through to told too under until up us use used uses using
    ve very via want was wasn way we well were weren what whatever when whenever where whether which while who
    whom whose why will with within without won would wouldn yes yet you your yours happen happens happened exist
    exists call many kind thing things list explain describe find work works que qui quoi quel quelle est le la
    les un une des du de et je mon ma mes tu vous nous il elle der die das ein eine ist sind war wer wie wo wann
    warum welche welcher welches ich mein meine du dein und el los las una es son cual cuál qué quién cómo dónde
    cuándo mi tu su y
    whats whos wheres hows im dont doesnt didnt cant isnt wasnt thats
    """.split()
)
"""Words that ask or glue, and say nothing about what is asked for."""

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
