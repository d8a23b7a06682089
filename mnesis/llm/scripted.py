"""A provider that answers from a list: for tests, demonstrations and notebooks that must run the same every time."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnesis.errors import BadRequest, InputError, LLMError, describe_value
from mnesis.llm.base import Chunk, Finish, ModelLimits, ReasoningChunk, Request, TextChunk, ToolCallChunk
from mnesis.models.message import TokenUsage

__all__ = ["Reply", "ScriptedProvider"]

_WORDS = re.compile(r"\S+\s*|\s+")
_LIMITS = ModelLimits(context=128_000, output=4_096)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the script.

    `text` is split into words, unless it is given as the pieces themselves. Each of `tool_calls` is
    `{"name": …, "arguments": dict or raw JSON text, "id": …}`; without an id it gets `call_1`, `call_2`, ….
    `delay` is the wait in seconds before each piece. After the pieces the reply finishes with `finish_reason`
    (default: "tool_calls" where there are any, else "stop"), raises `then`, or, if `broken`, just ends.
    """

    text: str | Sequence[str] = ""
    reasoning: str | Sequence[str] = ""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    usage: TokenUsage | None = None
    cost: float | None = None
    finish_reason: str | None = None
    delay: float = 0.0
    then: LLMError | None = None
    broken: bool = False


type Answer = str | LLMError | Reply
type Entry = Answer | Callable[[Request], Answer]


class ScriptedProvider:
    """Answers the n-th request with the n-th entry of `script`; with `cycle` it starts over at the end.

    An entry is a reply as text, a `Reply`, an `LLMError` to raise, or a function of the request that returns one of
    these. `requests` keeps every request, the refused ones too. Once the script is used up, `BadRequest` is raised.
    """

    def __init__(self, script: Sequence[Entry], *, limits: ModelLimits = _LIMITS, cycle: bool = False) -> None:
        if isinstance(script, str):
            raise InputError(f"script={describe_value(script)} is one text; give a list of replies: [{script[:20]!r}]")
        self.requests: list[Request] = []
        self._script, self._limits, self._cycle = tuple(script), limits, cycle

    def __repr__(self) -> str:
        return f"ScriptedProvider({len(self._script)} replies, {len(self.requests)} requests)"

    def limits(self, model: str) -> ModelLimits:
        """The limits it was made with, for every model."""
        return self._limits

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """The next entry of the script."""
        self.requests.append(request)
        reply = self._reply_to(request, len(self.requests) - 1)
        for piece in _pieces(reply):
            await asyncio.sleep(reply.delay)
            yield piece
        if reply.then is not None:
            raise reply.then.with_traceback(None)
        if not reply.broken:
            reason = reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")
            yield Finish(reason, reply.usage, reply.cost)

    def _reply_to(self, request: Request, number: int) -> Reply:
        size = len(self._script)
        if not size or (number >= size and not self._cycle):
            raise BadRequest(
                f"the script has {size} {'reply' if size == 1 else 'replies'} and this is request number {number + 1}; "
                "add a reply to the script, or pass cycle=True",
                model=request.model,
            )
        entry = self._script[number % size]
        answer = entry if isinstance(entry, str | LLMError | Reply) else entry(request)
        if isinstance(answer, LLMError):
            raise answer.with_traceback(None)
        return Reply(answer) if isinstance(answer, str) else answer


def _pieces(reply: Reply) -> list[Chunk]:
    pieces: list[Chunk] = [ReasoningChunk(text) for text in _split(reply.reasoning)]
    pieces += [TextChunk(text) for text in _split(reply.text)]
    for index, call in enumerate(reply.tool_calls):
        arguments = call.get("arguments", {})
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        half = len(arguments) // 2
        pieces.append(ToolCallChunk(index, id=call.get("id") or f"call_{index + 1}", name=call["name"]))
        pieces += [ToolCallChunk(index, arguments=part) for part in (arguments[:half], arguments[half:]) if part]
    return pieces


def _split(text: str | Sequence[str]) -> Sequence[str]:
    return _WORDS.findall(text) if isinstance(text, str) else text
