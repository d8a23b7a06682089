"""From the items of a window to the message lists that providers take.

The formats: https://platform.openai.com/docs/api-reference/chat and https://docs.anthropic.com/en/api/messages.
Items of one message become one message; neighbours of the same role are joined, because several providers refuse two
user messages in a row (which a failed turn leaves behind).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from mnesis.models.base import Value

type WireRole = Literal["system", "tools", "user", "assistant", "tool"]


class WireItem(Value):
    """What the wire formats need of an item.

    A tool call has role "assistant", a `tool_call_id`, and its arguments as JSON in `text`; its result has role "tool"
    and the same `tool_call_id`.
    """

    id: str
    role: WireRole
    text: str
    message_id: str | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None


def to_openai(items: Sequence[WireItem]) -> list[dict[str, Any]]:
    """Chat-completion messages."""
    return [message for message, _ in with_ids(items)]


def with_ids(items: Sequence[WireItem]) -> list[tuple[dict[str, Any], str]]:
    """Chat-completion messages, each with the id of the item it came from (the last of several)."""
    messages: list[tuple[dict[str, Any], str]] = []
    if system := _system(items):
        messages.append(({"role": "system", "content": system}, "system"))
    for item in _answered(items):
        if item.role == "tool":
            messages.append(({"role": "tool", "tool_call_id": item.tool_call_id, "content": item.text}, item.id))
            continue
        if messages and messages[-1][0]["role"] == item.role:
            message = messages.pop()[0]
        else:
            message = {"role": item.role, "content": None}
        _say(message, item)
        messages.append((message, item.id))
    return messages


def _answered(items: Iterable[WireItem]) -> Iterator[WireItem]:
    """What is said, with a word in place of each result that never came: providers refuse a call without one.

    Calls at the very end still wait for theirs.
    """
    waiting: dict[str, WireItem] = {}
    for item in items:
        if item.role in ("system", "tools"):
            continue
        if item.role == "tool":
            waiting.pop(item.tool_call_id or "", None)
        elif item.tool_call_id is not None:
            waiting[item.tool_call_id] = item
        else:
            yield from (call.model_copy(update={"role": "tool", "text": _NO_RESULT}) for call in waiting.values())
            waiting.clear()
        yield item


_NO_RESULT = "(no result was recorded)"


def _say(message: dict[str, Any], item: WireItem) -> None:
    if item.tool_call_id is None:
        before = message["content"]
        message["content"] = item.text if before is None else f"{before}\n\n{item.text}"
    else:
        function = {"name": item.tool_name, "arguments": item.text}
        call = {"id": item.tool_call_id, "type": "function", "function": function}
        message.setdefault("tool_calls", []).append(call)


def to_anthropic(items: Sequence[WireItem]) -> dict[str, Any]:
    """The `system` text and the `messages` of the Anthropic Messages API."""
    messages: list[dict[str, Any]] = []
    for item in _answered(items):
        role = "user" if item.role == "tool" else item.role
        if not messages or messages[-1]["role"] != role:
            messages.append({"role": role, "content": []})
        messages[-1]["content"].append(_anthropic_block(item))
    return {"system": _system(items) or "", "messages": messages}


def _anthropic_block(item: WireItem) -> dict[str, Any]:
    if item.role == "tool":
        return {"type": "tool_result", "tool_use_id": item.tool_call_id, "content": item.text}
    if item.tool_call_id is not None:
        return {"type": "tool_use", "id": item.tool_call_id, "name": item.tool_name, "input": json.loads(item.text)}
    return {"type": "text", "text": item.text}


def _system(items: Iterable[WireItem]) -> str | None:
    blocks = [item.text for item in items if item.role == "system" and item.text]
    return "\n\n".join(blocks) or None
