"""From the items of a window to the message lists that providers take.

The formats: https://platform.openai.com/docs/api-reference/chat and https://docs.anthropic.com/en/api/messages.
A chat-completion list may end at any of the providers behind litellm, so both keep to the rules of the strictest: the
user begins and roles alternate, a message says something, texts come before calls, every call has an id of its own and
is answered once, right after it.
"""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Literal

from pydantic import Field

from mnesis.models.base import Value
from mnesis.models.media import MediaPart

type WireRole = Literal["system", "tools", "user", "assistant", "tool"]


class WireItem(Value):
    """What the wire formats need of an item.

    A tool call has role "assistant", a `tool_call_id`, and its arguments as JSON in `text`; its result has role "tool"
    and the same `tool_call_id`. Where there are `media`, `text` only tells of them.
    """

    id: str
    role: WireRole
    text: str
    message_id: str | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    media: MediaPart | None = Field(default=None, repr=False)


def to_openai(items: Sequence[WireItem]) -> list[dict[str, Any]]:
    """Chat-completion messages. Calls that wait at the very end are the caller's to answer."""
    return [message for message, _ in with_ids(items)]


def with_ids(items: Sequence[WireItem]) -> list[tuple[dict[str, Any], str]]:
    """Chat-completion messages, each with the id of the item it came from (the last of several)."""
    messages: list[tuple[dict[str, Any], str]] = []
    if system := _system(items):
        messages.append(({"role": "system", "content": system}, "system"))
    for item in _in_order(items):
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


def _say(message: dict[str, Any], item: WireItem) -> None:
    before = message["content"]
    if item.media is not None:
        message["content"] = [*_as_parts(before), openai_media(item.media)]
    elif item.tool_call_id is None and isinstance(before, list):
        before.append({"type": "text", "text": item.text})
    elif item.tool_call_id is None:
        message["content"] = item.text if before is None else f"{before}\n\n{item.text}"
    else:
        function = {"name": item.tool_name, "arguments": item.text}
        call = {"id": item.tool_call_id, "type": "function", "function": function}
        message.setdefault("tool_calls", []).append(call)


def _as_parts(content: str | list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def openai_media(media: MediaPart) -> dict[str, Any]:
    """A content part of a chat-completion message."""
    where = f"data:{media.media_type};base64,{media.data}" if media.data else media.url
    if media.kind == "image":
        detail = {"detail": media.detail} if media.detail else {}
        return {"type": "image_url", "image_url": {"url": where, **detail}}
    if media.data is None:  # litellm's form; OpenAI itself takes no other URLs than those of images
        return {"type": "file", "file": {"file_id": media.url, "format": media.media_type}}
    if media.kind == "audio":
        spelling = _AUDIO_FORMATS.get(media.media_type) or media.media_type.partition("/")[2]
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": spelling}}
    return {"type": "file", "file": {"filename": media.name or "document", "file_data": where}}


_AUDIO_FORMATS = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wave": "wav"}


def to_anthropic(items: Sequence[WireItem]) -> dict[str, Any]:
    """The `system` text and the `messages` of the Anthropic Messages API; waiting calls as in `to_openai`."""
    messages: list[dict[str, Any]] = []
    for item in _in_order(items):
        role = "user" if item.role == "tool" else item.role
        if not messages or messages[-1]["role"] != role:
            messages.append({"role": role, "content": []})
        messages[-1]["content"].append(_anthropic_block(item))
    if messages and messages[-1]["role"] == "assistant" and "text" in (last := messages[-1]["content"][-1]):
        last["text"] = last["text"].rstrip()  # it would be gone on with, and must not end on whitespace
    return {"system": _system(items) or "", "messages": messages}


def _anthropic_block(item: WireItem) -> dict[str, Any]:
    if item.role == "tool":
        return {"type": "tool_result", "tool_use_id": item.tool_call_id, "content": item.text}
    if item.tool_call_id is not None:
        return {"type": "tool_use", "id": item.tool_call_id, "name": item.tool_name, "input": json.loads(item.text)}
    if item.media is not None and (block := anthropic_media(item.media)):
        return block
    return {"type": "text", "text": item.text}


def anthropic_media(media: MediaPart) -> dict[str, Any] | None:
    """A content block of the Messages API; `None` for what it does not take."""
    source: dict[str, Any] = {"type": "base64", "media_type": media.media_type, "data": media.data}
    if media.data is None:
        source = {"type": "url", "url": media.url}
    if media.media_type in _ANTHROPIC_IMAGES:
        return {"type": "image", "source": source}
    if media.media_type == "application/pdf":
        return {"type": "document", "source": source, **({"title": media.name} if media.name else {})}
    return None


_ANTHROPIC_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def _system(items: Iterable[WireItem]) -> str | None:
    return _GAP.join(_system_texts(items)) or None


def system_ends(items: Iterable[WireItem]) -> tuple[int, ...]:
    """Where in the text of the system message its items end, in characters: the system prompt, each summary."""
    lengths = map(len, _system_texts(items))
    return tuple(accumulate(lengths, lambda end, length: end + len(_GAP) + length))


def _system_texts(items: Iterable[WireItem]) -> list[str]:
    return [item.text for item in items if item.role == "system" and item.text.strip()]


_GAP = "\n\n"


# -- the order that every provider takes ---------------------------------------------------------------------------

_NO_RESULT = "(no result was recorded)"
_NO_OUTPUT = "(no output)"
_BEGINNING = "(the conversation goes on)"


def _in_order(items: Iterable[WireItem]) -> list[WireItem]:
    dialogue = _Dialogue()
    for item in items:
        match item.role:
            case "user":
                dialogue.ask(item)
            case "assistant" if item.tool_call_id is not None:
                dialogue.call(item)
            case "assistant":
                dialogue.reply(item)
            case "tool":
                dialogue.answer(item)
            case "system" | "tools":
                pass
    return dialogue.end()


class _Dialogue:
    """What is said, item by item. Nothing that a request may have held is moved by what comes later.

    An assistant's message stays open, its texts before its calls, until something follows the results of these.
    """

    def __init__(self) -> None:
        self._said: list[WireItem] = []
        self._texts: list[WireItem] = []
        self._calls: list[WireItem] = []
        self._results: list[WireItem] = []
        self._waiting: list[tuple[str | None, WireItem]] = []
        self._ids: set[str] = set()
        self._numbers: dict[str, int] = {}
        """The last number that was put behind an id: the ones before it are taken."""

    def ask(self, item: WireItem) -> None:
        """Something that the user says, or shows."""
        if _says_something(item):
            self._close()
            self._said.append(item)

    def reply(self, item: WireItem) -> None:
        """A text of the assistant."""
        if _says_something(item):
            self._go_on()
            self._texts.append(item)

    def call(self, item: WireItem) -> None:
        """A call, under a name and an id that providers take. Some models begin each reply with "call_0" anew."""
        self._go_on()
        id, name = self._unused(item.tool_call_id or ""), _name(item.tool_name or "")
        call = _with(item, tool_call_id=id, tool_name=name, text=_arguments(item.text))
        self._calls.append(call)
        self._waiting.append((item.tool_call_id, call))

    def answer(self, item: WireItem) -> None:
        """A result, for the first call that waits under its id. One that no call waits for is told as a text."""
        for place, (id, call) in enumerate(self._waiting):
            if id == item.tool_call_id:
                del self._waiting[place]
                text = item.text if item.text.strip() else _NO_OUTPUT
                self._results.append(_with(item, tool_call_id=call.tool_call_id, text=text))
                return
        if self._waiting:  # it goes before the calls, behind what was said: calls and results must not be parted
            self._said += self._texts
            self._texts.clear()
        else:
            self._close()
        text = f"[{item.tool_name} answered {item.tool_call_id}, a call that was not waiting]\n{item.text}"
        self._said.append(_with(item, role="user", tool_call_id=None, tool_name=None, text=text))

    def end(self) -> list[WireItem]:
        """All of it. Calls that still wait are the last thing in it, with those of their results that are there."""
        said = [*self._said, *self._texts, *self._calls, *self._results]
        if said and said[0].role != "user":
            said.insert(0, WireItem(id=said[0].id, role="user", text=_BEGINNING))
        return said

    def _go_on(self) -> None:
        if self._results:
            self._close()

    def _close(self) -> None:
        """End the open message, with a word for each result that never came: providers refuse a call without one."""
        stand_ins = [_with(call, role="tool", text=_NO_RESULT) for _, call in self._waiting]
        self._said += [*self._texts, *self._calls, *self._results, *stand_ins]
        for each in (self._texts, self._calls, self._results, self._waiting):
            each.clear()

    def _unused(self, id: str) -> str:
        plain = _NOT_IN_ID.sub("_", id)[:_LONGEST_ID] or "call"
        unused, number = plain, self._numbers.get(plain, 1)
        while unused in self._ids:
            number += 1
            unused = f"{plain[: _LONGEST_ID - 8]}_{number}"
        self._ids.add(unused)
        self._numbers[plain] = number
        return unused


_LONGEST_ID = 40  # OpenAI: "Expected a string with maximum length 40"
_LONGEST_NAME = 64
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def _name(name: str) -> str:
    return _NOT_IN_ID.sub("_", name)[:_LONGEST_NAME] or "tool"


def _arguments(text: str) -> str:
    """The arguments as JSON proper, in which there is no NaN and no infinity: these become texts."""
    if "NaN" not in text and "Infinity" not in text:
        return text
    return json.dumps(json.loads(text, parse_constant=str), ensure_ascii=False, separators=(",", ":"))


def _says_something(item: WireItem) -> bool:
    return item.media is not None or bool(item.text.strip())


def _with(item: WireItem, **fields: Any) -> WireItem:
    changed = {name: value for name, value in fields.items() if getattr(item, name) != value}
    return item.model_copy(update=changed) if changed else item
