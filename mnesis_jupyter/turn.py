"""One turn of a session, shown while it comes about: below its cell, or in a widget that outlives the cell."""

from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from mnesis import (
    ContextOverflow,
    MnesisEvent,
    MnesisSession,
    PartUpdate,
    TextDelta,
    ToolPart,
    TurnComplete,
    TurnResult,
)
from mnesis.events.payloads import MessageCreatedPayload, Payload
from mnesis.models.message import StreamEvent
from mnesis_jupyter.bridge import Stream
from mnesis_jupyter.current import OFFLINE_MODEL
from mnesis_jupyter.formats import Format
from mnesis_jupyter.live import LiveReply, Surface
from mnesis_jupyter.origin import cell_number
from mnesis_jupyter.output import Output, in_one_line, show
from mnesis_jupyter.state import State
from mnesis_jupyter.views import compaction_words


class ChatResult:
    """What a chat cell leaves in `_` and in the variable of `-o`: the turn's `result`, its `text`.

    The cell has shown it already, so that cell shows nothing more; any later cell that ends on it shows the reply.
    """

    def __init__(self, result: TurnResult, output: Output, cell: int | None) -> None:
        self.result = result
        self.output = output
        self._cell = cell

    @property
    def text(self) -> str:
        """The reply."""
        return self.result.text

    @property
    def tool_calls(self) -> tuple[ToolPart, ...]:
        """The calls that wait for results, which `submit_tool_results` gives."""
        return self.result.tool_calls

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<ChatResult turn {self.result.turn} of {self.result.model}: {self.text[:60]!r}>"

    def _ipython_display_(self) -> None:
        if self._cell is None or self._cell != cell_number():
            show(self.output)


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that is about to be."""

    session: MnesisSession
    ask: Callable[[], AsyncGenerator[StreamEvent]]
    format: Format = "markdown"
    tools: bool = False
    """Whether the model may call some of the notebook's."""
    begins: Literal["user", "tool"] = "user"
    """Whose message is its first."""
    origin: str | None = None
    cell: int | None = None
    """The number of the cell that it is of."""


class Begun:
    """A turn that has its place among the turns of its session: it may be waiting there still, or be under way."""

    def __init__(self, state: State, turn: Turn) -> None:
        self._ahead = sum(other.waits for other in state.running if other.session is turn.session)
        self._role = turn.begins
        self.turn: int | None = None
        """Its number, once its question is stored."""
        self._unsubscribe = turn.session.subscribe(MnesisEvent.MESSAGE_CREATED, self._stored)
        self.events = state.bridge.stream(turn.ask)

    def _stored(self, event: MnesisEvent, payload: Payload) -> None:
        if isinstance(payload, MessageCreatedPayload) and payload.role == self._role and self.turn is None:
            if self._ahead:
                self._ahead -= 1
            else:
                self.turn = payload.turn

    def close(self) -> None:
        """Stop listening."""
        self._unsubscribe()


def converse(
    state: State,
    turn: Turn,
    surface: Surface,
    begun: Begun | None = None,
    shown: Callable[[LiveReply], None] = lambda live: None,
) -> ChatResult:
    """Have a turn take place, unless it has `begun`, and wait for its end. `shown` is given what shows it."""
    session = turn.session
    size, budget = state.bridge.call(_measure, session)
    begun = begun or Begun(state, turn)
    live = LiveReply(session.model, size, budget, len(session.history()), turn.format, surface, lambda: begun.turn)
    shown(live)
    result: TurnResult | None = None
    try:
        with begun.events as events:
            events.idle = live.idle
            try:
                for event in events:
                    match event:
                        case TextDelta(text=text):
                            live.add(text)
                            state.heard(session, text)
                        case PartUpdate(part=part):
                            live.update(part)
                        case TurnComplete():
                            result = event.result
            except BaseException as error:
                if result is None:
                    _stop(live, events, error, lambda: _kept(state, session, begun.turn))
                raise
    finally:
        begun.close()
    assert result is not None, "a stream ends with TurnComplete or an error"
    size, budget = state.bridge.call(_measure, session, result)
    notices = list(_notices(session, result, live.rounds, offered=turn.tools))
    return ChatResult(result, live.finish(result, size, budget, _compacted(session, result), notices), turn.cell)


def _kept(state: State, session: MnesisSession, turn: int | None) -> str:
    """What is stored of a reply that was cut off: it may be more than had come here."""
    messages = state.bridge.call(session.messages)
    return next((each.text for each in reversed(messages) if each.partial and each.turn == turn), "")


def _stop(live: LiveReply, events: Stream[StreamEvent], error: BaseException, kept: Callable[[], str]) -> None:
    """Show what there is of a reply that will not be finished."""
    for event in events.cancel():
        match event:
            case TextDelta(text=text):
                live.add(text)
            case PartUpdate(part=part):
                live.update(part)
    running = ", ".join(live.running)  # now: that a call runs may have been told, and not been read yet
    if isinstance(error, KeyboardInterrupt):
        live.complete(kept())
    live.stop()
    if isinstance(error, KeyboardInterrupt):
        told = "the reply was stopped. What there is of it is kept, and not sent again; the next cell works"
        hint = None
        if live.waiting:
            told = "stopped while it waited for the session: nothing was sent or stored; the next cell works"
        if running:
            told = f"the turn was stopped while {running} ran. What came before is kept; the next cell works"
            hint = "a function that is not async cannot be stopped in its middle: it may run on to its end, unheard"
        in_one_line(error, told, hint)


def _notices(session: MnesisSession, result: TurnResult, rounds: int, *, offered: bool) -> Iterator[str]:
    """What one should know of how the turn ended, where it did not simply end."""
    if result.tool_calls:
        names = ", ".join(dict.fromkeys(call.tool_name for call in result.tool_calls))
        ids = ", ".join(f"{call.tool_call_id!r}: …" for call in result.tool_calls)
        yield (
            f"The model waits for what {names} returns, and only you can tell. "
            f"`mnesis_jupyter.submit_tool_results({{{ids}}})` goes on with it, another message goes on without it. "
            "In a script: `session.submit_tool_results`."
        )
    elif result.doom_loop_detected:
        times = session.config.session.doom_loop_threshold
        yield f"A doom loop: the same call {times} times in a row. It was not run again, and the model had to answer."
    elif rounds >= (most := session.config.session.max_tool_rounds):
        count = "1 round" if most == 1 else f"{most} rounds"
        yield f"The model has used up its {count} of tool calls (`max_tool_rounds`), and had to answer."
    elif offered and not rounds and result.model == OFFLINE_MODEL:
        yield f"`{OFFLINE_MODEL}` is not a language model, and never calls a tool."


def _compacted(session: MnesisSession, result: TurnResult) -> str | None:
    """What the turn did to make room, or set off."""
    done = compaction_words(result.compaction_result) if result.compaction_result else ""
    under_way = result.compaction_triggered and (session.compaction_in_progress or not done)
    return " · ".join(filter(None, (done, "compacting in the background" if under_way else ""))) or None


async def _measure(session: MnesisSession, result: TurnResult | None = None) -> tuple[int, int]:
    """Size and budget of the next window."""
    try:
        window = await session.context()
    except ContextOverflow:
        if not (history := session.history()):
            raise
        # The last reply filled it: that turn is fine, the next one will not be.
        last = history[-1].context_tokens.total
        return last + (result.tokens.output if result else 0), last
    return window.size, window.budget
