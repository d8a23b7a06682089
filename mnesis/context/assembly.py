"""Messages -> items -> window. Pure: no SQL, no clock, no network."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from types import MappingProxyType
from typing import Self

from mnesis.errors import ContextOverflow
from mnesis.models.context import Budget, ContextBreakdown, ContextItem, ContextWindow
from mnesis.models.media import MediaPart
from mnesis.models.message import Part, Role
from mnesis.rendering import Block, blocks, summary_block
from mnesis.tokens import TokenCounter

type Sizes = tuple[tuple[int, int], ...]
"""Per part: tokens of what it says, and tokens of a tool's answer; each with its wrapper."""

SYSTEM_ID = "system"
TOOLS_ID = "tools"


@dataclass(frozen=True, slots=True)
class Entry:
    """What one context item of the store puts into the window. `pos` orders the entries of a window."""

    pos: int
    ref: str
    items: tuple[ContextItem, ...]
    first_turn: int
    last_turn: int
    role: Role = "summary"
    stand_ins: frozenset[str] = frozenset()
    """Ids of the parts that are not sent whole."""
    depth: int = -1
    """Of a summary: 0 for a leaf."""
    body: str = ""
    """Of a summary: its text without the label."""
    message_count: int = 1

    @property
    def is_summary(self) -> bool:
        """Whether it stands for other entries."""
        return self.depth >= 0

    @property
    def tokens(self) -> int:
        """Its size in the window."""
        return sum(item.tokens for item in self.items)


type Preamble = tuple[ContextItem, ...]
"""What every request of a turn begins with: the system prompt and the tools, as far as there are any."""


class Fingerprint:
    """A SHA-256 that grows with the window: adding an item costs that item, not the window."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def copy(self) -> "Fingerprint":
        """One that goes on from here by itself."""
        twin = Fingerprint()
        twin._hash = self._hash.copy()
        return twin

    def add(self, items: Iterable[ContextItem]) -> Self:
        """Take in what these items send."""
        lines = [
            f"[{_quoted(item.role)}, {_quoted(item.text)}, {_quoted(item.tool_call_id)}, {_quoted(item.tool_name)}"
            f"{_media_hash(item.media)}]\n"
            for item in items
        ]
        self._hash.update("".join(lines).encode())
        return self

    def hexdigest(self) -> str:
        """The hash of all items so far."""
        return self._hash.hexdigest()


def _quoted(text: str | None) -> str:
    """What `json.dumps` makes of it, without what that costs for each item of a window."""
    return "null" if text is None else encode_basestring_ascii(text)


def _media_hash(media: MediaPart | None) -> str:
    if media is None:
        return ""
    sent = "\n".join((media.media_type, media.detail or "", media.name or "", media.data or media.url or ""))
    return f', "{hashlib.sha256(sent.encode()).hexdigest()}"'


class LiveWindow:
    """The current window of a session, kept in memory between turns; `version` is the view that it shows.

    Size, breakdown and hash are kept up to date, so a turn costs what it adds.
    """

    __slots__ = ("_breakdown", "_entries", "_fingerprint", "preamble", "version")

    def __init__(self, version: int, preamble: Preamble, entries: Iterable[Entry]) -> None:
        self.version = version
        self.preamble = preamble
        self._entries = list(entries)
        items = list(preamble)
        for entry in self._entries:
            items.extend(entry.items)
        self._breakdown = ContextBreakdown.of(items)
        self._fingerprint = Fingerprint().add(items)

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries, in the order of the window."""
        return self._entries

    @property
    def size(self) -> int:
        """Its tokens."""
        return self._breakdown.total

    def preview(self, items: Sequence[ContextItem]) -> tuple[str, ContextBreakdown]:
        """Hash and size of the window with some items more."""
        return self._fingerprint.copy().add(items).hexdigest(), self._breakdown + ContextBreakdown.of(items)

    @property
    def last_turn(self) -> int | None:
        """The newest turn that anything in it came from; `None` where there is nothing."""
        return max((entry.last_turn for entry in self._entries), default=None)

    def extend(self, entries: Sequence[Entry], version: int) -> None:
        """Add entries at the end; the window is `version` from now on."""
        items = [item for entry in entries for item in entry.items]
        self._entries.extend(entries)
        self._fingerprint.add(items)
        self._breakdown = self._breakdown + ContextBreakdown.of(items)
        self.version = version


def measure(role: Role, parts: tuple[Part, ...], counter: TokenCounter) -> Sizes:
    """The tokens of each part as it is sent, wrappers included."""
    sizes = [[0, 0] for _ in parts]
    for block in blocks(role, parts):
        sizes[block.part][block.is_result] += _block_tokens(block, counter)
    return tuple((own, output) for own, output in sizes)


def _block_tokens(block: Block, counter: TokenCounter) -> int:
    name = counter.count(block.tool_name) if block.tool_name else 0
    call_id = counter.count(block.tool_call_id) if block.tool_call_id else 0
    said = counter.count(block.text) if block.media is None else counter.count_media(block.media)
    return counter.message_overhead + said + name + call_id


def entry_of(
    pos: int,
    id: str,
    turn: int,
    role: Role,
    parts: tuple[Part, ...],
    part_ids: Sequence[str],
    sizes: Sizes,
    stand_ins: Mapping[int, tuple[str, int]] = MappingProxyType({}),
) -> Entry:
    """The entry of a message. Its first text bears the message's id, whatever else it holds bears its own.

    `stand_ins` are texts, with their tokens, in the place of parts.
    """
    items: list[ContextItem] = []
    for block in blocks(role, parts, {index: text for index, (text, _) in stand_ins.items()}, part_ids):
        own_id = id if block.kind in ("user", "assistant") else part_ids[block.part]
        if any(item.id == own_id for item in items):
            own_id = part_ids[block.part]
        items.append(
            ContextItem(
                kind=block.kind,
                id=own_id,
                turn=turn,
                tokens=_tokens(block, sizes, stand_ins),
                text=block.text,
                role=block.role,
                message_id=id,
                tool_call_id=block.tool_call_id,
                tool_name=block.tool_name,
                recalled=block.recalled,
                media=block.media,
            )
        )
    return Entry(pos, id, tuple(items), turn, turn, role, frozenset(part_ids[index] for index in stand_ins))


def _tokens(block: Block, sizes: Sizes, stand_ins: Mapping[int, tuple[str, int]]) -> int:
    is_call = block.tool_call_id is not None and not block.is_result
    if block.part in stand_ins and not is_call:
        return stand_ins[block.part][1]
    return sizes[block.part][block.is_result]


def summary_entry(
    pos: int,
    id: str,
    text: str,
    *,
    depth: int,
    level: int,
    model: str | None,
    turns: tuple[int, int],
    message_count: int,
    tokens: int,
) -> Entry:
    """The entry of a summary."""
    block = summary_block(id, text, turns=turns, messages=message_count, level=level, model=model)
    item = ContextItem(kind="summary", id=id, turn=turns[1], tokens=tokens, text=block, role="system")
    return Entry(pos, id, (item,), *turns, depth=depth, body=text, message_count=message_count)


def newest_turn(entries: Sequence[Entry]) -> int:
    """The turn of the newest user message: it stays as it is, with all that came after it. -1 where there is none.

    Turns that come after it give the results of its tool calls.
    """
    return next((entry.last_turn for entry in reversed(entries) if entry.role == "user"), -1)


def pending_calls(entries: Sequence[Entry]) -> list[ContextItem]:
    """The tool calls at the very end that wait for a result. Once something else is said, none does."""
    answered: set[str | None] = set()
    for entry in reversed(entries):
        for item in reversed(entry.items):
            if item.role == "tool":
                answered.add(item.tool_call_id)
            elif item.tool_call_id is None:
                return _calls_after(item, entry, answered)
        if entry.role != "tool":
            return _calls_after(None, entry, answered)
    return []


def _calls_after(said: ContextItem | None, entry: Entry, answered: set[str | None]) -> list[ContextItem]:
    """The unanswered calls of an entry that come after what it says."""
    start = 0 if said is None else entry.items.index(said) + 1
    calls = (item for item in entry.items[start:] if item.role == "assistant")
    return [call for call in calls if call.tool_call_id not in answered]


def system_item(text: str, tokens: int) -> ContextItem | None:
    """The system prompt as an item; an empty one is not sent."""
    if not text:
        return None
    return ContextItem(kind="system", id=SYSTEM_ID, turn=None, tokens=tokens, text=text, role="system")


def system_tokens(text: str, counter: TokenCounter) -> int:
    """What a system prompt costs, with the words that every request ends on."""
    return counter.count(text) + counter.message_overhead + counter.reply_priming if text else 0


def tools_item(specs: str, tokens: int) -> ContextItem | None:
    """The definitions of the tools that are offered, as an item."""
    return ContextItem(kind="tools", id=TOOLS_ID, turn=None, tokens=tokens, text=specs, role="tools") if specs else None


def assemble(
    preamble: Preamble, entries: Iterable[Entry], budget: Budget, *, turn: int | None = None, to_send: bool = True
) -> ContextWindow:
    """The window of these entries. Raises `ContextOverflow` where it would not fit; nothing is ever left out.

    The window of a past `turn` is rebuilt as it was, whatever fits now; so is one that is not `to_send`.
    """
    items = list(preamble)
    for entry in entries:
        items.extend(entry.items)
    size = sum(item.tokens for item in items)
    if turn is None and to_send and size > budget.usable:
        raise _overflow(items, size, budget)
    return ContextWindow(
        items=tuple(items),
        size=size,
        budget=budget.usable,
        request_hash=Fingerprint().add(items).hexdigest(),
        turn=turn,
        limits=budget,
    )


def _overflow(items: Sequence[ContextItem], size: int, budget: Budget) -> ContextOverflow:
    largest = max(items, key=lambda item: item.tokens)
    return ContextOverflow(
        f"the window would hold {size:,} tokens and {budget.usable:,} fit (the model's window is "
        f"{budget.context_limit:,}; the largest item is {largest.kind} {largest.id} with {largest.tokens:,}); "
        "nothing was left out and nothing was sent: shorten the message, or use a model with a larger window"
    )
