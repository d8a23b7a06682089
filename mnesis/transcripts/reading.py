"""What the readers of all forms share: looking at foreign values, and making turns of messages."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from mnesis.errors import InputError, describe_value
from mnesis.intake import parts_of, text_of
from mnesis.llm.reply import UNPARSED
from mnesis.models.media import MediaPart
from mnesis.models.message import Part, ToolPart, ToolStatus
from mnesis.transcripts.model import Transcript, TranscriptMessage, TranscriptTurn

_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime, config={"defer_build": True})


@dataclass(frozen=True, slots=True)
class Node:
    """A value somewhere in what was passed. Every look at it that fails names the place."""

    path: str
    value: Any

    def refuse(self, allowed: str) -> InputError:
        """The error for it: where it is, what it is, what is allowed."""
        return InputError(f"{self.path}={describe_value(self.value)} is not usable; {allowed}")

    def get(self, name: str) -> "Node | None":
        """A field; `None` where it is not there, or null."""
        if not isinstance(self.value, Mapping):
            raise self.refuse("give a dict")
        value = self.value.get(name)
        return None if value is None else Node(f"{self.path}.{name}", value)

    def need(self, name: str) -> "Node":
        """A field that must be there."""
        found = self.get(name)
        if found is None:
            raise InputError(f"{self.path} has no {name!r} ({describe_value(self.value)}); give one")
        return found

    def each(self) -> "Iterator[Node]":
        """The elements of a list."""
        if not isinstance(self.value, Sequence) or isinstance(self.value, str | bytes):
            raise self.refuse("give a list")
        return (Node(f"{self.path}[{index}]", value) for index, value in enumerate(self.value))

    @property
    def is_list(self) -> bool:
        """Whether it has elements."""
        return isinstance(self.value, list | tuple)

    def text(self) -> str:
        """It, as the text that it must be."""
        if not isinstance(self.value, str):
            raise self.refuse("give a str")
        return text_of(self.value, self.path)

    def optional_text(self, name: str) -> str | None:
        """A field, a text where it is there."""
        found = self.get(name)
        return None if found is None else found.text()

    def type_of(self, allowed: Sequence[str]) -> str:
        """The field "type", which must be one of these."""
        kind = self.need("type")
        if kind.value not in allowed:
            raise kind.refuse(f"here are known: {', '.join(allowed)}")
        return str(kind.value)

    def time(self) -> datetime | None:
        """The field "created_at": a time with its zone, as ISO 8601 or in seconds since 1970."""
        if (found := self.get("created_at")) is None:
            return None
        try:
            return _TIME.validate_python(found.value)
        except ValidationError as error:
            raise found.refuse(f"give a time with its zone ({error.errors()[0]['msg']})") from None

    def media(self, **fields: Any) -> MediaPart:
        """It, a URL or a `data:` URL, as a part."""
        try:
            return MediaPart.from_url(self.text(), **fields)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None

    def base64(self, media_type: str, **fields: Any) -> MediaPart:
        """It, base64, as a part."""
        return Node(self.path, f"data:{media_type};base64,{self.text()}").media(**fields)


def arguments_of(node: Node | None) -> dict[str, Any]:
    """The arguments of a call: an object, or one as JSON. What a model wrote instead is kept under `UNPARSED`."""
    if node is None:
        return {}
    if isinstance(node.value, Mapping):
        return dict(node.value)
    text = node.text()
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {UNPARSED: text}
    return arguments if isinstance(arguments, dict) else {UNPARSED: text}


@dataclass(slots=True)
class _Turn:
    user: tuple[Part, ...] = ()
    name: str | None = None
    created_at: datetime | None = None
    messages: list[TranscriptMessage] = field(default_factory=list)


class Turns:
    """Makes turns of messages, in the order in which they were said."""

    def __init__(self) -> None:
        self._system: list[str] = []
        self._turns: list[_Turn] = []
        self._waiting: list[ToolPart] = []
        self._calls = 0

    def system(self, node: Node, text: str) -> None:
        """A system prompt; several at the beginning are one."""
        if self._turns:
            raise InputError(
                f"{node.path} has a system prompt after the conversation began ({describe_value(text)}); "
                "put it first, or make it a message of the user"
            )
        self._system.append(text)

    def user(self, node: Node, parts: Sequence[Part], name: str | None = None) -> None:
        """What the user said: a turn begins."""
        self._turns.append(_Turn(_checked(node, parts), name, node.time()))

    def assistant(self, node: Node, parts: Sequence[Part], name: str | None = None) -> None:
        """What the assistant said. Its calls wait for their results, before those that wait already."""
        said = TranscriptMessage(role="assistant", parts=_checked(node, parts), name=name, created_at=node.time())
        self._last().messages.append(said)
        self._waiting = [*(part for part in said.parts if isinstance(part, ToolPart)), *self._waiting]

    def new_id(self) -> str:
        """An id for a call that came without one."""
        self._calls += 1
        return f"call_{self._calls}"

    def waiting_for(self, node: Node, *, id: str | None = None, tool: str | None = None) -> ToolPart:
        """The call that a result answers, by its id or the name of the tool, else the first that waits."""
        for call in self._waiting:
            if (id is None or call.tool_call_id == id) and (tool is None or call.tool_name == tool):
                self._waiting.remove(call)
                return call
        waiting = ", ".join(f"{call.tool_call_id!r} of {call.tool_name}" for call in self._waiting) or "none"
        raise InputError(
            f"{node.path} answers call {id or tool!r}, which does not wait for a result; those that wait: {waiting}"
        )

    def result(
        self, node: Node, call: ToolPart, output: str, media: Sequence[MediaPart] = (), *, failed: bool = False
    ) -> None:
        """What a tool answered. Results one after the other are one message."""
        done = {"error_message": output, "status": ToolStatus.ERROR}
        if not failed:
            done = {"output": output, "status": ToolStatus.COMPLETED}
        parts = _checked(node, [call.model_copy(update=done), *media])
        messages = self._last().messages
        if messages and messages[-1].role == "tool":
            messages[-1] = messages[-1].model_copy(update={"parts": (*messages[-1].parts, *parts)})
        else:
            messages.append(TranscriptMessage(role="tool", parts=parts, created_at=node.time()))

    def transcript(self) -> Transcript:
        """All of it."""
        turns = tuple(
            TranscriptTurn(user=turn.user, messages=tuple(turn.messages), name=turn.name, created_at=turn.created_at)
            for turn in self._turns
        )
        return Transcript(system_prompt="\n\n".join(self._system) if self._system else None, turns=turns)

    def _last(self) -> _Turn:
        if not self._turns:
            self._turns.append(_Turn())
        return self._turns[-1]


def _checked(node: Node, parts: Sequence[Part]) -> tuple[Part, ...]:
    return parts_of(list(parts), node.path, may_be_empty=True)
