"""A chat cell: the message goes out, the reply is shown while it is written, and stays as static HTML."""

import argparse
import keyword
import os
import time
from collections.abc import Mapping
from typing import Any

from IPython.core.displaypub import DisplayPublisher
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle

from mnesis import ContextOverflow, InputError, MnesisSession, NotFound, TextDelta, TurnComplete, TurnResult
from mnesis.models.message import StreamEvent
from mnesis_jupyter.arguments import Parser
from mnesis_jupyter.bridge import Stream
from mnesis_jupyter.current import CURRENT, OFFLINE_MODEL
from mnesis_jupyter.html import Html, reply_html
from mnesis_jupyter.interpolation import interpolate
from mnesis_jupyter.output import Output, in_one_line, joined, show
from mnesis_jupyter.state import State
from mnesis_jupyter.views import (
    budget_html,
    budget_text,
    compaction_words,
    notice_html,
    notice_text,
    reply_block,
    reply_text,
    window_html,
    window_text,
)

_FRAMES_PER_SECOND = 15
_SHARE_FOR_RENDERING = 0.25

_KEYS = {"ANTHROPIC_API_KEY": "anthropic", "OPENAI_API_KEY": "openai", "GEMINI_API_KEY": "gemini"}


class ChatResult:
    """What a chat cell leaves in `_` and in the variable of `-o`: the turn's `result`, its `text`.

    The cell has shown it already, so that cell shows nothing more; any later cell that ends on it shows the reply.
    """

    def __init__(self, result: TurnResult, output: Output, cell: int | None) -> None:
        self.result = result
        self._output = output
        self._cell = cell

    @property
    def text(self) -> str:
        """The reply."""
        return self.result.text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<ChatResult turn {self.result.turn} of {self.result.model}: {self.text[:60]!r}>"

    def _ipython_display_(self) -> None:
        if self._cell is None or self._cell != _cell_number():
            show(self._output)


def parser() -> Parser:
    """The options of a chat cell."""
    options = Parser("%%mnesis", description=_DESCRIPTION)
    options.add_argument("-s", "--session", help="id or title; a new title begins a session (default: the current one)")
    options.add_argument("-m", "--model", help="model of a new session: a litellm model string, or offline/quote")
    options.add_argument("--system", metavar="TEXT", help="system prompt: of a new session, else of this turn")
    options.add_argument("-o", "--out", metavar="VAR", help="name to keep the result in; it is also in _")
    options.add_argument("--raw", action="store_true", help="send the text as it is, without looking for {{ name }}")
    options.add_argument("--dry-run", action="store_true", help="show what would be sent; send and store nothing")
    return options


_DESCRIPTION = """\
The cell is a message; the reply is shown below it and kept in the session, which becomes the current one.
{{ name }}, {{ a.b }} and {{ a["k"] }} put in values of the notebook."""


def run(state: State, shell: InteractiveShell, options: argparse.Namespace, body: str) -> ChatResult | None:
    """One chat cell. Returns what it leaves behind; a dry run leaves nothing, and stores nothing."""
    message = body.rstrip("\n") if options.raw else interpolate(body.rstrip("\n"), shell.user_ns)
    if not message.strip():
        raise InputError("the cell says nothing; write the message below the line with %%mnesis")
    if options.out is not None and (not options.out.isidentifier() or keyword.iskeyword(options.out)):
        raise InputError(f"-o {options.out}: that is not a name for a variable")
    if options.dry_run:
        show(_dry_run(state, options, message))
        return None
    known = _named(state, options)
    session = known or state.create(model=options.model, title=options.session, **_system(options.system))
    prompt = options.system if known else None
    if not state.introduced:
        state.introduced = True
        show(introduction(session.model, os.environ))
    result, output = _converse(state, session, message, prompt, _origin(shell))
    reply = ChatResult(result, output, _cell_number())
    if options.out:
        shell.user_ns[options.out] = reply
    return reply


def introduction(model: str, environment: Mapping[str, str]) -> Output:
    """Which model answers, and how to choose another. Names a provider whose key is set; never the key."""
    told = next((name for name in _KEYS if environment.get(name)), None)
    if model != OFFLINE_MODEL:
        text = f"`{model}` answers."
        hint = "Another one: `%mnesis new -m PROVIDER/MODEL`; for all new sessions: `%config Mnesis.model = …`."
    else:
        text = f"`{model}` answers: no key, no network."
        key, provider = (told, _KEYS[told]) if told else ("ANTHROPIC_API_KEY", "anthropic")
        begin = f"`{key}` is set:" if told else f"For a language model set its key, such as `{key}`, then"
        hint = f"{begin} `%mnesis new -m {provider}/…` begins a session with one (any litellm model string)."
    return Output(notice_html(text, hint), notice_text(text, hint))


# -- which session ----------------------------------------------------------------------------------------------------


def _named(state: State, options: argparse.Namespace) -> MnesisSession | None:
    """The session that the cell is for, if there is one; current from now on."""
    session = state.find(options.session) if options.session else CURRENT.session
    if session is None:
        if options.session and options.session.startswith("sess_"):
            raise NotFound("session", options.session, f"{CURRENT.store} does not hold it")
        return None
    if options.model and options.model != session.model:
        raise InputError(
            f"this session is with {session.model}, and a session keeps its model; "
            f"`%mnesis new -m {options.model}` begins one with another"
        )
    return state.use(session)


def _system(prompt: str | None) -> dict[str, Any]:
    return {} if prompt is None else {"system_prompt": prompt}


def _dry_run(state: State, options: argparse.Namespace, message: str) -> Output:
    session, prompt = _named(state, options), options.system
    if session is not None:
        window = state.bridge.call(session.preview, message, system_prompt=prompt)
        model = session.model
    else:
        model = options.model or CURRENT.model

        async def preview() -> Any:
            async with MnesisSession.open(model=model, db_path=":memory:", **_system(prompt)) as scratch:
                return await scratch.preview(message)

        window = state.bridge.call(preview)
    text = f"A dry run: nothing was sent, nothing stored. {window.budget - window.size:,} tokens would stay free."
    return joined(
        Output(notice_html(text), notice_text(text)),
        Output(budget_html(window, model), budget_text(window)),
        Output(window_html(window), window_text(window)),
    )


# -- the turn ---------------------------------------------------------------------------------------------------------


def _converse(
    state: State, session: MnesisSession, message: str, system_prompt: str | None, origin: str | None
) -> tuple[TurnResult, Output]:
    size, budget = state.bridge.call(_measure, session)
    live = _LiveReply(session.model, size, budget, len(session.history()))
    result: TurnResult | None = None
    with state.bridge.stream(session.stream, message, system_prompt=system_prompt, origin=origin) as events:
        try:
            for event in events:
                match event:
                    case TextDelta(text=text):
                        live.add(text)
                        state.heard(session, text)
                    case TurnComplete():
                        result = event.result
        except BaseException as error:
            if result is None:
                _stop(live, events, error)
            raise
    assert result is not None, "a stream ends with TurnComplete or an error"
    size, budget = state.bridge.call(_measure, session, result)
    return result, live.finish(result, size, budget, _compacted(session, result))


def _stop(live: "_LiveReply", events: Stream[StreamEvent], error: BaseException) -> None:
    """Show what there is of a reply that will not be finished."""
    for event in events.cancel():
        if isinstance(event, TextDelta):
            live.add(event.text)
    live.stop()
    if isinstance(error, KeyboardInterrupt):
        told = "the reply was stopped. What there is of it is kept, and not sent again; the next cell works"
        in_one_line(error, told)


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


class _LiveReply:
    """The one output of a chat cell: what was written so far, 15 times a second at most, then what stays."""

    def __init__(self, model: str, size: int, budget: int, turn: int) -> None:
        self._facts: dict[str, Any] = {"model": model, "window_size": size, "budget": budget, "turn": turn}
        self._pieces: list[str] = []
        self._handle: DisplayHandle | None = None
        self._next = 0.0
        self._live = CURRENT.settings.stream and _can_replace()
        if self._live:
            self._draw()

    def add(self, text: str) -> None:
        self._pieces.append(text)
        if self._live and time.monotonic() >= self._next:
            self._draw()

    def finish(self, result: TurnResult, size: int, budget: int, note: str | None) -> Output:
        facts = {"tokens": result.tokens, "turn": result.turn, "cost": result.cost, "note": note}
        self._facts |= {"window_size": size, "budget": budget}
        return self._show(self._output(result.text, "done", **facts))

    def stop(self) -> None:
        """The reply will not be finished: keep what was written, or nothing."""
        if self._pieces:
            self._show(self._output("".join(self._pieces), "aborted"))
        elif self._handle is not None:
            self._show(Output(Html(""), ""))

    def _draw(self) -> None:
        began = time.monotonic()
        self._show(self._output("".join(self._pieces), "streaming"))
        took = time.monotonic() - began
        self._next = began + max(1 / _FRAMES_PER_SECOND, took / _SHARE_FOR_RENDERING)

    def _output(self, text: str, state: Any, **facts: Any) -> Output:
        facts = {"tokens": None, **self._facts, **facts, "state": state}
        return Output(reply_block(reply_html(text), **facts), reply_text(text, **facts))

    def _show(self, output: Output) -> Output:
        if self._handle is None:
            self._handle = show(output, handle=self._live)
        else:
            self._handle.update(output.bundle(), raw=True)  # type: ignore[no-untyped-call]
        return output


def _can_replace() -> bool:
    """Whether an output can be replaced in place. The terminal's IPython prints each version below the last."""
    shell = get_ipython()
    return shell is not None and type(shell.display_pub) is not DisplayPublisher


def _origin(shell: InteractiveShell) -> str | None:
    """The cell that is running, where the front end tells."""
    parent: dict[str, Any] = getattr(shell, "get_parent", dict)() or {}
    cell = parent.get("metadata", {}).get("cellId")
    return f"cell {cell}" if cell else None


def _cell_number() -> int | None:
    shell = get_ipython()
    return shell.execution_count if shell else None
