"""Gives reasoning back to the providers that want it with the tool calls that came of it, within the same turn.

Anthropic wants its blocks, signed, as they were:
https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#preserving-thinking-blocks.
DeepSeek and Moonshot want the text. Gemini's signature is a part of the call's id, as litellm writes it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from mnesis.llm.base import ReasoningChunk, Request
from mnesis.llm.catalog import provider_of
from mnesis.models.message import ReasoningPart

_WANT_TEXT = ("deepseek", "moonshot")


def chunks_in(delta: Any) -> Iterator[ReasoningChunk]:
    """The reasoning in one of litellm's deltas. It tells the text twice; the end of a block brings the signature."""
    if text := getattr(delta, "reasoning_content", None):
        yield ReasoningChunk(text)
    for block in getattr(delta, "thinking_blocks", None) or ():
        if block.get("signature") or block.get("data"):
            yield ReasoningChunk("", {name: value for name, value in block.items() if name != "thinking"})


def with_thoughts(messages: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """The messages, those with tool calls of this turn with the reasoning that led to them."""
    if not request.thoughts:
        return messages
    wants_text = provider_of(request.model) in _WANT_TEXT
    return [
        {**message, **_thoughts(request.thoughts.get(id, ()), wants_text)}
        for message, id in zip(messages, request.ids, strict=True)
    ]


def _thoughts(thoughts: Sequence[ReasoningPart], wants_text: bool) -> dict[str, Any]:
    if wants_text and thoughts:
        return {"reasoning_content": "\n\n".join(part.text for part in thoughts)}
    blocks = [_block(part) for part in thoughts if part.data]
    return {"thinking_blocks": blocks} if blocks else {}


def _block(part: ReasoningPart) -> dict[str, Any]:
    data = part.data or {}
    return data if data.get("type") == "redacted_thinking" else {**data, "thinking": part.text}
