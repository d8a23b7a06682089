"""What follows `%mnesis`: one small function each, with its arguments beside it."""

import argparse
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mnesis import InputError, Message, MnesisConfig, MnesisSession, NotFound
from mnesis.models.config import ModelOverrides
from mnesis_jupyter import frames
from mnesis_jupyter.arguments import Parser, did_you_mean
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.output import Output, preformatted
from mnesis_jupyter.state import State
from mnesis_jupyter.views import (
    budget_html,
    budget_text,
    notice_html,
    notice_text,
    table_html,
    table_text,
    window_html,
    window_text,
)

type Run = Callable[[State, argparse.Namespace], Output]


@dataclass(frozen=True, slots=True)
class Argument:
    """One `add_argument`: its names, and what argparse takes beside them."""

    names: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand. `help` is one line."""

    name: str
    help: str
    arguments: tuple[Argument, ...]
    run: Run

    def parser(self) -> Parser:
        """Reads its arguments."""
        parser = Parser(f"%mnesis {self.name}", description=self.help)
        for argument in self.arguments:
            parser.add_argument(*argument.names, **argument.options)
        return parser


COMMANDS: dict[str, Command] = {}
"""All subcommands, in the order of `%mnesis help`."""


def argument(*names: str, **options: Any) -> Argument:
    """An argument of a command, as for `ArgumentParser.add_argument`."""
    return Argument(names, options)


def command(name: str, help: str, *arguments: Argument) -> Callable[[Run], Run]:
    """Make a function a subcommand."""

    def register(run: Run) -> Run:
        COMMANDS[name] = Command(name, help, arguments, run)
        return run

    return register


def run(state: State, words: Sequence[str]) -> Output:
    """Carry out a line such as `use "my chat"`, given as words."""
    name, *rest = words or ["help"]
    if name in ("-h", "--help"):
        name = "help"
    found = _command(name)
    return found.run(state, found.parser().read(rest))


def _command(name: str) -> Command:
    if name not in COMMANDS:
        raise InputError(
            f"%mnesis has no {name!r}{did_you_mean(name, list(COMMANDS))}; `%mnesis help` lists what it has"
        )
    return COMMANDS[name]


# -- sessions -----------------------------------------------------------------------------------------------------

_MODEL = argument("-m", "--model", help="litellm model string, or offline/quote (default: %%config Mnesis.model)")
_SYSTEM = argument("--system", metavar="TEXT", help='system prompt; "" sends none')
_SESSION = argument("session", nargs="?", help="id or title (default: the current session)")
_NAMED = argument("session", help="id or title")


@command(
    "new",
    "Begin a session; it is the current one from now on.",
    argument("title", nargs="?", help="a name for it, in quotes if it has spaces"),
    _MODEL,
    _SYSTEM,
    argument("--window", type=int, metavar="TOKENS", help="pretend that the model's window is this small"),
)
def _new(state: State, options: argparse.Namespace) -> Output:
    system = {} if options.system is None else {"system_prompt": options.system}
    config = MnesisConfig(model_overrides=ModelOverrides(context_limit=options.window))
    session = state.create(model=options.model, title=options.title, config=config, **system)
    return _notice(f"New session {_name(session)} with `{session.model}`.", session.id)


@command("use", "Make a session the current one: one that is open here, else from the store.", _NAMED)
def _use(state: State, options: argparse.Namespace) -> Output:
    session = state.find(options.session)
    if session is None:
        raise NotFound("session", options.session, f"{CURRENT.store} has none of this id or title")
    return _resumed(state.use(session))


@command(
    "load",
    "Go on with a session of the store, or of another store.",
    _NAMED,
    argument("--db", type=Path, metavar="FILE", help="the store (default: %%config Mnesis.db)"),
)
def _load(state: State, options: argparse.Namespace) -> Output:
    return _resumed(state.load(options.session, db=options.db))


@command(
    "sessions",
    "The sessions in the store, newest first.",
    argument("-n", type=int, default=20, metavar="COUNT", help="how many (default: 20)"),
)
def _sessions(state: State, options: argparse.Namespace) -> Output:
    opened = {session.id for session in state.sessions}
    here = CURRENT.session.id if CURRENT.session else None
    rows = [
        ("current" if id == here else "open" if id in opened else "", title, model, turns, tokens, created[:16], id)
        for id, title, model, turns, tokens, created in frames.listing(CURRENT.store, _positive(options.n))
    ]
    return _table(
        rows, ("", "title", "model", "turns", "tokens", "created (UTC)", "id"), f"Sessions in {CURRENT.store.name}"
    )


@command("close", "Close a session. It stays in the store; `%mnesis use` opens it again.", _SESSION)
def _close(state: State, options: argparse.Namespace) -> Output:
    session = _chosen(state, options)
    state.close_session(session)
    return _notice(f"Closed {_name(session)}.", f"`%mnesis use {session.id}` opens it again.")


# -- what the model sees ------------------------------------------------------------------------------------------


@command(
    "context",
    "The window: what the model is sent next, or was sent in a past turn.",
    argument("turn", nargs="?", type=int, help="a past turn, from 0"),
    argument("-s", "--session", help="id or title (default: the current session)"),
)
def _context(state: State, options: argparse.Namespace) -> Output:
    window = state.bridge.call(_chosen(state, options).context, options.turn)
    return Output(window_html(window), window_text(window))


@command("budget", "How full the window is, and what is kept free.", _SESSION)
def _budget(state: State, options: argparse.Namespace) -> Output:
    session = _chosen(state, options)
    window = state.bridge.call(session.context)
    return Output(budget_html(window, session.model), budget_text(window))


@command(
    "messages",
    "The log: everything that was said, with the partial replies of turns that were stopped.",
    _SESSION,
    argument("-n", type=int, default=50, metavar="COUNT", help="the newest so many (default: 50)"),
)
def _messages(state: State, options: argparse.Namespace) -> Output:
    log = state.bridge.call(_chosen(state, options).messages)
    rows = [
        (m.turn, m.role + " (partial)" * m.partial, m.tokens, _beginning(m), m.id) for m in log[-_positive(options.n) :]
    ]
    return _table(rows, ("turn", "role", "tokens", "text", "id"), _caption("Messages", len(rows), len(log)))


@command(
    "events",
    "What happened, as it is stored.",
    _SESSION,
    argument("-n", type=int, default=50, metavar="COUNT", help="the newest so many (default: 50)"),
)
def _events(state: State, options: argparse.Namespace) -> Output:
    log = state.bridge.call(_chosen(state, options).events)
    rows = [
        (record.seq, record.turn, record.event.value, _told(record.payload.model_dump(mode="json")), record.created_at)
        for record in log[-_positive(options.n) :]
    ]
    return _table(rows, ("seq", "turn", "event", "payload", "at (UTC)"), _caption("Events", len(rows), len(log)))


# -- help ---------------------------------------------------------------------------------------------------------


@command("help", "This list, or the options of one subcommand.", argument("subcommand", nargs="?"))
def _help(state: State, options: argparse.Namespace) -> Output:
    if options.subcommand:
        return preformatted(_command(options.subcommand).parser().format_help().rstrip())
    rows = [
        ("%%mnesis", "The cell is a message: the reply is shown below. Options: %%mnesis -h"),
        *((f"%mnesis {each.name}", each.help) for each in COMMANDS.values()),
    ]
    return _table(rows, ("magic", "what it does"), "mnesis in a notebook")


@command("debug", "The traceback of the last error.")
def _debug(state: State, options: argparse.Namespace) -> Output:
    if state.error is None:
        return _notice("No magic of mnesis has failed since the extension was loaded.")
    return preformatted("".join(traceback.format_exception(state.error)).rstrip())


# -- details ------------------------------------------------------------------------------------------------------


def _chosen(state: State, options: argparse.Namespace) -> MnesisSession:
    if options.session:
        session = state.find(options.session)
        if session is None:
            raise NotFound("session", options.session, f"{CURRENT.store} has none of this id or title")
        return session
    if CURRENT.session is None:
        raise InputError("there is no session yet; write a %%mnesis cell, or begin one with `%mnesis new`")
    return CURRENT.session


def _resumed(session: MnesisSession) -> Output:
    turns = len(session.history())
    text = f"Now in {_name(session)} with `{session.model}`: {turns} turn{'' if turns == 1 else 's'} so far."
    return _notice(text, session.id)


def _name(session: MnesisSession) -> str:
    return f"“{session.title}”" if session.title else session.id


def _positive(count: int) -> int:
    if count < 1:
        raise InputError(f"-n {count} shows nothing; give 1 or more")
    return count


def _beginning(message: Message) -> str:
    text = " ".join(message.text[:400].split()) or ", ".join(part.type for part in message.parts)
    return text if len(text) <= _PREVIEW else f"{text[: _PREVIEW - 1]}…"


_PREVIEW = 72


def _caption(what: str, shown: int, all: int) -> str:
    return f"{what} ({all:,})" if shown == all else f"{what} (the newest {shown:,} of {all:,})"


def _told(payload: Mapping[str, Any]) -> str:
    facts = (
        (name, value) for name, value in payload.items() if name not in ("session_id", "turn") and value is not None
    )
    return ", ".join(f"{name}={value}" for name, value in islice(facts, 8))


def _notice(text: str, hint: str | None = None) -> Output:
    return Output(notice_html(text, hint), notice_text(text, hint))


def _table(rows: Sequence[Sequence[object]], columns: Sequence[str], caption: str) -> Output:
    return Output(table_html(rows, columns, caption), table_text(rows, columns, caption))
