"""The originals behind an id, page by page."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from mnesis.errors import InputError, describe_value
from mnesis.models.media import MediaPart
from mnesis.models.message import FileRefPart, Message, Part, ReasoningPart, TextPart, ToolPart
from mnesis.models.recall import Expansion, ExpansionItem
from mnesis.models.summary import Summary
from mnesis.recall import cursor as cursors
from mnesis.recall import record
from mnesis.recall.record import Record
from mnesis.rendering import original_of
from mnesis.store import Database, Tx, messages, summaries
from mnesis.tokens import TokenCounter

SMALLEST_PAGE = 128
"""Below so many tokens a page could hold a header and no text."""

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class _Original:
    """A text and its place: the index of its source, the index within that, the first character."""

    item: ExpansionItem
    label: str
    at: tuple[int, int, int]

    @property
    def shown(self) -> str:
        """As it stands on a page."""
        start = f" · from character {self.item.start:,} on" if self.item.start else ""
        return f"[{self.label}{start}]\n{self.item.text}"

    def split(self, length: int) -> "tuple[_Original, _Original]":
        """Its first characters, and the rest."""
        text, start = self.item.text, self.item.start
        head = self.item.model_copy(update={"text": text[:length], "complete": False})
        tail = self.item.model_copy(update={"text": text[length:], "start": start + length})
        return replace(self, item=head), replace(self, item=tail, at=(*self.at[:2], start + length))


@dataclass(frozen=True, slots=True)
class _Read:
    originals: list[_Original]
    more: tuple[int, int, int] | None


async def expand(db: Database, of: Record, id: str, *, max_tokens: int = 2000, cursor: str | None = None) -> Expansion:
    """See `MnesisSession.expand`."""
    record.kind(id, ("summary", "message", "part", "file", "turn"))
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < SMALLEST_PAGE:
        raise InputError(
            f"max_tokens={describe_value(max_tokens)} is not usable; give an int of at least {SMALLEST_PAGE}"
        )
    question = (of.row.id, id)
    at = (0, 0, 0) if cursor is None else tuple(cursors.decode(cursor, question, int, int, int))
    page = _Page(of.counter, max_tokens)
    rest: tuple[int, int, int] | None = (at[0], at[1], at[2])
    while rest is not None and not page.full:
        read = await db.read(partial(_read, session_id=of.row.id, id=id, at=rest))
        rest = page.fill(read)
    rest = page.trim() or rest
    return Expansion(
        id=id,
        text=page.text,
        items=tuple(each.item for each in page.originals),
        tokens=of.counter.count(page.text),
        next_cursor=cursors.encode(question, *rest) if rest else None,
    )


class _Page:
    """A page that is being filled. An original is only cut where it is larger than a whole page."""

    def __init__(self, counter: TokenCounter, room: int) -> None:
        self.originals: list[_Original] = []
        self.full = False
        self._counter = counter
        self._room = room
        self._spent = 0

    @property
    def text(self) -> str:
        return "\n\n".join(original.shown for original in self.originals)

    def fill(self, read: _Read) -> tuple[int, int, int] | None:
        """Add originals while they fit. Where to go on, if there is more."""
        for original in read.originals:
            if self._holds("\n\n" + original.shown, self._room - self._spent - 1):
                self._spent += self._counter.count("\n\n" + original.shown) + 1
                self.originals.append(original)
                continue
            self.full = True
            if self.originals:
                return original.at
            if self._holds(original.shown, self._room):
                self.originals.append(original)
                continue
            head, tail = original.split(self._fitting(original))
            self.originals.append(head)
            return tail.at
        return read.more

    def trim(self) -> tuple[int, int, int] | None:
        """Take back what is over the limit, where texts side by side count for more than each by itself."""
        back = None
        while len(self.originals) > 1 and not self._holds(self.text, self._room):
            back = self.originals.pop().at
        return back

    def _holds(self, text: str, room: int) -> bool:
        """Whether a text has at most `room` tokens. Of a long one the beginning usually tells."""
        if room <= 0 or self._counter.count(text[: 16 * room]) > room:
            return False
        return len(text) <= 16 * room or self._counter.count(text) <= room

    def _fitting(self, original: _Original) -> int:
        """How many of its first characters fit on a page of their own; at least one."""

        def fits(length: int) -> bool:
            return self._holds(original.split(length)[0].shown, self._room)

        low, high = 1, min(len(original.item.text), 2 * self._room)
        while high < len(original.item.text) and fits(high):
            low, high = high, min(2 * high, len(original.item.text))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low


# -- what there is to show ---------------------------------------------------------------------------------------


def _read(cx: Tx, session_id: str, id: str, at: tuple[int, int, int]) -> _Read:
    """The originals from a place on, some at a time."""
    if id.startswith("sum_"):
        return _sources(cx, session_id, record.summary(cx, session_id, id), at)
    if id.startswith("turn_"):
        found = [_of_message(message, index) for index, message in enumerate(messages.of_turn(cx, session_id, id))]
        if not found:
            raise record.missing(session_id, id)
        return _Read(list(_from((original for each in found for original in each), at)), None)
    said = record.said(cx, session_id, id)
    return _Read(list(_from(_of_message(said.message, 0, said.part), at)), None)


def _sources(cx: Tx, session_id: str, summary: Summary, at: tuple[int, int, int]) -> _Read:
    chosen = list(islice(summary.sources, at[0], at[0] + _AT_ONCE))
    said = messages.find(cx, session_id, [source.id for source in chosen if source.kind == "message"])
    made = summaries.find_many(cx, session_id, [source.id for source in chosen if source.kind == "summary"])
    found: list[_Original] = []
    for index, source in enumerate(chosen, start=at[0]):
        if source.id in said:
            found += _of_message(said[source.id], index)
        elif source.id in made:
            found.append(_of_summary(made[source.id], index))
    end = at[0] + len(chosen)
    return _Read(list(_from(iter(found), at)), (end, 0, 0) if end < len(summary.sources) else None)


def _from(originals: Iterator[_Original], at: tuple[int, int, int]) -> Iterator[_Original]:
    """Those from a place on; what begins in the middle of a text is the rest of it."""
    for original in originals:
        if original.at[:2] == at[:2] and at[2]:
            yield original.split(at[2])[1]
        elif original.at >= at:
            yield original


def _of_message(message: Message, index: int, only: int | None = None) -> Iterator[_Original]:
    """A message part by part: its first text bears its id, everything else an id of its own."""
    shown = [(number, part) for number, part in enumerate(message.parts) if only in (None, number)]
    text_seen = only is not None
    for number, part in shown or [(0, TextPart(text=""))]:
        own = not shown or (isinstance(part, TextPart) and not text_seen)
        text_seen = text_seen or own
        id = message.id if own else message.part_ids[number]
        label = " · ".join(filter(None, (id, f"turn {message.turn}", message.role, _name(part))))
        item = ExpansionItem(
            id=id, kind="message" if own else "part", role=message.role, turn=message.turn, text=original_of(part)
        )
        yield _Original(item, label, (index, number, 0))


def _name(part: Part) -> str:
    match part:
        case ToolPart():
            return f"tool {part.tool_name:.24}"
        case FileRefPart():
            return "file"
        case MediaPart():
            return part.kind
        case ReasoningPart():
            return "reasoning"
        case _:
            return ""


def _of_summary(summary: Summary, index: int) -> _Original:
    label = f"summary {summary.id} · turns {summary.first_turn}-{summary.last_turn} · expand it for its originals"
    item = ExpansionItem(id=summary.id, kind="summary", role="summary", turn=summary.last_turn, text=summary.text)
    return _Original(item, label, (index, 0, 0))
