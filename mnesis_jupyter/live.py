"""A reply below its cell: shown while it comes about, 15 times a second at most, then as it stays."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from IPython.display import DisplayHandle

from mnesis import ReasoningPart, ToolPart, ToolStatus, TurnResult
from mnesis.models.message import Part
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.formats import Format, shown_as, shown_so_far
from mnesis_jupyter.html import Html
from mnesis_jupyter.output import Output, joined, show
from mnesis_jupyter.progress import can_replace
from mnesis_jupyter.views import Call, Step, notice_html, notice_text, reply_block, reply_text, steps_html, steps_text

_FRAMES_PER_SECOND = 15
_SHARE_FOR_RENDERING = 0.25


class LiveReply:
    """The one output of a chat cell."""

    def __init__(self, model: str, size: int, budget: int, turn: int, format: Format) -> None:
        self._format: Format = format
        self._facts: dict[str, Any] = {"model": model, "window_size": size, "budget": budget, "turn": turn}
        self._rounds = [_Round()]
        self._handle: DisplayHandle | None = None
        self._next = 0.0
        self._stale = False
        self._live = CURRENT.settings.stream and can_replace()
        if self._live:
            self._draw()

    @property
    def rounds(self) -> int:
        """How often the model has called tools so far."""
        return sum(bool(each.calls) for each in self._rounds)

    @property
    def running(self) -> list[str]:
        """The names of the tools that run."""
        parts = (call.part for call in self._rounds[-1].calls.values())
        return [part.tool_name for part in parts if part.status is ToolStatus.RUNNING]

    def add(self, text: str) -> None:
        """Some more of what the model says."""
        self._round().pieces.append(text)
        self._changed()

    def update(self, part: Part) -> None:
        """A thought that is complete, or a tool call in one of its states."""
        match part:
            case ReasoningPart():
                self._round().thoughts.append(part)
            case ToolPart(status=ToolStatus.PENDING):
                self._round(calling=True).tell(part)
            case ToolPart():
                self._rounds[-1].tell(part)
        self._changed()

    def idle(self) -> None:
        """Nothing comes at the moment: draw what came last, and how long tools have been running."""
        if self._stale or self.running:
            self._changed()

    def finish(self, result: TurnResult, size: int, budget: int, note: str | None, notices: Sequence[str]) -> Output:
        """The turn is on disk. `note` stands in the line of facts, `notices` below the reply."""
        facts = {"tokens": result.tokens, "turn": result.turn, "cost": result.cost, "note": note}
        self._facts |= {"window_size": size, "budget": budget}
        return self._show(self._output(self._steps(), "done", notices, **facts))

    def stop(self) -> None:
        """The reply will not be finished: keep what there is of it, or nothing."""
        if steps := [_ended(step) for step in self._steps()]:
            self._show(self._output(steps, "stopped" if self.rounds else "aborted"))
        elif self._handle is not None:
            self._show(Output(Html(""), ""))

    def _round(self, *, calling: bool = False) -> "_Round":
        """The round that what comes now is of: a new one, once all calls of the last have their results."""
        last = self._rounds[-1]
        if last.calls and (not calling or all(call.part.finished for call in last.calls.values())):
            self._rounds.append(_Round())
        return self._rounds[-1]

    def _steps(self) -> list[Step]:
        return [step for each in self._rounds for step in each.steps()]

    def _changed(self) -> None:
        self._stale = True
        if self._live and time.monotonic() >= self._next:
            self._draw()

    def _draw(self) -> None:
        began = time.monotonic()
        self._stale = False
        self._show(self._output(self._steps(), "calling" if self.running else "streaming"))
        took = time.monotonic() - began
        self._next = began + max(1 / _FRAMES_PER_SECOND, took / _SHARE_FOR_RENDERING)

    def _output(self, steps: Sequence[Step], state: Any, notices: Sequence[str] = (), **facts: Any) -> Output:
        facts = {"tokens": None, **self._facts, **facts, "state": state}
        if self._format != "markdown":
            steps, remark = self._formatted(steps, whole=state == "done")
            facts["note"] = " · ".join(filter(None, (remark, facts.get("note")))) or None
        said = Output(steps_html(steps), steps_text(steps))
        if notices:
            said = joined(said, *(Output(notice_html(each), notice_text(each)) for each in notices))
        return Output(reply_block(said.html, **facts), reply_text(said.text, **facts))

    def _formatted(self, steps: Sequence[Step], *, whole: bool) -> tuple[list[Step], str | None]:
        """The words as the cell asked to see them; only those that the turn ends on are the reply."""
        shown, remark = list(steps), None
        for place, step in enumerate(steps, 1):
            if isinstance(step, str) and step.strip():
                at_the_end = whole and place == len(steps)
                words = (shown_as if at_the_end else shown_so_far)(step, self._format)
                shown[place - 1], remark = words, words.remark
        return shown, remark

    def _show(self, output: Output) -> Output:
        if self._handle is None:
            self._handle = show(output, handle=self._live)
        else:
            self._handle.update(output.bundle(), raw=True)  # type: ignore[no-untyped-call]
        return output


@dataclass(slots=True)
class _Round:
    """One reply of the model within the turn, and what came of its calls."""

    thoughts: list[ReasoningPart] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)

    def tell(self, part: ToolPart) -> None:
        """A call in its new state."""
        id = part.tool_call_id
        if part.status is ToolStatus.RUNNING:
            self._began[id] = time.monotonic()
        self.calls[id] = Call(part, self._passed(id))

    def steps(self) -> Iterator[Step]:
        """In their order; a thought comes before the words that it led to, though it is told when it is complete."""
        yield from self.thoughts
        # A stream may tear a character apart.
        if text := "".join(self.pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace"):
            yield text
        for id, call in self.calls.items():
            yield replace(call, seconds=self._passed(id)) if call.part.status is ToolStatus.RUNNING else call

    def _passed(self, id: str) -> float | None:
        return time.monotonic() - self._began[id] if id in self._began else None


def _ended(step: Step) -> Step:
    """A step of a turn that is over: a call without a result will have none."""
    return replace(step, stopped=not step.part.finished) if isinstance(step, Call) else step
