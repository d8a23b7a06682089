"""BM25 that starts from the rare words, and lets a message share in what stands beside it.

S. Robertson, H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), with the usual k1 = 1.2; b is
0.3, as the length of a message in a chat says little. Ranking every posting of a common word would cost time in
proportion to the store; such words only weigh what rarer ones have found.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mnesis.llm.words import terms_of, words
from mnesis.recall.query import START, Query, Term
from mnesis.store import Tx, search
from mnesis.store.search import Document, Span

BESIDE_WEIGHTS = {-2: 1 / 6, -1: 1 / 4, 1: 1 / 4, 2: 1 / 6}
"""What a message shares in of the scores beside it: the answer stands below the words of its question."""

SUMMARY_WEIGHT = 1 / 2
"""A summary repeats what its sources say, and those are found as well."""

QUESTION_WEIGHT = 0.6
"""Of what ends on a question mark: who asks looks for the answer, not for who asked the same."""

SPEAKER_WEIGHT = 1.2
"""Of what was said by whom the question names, by role or as `Name: …` at the beginning of the text."""

WANTED_WEIGHT = 1.2
"""Of what looks like an answer: a time where the question says when, a number where it says how many."""

SAID_THEN_WEIGHT = 1.2
"""Of what was said in a month or a year that the question names."""

CROWDED_WEIGHTS = {-2: 0.95, -1: 0.85, 1: 0.85, 2: 0.95}
"""Of what stands beside a better hit, and is shown with that already."""

HINT_WEIGHT = 1.0
"""Of a vague word, as an inverse document frequency."""

_COMMON = 1000
"""A word in more documents than this is common."""

_PAIRED = 300
_BESIDE = 4000
_POOL = 96
"""So many of the most promising are read and weighed in full, at a time."""

_READ_CHARS = 20_000
_LONGEST_NAME = 40
_K1, _B = 1.2, 0.3


@dataclass(frozen=True, slots=True)
class _Found:
    """The places of a term in a span, and what finding it there says."""

    term: Term
    places: frozenset[int]
    weight: float


def ranked(cx: Tx, session_id: str, query: Query, span: Span, role: str | None, upto: int) -> list[tuple[int, float]]:
    """The best places of a span for a query with their scores, best first: at least `upto`, where there are so many.

    The order of the first n does not depend on `upto`, nor on what is outside of the span. Common words are followed to
    the newest of their places only.
    """
    found = _found(cx, query, span, role)
    holding: dict[int, float] = {}
    for each in found:
        for place in each.places:
            holding[place] = holding.get(place, 0.0) + each.weight
    rough = _spread(holding, span) if query.is_question else holding
    order = heapq.nlargest(upto + _POOL, rough, key=lambda place: (rough[place], place))
    best: list[tuple[int, float]] = []
    for start in range(0, min(len(order), upto), _POOL):
        best += _weighed(cx, session_id, order[start : start + _POOL], query, found, span, role)
    return best


def _found(cx: Tx, query: Query, span: Span, role: str | None) -> list[_Found]:
    """Where each term is: everywhere if it is rare, and beside others if it is common."""
    places = {term: set(search.postings(cx, term.expression, span, _COMMON, role)) for term in query.terms}
    rare = [term for term in query.terms if len(places[term]) < _COMMON]
    common = [term for term in query.terms if len(places[term]) >= _COMMON]
    frequency = {term: len(places[term]) for term in rare}
    frequency |= {term: search.frequency(cx, term.expression, span) for term in common}
    followed = sorted((term for term in common if term.weight == 1), key=frequency.__getitem__)
    if any(places[term] for term in rare if term.weight == 1) or len(followed) > 1:
        for term in common:
            places[term].clear()
        _beside(cx, places, rare, followed, span, role)
    return [
        _Found(term, frozenset(places[term]), term.weight * _weight(frequency[term], len(span))) for term in query.terms
    ]


def _beside(
    cx: Tx, places: Mapping[Term, set[int]], rare: Sequence[Term], common: Sequence[Term], span: Span, role: str | None
) -> None:
    """Add the places of common terms: those that hold a rare term too, and the newest that hold several common ones."""
    several = " OR ".join(term.expression for term in rare if places[term])
    for term in common if several else ():
        places[term].update(search.postings(cx, f"{term.expression} AND ({several})", span, _BESIDE, role))
    pairs: list[tuple[Term, ...]] = list(combinations(common[:3], 2))
    for together in [tuple(common), *pairs] if len(common) > 2 else pairs:
        both = " AND ".join(term.expression for term in together)
        for place in search.postings(cx, both, span, _PAIRED, role):
            for term in together:
                places[term].add(place)


def _weight(frequency: int, documents: int) -> float:
    """The inverse document frequency of BM25, with the 1 that keeps it positive."""
    return math.log(1 + max(0.0, documents - frequency + 0.5) / (frequency + 0.5))


def _spread(scores: Mapping[int, float], span: Span) -> dict[int, float]:
    """Each place's own score, and shares of those beside it."""
    shared = dict(scores)
    for place, score in scores.items():
        for step, weight in BESIDE_WEIGHTS.items():
            if span.first <= place + step <= span.last:
                shared[place + step] = shared.get(place + step, 0.0) + score * weight
    return shared


def _weighed(
    cx: Tx,
    session_id: str,
    pool: Sequence[int],
    query: Query,
    found: Sequence[_Found],
    span: Span,
    role: str | None,
) -> list[tuple[int, float]]:
    """The pool in its final order: by BM25 over its texts and those beside them, and by what kind of text it is."""
    steps = (0, *BESIDE_WEIGHTS) if query.is_question else (0,)
    around = {place + step for place in pool for step in steps if span.first <= place + step <= span.last}
    documents = search.read(cx, session_id, around)
    reader = _Reader(query)
    counted = {place: _counted(document, reader, found) for place, document in documents.items()}
    mean = sum(each.length for each in counted.values()) / max(1, len(counted))
    scores = {place: _bm25(each, each.length / max(1, mean), found) for place, each in counted.items()}
    if query.is_question:
        scores = _spread(scores, span)
    kept = [place for place in pool if place in documents and role in (None, documents[place].role)]
    if not query.is_question:
        return sorted(((place, scores[place]) for place in kept), key=lambda pair: (-pair[1], -pair[0]))
    return _apart({place: scores[place] * _fitting(documents[place], query) for place in kept})


def _fitting(document: Document, query: Query) -> float:
    """How well a text fits a question, whatever words it holds."""
    text = document.text
    fits = QUESTION_WEIGHT if text.rstrip().endswith(("?", "？")) else 1.0
    if _speaker(document) & {stem for term in query.terms for stem in term.stems}:
        fits *= SPEAKER_WEIGHT
    if query.wanted and query.wanted.search(text[:_READ_CHARS]):
        fits *= WANTED_WEIGHT
    year_said, month_said = divmod(document.month, 100)
    if any(year in (None, year_said) and month in (None, month_said) for year, month in query.months):
        fits *= SAID_THEN_WEIGHT
    return fits


def _speaker(document: Document) -> set[str]:
    """What stems name who said it."""
    name, colon, _ = document.text[:_LONGEST_NAME].partition(":")
    return set(terms_of(document.role)).union(*map(terms_of, words(name) if colon and "\n" not in name else ()))


def _apart(scores: dict[int, float]) -> list[tuple[int, float]]:
    """The best first, each lowering what stands beside it."""
    order = []
    while scores:
        place = max(scores, key=lambda each: (scores[each], each))
        order.append((place, scores.pop(place)))
        for step, weight in CROWDED_WEIGHTS.items():
            if place + step in scores:
                scores[place + step] *= weight
    return order


class _Reader:
    """Counts the terms and the hints of a query in texts. Texts repeat their words, so what a word is is remembered."""

    def __init__(self, query: Query) -> None:
        wanted = [*query.terms, *query.hints]
        self._size = len(wanted)
        self._starts = frozenset[str]().union(*(term.starts for term in wanted))
        self._of_stem: dict[str, list[int]] = {}
        for index, term in enumerate(wanted):
            for stem in term.stems:
                self._of_stem.setdefault(stem, []).append(index)
        self._known: dict[str, list[int]] = {}

    def counts(self, said: Sequence[str]) -> list[int]:
        """How often each is among these words: the terms, then the hints."""
        counts = [0] * self._size
        known = self._known
        for word in said:
            if (found := known.get(word)) is None:
                found = known[word] = self._indexes(word)
            for index in found:
                counts[index] += 1
        return counts

    def _indexes(self, word: str) -> list[int]:
        plain = word.isascii() and word.isalpha() and (word[1:].islower() or word.isupper())
        if plain and word[:START].casefold() not in self._starts:
            return []
        return [index for stem in terms_of(word) for index in self._of_stem.get(stem, ())]


@dataclass(frozen=True, slots=True)
class _Counted:
    """How often each term is in a document, and how many hints; the document's length in words."""

    terms: list[int]
    hints: int
    length: int


def _counted(document: Document, reader: _Reader, found: Sequence[_Found]) -> _Counted:
    said = words(document.text[:_READ_CHARS])
    counts = reader.counts(said)
    terms = [count or int(document.place in each.places) for count, each in zip(counts, found, strict=False)]
    return _Counted(terms, sum(map(bool, counts[len(found) :])), len(said))


def _bm25(counted: _Counted, length: float, found: Sequence[_Found]) -> float:
    """The sum over the terms, lowered by how much of the question is not there."""
    norm = _K1 * (1 - _B + _B * length)
    score = held = whole = 0.0
    for each, count in zip(found, counted.terms, strict=True):
        score += each.weight * count * (_K1 + 1) / (count + norm)
        held += each.weight if count else 0.0
        whole += each.weight
    return score * math.sqrt(held / whole) + HINT_WEIGHT * counted.hints if held else 0.0
