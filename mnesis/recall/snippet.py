"""What is shown of a text: one line around what matched, and where in that line it did."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mnesis.llm.words import terms_of, unspaced, words
from mnesis.recall.query import Query

type Spans = tuple[tuple[int, int], ...]
"""Start and end, in characters, in order, none over another."""

_READ_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Snippet:
    """One line of a text."""

    text: str
    spans: Spans = ()


def snippet(text: str, spans: Sequence[tuple[int, int]], length: int) -> Snippet:
    """One line of a text, of at most `length` characters and the dots: around the first of these spans."""
    start, end = spans[0] if spans else (0, 0)
    before = max(0, start - max(0, length - min(end - start, length)) // 3)
    cut = text[before : before + length]
    lead, trail = "…" if before else "", "…" if before + length < len(text) else ""
    places = list(_places(cut, len(lead)))
    marked: list[tuple[int, int]] = []
    for start, end in spans:
        inside = [at for at in places[max(0, start - before) : max(0, end - before)] if at is not None]
        if inside and not (marked and inside[0] < marked[-1][1]):
            marked.append((inside[0], inside[-1] + 1))
    return Snippet(f"{lead}{' '.join(cut.split())}{trail}", tuple(marked))


def _places(cut: str, at: int) -> Iterator[int | None]:
    """Where each character stands once every run of white space is one blank; `None` for white space."""
    begun, gap = False, False
    for char in cut:
        if char.isspace():
            gap = begun
            yield None
        else:
            at += gap
            yield at
            at, begun, gap = at + 1, True, False


def occurrences(text: str, wanted: str, within: int) -> Spans:
    """Where a text holds another, whatever their case: the first, and what begins in so many characters after it."""
    wanted, folded = wanted.casefold(), text.casefold()
    at = folded.find(wanted)
    if at < 0:
        return ()
    # Some letters are two when folded: ends[i] is where the i-th of them ends.
    ends = None if len(folded) == len(text) else list(accumulate(len(char.casefold()) for char in text))
    found, last = [], at + within
    while 0 <= at <= last:
        end = at + len(wanted)
        found.append((at, end) if ends is None else (bisect_right(ends, at), bisect_left(ends, end) + 1))
        at = folded.find(wanted, end)
    return tuple(found)


def densest(text: str, query: Query, within: int) -> tuple[int, Spans]:
    """The words of a query in a text, from where most different ones of them stand in so many characters; how many."""
    wanted = {stem for term in (*query.terms, *query.hints) for stem in term.stems}
    wanted |= {stem for each in query.phrases for word in words(each) for stem in terms_of(word)}
    found = list(_words_at(text[:_READ_CHARS], wanted))
    near: Counter[str] = Counter()  # the stems between the two ends, which only move on
    best, first, end = 0, 0, 0
    for index, (start, _, stems) in enumerate(found):
        while end < len(found) and found[end][0] < start + within:
            near.update(found[end][2])
            end += 1
        if len(near) > best:
            best, first = len(near), index
        near.subtract(stems)
        for stem in stems:
            if not near[stem]:
                del near[stem]
    return best, tuple((start, end) for start, end, _ in found[first:])


def _words_at(text: str, wanted: set[str]) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Where words with these stems are; of a script without spaces, the characters and pairs of them."""
    at = 0
    for word in words(text):
        at = text.index(word, at)
        if stems := wanted.intersection(terms_of(word)):
            if unspaced(word):
                yield from _pairs_at(word, at, stems)
            else:
                yield at, at + len(word), frozenset(stems)
        at += len(word)


def _pairs_at(run: str, at: int, stems: set[str]) -> Iterator[tuple[int, int, frozenset[str]]]:
    end = 0
    for index in range(len(run)):
        for piece in (run[index : index + 2], run[index]):
            if piece in stems and index + len(piece) > end:
                yield at + max(index, end), at + index + len(piece), frozenset((piece,))
                end = index + len(piece)
                break
