"""A turn that runs on after its cell has ended: `%%mnesis --bg`."""

import asyncio
import threading

from mnesis import MnesisError, ToolPart
from mnesis_jupyter.handle import Handle
from mnesis_jupyter.html import Html
from mnesis_jupyter.live import LiveReply
from mnesis_jupyter.origin import cell_number
from mnesis_jupyter.output import Output, hint_for, in_one_line, joined, show_widget
from mnesis_jupyter.state import State
from mnesis_jupyter.turn import Begun, ChatResult, Turn, converse
from mnesis_jupyter.views import ReplyState, notice_html, notice_text
from mnesis_jupyter.widgets.reply import Reply


def in_background(state: State, turn: Turn) -> "RunningTurn":
    """Begin a turn, show a widget that follows it, and return at once."""
    return RunningTurn(state, turn)


class RunningTurn(Handle[ChatResult]):
    """What a cell with `--bg` leaves in `_` and in the variable of `-o`: a turn that runs on.

    `result()` waits for what a cell without `--bg` would have left, and raises what that would have raised; so does
    `await`. An interrupt ends the waiting, not the turn; stopped, it is stored as aborted, with what there is of it.
    """

    _what = "reply"

    def __init__(self, state: State, turn: Turn) -> None:
        super().__init__()
        self.session, self.origin = turn.session, turn.origin
        self._state, self._turn = state, turn
        self._live: LiveReply | None = None
        self._begun = Begun(state, turn)
        self.widget = Reply(turn.session.title or turn.session.id, self.cancel)
        show_widget(self.widget)
        state.running.add(self)
        threading.Thread(target=self._run, name="mnesis turn", daemon=True).start()

    @property
    def waits(self) -> bool:
        """Whether its question is not stored yet: another turn of the session is under way."""
        return self._begun.turn is None and not self.text

    @property
    def text(self) -> str:
        """The reply so far; once it is done, all of it."""
        if self._future.done() and self._future.exception() is None:
            return self._future.result().text
        return self._live.text if self._live else ""

    @property
    def tool_calls(self) -> tuple[ToolPart, ...]:
        """The calls that wait for results, once it is done; `submit_tool_results` gives them."""
        return self.result().tool_calls if self.done else ()

    def cancel(self) -> None:
        """Stop it without waiting."""
        self._begun.events.stop()

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<RunningTurn {'done' if self.done else 'running'}: {self.text[:60]!r}>"

    def _ipython_display_(self) -> None:
        if self._turn.cell is None or self._turn.cell != cell_number():
            show_widget(self.widget)

    # -- in a thread of its own ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        surface = _Follower(self.widget)
        try:
            result = converse(self._state, self._turn, surface, self._begun, self._shown)
        except asyncio.CancelledError:
            surface.end("aborted")
            stopped = MnesisError("the reply was stopped; `.text` is what there is of it, and it is not sent again")
            in_one_line(stopped)
            self._future.set_exception(stopped)
        except BaseException as error:  # noqa: BLE001  # whatever it was, the caller of result() is to see it
            in_one_line(error, hint=hint_for(error))
            surface.end("failed", error)
            self._state.error = error
            self._future.set_exception(error)
        else:
            self._future.set_result(result)
        finally:
            self._state.running.discard(self)

    def _shown(self, live: LiveReply) -> None:
        self._live = live


class _Follower:
    """Shows a reply in a widget."""

    replaces = True

    def __init__(self, widget: Reply) -> None:
        self._widget = widget
        self._last = Output(Html(""), "")
        self._tokens = 0

    def show(self, output: Output, state: ReplyState, tokens: int) -> None:
        """Show this in the place of what was shown before."""
        self._last, self._tokens = output, tokens
        self._widget.tell(output.html, output.text, state, tokens)

    def end(self, state: str, error: BaseException | None = None) -> None:
        """It will not be finished."""
        last = self._last
        if error is not None:
            told = f"{type(error).__name__}: {error}"
            last = joined(last, Output(notice_html(told), notice_text(told)))
        self._widget.tell(last.html, last.text, state, self._tokens)
