"""What a pattern asks for: words, a substring, or a regular expression."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import regex

from mnesis.errors import InputError, describe_value
from mnesis.llm.words import STOP_WORDS, terms_of, words
from mnesis.recall.vocabulary import alike, shapes_of
from mnesis.store.search import phrase
from mnesis.tokens.scripts import UNSPACED

_QUOTED = re.compile(r'"([^"]+)"')
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")
_RUNS = re.compile(rf"[{UNSPACED}]+|[^{UNSPACED}]+")
_EDGES = "\"'“”‘’.,;:!?…()¿¡。，、？！ \t\r\n"
_MOST_TERMS = 32

_ALIKE_WEIGHT = 0.5

START = 2
"""So many letters of a word are the same in its stem, or in one of its irregular forms."""

_VAGUE = frozenset(
    """
    call called describe explain find gave get give given go goes going gone got happen happened kind like list mean
    mention mentioned name named own quote recall remember remind said same say show tell thank thing things told use
    used using want way work works
    """.split()
)
"""Stop words that may be what is asked about, too: they count where something else was found."""

_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "|".join(month if month != "may" else "(?-i:May)" for month in _MONTHS)
_YEAR = r"(?:19|20)\d\d"
_DATE = re.compile(rf"\b({_MONTH})\b(?: \d{{1,2}}(?:st|nd|rd|th)?\b,?)?(?: ({_YEAR})\b)?|\b({_YEAR})\b", re.IGNORECASE)
_TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|since|last|next|weekend|\d{1,2}(?:st|nd|rd|th)|"
    rf"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|this (?:morning|week|month|year)|{_MONTH}|{_YEAR})\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|once|twice)\b",
    re.IGNORECASE,
)
_ASKS = (
    (re.compile(r"\s*(?:and |so |since |by )?when\b|.*\bwhat (?:day|date|time|month|year)\b", re.IGNORECASE), _TIME),
    (re.compile(r"\s*(?:and |so )?how (?:many|much|old|long|often|far)\b", re.IGNORECASE), _NUMBER),
)

type Month = tuple[int | None, int | None]
"""A year, and a month from 1 on; `None` for any."""


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that a question is about. `expression` finds it in the index, `stems` are its words as `terms_of` has
    them, `starts` how all words begin that have such a stem; a phrase has none, and its words count by being found.
    `weight` is less for words that are only alike.
    """

    expression: str
    stems: frozenset[str] = frozenset()
    starts: frozenset[str] = frozenset()
    weight: float = 1.0


@dataclass(frozen=True)
class Query:
    """A pattern of words: what is left of a question without its stop words, and the "quoted" phrases in it.

    `hints` count a little, and only in what was found by something else; `wanted` is how what answers it looks, where
    the question says so; `months` are those that it names.
    """

    terms: tuple[Term, ...]
    phrases: tuple[str, ...]
    hints: tuple[Term, ...] = ()
    wanted: re.Pattern[str] | None = None
    months: tuple[Month, ...] = ()

    @cached_property
    def is_question(self) -> bool:
        """Whether it says so much that what stands beside its words may be what was looked for."""
        return sum(term.weight == 1 for term in self.terms) > 1 and not self.phrases


def query_of(pattern: str) -> Query:
    """The words and phrases of a pattern. Where it has nothing but stop words, those count."""
    phrases = tuple(found for found in _QUOTED.findall(pattern) if phrase(found))
    rest = _QUOTED.sub(" ", pattern)
    said = list(dict.fromkeys(word.casefold() for word in words(rest) if phrase(word)))
    telling = [word for word in said if _bare(word) not in STOP_WORDS] or ([] if phrases else said)
    terms = [Term(phrase(each)) for each in phrases]
    for word in telling:
        terms += _terms(word)
    if len(telling) > 1 and not phrases:
        terms += [term for word in telling if (term := _alike(word))]
    terms = list(dict.fromkeys(terms))[:_MOST_TERMS]
    known = {stem for term in terms for stem in term.stems}
    hints = [hint for word in said if word in _VAGUE and not (hint := _any_of(shapes_of(word))).stems & known]
    wanted = next((looks for asks, looks in _ASKS if asks.match(pattern)), None)
    return Query(tuple(terms), phrases, tuple(dict.fromkeys(hints)), wanted, tuple(_months(rest)))


def _months(text: str) -> Iterator[Month]:
    for month, year, alone in _DATE.findall(text):
        yield int(year or alone) if year or alone else None, _MONTHS.index(month.lower()) + 1 if month else None


def _bare(word: str) -> str:
    """A word without its 's, 're, 'll."""
    return re.split("['’]", word)[0]


def _terms(word: str) -> Iterator[Term]:
    for run in _RUNS.findall(_bare(word)):
        if not _IS_UNSPACED.match(run):
            yield _any_of(shapes_of(run))
        elif len(run) == 1:
            yield Term(phrase(run), frozenset((run,)), frozenset((run,)))
        else:
            pairs = map("".join, pairwise(run))
            yield from (Term(phrase(pair), frozenset((pair,)), frozenset((pair,))) for pair in pairs)


def _any_of(shapes: Sequence[str], weight: float = 1.0) -> Term:
    found = dict.fromkeys(filter(None, map(phrase, shapes)))
    stems = frozenset(stem for each in shapes for stem in terms_of(each)[:1])
    starts = frozenset(each[:START].casefold() for each in (*shapes, *stems))
    return Term("(" + " OR ".join(found) + ")", stems, starts, weight)


def _alike(word: str) -> Term | None:
    others = [shape for other in alike(_bare(word)) for shape in shapes_of(other)]
    return _any_of(others, _ALIKE_WEIGHT) if others else None


def literal_of(pattern: str) -> str | None:
    """The substring that a pattern is, if it is one: a single run with signs in it, or of a script without spaces."""
    text = pattern.strip(_EDGES)
    if not text or text.split() != [text] or _QUOTED.search(pattern):
        return None
    signs = any(not (char.isalnum() or char in "'’") for char in text)
    return text if signs or _IS_UNSPACED.search(text) else None


def compiled(pattern: str) -> "regex.Pattern[str]":
    """A regular expression. Raises `InputError` where it is none."""
    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise InputError(
            f"pattern={describe_value(pattern)} is not a regular expression ({error}); correct it, or search for the "
            "text itself with regex=False"
        ) from None


_ESCAPE = re.compile(r"\\.", re.DOTALL)
_SET = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_LITERAL = re.compile(r"[^\W_]{3,}")


def literals_of(pattern: str) -> list[str]:
    """Runs of letters that every match of a regular expression holds, as far as that is plain to see."""
    if "|" in pattern or "(?" in pattern:
        return []
    flat = _SET.sub("\0", _ESCAPE.sub("\0", pattern))
    outside, depth = [], 0
    for char in flat:
        depth += (char == "(") - (char == ")")
        outside.append("\0" if depth or char == ")" else char)
    # The letter before ?, * or { may be missing.
    plain = re.sub(r".[?*{]", "\0", re.sub(r"\{[^}]*\}", "{", "".join(outside)))
    return _LITERAL.findall(plain)
