"""What a turn writes, as functions over an open transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mnesis.context.assembly import Entry
from mnesis.errors import MnesisError
from mnesis.events.payloads import (
    MessageCreatedPayload,
    MnesisEvent,
    Payload,
    TurnAbortedPayload,
    TurnCommittedPayload,
    TurnFailedPayload,
)
from mnesis.ledger.windows import drafted
from mnesis.ledger.writing import Posting
from mnesis.llm.redact import redact_error
from mnesis.models.context import ContextBreakdown
from mnesis.models.message import Part, TokenUsage, ToolPart, TurnState
from mnesis.store import Tx, branches, messages, summaries, turns, views
from mnesis.store.messages import NewMessage
from mnesis.store.rows import usage_columns
from mnesis.store.turns import NewTurn, TurnRow

_INTERRUPTED = "the turn was cut off before this call had a result"


class StaleWindow(MnesisError):
    """Another process moved the session on since the window was read. Internal: read it again."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a turn's request was, as far as the store keeps it: its hash, and its tokens by kind."""

    request_hash: str
    tokens: ContextBreakdown


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended: what to store with it. `parts` is the reply, or as much of it as there is.

    `results` are those of tool calls that had come when the turn was cut off. `replied`: the last thing that the model
    said is stored already, so that without parts there is no reply to store. `at` is when it ended, by default now.
    """

    state: TurnState
    parts: tuple[Part, ...] = ()
    usage: TokenUsage | None = None
    cost: float | None = None
    finish_reason: str | None = None
    requests: int | None = None
    error: BaseException | None = None
    reason: str = "it was interrupted"
    results: tuple[ToolPart, ...] = ()
    replied: bool = False
    at: datetime | None = None


CUT_OFF = Outcome(TurnState.ABORTED, reason="it was interrupted, or its process ended")
"""The end of a turn whose process died."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the first write of a turn left: its index, the view, and what came into the window."""

    index: int
    view: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Finished:
    """What the last write of a turn left: the view, what came into the window, the turn."""

    view: int
    entries: list[Entry]
    turn: TurnRow


def open_turn(
    cx: Tx,
    posting: Posting,
    session_id: str,
    turn: NewTurn,
    opening: Sequence[NewMessage],
    sent: Sent,
    expected: int,
) -> Opened:
    """Insert a turn and the messages that begin it. Raises `StaleWindow` unless the newest view is the expected one."""
    if views.current(cx, session_id) != expected:
        raise StaleWindow(f"session {session_id} has moved on from view {expected}")
    index = branches.next_number(cx, session_id, "turn")
    cause = f"{opening[-1].role} message" if opening else "recorded turn"
    view = views.advance(cx, session_id, cause, index, posting.now)
    turns.open_turn(cx, session_id, turn, index, view, sent.request_hash, sent.tokens, turn.at or posting.now)
    entries = [insert(cx, posting, session_id, turn.id, index, message, view) for message in opening]
    return Opened(index, view, entries)


def add(cx: Tx, posting: Posting, session_id: str, turn_id: str, index: int, message: NewMessage, cause: str) -> Opened:
    """Insert a message of an open turn, in a view of its own unless it is partial."""
    if message.partial:
        insert(cx, posting, session_id, turn_id, index, message, -1)
        return Opened(index, views.current(cx, session_id), [])
    view = views.advance(cx, session_id, cause, index, posting.now)
    return Opened(index, view, [insert(cx, posting, session_id, turn_id, index, message, view)])


def finish_turn(
    cx: Tx, posting: Posting, session_id: str, turn_id: str, index: int, outcome: Outcome, last: Sequence[NewMessage]
) -> Finished | None:
    """End an open turn with its last messages. `None`, with nothing changed, where it has ended already."""
    if not turns.finish_turn(cx, turn_id, outcome.state, outcome.at or posting.now, _columns(outcome)):
        return None
    view = views.current(cx, session_id)
    entries: list[Entry] = []
    for message in last:
        cause = "reply" if message.role == "assistant" else "tool round"
        added = add(cx, posting, session_id, turn_id, index, message, cause)
        view, entries = added.view, [*entries, *added.entries]
    posting.post(cx, *_ending(session_id, turn_id, index, outcome), index)
    row = turns.find_turn(cx, session_id, index)
    assert row is not None, "the turn that was just finished is there"
    return Finished(view, entries, row)


def unanswered(cx: Tx, session_id: str, turn_id: str, came: Sequence[ToolPart] = ()) -> tuple[ToolPart, ...]:
    """The results of the tool calls of a turn that ends too early: those that came, and errors for all others."""
    calls: dict[str, ToolPart] = {}
    said = (message for message in messages.of_turn(cx, session_id, turn_id) if not message.partial)
    for part in (part for message in said for part in message.parts if isinstance(part, ToolPart)):
        if part.finished:
            calls.pop(part.tool_call_id, None)
        else:
            calls[part.tool_call_id] = part
    results = {part.tool_call_id: part for part in came}
    return tuple(results.get(id, call.failed(_INTERRUPTED)) for id, call in calls.items())


def insert(
    cx: Tx, posting: Posting, session_id: str, turn_id: str, index: int, message: NewMessage, view: int
) -> Entry:
    """Insert a message; unless it is partial, it stands in the window from this view on."""
    seq = messages.append(cx, session_id, turn_id, index, message, message.at or posting.now)
    entry = drafted(seq, index, message)
    if not message.partial:
        views.add_item(cx, session_id, seq, view, "message", message.id, entry.tokens)
        summaries.set_tombstones(cx, session_id, view, message.excerpts.values())
    payload = MessageCreatedPayload(
        session_id=session_id, message_id=message.id, role=message.role, turn=index, tokens=message.tokens
    )
    posting.post(cx, MnesisEvent.MESSAGE_CREATED, payload, index)
    return entry


def _ending(session_id: str, turn_id: str, index: int, outcome: Outcome) -> tuple[MnesisEvent, Payload]:
    head: dict[str, Any] = {"session_id": session_id, "turn": index, "turn_id": turn_id}
    match outcome.state:
        case TurnState.COMMITTED:
            told: dict[str, Any] = {"finish_reason": outcome.finish_reason, "tokens": outcome.usage}
            return MnesisEvent.TURN_COMMITTED, TurnCommittedPayload(**head, **told, cost=outcome.cost)
        case TurnState.FAILED:
            kind = type(outcome.error).__name__
            return MnesisEvent.TURN_FAILED, TurnFailedPayload(
                **head, error_kind=kind, error=redact_error(outcome.error)
            )
        case _:
            return MnesisEvent.TURN_ABORTED, TurnAbortedPayload(**head, reason=outcome.reason)


def _columns(outcome: Outcome) -> dict[str, Any]:
    columns: dict[str, Any] = {"cost": outcome.cost, "finish_reason": outcome.finish_reason}
    columns["requests"] = outcome.requests
    if outcome.usage is not None:
        columns |= usage_columns(outcome.usage)
    if outcome.error is not None:
        columns |= {"error_kind": type(outcome.error).__name__, "error": redact_error(outcome.error)}
    return columns
