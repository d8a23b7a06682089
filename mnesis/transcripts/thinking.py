"""Reasoning as Anthropic has it, and litellm passes it on: with a signature, or encrypted.

https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking
"""

from typing import Any

from mnesis.models.message import ReasoningPart
from mnesis.transcripts.reading import Node

KINDS = ("thinking", "redacted_thinking")


def read_block(block: Node) -> ReasoningPart:
    """A block as a part: its text, and in `data` all that has to go back with it."""
    kind = block.type_of(KINDS)
    data = {name: value for name, value in dict(block.value).items() if name != "thinking"}
    if kind == "redacted_thinking":
        return ReasoningPart(text="", data=data)
    return ReasoningPart(text=block.need("thinking").text(), data=data if len(data) > 1 else None)


def written_block(part: ReasoningPart) -> dict[str, Any]:
    """A part as a block."""
    data = part.data or {"type": "thinking"}
    return data if data.get("type") == "redacted_thinking" else {"type": "thinking", "thinking": part.text} | data
