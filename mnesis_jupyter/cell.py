"""A chat cell: the message goes out, the reply is shown while it is written, and stays as static HTML."""

import argparse
import contextlib
import keyword
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from mnesis import (
    ContextOverflow,
    FileRefPart,
    InputError,
    MediaPart,
    MnesisConfig,
    MnesisSession,
    NotFound,
    TextPart,
    ToolPart,
    model_facts,
)
from mnesis.files import LargeFileHandler
from mnesis_jupyter.arguments import Parser, objects_named, temperature, whole
from mnesis_jupyter.attachments import Attached, Source, attached, part_of
from mnesis_jupyter.background import RunningTurn, in_background
from mnesis_jupyter.current import CURRENT, OFFLINE_MODEL
from mnesis_jupyter.formats import FORMATS, Format
from mnesis_jupyter.interpolation import interpolate
from mnesis_jupyter.live import Below
from mnesis_jupyter.origin import cell_number, cell_of, origin
from mnesis_jupyter.output import Output, joined, show
from mnesis_jupyter.rerun import Again, made_before, replaced, show_notice
from mnesis_jupyter.state import State, state, use
from mnesis_jupyter.turn import ChatResult, Turn, converse
from mnesis_jupyter.views import (
    budget_html,
    budget_text,
    dollars,
    notice_html,
    notice_text,
    window_html,
    window_text,
)

_KEYS = {"ANTHROPIC_API_KEY": "anthropic", "OPENAI_API_KEY": "openai", "GEMINI_API_KEY": "gemini"}


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
    options.add_argument("--bg", action="store_true", help="answer in the background: the cell ends at once")
    options.add_argument(
        "--attach",
        action="append",
        default=[],
        metavar="PATH|NAME",
        help="send a file, an image, or a value of the notebook along; may be given again",
    )
    options.add_argument("--format", choices=FORMATS, default="markdown", help="how the reply is shown (markdown)")
    options.add_argument("--max-tokens", type=whole, metavar="N", help="how long the reply may be")
    options.add_argument("--temperature", type=temperature, metavar="T", help="from 0, the same again, to 2")
    options.add_argument("--append", action="store_true", help="run again, add a turn instead of replacing this cell's")
    options.add_argument("--raw", action="store_true", help="send the text as it is, without looking for {{ name }}")
    options.add_argument("--dry-run", action="store_true", help="show what would be sent; send and store nothing")
    return options


_DESCRIPTION = """\
The cell is a message; the reply is shown below it and kept in the session, which becomes the current one.
{{ name }}, {{ a.b }} and {{ a["k"] }} put in values of the notebook; of a DataFrame as many rows as
`%config Mnesis.rows` says, as a table.

A function that is a tool has a docstring, which tells the model what it is for, and type hints. Each call runs in a
thread of its own, an async function on the engine's loop. A tool that is a dict {"type": "function", …} is yours to
run: the cell says how to go on.

A cell that is run again replaces its turn: the session parts before it, into a new branch that has its title and is
current; the old branch stays. `--append`, or `%config Mnesis.rerun = "append"`, adds a turn instead.

With --bg the result is a handle: .text so far, .done, .stop(), and .result(), which waits, or await it."""


def run(
    state: State, shell: InteractiveShell, options: argparse.Namespace, body: str
) -> ChatResult | RunningTurn | None:
    """One chat cell. Returns what it leaves behind; a dry run leaves nothing, and stores nothing."""
    message, tools = _message(shell, options, body), _tools(shell, options)
    named = [attached(name, shell) for name in options.attach]
    known = _named(state, options)
    again = made_before(known) if known and not options.append else None
    here = cell_of(by) if (by := origin()) else None
    waiting = state.waiting.of(known.id, here if again else None) if known else []
    content = partial(_content, state, message, [*waiting, *named])
    if options.dry_run:
        _show_dry_run(state, known, options, content(_look(known)), tools, again)
        return None
    if known and again:
        _check(state, known, content(_look(known)), tools)
        state.waiting.put(known.id, [])
        known = replaced(state, known, again)
    session = known or state.create(model=options.model, title=options.session, **_system(options.system))
    _introduce(state, session)
    state.waiting.put(session.id, waiting)
    ask = partial(
        session.stream,
        content(session.attach),
        tools=tools,
        system_prompt=options.system if known else None,
        params=_params(options),
        origin=by,
    )
    turn = Turn(session, ask, options.format, bool(tools), origin=by, cell=cell_number())
    reply = in_background(state, turn) if options.bg else converse(state, turn, Below())
    state.waiting.gone(session.id, here)
    if options.out:
        shell.user_ns[options.out] = reply
    return reply


def submit_tool_results(
    results: Mapping[str, Any] | Sequence[ToolPart | Mapping[str, Any]],
    *,
    tools: Sequence[Any] | None = None,
    session: MnesisSession | str | None = None,
    system_prompt: str | None = None,
    format: Format = "markdown",
    params: Mapping[str, Any] | None = None,
) -> ChatResult:
    """Go on after a chat cell whose turn ended with calls that only you can answer, and show the reply as it does.

    `results` maps the id of each call to what its tool returned, an exception where it failed. Give `tools` again where
    the model may call more. `session`, an object, an id or a title, is current from now on; without it the current one
    is meant. `format` is that of a chat cell; `params` go to the provider as they are: {"max_tokens": 200}. The rest,
    and errors, as for `MnesisSession.submit_tool_results`.
    """
    if format not in FORMATS:
        raise InputError(f"format={format!r} is none; give one of {', '.join(FORMATS)}")
    chosen = CURRENT.session if session is None else use(session)
    if chosen is None:
        raise InputError("there is no session yet, and so no call that waits for a result")
    if again := made_before(chosen):
        chosen = replaced(state(), chosen, again)
    by = origin()
    ask = partial(
        chosen.stream_tool_results,
        results,
        tools=tools,
        system_prompt=system_prompt,
        params=params,
        origin=by,
    )
    turn = Turn(chosen, ask, format, bool(tools), begins="tool", origin=by, cell=cell_number())
    return converse(state(), turn, Below())


# -- what is sent -----------------------------------------------------------------------------------------------------

type _Content = str | list[TextPart | MediaPart | FileRefPart]


def _message(shell: InteractiveShell, options: argparse.Namespace, body: str) -> str:
    """The words of the cell, with the notebook's values in them. Raises what is wrong with its options as well."""
    if options.out is not None and (not options.out.isidentifier() or keyword.iskeyword(options.out)):
        raise InputError(f"-o {options.out}: that is not a name for a variable")
    text = body.rstrip("\n")
    message = text if options.raw else interpolate(text, shell.user_ns, CURRENT.settings.rows)
    if not message.strip():
        raise InputError("the cell says nothing; write the message below the line with %%mnesis")
    return message


def _tools(shell: InteractiveShell, options: argparse.Namespace) -> list[Any] | None:
    return None if options.tools is None else list(objects_named(options.tools, shell.user_ns).values())


def _look(session: MnesisSession | None) -> Callable[..., Any]:
    """What makes parts of files and stores nothing."""
    return LargeFileHandler((session.config if session else MnesisConfig()).file).part


def _check(state: State, session: MnesisSession, content: _Content, tools: Sequence[Any] | None) -> None:
    """Raise what is wrong with a message before a branch is made for it."""
    with contextlib.suppress(ContextOverflow):  # the branch has more room
        state.bridge.call(session.preview, content, tools=tools)


def _content(state: State, message: str, attachments: Sequence[Attached], attach: Callable[..., Any]) -> _Content:
    """What is sent: what is attached, then what was written. `attach` makes parts of files and tables."""
    if not attachments:
        return message

    def take(source: Source) -> TextPart | FileRefPart:
        part: TextPart | FileRefPart = state.bridge.call(attach, source.content, name=source.name)
        return part

    return [*(part_of(each, take) for each in attachments), TextPart(text=message)]


def _params(options: argparse.Namespace) -> dict[str, Any]:
    """What goes to the provider as it is."""
    given = {"max_tokens": options.max_tokens, "temperature": options.temperature}
    return {name: value for name, value in given.items() if value is not None}


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


def _introduce(state: State, session: MnesisSession) -> None:
    """Say once which model answers."""
    if not state.introduced:
        state.introduced = True
        show(introduction(session.model, os.environ))


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


# -- dry runs ---------------------------------------------------------------------------------------------------------


def _show_dry_run(
    state: State,
    session: MnesisSession | None,
    options: argparse.Namespace,
    content: _Content,
    tools: Sequence[Any] | None,
    again: Again | None,
) -> None:
    show(_dry_run(state, session, options, content, tools))
    if again:
        told = f"This window is behind the newest turn; run for real, the cell replaces {again.words}."
        show_notice(told, "`--append` adds a turn instead.")


def _dry_run(
    state: State,
    session: MnesisSession | None,
    options: argparse.Namespace,
    content: _Content,
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
