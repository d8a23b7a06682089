"""What was said, as the log has it: the script of a replay."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from mnesis import errors
from mnesis.events.payloads import (
    EventRecord,
    TurnAbortedPayload,
    TurnCommittedPayload,
    TurnFailedPayload,
)
from mnesis.ledger import Ledger, Outcome
from mnesis.models.message import Message, TurnState
from mnesis.store import turns
from mnesis.store.turns import ToolSet, TurnRow


@dataclass(frozen=True, slots=True)
class Past:
    """A turn that is over. `opening` is what began it; `said` is what was stored on the way, `outcome` how it ended."""

    index: int
    opening: Message | None
    said: tuple[Message, ...]
    outcome: Outcome
    ended: datetime
    output: int | None
    """Tokens of its replies, where a provider reported them."""
    system_prompt: str | None = None
    tools: ToolSet | None = None
    key: str | None = None


@dataclass(slots=True)
class Script:
    """The finished turns of a session, in order, and a clock that shows the time of what is being replayed."""

    turns: Sequence[Past]
    messages: Sequence[Message]
    time: datetime

    @classmethod
    async def of(cls, ledger: Ledger) -> "Script":
        """All of a session's turns but one that is running."""
        rows = ledger.accounts.rows[: ledger.accounts.settled()]
        log = [message for message in await ledger.log() if not message.is_summary and message.turn < len(rows)]
        ends = {record.turn: record for record in await ledger.events() if isinstance(record.payload, _ENDS)}
        keys = await ledger.keys()
        sets = await ledger.read(lambda cx: {row.tools: turns.tool_set(cx, row.tools) for row in rows})
        by_turn = {turn: list(messages) for turn, messages in groupby(log, key=lambda message: message.turn)}
        past = [
            replace(
                _past(row, by_turn.get(row.idx, []), ends.get(row.idx)), tools=sets[row.tools], key=keys.get(row.idx)
            )
            for row in rows
        ]
        return cls(past, log, ledger.row.created_at)

    def clock(self) -> datetime:
        """For the session that it is replayed in."""
        return self.time


_ENDS = TurnCommittedPayload | TurnFailedPayload | TurnAbortedPayload


def _past(row: TurnRow, messages: Sequence[Message], end: EventRecord | None) -> Past:
    said = list(messages)
    if len(said) > 1 and said[0].role == "tool" and said[1].role == "user":
        del said[0]  # calls that a user left without a result: whoever goes on without one closes them again
    opening = said.pop(0) if said and said[0].role != "assistant" else None
    replied = bool(said) and said[-1].role == "assistant"
    last = said.pop() if replied else None
    output = None if row.usage_counted else row.output_tokens
    ended = last or (messages[-1] if messages else None) or end
    assert ended is not None, "a finished turn has an end"
    return Past(row.idx, opening, tuple(said), _outcome(row, end, last), ended.created_at, output, row.system_prompt)


def _outcome(row: TurnRow, end: EventRecord | None, last: Message | None) -> Outcome:
    state, parts, replied = TurnState(row.state), last.parts if last else (), last is None
    match end.payload if end else None:
        case TurnCommittedPayload() as payload:
            return Outcome(state, parts, finish_reason=payload.finish_reason, replied=replied)
        case TurnFailedPayload() as payload:
            return Outcome(state, parts, error=_error(payload))
        case TurnAbortedPayload() as payload:
            return Outcome(state, parts, reason=payload.reason)
    return Outcome(state, parts, replied=replied)


def _error(payload: TurnFailedPayload) -> errors.LLMError:
    """The error that a turn ended in, as far as it was stored."""
    kind = getattr(errors, payload.error_kind, None)
    known = isinstance(kind, type) and issubclass(kind, errors.LLMError)
    return kind(payload.error) if known and kind is not None else errors.Unavailable(payload.error)
