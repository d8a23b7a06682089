"""What a pattern asks for: words, a substring, or a regular expression."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import regex

from mnesis.errors import InputError, describe_value
from mnesis.llm.extract import STOP_WORDS, forms, terms_of, words
from mnesis.store.search import phrase
from mnesis.tokens.scripts import UNSPACED

_QUOTED = re.compile(r'"([^"]+)"')
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")
_RUNS = re.compile(rf"[{UNSPACED}]+|[^{UNSPACED}]+")
_EDGES = "\"'“”‘’.,;:!?…()¿¡。，、？！ \t\r\n"
_MOST_TERMS = 32


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that a question is about. `expression` finds it in the index, `stems` are its words as `terms_of` has
    them; a phrase has none, and its words count by being found.
    """

    expression: str
    stems: frozenset[str]


@dataclass(frozen=True)
class Query:
    """A pattern of words: what is left of a question without its stop words, and the "quoted" phrases in it."""

    terms: tuple[Term, ...]
    phrases: tuple[str, ...]

    @cached_property
    def is_question(self) -> bool:
        """Whether it says so much that what stands beside its words may be what was looked for."""
        return len(self.terms) > 1 and not self.phrases


def query_of(pattern: str) -> Query:
    """The words and phrases of a pattern. Where it has nothing but stop words, those count."""
    phrases = tuple(found for found in _QUOTED.findall(pattern) if phrase(found))
    rest = _QUOTED.sub(" ", pattern)
    said = list(dict.fromkeys(word.casefold() for word in words(rest) if phrase(word)))
    telling = [word for word in said if _bare(word) not in STOP_WORDS] or ([] if phrases else said)
    terms = [Term(phrase(each), frozenset()) for each in phrases]
    for word in telling:
        terms += _terms(word)
    return Query(tuple(dict.fromkeys(terms))[:_MOST_TERMS], phrases)


def _bare(word: str) -> str:
    """A word without its 's, 're, 'll."""
    return re.split("['’]", word)[0]


def _terms(word: str) -> Iterator[Term]:
    for run in _RUNS.findall(_bare(word)):
        if not _IS_UNSPACED.match(run):
            found = filter(None, map(phrase, forms(run)))
            yield Term("(" + " OR ".join(found) + ")", frozenset(terms_of(run)[:1]))
        elif len(run) == 1:
            yield Term(phrase(run), frozenset((run,)))
        else:
            pairs = map("".join, pairwise(run))
            yield from (Term(phrase(pair), frozenset((pair,))) for pair in pairs)


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
