"""A chat cell: the message goes out, the reply is shown while it is written, and stays as static HTML."""

import argparse
import keyword
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

from mnesis import (
    ContextOverflow,
    InputError,
    MediaPart,
    MnesisConfig,
    MnesisSession,
    NotFound,
    PartUpdate,
    TextDelta,
    TextPart,
    ToolPart,
    TurnComplete,
    TurnResult,
    model_facts,
)
from mnesis.models.message import StreamEvent
from mnesis_jupyter.arguments import Parser, objects_named, temperature, whole
from mnesis_jupyter.attachments import attached
from mnesis_jupyter.bridge import Stream
from mnesis_jupyter.current import CURRENT, OFFLINE_MODEL
from mnesis_jupyter.formats import FORMATS, Format
from mnesis_jupyter.interpolation import interpolate
from mnesis_jupyter.live import LiveReply
from mnesis_jupyter.output import Output, in_one_line, joined, show
from mnesis_jupyter.state import State, state, use
from mnesis_jupyter.views import (
    budget_html,
    budget_text,
    compaction_words,
    dollars,
    notice_html,
    notice_text,
    window_html,
    window_text,
)

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

    @property
    def tool_calls(self) -> tuple[ToolPart, ...]:
        """The calls that wait for results, which `submit_tool_results` gives."""
        return self.result.tool_calls

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
    options.add_argument(
        "--tools",
        nargs="+",
        metavar="NAME",
        help="functions (or Tools, or dicts) of the notebook that the model may call in this turn, as in a, b.c",
    )
    options.add_argument("-o", "--out", metavar="VAR", help="name to keep the result in; it is also in _")
    options.add_argument(
        "--attach",
        action="append",
        default=[],
        metavar="PATH|NAME",
        help="send a small text file, an image, or a value of the notebook along; may be given again",
    )
    options.add_argument("--format", choices=FORMATS, default="markdown", help="how the reply is shown (markdown)")
    options.add_argument("--max-tokens", type=whole, metavar="N", help="how long the reply may be")
    options.add_argument("--temperature", type=temperature, metavar="T", help="from 0, the same again, to 2")
    options.add_argument("--raw", action="store_true", help="send the text as it is, without looking for {{ name }}")
    options.add_argument("--dry-run", action="store_true", help="show what would be sent; send and store nothing")
    return options


_DESCRIPTION = """\
The cell is a message; the reply is shown below it and kept in the session, which becomes the current one.
{{ name }}, {{ a.b }} and {{ a["k"] }} put in values of the notebook; of a DataFrame as many rows as
`%config Mnesis.rows` says, as a table.

A function that is a tool has a docstring, which tells the model what it is for, and type hints. Each call runs in a
thread of its own, an async function on the engine's loop. A tool that is a dict {"type": "function", …} is yours to
run: the cell says how to go on."""


def run(state: State, shell: InteractiveShell, options: argparse.Namespace, body: str) -> ChatResult | None:
    """One chat cell. Returns what it leaves behind; a dry run leaves nothing, and stores nothing."""
    message = body.rstrip("\n") if options.raw else interpolate(body.rstrip("\n"), shell.user_ns, CURRENT.settings.rows)
    if not message.strip():
        raise InputError("the cell says nothing; write the message below the line with %%mnesis")
    if options.out is not None and (not options.out.isidentifier() or keyword.iskeyword(options.out)):
        raise InputError(f"-o {options.out}: that is not a name for a variable")
    tools = None if options.tools is None else list(objects_named(options.tools, shell.user_ns).values())
    known = _named(state, options)
    content = _with_attachments(shell, options, message, known.config if known else MnesisConfig())
    if options.dry_run:
        show(_dry_run(state, known, options, content, tools))
        return None
    session = known or state.create(model=options.model, title=options.session, **_system(options.system))
    if not state.introduced:
        state.introduced = True
        show(introduction(session.model, os.environ))
    turn: dict[str, Any] = {
        "tools": tools,
        "system_prompt": options.system if known else None,
        "params": _params(options),
    }
    reply = _converse(state, session, session.stream, content, options.format, **turn)
    if options.out:
        shell.user_ns[options.out] = reply
    return reply


def submit_tool_results(
    results: Mapping[str, Any] | Sequence[ToolPart | Mapping[str, Any]],
    *,
    tools: Sequence[Any] | None = None,
    session: MnesisSession | str | None = None,
) -> ChatResult:
    """Go on after a chat cell whose turn ended with calls that only you can answer, and show the reply as it does.

    `results` maps the id of each call to what its tool returned, an exception where it failed. Give `tools` again where
    the model may call more. Without `session` it is the current one. Errors as for `MnesisSession.submit_tool_results`.
    """
    chosen = CURRENT.session if session is None else use(session)
    if chosen is None:
        raise InputError("there is no session yet, and so no call that waits for a result")
    return _converse(state(), chosen, chosen.stream_tool_results, results, tools=tools)


def _with_attachments(
    shell: InteractiveShell, options: argparse.Namespace, message: str, config: MnesisConfig
) -> str | list[TextPart | MediaPart]:
    """What is sent: what is attached, then what was written."""
    formatter = shell.display_formatter
    if not options.attach or formatter is None:
        return message

    def draw(value: Any) -> bytes | str | None:
        bundle, _ = formatter.format(value, include={"image/png"})  # type: ignore[no-untyped-call]
        picture: bytes | str | None = bundle.get("image/png")
        return picture

    limits = {"rows": CURRENT.settings.rows, "most_tokens": config.file.inline_threshold}
    parts = [attached(name, shell.user_ns, draw=draw, **limits) for name in options.attach]
    return [*parts, TextPart(text=message)]


def _params(options: argparse.Namespace) -> dict[str, Any]:
    """What goes to the provider as it is."""
    given = {"max_tokens": options.max_tokens, "temperature": options.temperature}
    return {name: value for name, value in given.items() if value is not None}


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


def _dry_run(
    state: State,
    session: MnesisSession | None,
    options: argparse.Namespace,
    content: str | list[TextPart | MediaPart],
    tools: Sequence[Any] | None,
) -> Output:
    prompt = options.system
    if session is not None:
        window = state.bridge.call(session.preview, content, tools=tools, system_prompt=prompt)
        model = session.model
    else:
        model = options.model or CURRENT.model

        async def preview() -> Any:
            async with MnesisSession.open(model=model, db_path=":memory:", **_system(prompt)) as scratch:
                return await scratch.preview(content, tools=tools)

        window = state.bridge.call(preview)
    text = f"A dry run: nothing was sent, nothing stored. {window.budget - window.size:,} tokens would stay free."
    cost = _costs(model, window.size, options.max_tokens)
    return joined(
        Output(notice_html(text, cost), notice_text(text, cost)),
        Output(budget_html(window, model), budget_text(window)),
        Output(window_html(window), window_text(window)),
    )


def _costs(model: str, tokens: int, most_output: int | None) -> str:
    """What a request of so many tokens would cost, before anything is cached."""
    if model.startswith(("offline/", "local/")):
        return "It would cost nothing: the model runs here."
    facts = model_facts(model)
    if facts.price is None:
        return f"What it would cost is not known: litellm's map has no price of `{model}`."
    told = f"Its {tokens:,} tokens would cost about {dollars(tokens * facts.price.input)}"
    if most := most_output or facts.output:
        told += f", and a reply of {most:,} tokens, the most there can be, {dollars(most * facts.price.output)} more"
    return f"{told}."


# -- the turn ---------------------------------------------------------------------------------------------------------


def _converse(
    state: State,
    session: MnesisSession,
    turn: Callable[..., AsyncGenerator[StreamEvent]],
    asked: Any,
    format: Format = "markdown",
    *,
    tools: Sequence[Any] | None,
    **options: Any,
) -> ChatResult:
    """One turn of a session, shown below the cell that runs. `options` are what `turn` takes beside these."""
    size, budget = state.bridge.call(_measure, session)
    live = LiveReply(session.model, size, budget, len(session.history()), format)
    result: TurnResult | None = None
    with state.bridge.stream(turn, asked, tools=tools, origin=_origin(), **options) as events:
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
                _stop(live, events, error)
            raise
    assert result is not None, "a stream ends with TurnComplete or an error"
    size, budget = state.bridge.call(_measure, session, result)
    notices = list(_notices(session, result, live.rounds, offered=bool(tools)))
    output = live.finish(result, size, budget, _compacted(session, result), notices)
    return ChatResult(result, output, _cell_number())


def _stop(live: LiveReply, events: Stream[StreamEvent], error: BaseException) -> None:
    """Show what there is of a reply that will not be finished."""
    for event in events.cancel():
        match event:
            case TextDelta(text=text):
                live.add(text)
            case PartUpdate(part=part):
                live.update(part)
    running = ", ".join(live.running)  # now: that a call runs may have been told, and not been read yet
    live.stop()
    if isinstance(error, KeyboardInterrupt):
        told = "the reply was stopped. What there is of it is kept, and not sent again; the next cell works"
        hint = None
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


def _origin() -> str | None:
    """The cell that is running, where the front end tells."""
    parent: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)() or {}
    cell = parent.get("metadata", {}).get("cellId")
    return f"cell {cell}" if cell else None


def _cell_number() -> int | None:
    shell = get_ipython()
    return shell.execution_count if shell else None
