"""Chat-completion messages: https://platform.openai.com/docs/api-reference/chat/create."""

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

from mnesis.models.media import MediaPart
from mnesis.models.message import FileRefPart, Part, ReasoningPart, TextPart, ToolPart, ToolStatus
from mnesis.models.wire import openai_media
from mnesis.rendering import arguments_json, file_reference, media_label, original_of
from mnesis.transcripts.model import Transcript, TranscriptMessage, steps
from mnesis.transcripts.reading import Node, Turns, arguments_of
from mnesis.transcripts.thinking import read_block, written_block

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

# -- reading -----------------------------------------------------------------------------------------------------


def read(message: Node, turns: Turns) -> None:
    """Take in one message."""
    role = message.need("role")
    match role.value:
        case "system" | "developer":
            turns.system(message, _plain(message.get("content")))
        case "user":
            turns.user(message, _said(message.get("content")), message.optional_text("name"))
        case "assistant":
            turns.assistant(message, list(_answered(message, turns)), message.optional_text("name"))
        case "tool":
            id, tool = message.optional_text("tool_call_id"), None
            if id is None:
                tool = message.optional_text("name") or message.optional_text("tool_name")
            turns.result(message, turns.waiting_for(message, id=id, tool=tool), _plain(message.get("content")))
        case "function":
            call = turns.waiting_for(message, tool=message.need("name").text())
            turns.result(message, call, _plain(message.get("content")))
        case _:
            raise role.refuse(f"a role is one of: {', '.join(ROLES)}")


def _plain(content: Node | None) -> str:
    """A content that has to be text: a str, or a list of text parts."""
    if content is None or not content.is_list:
        return "" if content is None else content.text()
    parts = [part for part in content.each() if part.type_of(["text"])]
    return "\n".join(part.need("text").text() for part in parts)


def _said(content: Node | None) -> list[Part]:
    if content is None or not content.is_list:
        return [TextPart(text="" if content is None else content.text())]
    return [_part(part) for part in content.each()]


def _part(part: Node) -> Part:
    match part.type_of(["text", "image_url", "input_audio", "file", "refusal"]):
        case "image_url":
            image = part.need("image_url")
            if isinstance(image.value, str):
                return image.media()
            return image.need("url").media(detail=image.optional_text("detail"))
        case "input_audio":
            sound = part.need("input_audio")
            spelling = sound.need("format").text()
            return sound.need("data").base64(f"audio/{'mpeg' if spelling == 'mp3' else spelling}")
        case "file":
            file = part.need("file")
            if (data := file.get("file_data")) is not None:
                return data.media(name=file.optional_text("filename"))
            if (url := file.get("file_id")) is not None and "://" in url.text():
                return url.media(media_type=file.optional_text("format"))
            raise file.refuse("give its file_data: a file that only the provider holds cannot be read")
        case "refusal":
            return TextPart(text=part.need("refusal").text())
        case _:
            return TextPart(text=part.need("text").text())


def _answered(message: Node, turns: Turns) -> Iterator[Part]:
    """The parts of an assistant's message: reasoning, texts, calls."""
    if (blocks := message.get("thinking_blocks")) is not None:
        yield from map(read_block, blocks.each())
    elif (thought := message.get("reasoning_content") or message.get("reasoning")) is not None:
        yield ReasoningPart(text=thought.text())
    content = message.get("content")
    if content is not None and content.value:
        yield from _said(content)
    if refusal := message.optional_text("refusal"):
        yield TextPart(text=refusal)
    if (calls := message.get("tool_calls")) is not None:
        for call in calls.each():
            if call.get("type") is not None:
                call.type_of(["function"])
            yield _call(call.need("function"), call.optional_text("id") or turns.new_id())
    if (legacy := message.get("function_call")) is not None:
        yield _call(legacy, turns.new_id())


def _call(function: Node, id: str) -> ToolPart:
    name = function.need("name")
    if not name.text():
        raise name.refuse("give the name of the tool")
    return ToolPart(tool_name=name.text(), tool_call_id=id, input=arguments_of(function.get("arguments")))


# -- writing -----------------------------------------------------------------------------------------------------


def to_openai_messages(transcript: Transcript) -> list[dict[str, Any]]:
    """The conversation as chat-completion messages, reasoning as litellm has it.

    What that form has no place for is told in words: files, media that the assistant shows, an error as "Error: …".
    """
    messages: list[dict[str, Any]] = []
    if transcript.system_prompt is not None:
        messages.append({"role": "system", "content": transcript.system_prompt})
    for turn in transcript.turns:
        if turn.user:
            messages.append({"role": "user", **_named(turn.name), "content": _content(turn.user)})
        for message in turn.messages:
            for step in steps(message):
                messages += _results(step) if step.role == "tool" else [_reply(step)]
    return messages


def _named(name: str | None) -> dict[str, Any]:
    return {} if name is None else {"name": name}


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    match parts:
        case [TextPart(text=text)]:
            return text
        case _:
            return [_written(part) for part in parts]


def _written(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case MediaPart():
            return openai_media(part)
        case FileRefPart():
            return {"type": "text", "text": file_reference(part)}
        case ReasoningPart() | ToolPart():
            return {"type": "text", "text": original_of(part)}
        case _:
            assert_never(part)


def _reply(message: TranscriptMessage) -> dict[str, Any]:
    texts = [
        TextPart(text=media_label(part)) if isinstance(part, MediaPart) else part
        for part in message.parts
        if not isinstance(part, ReasoningPart | ToolPart)
    ]
    calls = [_written_call(part) for part in message.parts if isinstance(part, ToolPart)]
    written: dict[str, Any] = {"role": "assistant", **_named(message.name)}
    match [part for part in message.parts if isinstance(part, ReasoningPart)]:
        case []:
            pass
        case [ReasoningPart(text=text, data=None)]:
            written["reasoning_content"] = text
        case thoughts:
            written["thinking_blocks"] = [written_block(thought) for thought in thoughts]
    written["content"] = _content(texts) if texts else None if calls else ""
    return written | ({"tool_calls": calls} if calls else {})


def _written_call(call: ToolPart) -> dict[str, Any]:
    function = {"name": call.tool_name, "arguments": arguments_json(call.input)}
    return {"id": call.tool_call_id, "type": "function", "function": function}


def _results(message: TranscriptMessage) -> Iterator[dict[str, Any]]:
    shown: list[Part] = []
    for part in message.parts:
        if not isinstance(part, ToolPart):
            shown.append(part)
        elif part.finished:
            yield {"role": "tool", "tool_call_id": part.tool_call_id, "content": _outcome(part)}
    if shown:
        yield {"role": "user", "content": _content(shown)}


def _outcome(part: ToolPart) -> str:
    return f"Error: {part.error_message or ''}" if part.status is ToolStatus.ERROR else part.output or ""
