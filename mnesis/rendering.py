"""The only place where a part becomes text for the model.

A message becomes blocks, in the order of its parts; each block is one item of the window. What a block says is a pure
function of the stored part, so any past window can be rendered again, byte for byte.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_never

from mnesis.models.context import ItemKind
from mnesis.models.message import FileRefPart, Part, ReasoningPart, Role, TextPart, ToolPart, ToolStatus
from mnesis.models.wire import WireRole


@dataclass(frozen=True, slots=True)
class Block:
    """One item of the window before it is counted. `part` is the index of the part that it renders."""

    kind: ItemKind
    role: WireRole
    text: str
    part: int
    tool_call_id: str | None = None
    tool_name: str | None = None

    @property
    def is_result(self) -> bool:
        """Whether this is what a tool answered, not what was said or called."""
        return self.role == "tool"


def blocks(role: Role, parts: tuple[Part, ...]) -> list[Block]:
    """The blocks of one message. Reasoning is not sent; a call that was answered is followed by its result."""
    return list(_blocks(role, parts))


def _blocks(role: Role, parts: tuple[Part, ...]) -> Iterator[Block]:
    answered: list[Block] = []
    for index, part in enumerate(parts):
        match part:
            case TextPart():
                yield from answered
                answered.clear()
                if part.text:
                    yield Block("user" if role == "user" else "assistant", _speaker(role), part.text, index)
            case ToolPart():
                if role != "tool":
                    yield _call(part, index)
                if part.finished:
                    answered.append(_result(part, index))
            case FileRefPart():
                yield Block("file", _speaker(role), file_reference(part), index)
            case ReasoningPart():
                pass
            case _:
                assert_never(part)
    yield from answered


def file_reference(part: FileRefPart) -> str:
    """What stands in the window for a file that is kept outside."""
    head = f"[file {part.file_id} · {part.path} · {part.media_type} · {part.size:,} bytes · {part.tokens:,} tokens]"
    return f"{head}\n{part.summary}" if part.summary else head


def arguments_json(arguments: dict[str, Any]) -> str:
    """Tool arguments as the model wrote them: compact JSON, keys in their order."""
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))


def _speaker(role: Role) -> WireRole:
    return "assistant" if role == "assistant" else "user"


def _call(part: ToolPart, index: int) -> Block:
    return Block("tool", "assistant", arguments_json(part.input), index, part.tool_call_id, part.tool_name)


def _result(part: ToolPart, index: int) -> Block:
    failed = part.status is ToolStatus.ERROR
    text = f"Error: {part.error_message or 'the tool failed'}" if failed else part.output or "(no output)"
    return Block("tool", "tool", text, index, part.tool_call_id, part.tool_name)
