"""What the engine asks of a provider: limits, and a reply in pieces. Nothing else."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mnesis.models.message import ReasoningPart, TokenUsage


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What a model takes and gives, in tokens. `known` is False where these are a default, not a fact."""

    context: int
    output: int
    known: bool = True
    tools: bool = False
    """Whether it is known to call tools."""
    schemas: bool = False
    """Whether it is known to keep to a JSON Schema that is passed as `response_format`."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the model. `messages` are chat-completion messages.

    `ids` stand beside `messages`: the id of the item each one came from (of its last item, where several were joined).
    They are for providers that name their sources; they are never sent anywhere.

    `system_ends` says where in the text of the system message its items end, in characters: the system prompt, then
    each summary. It is for providers that want to be told what to cache; `None` where nothing of this is sent again.
    """

    model: str
    messages: list[dict[str, Any]]
    ids: tuple[str, ...] = ()
    system_ends: tuple[int, ...] | None = None
    tools: tuple[dict[str, Any], ...] = ()
    thoughts: Mapping[str, tuple[ReasoningPart, ...]] = field(default_factory=dict)
    """What the model thought earlier in this turn, by the id (see `ids`) of the message with the calls it led to."""
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)  # A key may be among them.
    """Sampling settings as litellm names them: `max_tokens`, `temperature`, …"""


@dataclass(frozen=True, slots=True)
class TextChunk:
    """Some more text of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningChunk:
    """Some more of the model's reasoning. `data` (see `ReasoningPart`) comes with the end of a block of it."""

    text: str
    data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolCallChunk:
    """A fragment of the tool call number `index`: its id and name come once, its arguments (JSON) in pieces."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The provider said that the reply is whole. `usage` and `cost` (US dollars) are `None` when it gave none.

    `reason` is one of litellm's: "stop", "length", "tool_calls", "content_filter", ….
    """

    reason: str
    usage: TokenUsage | None = None
    cost: float | None = None


type Chunk = TextChunk | ReasoningChunk | ToolCallChunk | Finish


class Provider(Protocol):
    """Something that answers. Two methods; any object with them can be passed as `llm=`."""

    def limits(self, model: str) -> ModelLimits:
        """The model's limits. Never asks the network."""
        ...

    def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply, piece by piece, closed by one `Finish`.

        A stream that ends without `Finish` broke off. Raises only `mnesis.errors.LLMError` and its kinds.
        """
        ...
