"""Models: which one answers, what it can and costs, which others there are."""

import argparse
from collections.abc import Sequence

from mnesis import BadRequest, InputError, known_models, local, model_facts
from mnesis_jupyter.commands.registry import argument, command, notice, table
from mnesis_jupyter.current import CURRENT, OFFLINE_MODEL
from mnesis_jupyter.output import Output, joined
from mnesis_jupyter.state import State

_COLUMNS = ("model", "window", "output", "$ in / M", "$ out / M", "tools", "images")


@command(
    "model",
    "Which model answers, its limits and its prices; or all models with a word in their name.",
    argument("model", nargs="?", metavar="WORD", help="a model string, or a part of one, such as haiku"),
)
def _model(state: State, options: argparse.Namespace) -> Output:
    if options.model is None:
        session = CURRENT.session
        caption = "The model of the current session" if session else "The model of the next session"
        return _listed([session.model if session else CURRENT.model], caption)
    known = [OFFLINE_MODEL, *(f"local/{path.stem}" for path in local.installed()), *known_models()]
    if options.model in known:
        return _listed([options.model], "A model")
    found = [name for name in known if options.model.lower() in name.lower()]
    if not found:
        raise InputError(
            f"no model has {options.model!r} in its name; `%mnesis model claude` shows how they are written"
        )
    return _listed(found, f"Models with “{options.model}” in their name ({len(found):,})")


def _listed(names: Sequence[str], caption: str) -> Output:
    shown = table([_row(name) for name in names], _COLUMNS, caption)
    if list(names) != [OFFLINE_MODEL]:
        return shown
    word = f"`{OFFLINE_MODEL}` runs here and costs nothing: it quotes what was said, and is not a language model."
    hint = "`%mnesis model WORD` finds others; `%mnesis new -m MODEL` begins a session with one."
    return joined(shown, notice(word, hint))


def _row(name: str) -> Sequence[object]:
    if name.startswith("local/"):
        return (name, *_of_file(name))
    facts = model_facts(name)
    price = facts.price
    costs = (round(price.input * 1e6, 4), round(price.output * 1e6, 4)) if price else (None, None)
    return (facts.model, facts.context, facts.output, *costs, _said(facts.tools), _said(facts.images))


def _said(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _of_file(name: str) -> Sequence[object]:
    """What the file of a model says: it is no matter of litellm's map, and costs nothing."""
    try:
        header = local.read_header(local.find(name))
    except BadRequest:  # `mnesis models list` says why
        return (None,) * 6
    return (header.context_length, None, 0, 0, _said(header.takes_tools), "no")
