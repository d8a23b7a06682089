"""The sentences of a window that match a question best: BM25 (https://doi.org/10.1561/1500000019) with idf over the
window's own sentences, weighted by coverage.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mnesis.llm.questions import CJK_GLUE, INTRODUCED, NAME
from mnesis.llm.words import STOP_WORDS, terms, terms_of, unspaced, words

_ROLE_WEIGHTS = {"user": 1.0, "summary": 0.95, "tool": 0.95, "assistant": 0.85, "system": 0.8}
_K1, _B = 1.2, 0.4
_UNSEEN = 20  # sentences added to the window's, so that in a short one a missing word does not outweigh all others


@dataclass(frozen=True, slots=True)
class Source:
    """Sentences that may be quoted: `role` and `id` are what is cited."""

    role: str
    id: str
    sentences: Sequence[str]


@dataclass(slots=True)
class Hit:
    """A sentence that matches. `order` counts sources from the oldest, `at` sentences within one."""

    source: Source
    order: int
    at: int
    matched: frozenset[str]
    score: float = 0.0

    @property
    def text(self) -> str:
        """The sentence."""
        return self.source.sentences[self.at]


def ranked(query: frozenset[str], sources: Sequence[Source]) -> list[Hit]:
    """The sentences that answer, best first."""
    if not query:
        return []
    hits, idf = _scored(query, sources)
    whole = sum(idf.values())
    topics: dict[int, set[str]] = {}
    for hit in hits:
        topics.setdefault(hit.order, set()).update(hit.matched)
    for hit in hits:
        share = sum(idf[term] for term in hit.matched) / whole
        enough = share >= 0.5 or (len(hit.matched) > 1 and share >= 0.3) or len(hit.matched) > 2
        recency = (hit.order + 1) / len(sources)
        topic = sum(idf[term] for term in topics[hit.order]) / whole
        hit.score *= (0.4 + 0.6 * share) * _ROLE_WEIGHTS.get(hit.source.role, 0.8) * (1 + 0.05 * recency) * enough
        hit.score *= (0.5 + 0.5 * topic) * (0.6 if hit.text.startswith("# ") else 1)
    hits = [hit for hit in hits if hit.score > 0]
    best = max((hit.score for hit in hits), default=0.0)
    hits = [hit for hit in hits if hit.score >= 0.5 * best]
    hits.sort(key=lambda hit: (hit.source.role == "system", -hit.score, -hit.order, hit.at))
    return _newest_word_first(hits)


def _scored(query: frozenset[str], sources: Sequence[Source]) -> tuple[list[Hit], dict[str, float]]:
    """Every sentence that shares a term with the query and says something beyond it, with its BM25 score."""
    hits: list[tuple[Hit, Counter[str], int]] = []
    frequency: Counter[str] = Counter()
    number = length = 0
    matches = _Matches(query)
    for order, source in enumerate(sources):
        for at, sentence in enumerate(source.sentences):
            said = words(sentence)
            found = [term for word in said for term in matches[word]]
            if NAME in query and INTRODUCED.search(sentence):  # "I'm Alice" tells a name
                found.append(NAME)
            number += 1
            length += len(sentence)
            if not found:
                continue
            counts = Counter(found)
            frequency.update(counts.keys())
            if any(map(matches.is_new, said)):
                hits.append((Hit(source, order, at, frozenset(counts)), counts, len(sentence)))
    idf = {term: math.log1p((number + _UNSEEN - frequency[term] + 0.5) / (frequency[term] + 0.5)) for term in query}
    average = length / max(number, 1)
    for hit, counts, size in hits:
        damping = _K1 * (1 - _B + _B * size / average)
        hit.score = sum(idf[term] * tf * (_K1 + 1) / (tf + damping) for term, tf in counts.items())
    _add_surroundings([hit for hit, *_ in hits])
    return [hit for hit, *_ in hits], idf


class _Matches(dict[str, tuple[str, ...]]):
    """The terms of the query that a word brings, looked up once per word of the window."""

    def __init__(self, query: frozenset[str]) -> None:
        self.query_of = query

    def is_new(self, word: str) -> bool:
        """Whether a word says something that the query does not."""
        if unspaced(word):
            return not set(CJK_GLUE.sub("", word)).issubset("".join(self.query_of))
        return not self[word] and word.casefold() not in STOP_WORDS

    def __missing__(self, word: str) -> tuple[str, ...]:
        found = self[word] = tuple(term for term in terms_of(word) if term in self.query_of)
        return found


def _add_surroundings(hits: Sequence[Hit]) -> None:
    """A sentence beside one that matches too is more likely about the same."""
    scores = {(hit.order, hit.at): hit.score for hit in hits}
    for hit in hits:
        hit.score += 0.2 * (scores.get((hit.order, hit.at - 1), 0.0) + scores.get((hit.order, hit.at + 1), 0.0))


def _newest_word_first(hits: list[Hit]) -> list[Hit]:
    """Where messages answer about equally well with the same words, the latest one holds."""
    if not hits:
        return hits
    top = hits[0]
    rivals = [hit for hit in hits if hit.matched == top.matched and hit.score >= 0.7 * top.score]
    newest = max(rivals, key=lambda hit: (hit.source.role != "system", hit.order, hit.score))
    return [newest, *(hit for hit in hits if hit is not newest)]


def merged(rankings: Sequence[list[Hit]]) -> Iterator[Hit]:
    """One list from the rankings of several questions: the best of each, then the second of each, …. No repeats."""
    seen: set[str] = set()
    for place in range(max(map(len, rankings), default=0)):
        for ranking in rankings:
            if place < len(ranking) and (key := " ".join(terms(ranking[place].text))) not in seen:
                seen.add(key)
                yield ranking[place]
