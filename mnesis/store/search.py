"""The `search` tables: what messages and summaries are found by.

A document is a message or a summary. Its rowid is made of the session's number and its place, so that a session, or the
part of it that a summary stands for, is one range of rowids: FTS5 jumps to it, and what other sessions hold costs
nothing. Substrings are looked up among the distinct words of the store, which are few beside its text: a trigram index,
even of these, would make each turn a fifth dearer to save a search some 70 ms in a store of a million words.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mnesis.store.branches import END, segments
from mnesis.store.rows import one, searchable
from mnesis.tokens.scripts import UNSPACED

SPAN_BITS = 32
SUMMARIES = 1 << (SPAN_BITS - 1)
"""In a session's range, messages come at their sequence number, summaries from here on at their rowid."""

_LONGEST = 64
_OVERLAP = 32
_ENDS = 1024
_GIANT = "\ue000"
"""Stands in the index for the middle of a word that is too long for it. No text has it as a word: it is no letter."""

_RUN = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+")
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that the schema uses to index what is there already."""
    connection.create_function("search_text", 3, searchable, deterministic=True)
    connection.create_function("search_body", 1, lambda text: " ".join(tokens_of(text)), deterministic=True)
    connection.create_function(
        "search_words", 1, lambda text: json.dumps(sorted(_words(tokens_of(text)))), deterministic=True
    )


# -- writing -----------------------------------------------------------------------------------------------------


def tokens_of(text: str) -> list[str]:
    """A text as it is indexed: its words in one case, and in scripts without spaces pairs of characters.

    Every character of such a run begins one token, so a phrase of pairs finds exactly the substrings. A word of more
    than 64 characters is indexed in overlapping pieces, one of more than 2,048 by its two ends and a mark that there
    is such a word.
    """
    found: list[str] = []
    for run in _RUN.findall(text.casefold()):
        if not run.isascii() and _IS_UNSPACED.match(run):
            found += map("".join, zip(run, [*run[1:], ""], strict=True))
        elif len(run) > _LONGEST:
            found += _pieces_of(run)
        else:
            found.append(run)
    return found


def _pieces_of(run: str) -> list[str]:
    ends = [run] if len(run) <= 2 * _ENDS else [run[:_ENDS], run[-_ENDS:]]
    pieces = [end[at : at + _LONGEST] for end in ends for at in range(0, max(1, len(end) - _OVERLAP), _OVERLAP)]
    return pieces if len(ends) == 1 else [*pieces, _GIANT]


def _words(tokens: Iterable[str]) -> set[str]:
    return {token for token in tokens if token.isascii() or not (token == _GIANT or _IS_UNSPACED.match(token))}


def add_message(cx: sqlite3.Connection, session_id: str, seq: int, texts: Iterable[str]) -> None:
    """Let a message be found by the texts of its parts."""
    _add(cx, (_number(cx, session_id) << SPAN_BITS) + seq, "\n".join(texts))


def add_summary(cx: sqlite3.Connection, session_id: str, rowid: int, text: str) -> None:
    """Let a summary be found by its text."""
    _add(cx, (_number(cx, session_id) << SPAN_BITS) + SUMMARIES + rowid, text)


def _add(cx: sqlite3.Connection, rowid: int, text: str) -> None:
    tokens = tokens_of(text)
    if not tokens:
        return
    cx.execute("INSERT INTO search (rowid, body) VALUES (?, ?)", (rowid, " ".join(tokens)))
    words = json.dumps(sorted(_words(tokens)))
    cx.execute("INSERT OR IGNORE INTO search_word (word) SELECT value FROM json_each(?)", (words,))


def remove(cx: sqlite3.Connection, session_id: str) -> None:
    """Let nothing be found of a session's own rows any more. Call it while they are still there."""
    number = _number(cx, session_id)
    gone: set[str] = set()
    first = number << SPAN_BITS
    places = (
        "SELECT seq FROM message WHERE session_id = :id "
        "UNION ALL SELECT rowid + :made FROM summary WHERE session_id = :id"
    )
    for (place,) in cx.execute(places, {"id": session_id, "made": SUMMARIES}).fetchall():
        if tokens := tokens_of(_text_at(cx, first + place)):
            row = (first + place, " ".join(tokens))
            cx.execute("INSERT INTO search (search, rowid, body) VALUES ('delete', ?, ?)", row)
            gone |= _words(tokens)
    cx.execute("INSERT INTO search (search) VALUES ('optimize')")
    left = [(word,) for word in gone if not _is_said(cx, word)]
    cx.executemany("DELETE FROM search_word WHERE word = ?", left)


def _is_said(cx: sqlite3.Connection, word: str) -> bool:
    """Whether a document holds this very word, and not only one that the index takes for the same."""
    found = cx.execute("SELECT rowid FROM search WHERE search MATCH ?", (f'"{word}"',))
    return any(word in tokens_of(_text_at(cx, rowid)) for (rowid,) in found)


def _text_at(cx: sqlite3.Connection, rowid: int) -> str:
    number, place = divmod(rowid, 1 << SPAN_BITS)
    if place >= SUMMARIES:
        row = one(cx.execute("SELECT text FROM summary WHERE rowid = ?", (place - SUMMARIES,)))
        return str(row[0]) if row else ""
    parts = cx.execute(
        "SELECT p.type, p.text, p.data FROM search_session n "
        "JOIN message m ON m.session_id = n.session_id AND m.seq = ? "
        "JOIN part p ON p.message_id = m.id WHERE n.number = ? ORDER BY p.idx",
        (place, number),
    )
    return "\n".join(searchable(*part) for part in parts)


def _number(cx: sqlite3.Connection, session_id: str) -> int:
    row = one(cx.execute("SELECT number FROM search_session WHERE session_id = ?", (session_id,)))
    if row is None:
        row = one(cx.execute("INSERT INTO search_session (session_id) VALUES (?) RETURNING number", (session_id,)))
    assert row is not None
    return int(row[0])


# -- finding -----------------------------------------------------------------------------------------------------

_MANY_WORDS = 100
_STRATA = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring places whose documents are rows of one session, both included."""

    session_id: str
    session: int
    first: int
    last: int

    @property
    def base(self) -> int:
        """What to add to a place for its rowid."""
        return self.session << SPAN_BITS


@dataclass(frozen=True, slots=True)
class Span:
    """Places in a session, in order: sequence numbers of messages, or summaries. A piece for each session it shares."""

    pieces: tuple[Piece, ...]

    @property
    def first(self) -> int:
        """The first place; 0 where there is none."""
        return self.pieces[0].first if self.pieces else 0

    @property
    def last(self) -> int:
        """The last place; -1 where there is none."""
        return self.pieces[-1].last if self.pieces else -1

    def cut(self, first: int, last: int) -> "Span":
        """What of it lies between two places, both included."""
        cut = (
            Piece(piece.session_id, piece.session, max(piece.first, first), min(piece.last, last))
            for piece in self.pieces
        )
        return Span(tuple(piece for piece in cut if piece.first <= piece.last))

    def __len__(self) -> int:
        return sum(piece.last - piece.first + 1 for piece in self.pieces)


def said_in(cx: sqlite3.Connection, session_id: str) -> Span:
    """All messages of a session, those that it shares included."""
    newest = "SELECT coalesce(max(seq), -1) FROM message WHERE session_id = ?"
    return _span(cx, newest, ((each.ancestor_id, each.first_seq, each.last_seq) for each in segments(cx, session_id)))


def made_in(cx: sqlite3.Connection, session_id: str) -> Span:
    """All summaries of a session, those that it shares included."""
    newest = "SELECT coalesce(max(rowid), -1) FROM summary WHERE session_id = ?"
    seen = ((each.ancestor_id, each.first_summary, each.last_summary) for each in segments(cx, session_id))
    span = _span(cx, newest, seen)
    moved = (
        Piece(piece.session_id, piece.session, SUMMARIES + piece.first, SUMMARIES + piece.last) for piece in span.pieces
    )
    return Span(tuple(moved))


def _span(cx: sqlite3.Connection, newest: str, seen: Iterable[tuple[str, int, int]]) -> Span:
    pieces = []
    for id, first, last in seen:
        row = one(cx.execute("SELECT number FROM search_session WHERE session_id = ?", (id,)))
        end = last if last < END else cx.execute(newest, (id,)).fetchone()[0]
        if row and first <= end:
            pieces.append(Piece(id, row[0], first, end))
    return Span(tuple(pieces))


def phrase(text: str) -> str:
    """The FTS5 expression that finds these words one after the other. Nothing in them is syntax; empty for no word."""
    tokens = tokens_of(text)
    if len(tokens) > 1 and _IS_UNSPACED.match(tokens[-1]) and len(tokens[-1]) == 1 and len(tokens[-2]) == 2:
        tokens.pop()  # the last character of a run stands by itself only where the indexed run ends, too
    elif len(tokens) == 1 and _IS_UNSPACED.match(tokens[0]):
        return f'"{tokens[0]}" *'
    return '"' + " ".join(tokens) + '"' if tokens else ""


def postings(cx: sqlite3.Connection, expression: str, span: Span, limit: int, role: str | None = None) -> list[int]:
    """The places where an expression is found, newest first."""
    found: list[int] = []
    for piece in reversed(span.pieces):
        if len(found) < limit:
            found += _postings(cx, expression, piece, limit - len(found), role)
    return found


def _postings(cx: sqlite3.Connection, expression: str, piece: Piece, limit: int, role: str | None) -> list[int]:
    base = piece.base
    first, last = base + piece.first, base + piece.last
    if role is None:
        sql = "SELECT rowid - ? FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT ?"
        return [place for (place,) in cx.execute(sql, (base, expression, first, last, limit))]
    rows = cx.execute(
        "SELECT m.seq FROM search s "
        "CROSS JOIN message m ON m.session_id = ? AND m.seq = s.rowid - ? AND m.role = ? "
        "WHERE s.search MATCH ? AND s.rowid BETWEEN ? AND ? ORDER BY s.rowid DESC LIMIT ?",
        (piece.session_id, base, role, expression, first, last, limit),
    )
    return [place for (place,) in rows]


def frequency(cx: sqlite3.Connection, expression: str, span: Span, sample: int = 32) -> int:
    """About how many documents of a span hold an expression, from samples all over it. At most 256 rows are read."""
    found = 0.0
    width = span.last - span.first + 1
    for index in range(_STRATA):
        start = span.first + width * index // _STRATA
        end = span.first + width * (index + 1) // _STRATA - 1
        places = postings(cx, expression, span.cut(start, end), sample)
        if len(places) < sample:
            found += len(places)
        else:
            found += sample * (end - start + 1) / (end - places[-1] + 1)
    return round(found)


def substring(cx: sqlite3.Connection, text: str) -> str | None:
    """An FTS5 expression that finds every document with this substring, and maybe others. Empty: there is none.

    `None` where the text says too little to look it up: no letter, or a piece of more words than can be asked for.
    """
    text = text.casefold()
    found = [each for run in _RUN.finditer(text) if (each := _piece(cx, text, run)) is not None]
    return None if not found else "" if "" in found else " AND ".join(found)


def _piece(cx: sqlite3.Connection, text: str, run: re.Match[str]) -> str | None:
    """What finds one run of letters: by itself, or as the words that begin with it, end on it or contain it."""
    starts, ends = run.start() > 0, run.end() < len(text)
    piece = run[0]
    if _IS_UNSPACED.match(piece):
        return phrase(piece)
    if len(piece) > _OVERLAP:  # it may lie across the pieces of a longer word
        piece, ends = piece[:_OVERLAP], False
    if len(run[0]) > _LONGEST:
        starts = False
    if starts and ends:
        return f'"{piece}"'
    pattern = f"{'' if starts else '%'}{piece}{'' if ends else '%'}"
    rows = cx.execute("SELECT word FROM search_word WHERE word LIKE ? LIMIT ?", (pattern, _MANY_WORDS + 1)).fetchall()
    if len(rows) > _MANY_WORDS:
        return None
    found = [word for (word,) in rows] if starts or ends else [*(word for (word,) in rows), _GIANT]
    return "(" + " OR ".join(f'"{word}"' for word in found) + ")" if found else ""


# -- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartText:
    """A part, as far as it can be searched."""

    id: str
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A message or a summary, as it is searched. `place` is its place in the session's span, `month` when: 202512."""

    place: int
    id: str
    role: str
    turn: int
    partial: bool
    month: int
    parts: tuple[PartText, ...]

    @property
    def text(self) -> str:
        """All that it can be found by."""
        return "\n".join(part.text for part in self.parts)


_MONTH = "CAST(coalesce(strftime('%Y%m', created_at / 1000000, 'unixepoch'), 0) AS INTEGER)"
_TOLD = (  # of media what is told of them: their bytes are megabytes, and no text
    "CASE WHEN p.type = 'media' AND json_valid(p.data) THEN json_remove(p.data, '$.data') ELSE p.data END"
)
_COLUMNS = (
    f"m.seq, m.id, m.role, m.turn, m.partial, {_MONTH.replace('created', 'm.created')}, p.id, p.type, p.text, {_TOLD}"
)
_SUMMARY = f"place + {SUMMARIES}, id, 'summary', last_turn, 0, {_MONTH}, id, 'summary', text, NULL"


def read(cx: sqlite3.Connection, session_id: str, places: Iterable[int]) -> dict[int, Document]:
    """The documents at these places, as far as there are any."""
    wanted = json.dumps(sorted(set(places)))
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM json_each(?) k CROSS JOIN branch_message m ON m.branch_id = ? AND m.seq = k.value "
        "LEFT JOIN part p ON p.message_id = m.id ORDER BY m.seq, p.idx",
        (wanted, session_id),
    )
    summaries = cx.execute(
        f"SELECT {_SUMMARY} FROM branch_summary WHERE place IN (SELECT value - ? FROM json_each(?)) AND branch_id = ?",
        (SUMMARIES, wanted, session_id),
    )
    return {document.place: document for rows in (rows, summaries) for document in _documents(rows)}


def scan(cx: sqlite3.Connection, span: Span, limit: int, role: str | None = None) -> list[Document]:
    """The newest documents of a span, at most `limit` of them, newest first."""
    found: list[Document] = []
    for piece in reversed(span.pieces):
        if len(found) < limit:
            found += _scan(cx, piece, limit - len(found), role)
    return found


def _scan(cx: sqlite3.Connection, piece: Piece, limit: int, role: str | None) -> Iterator[Document]:
    if piece.first >= SUMMARIES:
        rows = cx.execute(
            f"SELECT {_SUMMARY.replace('place', 'rowid')} FROM summary WHERE session_id = ? AND rowid BETWEEN ? AND ? "
            "ORDER BY rowid DESC LIMIT ?",
            (piece.session_id, piece.first - SUMMARIES, piece.last - SUMMARIES, limit),
        )
    else:
        rows = cx.execute(
            f"SELECT {_COLUMNS} FROM (SELECT * FROM message WHERE session_id = ? AND seq BETWEEN ? AND ? "
            "AND coalesce(role = ?, TRUE) ORDER BY seq DESC LIMIT ?) m LEFT JOIN part p ON p.message_id = m.id "
            "ORDER BY m.seq DESC, p.idx",
            (piece.session_id, piece.first, piece.last, role, limit),
        )
    return _documents(rows)


def _documents(rows: Iterable[Sequence[Any]]) -> Iterator[Document]:
    for (place, id, role, turn, partial, month), group in groupby(rows, key=lambda row: tuple(row[:6])):
        parts = tuple(PartText(row[6], row[7], searchable(*row[7:])) for row in group if row[6] is not None)
        yield Document(place, id, role, turn, bool(partial), month, parts)
