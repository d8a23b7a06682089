"""The inspector."""

import argparse

from mnesis_jupyter.commands.registry import SESSION, argument, chosen, command
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State


@command(
    "ui",
    "The inspector: budget, summaries, timeline and window in one live widget, with time travel.",
    SESSION,
    argument("--turn", type=int, help="begin at the window of a past turn, from 0"),
)
def _ui(state: State, options: argparse.Namespace) -> Output | None:
    from IPython.display import display

    from mnesis_jupyter.widgets import inspect

    display(inspect(chosen(state, options), turn=options.turn))  # type: ignore[no-untyped-call]
    return None
