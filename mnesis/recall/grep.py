"""Searching a session: by words, by substring, by regular expression."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import regex

from mnesis.errors import InputError, NotFound, describe_value
from mnesis.models.recall import GrepMatch, GrepResult, MatchKind, Neighbour
from mnesis.recall import cursor as cursors
from mnesis.recall.query import Query, compiled, literal_of, literals_of, query_of
from mnesis.recall.ranking import SUMMARY_WEIGHT, ranked
from mnesis.recall.snippet import Snippet, Spans, densest, occurrences, snippet
from mnesis.store import Database, Tx, search, summaries
from mnesis.store.search import SUMMARIES, Document, Span

LARGEST_LIMIT = 100
_BESIDE = 2
_SNIPPET = 240
_NEIGHBOUR = 160
_BATCH = 200
_SECONDS = 2.0
_SECONDS_EACH = 0.5
_SECONDS_EXTRA = 0.02

type Role = Literal["user", "assistant", "tool", "summary"]
type Mode = Literal["words", "substring", "regex"]

_ROLES = ("user", "assistant", "tool", "summary")
_KINDS: dict[str, MatchKind] = {
    "tool": "tool",
    "file_ref": "file",
    "media": "media",
    "reasoning": "reasoning",
    "summary": "summary",
}


@dataclass(frozen=True, slots=True)
class _Ask:
    """A checked question."""

    session_id: str
    pattern: str
    regex: bool
    summary_id: str | None
    role: str | None
    limit: int

    @property
    def identity(self) -> tuple[Any, ...]:
        """What a cursor belongs to: all but the size of a page."""
        return self.session_id, self.pattern, self.regex, self.summary_id, self.role


@dataclass(frozen=True, slots=True)
class _Place:
    """How far the question has come. The horizon is what was there when it was first asked: what is added later does
    not move the pages.
    """

    mode: Mode
    horizon: int
    summary_horizon: int
    at: int


@dataclass(frozen=True, slots=True)
class _Hit:
    """A document, the part of it to show, and where in that what was looked for is."""

    document: Document
    part: int
    spans: Spans = ()
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class _Page:
    hits: Sequence[_Hit]
    next: _Place | None
    skipped: tuple[str, ...] = ()


type Finder = Callable[[Document], "_Hit | None"]


async def grep(
    db: Database,
    session_id: str,
    pattern: str,
    *,
    regex: bool = False,
    summary_id: str | None = None,
    role: Role | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> GrepResult:
    """See `MnesisSession.grep`."""
    ask = _checked(session_id, pattern, regex, summary_id, role, limit)
    finder = _regex_finder(compiled(pattern)) if regex else _substring_finder(pattern)
    begun = await db.read(partial(_begin, ask=ask, cursor=cursor))
    if begun.mode == "words":
        page = await _by_words(db, ask, begun)
        if page.hits or begun.at:
            return await _result(db, ask, page)
        begun = _Place("substring", begun.horizon, begun.summary_horizon, begun.horizon)
    return await _result(db, ask, await _scanned(db, ask, begun, finder))


def _checked(session_id: str, pattern: object, regex: bool, summary_id: object, role: object, limit: object) -> _Ask:
    if not isinstance(pattern, str) or not pattern.strip():
        raise InputError(f"pattern={describe_value(pattern)} says nothing to look for; give some text")
    if role is not None and role not in _ROLES:
        raise InputError(f"role={describe_value(role)} is not a role; give one of {', '.join(_ROLES)}, or None")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= LARGEST_LIMIT:
        raise InputError(f"limit={describe_value(limit)} is not usable; give an int from 1 to {LARGEST_LIMIT}")
    if summary_id is not None and not isinstance(summary_id, str):
        raise InputError(f"summary_id={describe_value(summary_id)} is not an id; give the id of a summary, or None")
    return _Ask(session_id, pattern, bool(regex), summary_id, None if role is None else str(role), limit)


def _begin(cx: Tx, ask: _Ask, cursor: str | None) -> _Place:
    if ask.summary_id is not None and summaries.find(cx, ask.session_id, ask.summary_id) is None:
        raise NotFound("summary", ask.summary_id, f"session {ask.session_id} has none; see session.summaries()")
    if cursor is not None:
        mode, *rest = cursors.decode(cursor, ask.identity, str, int, int, int)
        return _Place(mode, *rest)
    horizon = search.said_in(cx, ask.session_id).last
    newest = max(SUMMARIES - 1, search.made_in(cx, ask.session_id).last)
    if ask.regex or literal_of(ask.pattern):
        return _Place("regex" if ask.regex else "substring", horizon, newest, horizon)
    return _Place("words", horizon, newest, 0)


def _spans(cx: Tx, ask: _Ask, place: _Place) -> tuple[Span, Span]:
    """Where to look: among the messages, among the summaries."""
    first, last = (0, place.horizon) if ask.summary_id is None else summaries.seqs_of(cx, ask.summary_id)
    said = search.said_in(cx, ask.session_id).cut(first, min(last, place.horizon) if ask.role != "summary" else -1)
    newest = place.summary_horizon if ask.role in (None, "summary") else -1
    return said, search.made_in(cx, ask.session_id).cut(SUMMARIES, newest)


# -- by words ----------------------------------------------------------------------------------------------------


async def _by_words(db: Database, ask: _Ask, place: _Place) -> _Page:
    """The best documents. Where the words stand in them is looked up in a thread of its own, not in the store's."""
    query = query_of(ask.pattern)
    if not query.terms:
        return _Page((), None)
    found, more = await db.read(partial(_ranked, ask=ask, query=query, place=place))
    hits = await asyncio.to_thread(lambda: [_word_hit(document, query, score) for document, score in found])
    return _Page(hits, more)


def _ranked(cx: Tx, ask: _Ask, query: Query, place: _Place) -> tuple[list[tuple[Document, float]], _Place | None]:
    """A page of the best documents with their scores, and where the next one begins."""
    said, made = _spans(cx, ask, place)
    upto = place.at + ask.limit + 1
    best = ranked(cx, ask.session_id, query, said, ask.role, upto) if len(said) else []
    if len(made):
        copies = ranked(cx, ask.session_id, query, made, None, upto)
        best = sorted([*best, *((at, score * SUMMARY_WEIGHT) for at, score in copies)], key=lambda pair: -pair[1])
    page = best[place.at : place.at + ask.limit]
    documents = search.read(cx, ask.session_id, [at for at, _ in page])
    end = place.at + ask.limit
    more = _Place(place.mode, place.horizon, place.summary_horizon, end) if len(best) > end else None
    return [(documents[at], score) for at, score in page], more


def _word_hit(document: Document, query: Query, score: float) -> _Hit:
    """The place in a document where a phrase of the query stands, or else most of its words together."""
    for text in query.phrases:
        for index, part in enumerate(document.parts):
            if spans := occurrences(part.text, text, _SNIPPET):
                return _Hit(document, index, spans, score)
    best, hit = 0, _Hit(document, 0, (), score)
    for index, part in enumerate(document.parts):
        held, spans = densest(part.text, query, _SNIPPET // 2)
        if held > best:
            best, hit = held, _Hit(document, index, spans, score)
    return hit


# -- by substring, by regular expression -------------------------------------------------------------------------


def _substring_finder(pattern: str) -> Finder:
    text = literal_of(pattern) or pattern.strip()

    def find(document: Document) -> _Hit | None:
        for index, part in enumerate(document.parts):
            if spans := occurrences(part.text, text, _SNIPPET):
                return _Hit(document, index, spans)
        return None

    return find


def _regex_finder(pattern: "regex.Pattern[str]") -> Finder:
    """Raises `TimeoutError` for a document that takes too long."""

    def find(document: Document) -> _Hit | None:
        for index, part in enumerate(document.parts):
            if found := pattern.search(part.text, timeout=_SECONDS_EACH, concurrent=True):
                return _Hit(document, index, (found.span(), *_further(pattern, part.text, found.span())))
        return None

    return find


def _further(pattern: "regex.Pattern[str]", text: str, first: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """What else matches beside the first match, as far as that is found at once: it is only shown."""
    try:
        for found in pattern.finditer(text, pos=first[1], timeout=_SECONDS_EXTRA, concurrent=True):
            if found.start() > first[0] + _SNIPPET:
                return
            if found[0]:
                yield found.span()
    except TimeoutError:
        return


async def _scanned(db: Database, ask: _Ask, place: _Place, find: Finder) -> _Page:
    """Go through what may match, newest first, until a page is full or the time is over.

    The store's thread only reads; the matching is done in a thread of its own.
    """
    expression = await db.read(partial(_expression, ask=ask, place=place))
    if expression == "":
        return _Page((), None)
    hits: list[_Hit] = []
    skipped: list[str] = []
    deadline = time.monotonic() + _SECONDS
    at: int | None = place.at
    while at is not None and len(hits) < ask.limit and time.monotonic() < deadline:
        documents, at = await db.read(partial(_batch, ask=ask, place=place, at=at, expression=expression))
        stop = await asyncio.to_thread(_match, documents, find, ask.limit, deadline, hits, skipped)
        at = at if stop is None else stop
    more = None if at is None else _Place(place.mode, place.horizon, place.summary_horizon, at)
    return _Page(hits, more, tuple(skipped))


def _expression(cx: Tx, ask: _Ask, place: _Place) -> str | None:
    """What narrows the search down; `None` where nothing does, empty where there is nothing to find."""
    if place.mode == "substring":
        return search.substring(cx, literal_of(ask.pattern) or ask.pattern.strip())
    found = [each for text in literals_of(ask.pattern) if (each := search.substring(cx, text)) is not None]
    return None if not found else "" if "" in found else " AND ".join(found)


def _batch(cx: Tx, ask: _Ask, place: _Place, at: int, expression: str | None) -> tuple[list[Document], int | None]:
    """The documents to look at next, from a place down: messages, then summaries; and where to go on."""
    said, made = _spans(cx, ask, place)
    summarised = at >= SUMMARIES
    span = made.cut(SUMMARIES, at) if summarised else said.cut(0, at)
    if expression is None:
        documents = search.scan(cx, span, _BATCH, ask.role)
    else:
        places = search.postings(cx, expression, span, _BATCH, None if summarised else ask.role)
        found = search.read(cx, ask.session_id, places)
        documents = [found[each] for each in places if each in found]
    if len(documents) == _BATCH and documents[-1].place > span.first:
        return documents, documents[-1].place - 1
    return documents, made.last if at < SUMMARIES and len(made) else None


def _match(
    documents: Sequence[Document],
    find: Finder,
    limit: int,
    deadline: float,
    hits: list[_Hit],
    skipped: list[str],
) -> int | None:
    """Add what matches. Returns where to go on, if not behind these documents."""
    for document in documents:
        if len(hits) >= limit or time.monotonic() >= deadline:
            return document.place
        try:
            if hit := find(document):
                hits.append(hit)
        except TimeoutError:
            skipped.append(document.id)
    return None


# -- what is shown -----------------------------------------------------------------------------------------------


async def _result(db: Database, ask: _Ask, page: _Page) -> GrepResult:
    kept, beside = await db.read(partial(_around, ask=ask, hits=page.hits))
    matches = await asyncio.to_thread(lambda: tuple(_shown(hit, covered_by, beside) for hit, covered_by in kept))
    place = page.next
    more = None
    if place is not None:
        more = cursors.encode(ask.identity, place.mode, place.horizon, place.summary_horizon, place.at)
    return GrepResult(pattern=ask.pattern, matches=matches, next_cursor=more, skipped=page.skipped)


def _around(cx: Tx, ask: _Ask, hits: Sequence[_Hit]) -> tuple[list[tuple[_Hit, str | None]], dict[int, Document]]:
    """The hits under the summary that was asked for, each with what covers it now; and what stands beside them."""
    near = {at + step for at in (hit.document.place for hit in hits) for step in range(-_BESIDE, _BESIDE + 1)}
    beside = search.read(cx, ask.session_id, (at for at in near if 0 <= at < SUMMARIES))
    kept = []
    for hit in hits:
        chain = summaries.covering(cx, ask.session_id, hit.document.id)
        if ask.summary_id is None or any(id == ask.summary_id for id, _ in chain):
            kept.append((hit, next((id for id, alive in chain if alive), None)))
    return kept, beside


def _shown(hit: _Hit, covered_by: str | None, beside: dict[int, Document]) -> GrepMatch:
    document = hit.document
    part = document.parts[hit.part] if document.parts else None
    kind = _KINDS.get(part.type, "message") if part else "message"
    shown = snippet(part.text, hit.spans, _SNIPPET) if part else Snippet("")
    at = document.place

    def neighbours(places: range) -> tuple[Neighbour, ...]:
        if kind == "summary":
            return ()
        near = (beside[place] for place in places if place in beside)
        return tuple(
            Neighbour(id=each.id, role=each.role, turn=each.turn, text=snippet(each.text, (), _NEIGHBOUR).text)
            for each in near
        )

    return GrepMatch(
        id=part.id if part and kind not in ("message", "summary") else document.id,
        kind=kind,
        turn=document.turn,
        role=document.role,
        snippet=shown.text,
        spans=shown.spans,
        covered_by=covered_by,
        message_id=None if kind == "summary" else document.id,
        partial=document.partial,
        score=hit.score,
        before=neighbours(range(at - _BESIDE, at)),
        after=neighbours(range(at + 1, at + _BESIDE + 1)),
    )
