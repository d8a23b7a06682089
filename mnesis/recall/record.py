"""What recall needs of a session, and how its ids are looked up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mnesis.context.assembly import LiveWindow
from mnesis.errors import InputError, NotFound, describe_value
from mnesis.ids import kind_of
from mnesis.models.context import Budget, ContextWindow
from mnesis.models.message import Message, TokenUsage
from mnesis.models.summary import Summary
from mnesis.store import Tx, messages, summaries
from mnesis.store.rows import SessionRow
from mnesis.tokens import TokenCounter


class Record(Protocol):
    """What recall needs of a session's record in the store."""

    row: SessionRow
    counter: TokenCounter

    @property
    def usage(self) -> TokenUsage: ...
    async def live(self) -> LiveWindow: ...
    async def next_window(self, budget: Budget) -> ContextWindow: ...
    async def past_window(self, turn: int, budget: Budget) -> ContextWindow: ...


type CurrentBudget = Callable[[], Budget]


@dataclass(frozen=True, slots=True)
class Said:
    """A message, or one part of it."""

    message: Message
    part: int | None = None

    @property
    def part_ids(self) -> tuple[str, ...]:
        """The parts that are meant."""
        return self.message.part_ids if self.part is None else (self.message.part_ids[self.part],)


def kind(id: object, wanted: tuple[str, ...]) -> str:
    """What an id names. Raises `InputError` where that is none of what is wanted."""
    found = kind_of(id) if isinstance(id, str) else None
    if found is None or found not in wanted:
        raise InputError(f"id={describe_value(id)} does not name a {', a '.join(wanted)}; give an id as it is printed")
    return found


def said(cx: Tx, session_id: str, id: str) -> Said:
    """The message, the part or the file of this id. Raises `NotFound`, also for another session's."""
    match kind_of(id):
        case "message":
            if message := messages.find(cx, session_id, [id]).get(id):
                return Said(message)
        case "part":
            if message := messages.of_part(cx, session_id, id):
                return Said(message, message.part_ids.index(id))
        case "file":
            if found := messages.of_file(cx, session_id, id):
                return Said(found[0], found[0].part_ids.index(found[1]))
    raise missing(session_id, id)


def summary(cx: Tx, session_id: str, id: str) -> Summary:
    """The summary of this id. Raises `NotFound`, also for another session's."""
    found = summaries.find(cx, session_id, id)
    if found is None:
        raise missing(session_id, id)
    return found


def missing(session_id: str, id: str) -> NotFound:
    """The error for an id that is not there, or another session's."""
    return NotFound(kind_of(id) or "item", id, f"session {session_id} does not hold it; check the id and the session")
