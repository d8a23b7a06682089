"""A conversation as a value: a system prompt, and turns."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import AwareDatetime

from mnesis.models.base import Checked
from mnesis.models.message import Message, Part, ToolPart, ToolStatus


class TranscriptMessage(Checked):
    """A message that answers: of the assistant, or the results of tools.

    The calls of an assistant's message are pending `ToolPart`s; the "tool" message behind it has the same parts,
    finished, each followed by the media that came with the result. `Transcript.of` also gives what the store may hold:
    finished `ToolPart`s in the assistant's own message. `name` is the speaker's, where several are told apart.
    """

    role: Literal["assistant", "tool"]
    parts: tuple[Part, ...]
    name: str | None = None
    created_at: AwareDatetime | None = None


class TranscriptTurn(Checked):
    """What the user said, and all that answers it.

    `user` is empty only in the first turn, where the assistant speaks first. `messages` is empty where nobody
    answered: two messages of the user in a row are two turns. `name` and `created_at` are of the user's message; `key`
    tells the turn from others wherever it is stored, so that storing it twice stores it once. A session keeps no names.
    """

    user: tuple[Part, ...] = ()
    messages: tuple[TranscriptMessage, ...] = ()
    name: str | None = None
    created_at: AwareDatetime | None = None
    key: str | None = None


class Transcript(Checked):
    """A conversation. `system_prompt` is `None` where none was given."""

    system_prompt: str | None = None
    turns: tuple[TranscriptTurn, ...] = ()

    @classmethod
    def of(
        cls,
        messages: Iterable[Message],
        system_prompt: str | None = None,
        keys: Mapping[int, str] = MappingProxyType({}),
    ) -> Self:
        """The transcript of a session's log: without its summaries, and without the partial replies of failed turns.

        A turn that only answers the calls of the one before belongs to that one. `keys` are those of turns, by index.
        """
        turns: list[TranscriptTurn] = []
        newest = None
        for message in messages:
            if message.partial or message.role == "summary":
                continue
            if message.role == "user":
                key = keys.get(message.turn)
                turns.append(TranscriptTurn(user=message.parts, created_at=message.created_at, key=key))
            elif not turns or (message.turn != newest and message.role == "assistant"):
                turns.append(TranscriptTurn(key=keys.get(message.turn)))
            if message.role != "user":
                said = TranscriptMessage(role=message.role, parts=message.parts, created_at=message.created_at)
                turns[-1] = turns[-1].model_copy(update={"messages": (*turns[-1].messages, said)})
            newest = message.turn
        return cls(system_prompt=system_prompt, turns=tuple(turns))


def steps(message: TranscriptMessage) -> Iterator[TranscriptMessage]:
    """A message as providers know it: what the assistant says and calls, then what the tools answer.

    They are several where an assistant's message holds finished calls.
    """
    if message.role == "tool":
        yield message
        return
    said: list[Part] = []
    answers: list[Part] = []
    for part in message.parts:
        if answers and not isinstance(part, ToolPart):
            yield message.model_copy(update={"parts": tuple(said)})
            yield message.model_copy(update={"role": "tool", "parts": tuple(answers)})
            said, answers = [], []
        said.append(_call(part) if isinstance(part, ToolPart) else part)
        if isinstance(part, ToolPart) and part.finished:
            answers.append(part)
    yield message.model_copy(update={"parts": tuple(said)})
    if answers:
        yield message.model_copy(update={"role": "tool", "parts": tuple(answers)})


def _call(part: ToolPart) -> ToolPart:
    return part.model_copy(
        update={"output": None, "error_message": None, "status": ToolStatus.PENDING, "recalled": False}
    )
