"""Puts the pieces of a reply together."""

import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mnesis.errors import Unavailable
from mnesis.llm.base import Chunk, Finish, Provider, ReasoningChunk, Request, TextChunk, ToolCallChunk
from mnesis.models.message import Part, ReasoningPart, TextPart, TokenUsage, ToolPart

UNPARSED = "_unparsed"
"""What stands in the arguments of a call, with their text, where that is no JSON object."""


class ReplyBuilder:
    """Takes chunks as they come. What it holds at any moment is the reply so far."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[ReasoningChunk] = []
        self._calls: dict[int, dict[str, str]] = {}
        self.finish: Finish | None = None

    def take(self, chunk: Chunk) -> str:
        """Add a chunk. Returns the text that it brought, to be shown now."""
        match chunk:
            case TextChunk(text):
                self._text.append(text)
                return text
            case ReasoningChunk():
                self._reasoning.append(chunk)
            case ToolCallChunk(index, id, name, arguments):
                call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
                call["id"], call["name"] = id or call["id"], name or call["name"]
                call["arguments"] += arguments
            case Finish():
                self.finish = chunk
        return ""

    @property
    def text(self) -> str:
        """The text so far."""
        return well_formed("".join(self._text))

    def parts(self) -> tuple[Part, ...]:
        """The reply so far as parts: reasoning, text, tool calls."""
        parts: list[Part] = list(_blocks(self._reasoning))
        if self.text:
            parts.append(TextPart(text=self.text))
        parts.extend(self._tool_calls())
        return tuple(parts)

    def _tool_calls(self) -> Iterator[ToolPart]:
        """The calls, each with an id of its own: some servers give none, or the same to all."""
        taken: set[str] = set()
        for index, call in sorted(self._calls.items()):
            id = call["id"] if call["id"] and call["id"] not in taken else f"{call['id'] or 'call'}_{index}"
            taken.add(id)
            yield ToolPart(tool_name=call["name"] or "(no name)", tool_call_id=id, input=_arguments(call["arguments"]))

    def take_all(self) -> tuple[Part, ...]:
        """The reply so far, and begin anew: what comes next answers the results of its tool calls."""
        parts = self.parts()
        self._begin()
        return parts

    @property
    def calls(self) -> tuple[ToolPart, ...]:
        """The tool calls so far."""
        return tuple(part for part in self.parts() if isinstance(part, ToolPart))

    def finished(self, model: str) -> Finish:
        """The provider's word that the reply is whole. Raises `Unavailable` where it never gave it."""
        if self.finish is None:
            raise Unavailable(
                f"the reply of {model} broke off after {len(self.text):,} characters; "
                "it is kept as partial, send the message again",
                model=model,
            )
        return self.finish


@dataclass(frozen=True, slots=True)
class Spent:
    """What the requests of one turn came to. `cost` in US dollars, `None` as soon as one of them is unknown."""

    usage: TokenUsage | None = None
    cost: float | None = 0.0
    finish_reason: str = "stop"
    requests: int = 0

    def plus(self, finish: Finish, usage: TokenUsage) -> "Spent":
        """With one request more."""
        cost = None if self.cost is None or finish.cost is None else self.cost + finish.cost
        return Spent(usage if self.usage is None else self.usage + usage, cost, finish.reason, self.requests + 1)


async def chunks_of(provider: Provider, request: Request) -> AsyncGenerator[Chunk]:
    """A provider's stream as a generator, so that whoever leaves it early can close it."""
    stream = provider.stream(request)
    try:
        async for chunk in stream:
            yield chunk
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def thoughts_of(parts: Sequence[Part], ids: Sequence[str]) -> dict[str, tuple[ReasoningPart, ...]]:
    """The reasoning in a reply by the part ids of its tool calls, for `Request.thoughts`."""
    thoughts = tuple(part for part in parts if isinstance(part, ReasoningPart))
    return {id: thoughts for id, part in zip(ids, parts, strict=True) if isinstance(part, ToolPart) and thoughts}


def _blocks(chunks: Iterable[ReasoningChunk]) -> Iterator[ReasoningPart]:
    text: list[str] = []
    for chunk in chunks:
        text.append(chunk.text)
        if chunk.data is not None:
            yield ReasoningPart(text=well_formed("".join(text)), data=chunk.data)
            text = []
    if text:
        yield ReasoningPart(text=well_formed("".join(text)))


def well_formed(text: str) -> str:
    """Join surrogates that a stream tore apart; a lone one becomes U+FFFD, because no encoding can carry it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _arguments(text: str) -> dict[str, Any]:
    """The arguments as an object; as `_unparsed` where they are none, or none that can be stored."""
    text = well_formed(text)
    try:
        arguments = json.loads(text or "{}", parse_constant=_refuse)
        json.dumps(arguments, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return {UNPARSED: text}
    return arguments if isinstance(arguments, dict) else {UNPARSED: text}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
