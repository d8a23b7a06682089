"""Sessions: begin, choose, close."""

import argparse
from pathlib import Path

from mnesis import MnesisConfig, MnesisSession
from mnesis.models.config import ModelOverrides
from mnesis_jupyter import frames
from mnesis_jupyter.commands.registry import SESSION, argument, chosen, command, name_of, notice, positive, table
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State

_MODEL = argument("-m", "--model", help="litellm model string, or offline/quote (default: %%config Mnesis.model)")
_SYSTEM = argument("--system", metavar="TEXT", help='system prompt; "" sends none')
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
    return notice(f"New session {name_of(session)} with `{session.model}`.", session.id)


@command("use", "Make a session the current one: one that is open here, else from the store.", _NAMED)
def _use(state: State, options: argparse.Namespace) -> Output:
    return _resumed(state, state.use(state.named(options.session)))


@command(
    "load",
    "Go on with a session of the store, or of another store.",
    _NAMED,
    argument("--db", type=Path, metavar="FILE", help="the store (default: %%config Mnesis.db)"),
)
def _load(state: State, options: argparse.Namespace) -> Output:
    return _resumed(state, state.load(options.session, db=options.db))


@command(
    "sessions",
    "The sessions in the store, newest first.",
    argument("-n", type=int, default=20, metavar="COUNT", help="how many (default: 20)"),
)
def _sessions(state: State, options: argparse.Namespace) -> Output:
    opened = {session.id for session in state.sessions}
    here = CURRENT.session.id if CURRENT.session else None
    rows = [
        ("current" if id == here else "open" if id in opened else "", title, model, turns, tokens, created, id)
        for id, title, model, turns, tokens, created in frames.listing(CURRENT.store, positive(options.n))
    ]
    return table(
        rows, ("", "title", "model", "turns", "tokens", "created (UTC)", "id"), f"Sessions in {CURRENT.store.name}"
    )


@command("close", "Close a session. It stays in the store; `%mnesis use` opens it again.", SESSION)
def _close(state: State, options: argparse.Namespace) -> Output:
    session = chosen(state, options)
    state.close_session(session)
    return notice(f"Closed {name_of(session)}.", f"`%mnesis use {session.id}` opens it again.")


def _resumed(state: State, session: MnesisSession) -> Output:
    (turns,) = (each.turns for each in state.bridge.call(session.branches) if each.is_this)  # those it shares, too
    text = f"Now in {name_of(session)} with `{session.model}`: {turns} turn{'' if turns == 1 else 's'} so far."
    return notice(text, session.id)
