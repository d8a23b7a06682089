"""One payload per event. Each is stored in the transaction that caused it."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from mnesis.models.base import Value
from mnesis.models.message import CompactionResult, Role, TokenUsage


class MnesisEvent(StrEnum):
    """The names of everything that can happen."""

    SESSION_CREATED = "session.created"
    SESSION_CLOSED = "session.closed"
    SESSION_UPDATED = "session.updated"
    MESSAGE_CREATED = "message.created"
    TURN_COMMITTED = "turn.committed"
    TURN_FAILED = "turn.failed"
    TURN_ABORTED = "turn.aborted"
    COMPACTION_TRIGGERED = "compaction.triggered"
    COMPACTION_COMPLETED = "compaction.completed"
    COMPACTION_FAILED = "compaction.failed"
    PRUNE_COMPLETED = "prune.completed"
    LLM_RETRY = "llm.retry"
    DOOM_LOOP_DETECTED = "doom_loop.detected"
    MAP_STARTED = "map.started"
    MAP_ITEM_COMPLETED = "map.item_completed"
    MAP_COMPLETED = "map.completed"


class Payload(Value):
    """What every event says."""

    session_id: str


class SessionCreatedPayload(Payload):
    """A session came into being: `forked_from` another one, after `forked_turn`, or by itself."""

    model: str
    agent: str
    parent_id: str | None = None
    forked_from: str | None = None
    forked_turn: int | None = None


class SessionClosedPayload(Payload):
    """A session was closed; it can be loaded again."""


class SessionUpdatedPayload(Payload):
    """Something about the session itself changed: a field, from what, to what."""

    field: str
    before: str | None = None
    after: str | None = None


class MessageCreatedPayload(Payload):
    """A message is on disk."""

    message_id: str
    role: Role
    turn: int
    tokens: int


class TurnCommittedPayload(Payload):
    """A turn is whole and on disk."""

    turn: int
    turn_id: str
    finish_reason: str
    tokens: TokenUsage
    cost: float | None = None


class TurnFailedPayload(Payload):
    """A turn ended in an error. The user message and any partial text are kept."""

    turn: int
    turn_id: str
    error_kind: str
    error: str


class TurnAbortedPayload(Payload):
    """A turn was interrupted, or its process died. The user message and any partial text are kept."""

    turn: int
    turn_id: str
    reason: str


class CompactionTriggeredPayload(Payload):
    """A compaction begins. Sizes in tokens."""

    reason: Literal["soft", "hard", "manual"]
    window_tokens: int
    budget: int
    target: int


class CompactionCompletedPayload(CompactionResult, Payload):
    """A compaction is on disk: the window is smaller now."""

    @classmethod
    def of(cls, session_id: str, result: CompactionResult) -> "CompactionCompletedPayload":
        """The payload that tells this result."""
        return cls(session_id=session_id, **result.model_dump())

    def result(self) -> CompactionResult:
        """The result that this tells."""
        return CompactionResult(**self.model_dump(exclude={"session_id"}))


class CompactionFailedPayload(Payload):
    """A compaction could not do its work, and why. `failures` counts those in a row, `retry_at` ends the wait."""

    error_kind: str
    error: str
    failures: int = 0
    retry_at: datetime | None = None


class PruneCompletedPayload(Payload):
    """Tool outputs were replaced by tombstones in the window."""

    pruned_tool_outputs: int
    pruned_tokens: int


class LlmRetryPayload(Payload):
    """A transient error; the call is made again after `delay` seconds. `attempt` counts from 1."""

    attempt: int
    max_retries: int
    delay: float
    error_kind: str
    error: str


class DoomLoopDetectedPayload(Payload):
    """The model made the same tool call, with the same arguments, `count` times in a row."""

    turn: int
    tool_name: str
    count: int


class MapPayload(Payload):
    """What every event of a map says. `session_id` is the session that asked for the run, empty where none did."""

    session_id: str = ""
    run_id: str


class MapStartedPayload(MapPayload):
    """A map operator began, or goes on (`resumed`). `total` is `None` for inputs of unknown length."""

    operator: str
    total: int | None
    resumed: bool = False


class MapItemCompletedPayload(MapPayload):
    """One item of a map is on disk: it is done, or has failed. Its row is its record: this is published, not stored.

    `done` and `failed` count items of the whole run so far; `cost` in US dollars, `None` where it is not known.
    """

    index: int
    success: bool
    attempts: int
    error_kind: str | None = None
    tokens: int = 0
    cost: float | None = None
    done: int = 0
    failed: int = 0


class MapCompletedPayload(MapPayload):
    """A map operator is through, or was stopped (`stopped`) and can be resumed.

    The numbers are those of the whole run; `cost` in US dollars, `None` where it is not known.
    """

    done: int
    failed: int
    cost: float | None = None
    stopped: bool = False


PAYLOADS: dict[MnesisEvent, type[Payload]] = {
    MnesisEvent.SESSION_CREATED: SessionCreatedPayload,
    MnesisEvent.SESSION_CLOSED: SessionClosedPayload,
    MnesisEvent.SESSION_UPDATED: SessionUpdatedPayload,
    MnesisEvent.MESSAGE_CREATED: MessageCreatedPayload,
    MnesisEvent.TURN_COMMITTED: TurnCommittedPayload,
    MnesisEvent.TURN_FAILED: TurnFailedPayload,
    MnesisEvent.TURN_ABORTED: TurnAbortedPayload,
    MnesisEvent.COMPACTION_TRIGGERED: CompactionTriggeredPayload,
    MnesisEvent.COMPACTION_COMPLETED: CompactionCompletedPayload,
    MnesisEvent.COMPACTION_FAILED: CompactionFailedPayload,
    MnesisEvent.PRUNE_COMPLETED: PruneCompletedPayload,
    MnesisEvent.LLM_RETRY: LlmRetryPayload,
    MnesisEvent.DOOM_LOOP_DETECTED: DoomLoopDetectedPayload,
    MnesisEvent.MAP_STARTED: MapStartedPayload,
    MnesisEvent.MAP_ITEM_COMPLETED: MapItemCompletedPayload,
    MnesisEvent.MAP_COMPLETED: MapCompletedPayload,
}
"""Which payload belongs to which event."""


class EventRecord(Value):
    """An event as it stands in the store. `turn` is the 0-based turn it happened in, if any."""

    id: str
    session_id: str
    seq: int
    event: MnesisEvent
    payload: Payload
    turn: int | None
    created_at: datetime
