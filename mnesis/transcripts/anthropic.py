"""Messages of the Anthropic API: https://docs.anthropic.com/en/api/messages."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, assert_never

from mnesis.models.media import MediaPart
from mnesis.models.message import FileRefPart, Part, ReasoningPart, TextPart, ToolPart, ToolStatus
from mnesis.models.wire import anthropic_media
from mnesis.rendering import file_reference, media_label
from mnesis.transcripts.model import Transcript, TranscriptMessage, steps
from mnesis.transcripts.reading import Node, Turns, arguments_of
from mnesis.transcripts.thinking import KINDS, read_block, written_block

ROLES = ("system", "user", "assistant")
_SHOWN = ("text", "image", "document")

# -- reading -----------------------------------------------------------------------------------------------------


def is_anthropic(message: Node) -> bool:
    """Whether a message can only be one of these: the other form has no such blocks."""
    content = message.get("content")
    if content is None or not content.is_list:
        return False
    own = ("tool_use", "tool_result", "image", "document", *KINDS)
    return any(kind.value in own for block in content.each() if (kind := block.get("type")) is not None)


def read(message: Node, turns: Turns) -> None:
    """Take in one message. What the user says behind results begins a turn."""
    role, content = message.need("role"), message.need("content")
    blocks = list(content.each()) if content.is_list else []
    match role.value:
        case "system":
            turns.system(message, read_system(content))
        case "assistant":
            plain = () if content.is_list or not content.text() else (TextPart(text=content.text()),)
            turns.assistant(message, [*plain, *(_answered(block, turns) for block in blocks)])
        case "user":
            kinds = [block.type_of(("tool_result", *_SHOWN)) for block in blocks]
            for block, kind in zip(blocks, kinds, strict=True):
                if kind == "tool_result":
                    _read_result(message, block, turns)
            said = [_shown(block) for block, kind in zip(blocks, kinds, strict=True) if kind != "tool_result"]
            if said or not blocks:
                turns.user(message, said if content.is_list else [TextPart(text=content.text())])
        case _:
            raise role.refuse(f"a role is one of: {', '.join(ROLES)}")


def read_system(system: Node) -> str:
    """The text of a system prompt: a str, or a list of text blocks."""
    if not system.is_list:
        return system.text()
    return "\n\n".join(block.need("text").text() for block in system.each() if block.type_of(["text"]))


def _answered(block: Node, turns: Turns) -> Part:
    kind = block.type_of(("text", "tool_use", *KINDS))
    if kind in KINDS:
        return read_block(block)
    if kind == "text":
        return TextPart(text=block.need("text").text())
    name = block.need("name")
    if not name.text():
        raise name.refuse("give the name of the tool")
    id = block.optional_text("id") or turns.new_id()
    return ToolPart(tool_name=name.text(), tool_call_id=id, input=arguments_of(block.get("input")))


def _read_result(message: Node, block: Node, turns: Turns) -> None:
    call = turns.waiting_for(block, id=block.need("tool_use_id").text())
    content, failed = block.get("content"), block.get("is_error")
    parts: list[Part] = []
    if content is not None:
        parts = [_shown(each) for each in content.each()] if content.is_list else [TextPart(text=content.text())]
    output = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    media = [part for part in parts if isinstance(part, MediaPart)]
    turns.result(message, call, output, media, failed=failed is not None and bool(failed.value))


def _shown(block: Node) -> Part:
    kind = block.type_of(_SHOWN)
    if kind == "text":
        return TextPart(text=block.need("text").text())
    source, name = block.need("source"), block.optional_text("title")
    match source.type_of(["base64", "url", "text"] if kind == "document" else ["base64", "url"]):
        case "base64":
            return source.need("data").base64(source.need("media_type").text(), name=name)
        case "url":
            fallback = {"media_type": "application/pdf"} if kind == "document" else {}
            return source.need("url").media(name=name, **fallback)
        case _:
            text = source.need("data").text()
            return TextPart(text=text if name is None else f"{name}\n{text}")


# -- writing -----------------------------------------------------------------------------------------------------


def to_anthropic_messages(transcript: Transcript) -> dict[str, Any]:
    """The conversation as `{"system": …, "messages": […]}`; `system` is left out where there is none.

    What that form has no place for is told in words: files, sounds, media that the assistant shows.
    """
    messages: list[dict[str, Any]] = []
    for turn in transcript.turns:
        if turn.user:
            _ask(messages, turn.user)
        for message in turn.messages:
            for step in steps(message):
                role = "user" if step.role == "tool" else "assistant"
                messages.append({"role": role, "content": _content(step)})
    system = {} if transcript.system_prompt is None else {"system": transcript.system_prompt}
    return {**system, "messages": messages}


def _ask(messages: list[dict[str, Any]], parts: Sequence[Part]) -> None:
    """Add what the user says: behind results in their message, because both are the user's."""
    blocks = [_written(part) for part in parts]
    last = messages[-1]["content"] if messages and messages[-1]["role"] == "user" else []
    if last and last[-1]["type"] == "tool_result":
        last += blocks
    else:
        messages.append({"role": "user", "content": blocks})


def _content(message: TranscriptMessage) -> list[dict[str, Any]]:
    if message.role == "tool":
        return list(_results(message.parts))
    return [
        {"type": "text", "text": media_label(part)} if isinstance(part, MediaPart) else _written(part)
        for part in message.parts
    ]


def _written(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ReasoningPart():
            return written_block(part)
        case ToolPart():
            return {"type": "tool_use", "id": part.tool_call_id, "name": part.tool_name, "input": part.input}
        case MediaPart():
            return anthropic_media(part) or {"type": "text", "text": media_label(part)}
        case FileRefPart():
            return {"type": "text", "text": file_reference(part)}
        case _:
            assert_never(part)


def _results(parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
    """Each result with the media behind it."""
    number = 0
    numbered: list[tuple[int, Part]] = []
    for part in parts:
        number += isinstance(part, ToolPart)
        numbered.append((number, part))
    for _, group in groupby(numbered, key=lambda each: each[0]):
        first, *media = (part for _, part in group)
        if isinstance(first, ToolPart) and first.finished:
            yield _result(first, [_written(part) for part in media])


def _result(part: ToolPart, media: list[dict[str, Any]]) -> dict[str, Any]:
    failed = part.status is ToolStatus.ERROR
    text = (part.error_message if failed else part.output) or ""
    content: str | list[dict[str, Any]] = text
    if media:
        content = [*([{"type": "text", "text": text}] if text else []), *media]
    return {
        "type": "tool_result",
        "tool_use_id": part.tool_call_id,
        "content": content,
        **({"is_error": True} if failed else {}),
    }
