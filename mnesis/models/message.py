"""Parts, messages, turns and usage: what a session is made of."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter

from mnesis.models.base import Checked, Value
from mnesis.models.media import MediaPart

type Role = Literal["user", "assistant", "tool", "summary"]


class ToolStatus(StrEnum):
    """Where a tool call is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    ERROR = "error"


class TextPart(Checked):
    """Text, as the user or the model wrote it."""

    type: Literal["text"] = "text"
    text: str


class ReasoningPart(Checked):
    """What a reasoning model thought before it answered. Kept; later turns are not sent it.

    `data` is opaque: what the provider wants back with it, such as a signature. Where the text is empty, that is the
    reasoning itself, encrypted.
    """

    type: Literal["reasoning"] = "reasoning"
    text: str
    data: dict[str, Any] | None = None


class ToolPart(Checked):
    """A tool call and, once it has run, its result.

    `input` are the arguments as an object. `output` stands with `status` "completed", `error_message` with "error".
    `recalled` marks an answer from the session's own record: it is never summarised as if it were new.
    """

    type: Literal["tool"] = "tool"
    tool_name: str = Field(min_length=1)
    tool_call_id: str = Field(min_length=1)
    input: dict[str, Any] = Field(default_factory=dict)
    output: str | None = None
    error_message: str | None = None
    status: ToolStatus = ToolStatus.PENDING
    recalled: bool = False

    @property
    def finished(self) -> bool:
        """Whether there is a result to show to the model."""
        return self.status in (ToolStatus.COMPLETED, ToolStatus.ERROR)

    def failed(self, message: str) -> "ToolPart":
        """The same call with an error in the place of its result."""
        return self.model_copy(update={"error_message": message, "status": ToolStatus.ERROR})


class FileRefPart(Checked):
    """A file that stays outside the window; `summary` is what the model sees of it. `size` in bytes.

    `MnesisSession.attach` makes one. `counted` says what `tokens` is: of the whole text, an estimate by samples of it,
    or nothing, where there is no text.
    """

    type: Literal["file_ref"] = "file_ref"
    file_id: str
    path: str
    media_type: str = "application/octet-stream"
    size: int = Field(ge=0)
    tokens: int = Field(ge=0)
    counted: Literal["exact", "estimate", "none"] = "exact"
    summary: str = ""


type Part = Annotated[TextPart | ReasoningPart | ToolPart | FileRefPart | MediaPart, Field(discriminator="type")]


class TokenUsage(Checked):
    """What the provider counted and bills. All in tokens; `input` includes the cached ones.

    `total` is what the provider reported; 0 when it reported none. `counted` marks what it did not report, at least in
    part: those tokens are counted here.
    """

    input: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)
    cache_read: int = Field(default=0, ge=0)
    cache_write: int = Field(default=0, ge=0)
    total: int = Field(default=0, ge=0)
    counted: bool = False

    def effective_total(self) -> int:
        """The reported total, or input + output where none was reported."""
        return self.total or self.input + self.output

    def __add__(self, other: Self) -> "TokenUsage":
        return TokenUsage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            total=self.effective_total() + other.effective_total(),
            counted=self.counted or other.counted,
        )


class Message(Value):
    """One message of the log. `turn` is the 0-based index of its turn; `tokens` is its size in the window.

    `part_ids` and `part_tokens` stand beside `parts`, one each. `partial` marks the unfinished reply of a failed or
    aborted turn: kept, and never sent.
    """

    id: str
    session_id: str
    turn_id: str
    turn: int
    seq: int
    role: Role
    parts: tuple[Part, ...]
    part_ids: tuple[str, ...]
    part_tokens: tuple[int, ...]
    tokens: int
    partial: bool
    created_at: datetime

    @property
    def is_summary(self) -> bool:
        """Whether nobody said this: it is a summary, at the place in the log where it was made."""
        return self.role == "summary"

    @property
    def text(self) -> str:
        """The text parts, one after the other."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, TextPart))


class TurnState(StrEnum):
    """Where a turn is in its life. Only `OPEN` ever changes, once."""

    OPEN = "open"
    COMMITTED = "committed"
    FAILED = "failed"
    ABORTED = "aborted"


class CompactionResult(Value):
    """What one compaction did, measured. `level_used` 1 structured, 2 terse, 3 without a model."""

    level_used: Literal[1, 2, 3]
    compacted_message_count: int
    summary_token_count: int
    tokens_before: int
    tokens_after: int
    elapsed_ms: float
    pruned_tool_outputs: int = 0
    pruned_tokens: int = 0
    summary_message_id: str | None = None


class TurnResult(Value):
    """A finished turn. `cost` is in US dollars, `None` where the price is not known.

    With `finish_reason` "tool_calls", `tool_calls` wait for results that only the caller can give
    (`MnesisSession.submit_tool_results`). `text` is then what the model said beside them.
    """

    text: str
    tokens: TokenUsage
    finish_reason: str
    cost: float | None = None
    message_id: str
    user_message_id: str
    turn: int
    model: str
    compaction_triggered: bool = False
    compaction_result: CompactionResult | None = None
    doom_loop_detected: bool = False
    tool_calls: tuple[ToolPart, ...] = ()

    def __str__(self) -> str:
        return self.text


class RecordResult(Value):
    """A turn that somebody else's model answered, now stored."""

    user_message_id: str
    assistant_message_id: str
    tokens: TokenUsage
    turn: int
    compaction_triggered: bool = False


class TextDelta(Value):
    """Some more of the reply, as it arrives."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class PartUpdate(Value):
    """A part of the turn as it is now: a tool call in each of its states, the reasoning when it is complete."""

    type: Literal["part_update"] = "part_update"
    part: Part


class TurnComplete(Value):
    """The last event of a stream: the turn is on disk."""

    type: Literal["turn_complete"] = "turn_complete"
    result: TurnResult


type StreamEvent = TextDelta | PartUpdate | TurnComplete

PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...], config={"defer_build": True})
"""Reads parts that came from outside: the store's rows, a caller's dicts."""
