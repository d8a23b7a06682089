"""The window: what the model is sent next, and what it was sent in each turn."""

from collections.abc import Iterable
from typing import Any, Literal

from mnesis.models.base import Value
from mnesis.models.message import CompactionResult
from mnesis.models.wire import WireItem, system_ends, to_anthropic, to_openai, with_ids

type ItemKind = Literal["system", "tools", "summary", "user", "assistant", "tool", "file", "media"]


class ContextItem(WireItem):
    """One block of the window. `text` is exactly what the model reads; `tokens` counts it with its wrapper.

    "tools" are the definitions of the tools that are offered, as JSON. `recalled` marks what a tool brought back from
    the session's own record. A "media" item is sent as what `media` holds, and its text is a label that tells of it;
    without `media` the label itself is sent.

    `id` names the message (for a tool call or result, a file and media the part); the system prompt's is "system".
    `turn` is the 0-based turn it came from, `None` for the system prompt.
    """

    kind: ItemKind
    recalled: bool = False
    turn: int | None
    tokens: int


class Budget(Value):
    """How the model's window is shared out, all in tokens: `usable = context_limit - both reserves`.

    From `soft` on it is compacted in the background. `note` says in a sentence what was chosen and why, where it is not
    simply that formula.
    """

    context_limit: int
    output_reserve: int
    compaction_reserve: int
    usable: int
    soft: int
    note: str = ""


class ContextBreakdown(Value):
    """Tokens of a window by kind. `total` is their sum: the size of the request."""

    system_prompt: int = 0
    summary: int = 0
    messages: int = 0
    tool_outputs: int = 0
    total: int = 0

    @classmethod
    def of(cls, items: Iterable[ContextItem]) -> "ContextBreakdown":
        """The tokens of these items by kind."""
        fields: dict[ItemKind, str] = {
            "system": "system_prompt",
            "tools": "system_prompt",
            "summary": "summary",
            "tool": "tool_outputs",
        }
        sums = dict.fromkeys(("system_prompt", "summary", "messages", "tool_outputs"), 0)
        for item in items:
            sums[fields.get(item.kind, "messages")] += item.tokens
        return cls(**sums, total=sum(sums.values()))

    def __add__(self, other: "ContextBreakdown") -> "ContextBreakdown":
        return ContextBreakdown(
            system_prompt=self.system_prompt + other.system_prompt,
            summary=self.summary + other.summary,
            messages=self.messages + other.messages,
            tool_outputs=self.tool_outputs + other.tool_outputs,
            total=self.total + other.total,
        )


class ContextWindow(Value):
    """A window as it is, or was, sent. `size` is the sum of the items' tokens and never above `budget`.

    `request_hash` is the SHA-256 of the rendered items: two windows with the same hash send the same text.
    """

    items: tuple[ContextItem, ...]
    size: int
    budget: int
    request_hash: str
    turn: int | None = None
    limits: Budget

    def to_openai(self) -> list[dict[str, Any]]:
        """The window as chat-completion messages, the system prompt and the summaries first, as one message."""
        return to_openai(self.items)

    def to_request(self) -> tuple[list[dict[str, Any]], tuple[str, ...], tuple[int, ...]]:
        """The messages of `to_openai`; beside them the ids of the items they came from; and where in the system
        message its items end, in characters.
        """
        pairs = with_ids(self.items)
        return [message for message, _ in pairs], tuple(id for _, id in pairs), system_ends(self.items)

    def to_anthropic(self) -> dict[str, Any]:
        """The window as `{"system": …, "messages": […]}` of the Anthropic Messages API."""
        return to_anthropic(self.items)

    @property
    def preamble(self) -> tuple[ContextItem, ...]:
        """What every request begins with: the system prompt and the tools."""
        return tuple(item for item in self.items if item.kind in ("system", "tools"))

    def breakdown(self) -> ContextBreakdown:
        """The tokens by kind."""
        return ContextBreakdown.of(self.items)


class TurnSnapshot(Value):
    """What the window looked like when a turn was sent, and whether that turn set off a compaction."""

    turn_index: int
    context_tokens: ContextBreakdown
    compaction_triggered: bool = False
    compact_result: CompactionResult | None = None
