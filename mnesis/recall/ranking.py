"""BM25 that starts from the rare words, and lets a message share in what stands beside it.

S. Robertson, H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), with the constants of SQLite's
own bm25(), k1 = 1.2 and b = 0.75. Ranking every posting of a common word would cost time in proportion to the store;
such words only weigh what rarer ones have found.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mnesis.llm.extract import terms_of, words
from mnesis.recall.query import Query, Term
from mnesis.store import Tx, search
from mnesis.store.search import Document, Span

NEIGHBOUR_WEIGHT = 1 / 3
SUMMARY_WEIGHT = 1 / 2
"""A summary repeats what its sources say, and those are found as well."""

_COMMON = 1000
"""A word in more documents than this is common."""

_PAIRED = 300
_BESIDE = 4000
_POOL = 128
"""So many of the most promising are read and weighed in full, at a time."""

_READ_CHARS = 20_000
_K1, _B = 1.2, 0.75


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
    rough = _spread(holding, span)
    if not query.is_question:
        rough = {place: rough[place] for place in holding}
    order = sorted(rough, key=lambda place: (-rough[place], -place))
    best: list[tuple[int, float]] = []
    for start in range(0, min(len(order), upto), _POOL):
        best += _weighed(cx, session_id, order[start : start + _POOL], found, span, role)
    return best


def _found(cx: Tx, query: Query, span: Span, role: str | None) -> list[_Found]:
    """Where each term is: everywhere if it is rare, and beside others if it is common."""
    places = {term: set(search.postings(cx, term.expression, span, _COMMON, role)) for term in query.terms}
    rare = [term for term in query.terms if len(places[term]) < _COMMON]
    common = [term for term in query.terms if len(places[term]) >= _COMMON]
    frequency = {term: len(places[term]) for term in rare}
    frequency |= {term: search.frequency(cx, term.expression, span) for term in common}
    common.sort(key=frequency.__getitem__)
    if any(places[term] for term in rare) or len(common) > 1:
        for term in common:
            places[term].clear()
        _beside(cx, places, rare, common, span, role)
    return [_Found(term, frozenset(places[term]), _weight(frequency[term], len(span))) for term in query.terms]


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
    """Each place's own score, and a third of those beside it."""
    shared = dict(scores)
    for place, score in scores.items():
        for beside in (place - 1, place + 1):
            if span.first <= beside <= span.last:
                shared[beside] = shared.get(beside, 0.0) + score * NEIGHBOUR_WEIGHT
    return shared


def _weighed(
    cx: Tx, session_id: str, pool: Sequence[int], found: Sequence[_Found], span: Span, role: str | None
) -> list[tuple[int, float]]:
    """The pool in its final order: by BM25 over its texts and those beside them."""
    around = {near for place in pool for near in (place - 1, place, place + 1) if span.first <= near <= span.last}
    documents = search.read(cx, session_id, around)
    counts = {place: _counts(document, found) for place, document in documents.items()}
    mean = sum(length for _, length in counts.values()) / max(1, len(counts))
    scores = {place: _bm25(hits, length / max(1, mean), found) for place, (hits, length) in counts.items()}
    spread = _spread(scores, span)
    kept = [place for place in pool if place in documents and role in (None, documents[place].role)]
    return sorted(((place, spread[place]) for place in kept), key=lambda pair: (-pair[1], -pair[0]))


def _counts(document: Document, found: Sequence[_Found]) -> tuple[list[int], int]:
    """How often each term is in a document, and the document's length in words."""
    said = words(document.text[:_READ_CHARS])
    stems = Counter(stem for word in said for stem in terms_of(word))
    return [sum(stems[stem] for stem in each.term.stems) or int(document.place in each.places) for each in found], len(
        said
    )


def _bm25(counts: Sequence[int], length: float, found: Sequence[_Found]) -> float:
    norm = _K1 * (1 - _B + _B * length)
    return sum(
        each.weight * count * (_K1 + 1) / (count + norm) for each, count in zip(found, counts, strict=True) if count
    )
