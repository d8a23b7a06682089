"""A reply below its cell: shown while it comes about, 15 times a second at most, then as it stays."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from IPython.display import DisplayHandle

from mnesis import ReasoningPart, ToolPart, ToolStatus, TurnResult
from mnesis.models.message import Part
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.formats import Format, shown_as, shown_so_far
from mnesis_jupyter.html import Html
from mnesis_jupyter.output import Output, joined, show
from mnesis_jupyter.progress import can_replace
from mnesis_jupyter.views import (
    Call,
    ReplyState,
    Step,
    notice_html,
    notice_text,
    reply_block,
    reply_text,
    steps_html,
    steps_text,
)

_FRAMES_PER_SECOND = 15
_SHARE_FOR_RENDERING = 0.25

_PATIENCE = 0.7
"""Seconds after which a question that is not stored yet has to be waiting, mostly for another turn of its session."""

_CHARACTERS_PER_TOKEN = 4
"""Of English text: good enough for a count that grows."""


class Surface(Protocol):
    """Where a reply is shown."""

    replaces: bool
    """Whether what is shown can be replaced; if not, only the last version is."""

    def show(self, output: Output, state: ReplyState, tokens: int) -> None:
        """Show this in the place of what was shown before. `tokens` of the reply; an estimate until it is done."""


class Below:
    """Below the cell that is running."""

    def __init__(self) -> None:
        self.replaces = CURRENT.settings.stream and can_replace()
        self._handle: DisplayHandle | None = None

    def show(self, output: Output, state: ReplyState, tokens: int) -> None:
        """Display it, or update the display."""
        if self._handle is None:
            self._handle = show(output, handle=self.replaces)
        else:
            self._handle.update(output.bundle(), raw=True)  # type: ignore[no-untyped-call]


class LiveReply:
    """A reply that comes about."""

    def __init__(
        self,
        model: str,
        size: int,
        budget: int,
        turn: int,
        format: Format,
        surface: Surface,
        opened: Callable[[], int | None],
    ) -> None:
        """`opened` tells as which turn the question is stored, once it is."""
        self._format: Format = format
        self._facts: dict[str, Any] = {"model": model, "window_size": size, "budget": budget, "turn": turn}
        self._rounds = [_Round()]
        self._surface = surface
        self._shown = False
        self._next = 0.0
        self._stale = False
        self._asked = time.monotonic()
        self._opened = opened
        self.waiting = False
        """Whether the session is busy, mostly with another turn: the question is not stored yet."""
        if surface.replaces:
            self._draw()

    @property
    def text(self) -> str:
        """What the model has said so far, and not only before it called tools."""
        return "\n\n".join(filter(None, (each.text for each in self._rounds)))

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

    def complete(self, text: str) -> None:
        """The last round's text is this: some of it may not have come here."""
        told = "".join(self._rounds[-1].pieces)
        if text.startswith(told) and text != told:
            self.add(text[len(told) :])

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
        """Nothing comes at the moment: draw what came last, how long tools have been running, or that it waits."""
        waited, turn = self.waiting, self._opened()
        self.waiting = turn is None and not self._steps() and time.monotonic() - self._asked > _PATIENCE
        if turn is not None:
            self._facts["turn"] = turn
        if self._stale or self.running or self.waiting != waited:
            self._changed()

    def finish(self, result: TurnResult, size: int, budget: int, note: str | None, notices: Sequence[str]) -> Output:
        """The turn is on disk. `note` stands in the line of facts, `notices` below the reply."""
        facts = {"tokens": result.tokens, "turn": result.turn, "cost": result.cost, "note": note}
        self._facts |= {"window_size": size, "budget": budget}
        output = self._output(self._steps(), "done", notices, **facts)
        self._show(output, "done", result.tokens.output)
        return output

    def stop(self) -> None:
        """The reply will not be finished: keep what there is of it, or nothing."""
        if steps := [_ended(step) for step in self._steps()]:
            state: ReplyState = "stopped" if self.rounds else "aborted"
            self._show(self._output(steps, state), state)
        elif self._shown:
            self._show(Output(Html(""), ""), "aborted")

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
        if self._surface.replaces and time.monotonic() >= self._next:
            self._draw()

    def _draw(self) -> None:
        began = time.monotonic()
        self._stale = False
        state: ReplyState = "waiting" if self.waiting else "calling" if self.running else "streaming"
        self._show(self._output(self._steps(), state), state)
        took = time.monotonic() - began
        self._next = began + max(1 / _FRAMES_PER_SECOND, took / _SHARE_FOR_RENDERING)

    def _output(self, steps: Sequence[Step], state: ReplyState, notices: Sequence[str] = (), **facts: Any) -> Output:
        facts = {"tokens": None, **self._facts, **facts, "state": state}
        if state == "waiting":
            facts["turn"] = None
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

    def _show(self, output: Output, state: ReplyState, tokens: int | None = None) -> None:
        self._shown = True
        self._surface.show(output, state, len(self.text) // _CHARACTERS_PER_TOKEN if tokens is None else tokens)


@dataclass(slots=True)
class _Round:
    """One reply of the model within the turn, and what came of its calls."""

    thoughts: list[ReasoningPart] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The words so far. A stream may tear a character apart."""
        return "".join(self.pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def tell(self, part: ToolPart) -> None:
        """A call in its new state."""
        id = part.tool_call_id
        if part.status is ToolStatus.RUNNING:
            self._began[id] = time.monotonic()
        self.calls[id] = Call(part, self._passed(id))

    def steps(self) -> Iterator[Step]:
        """In their order; a thought comes before the words that it led to, though it is told when it is complete."""
        yield from self.thoughts
        if text := self.text:
            yield text
        for id, call in self.calls.items():
            yield replace(call, seconds=self._passed(id)) if call.part.status is ToolStatus.RUNNING else call

    def _passed(self, id: str) -> float | None:
        return time.monotonic() - self._began[id] if id in self._began else None


def _ended(step: Step) -> Step:
    """A step of a turn that is over: a call without a result will have none."""
    return replace(step, stopped=not step.part.finished) if isinstance(step, Call) else step
