"""What a map operator tells: the result of each item, and how far the run is."""

from typing import Any, Literal

from pydantic import Field

from mnesis.models.base import Value
from mnesis.models.message import TokenUsage

type RunState = Literal["running", "stopped", "done"]


class MapResult(Value):
    """What came of one item. `index` is its place among the inputs, 0-based; `cost` in US dollars, `None`: unknown.

    `output` is what the schema describes (an instance, where that is a pydantic model), `None` where it failed:
    `error` says why, `error_kind` in one word. `attempts` counts requests. `session_id` names an agent's own session.
    """

    index: int
    input: Any
    output: Any = None
    success: bool
    error: str | None = None
    error_kind: str | None = None
    attempts: int = 0
    tokens: TokenUsage = Field(default_factory=TokenUsage)
    cost: float | None = None
    session_id: str | None = None


class MapProgress(Value):
    """How far a run is. `total` is `None` while it is not known; `seconds` and `rate` (items per second) are those of
    this process; tokens and `cost` (US dollars, `None`: that of one item is unknown) of the whole run.
    """

    run_id: str
    total: int | None
    done: int
    failed: int
    running: int
    tokens: TokenUsage
    cost: float | None
    seconds: float
    rate: float

    @property
    def finished(self) -> int:
        """Items that are done or have failed."""
        return self.done + self.failed

    @property
    def remaining(self) -> float | None:
        """Seconds to go at the rate so far; `None` where nobody can tell."""
        if self.total is None or not self.rate:
            return None
        return max(0, self.total - self.finished) / self.rate


class MapRunInfo(Value):
    """A run as it is stored; "stopped" also where its process died. Counts are of items, tokens and `cost` of all."""

    id: str
    kind: Literal["llm", "agentic"]
    session_id: str | None
    model: str
    template: str
    state: RunState
    total: int | None
    pending: int
    running: int
    done: int
    failed: int
    tokens: TokenUsage
    cost: float | None
