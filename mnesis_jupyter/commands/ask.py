"""A question in one line."""

import argparse

from IPython.core.getipython import get_ipython

from mnesis_jupyter import cell
from mnesis_jupyter.commands.registry import argument, command
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State


@command(
    "ask",
    "A message in one line, to the current session; all that follows is the message.",
    argument("message", nargs="+", metavar="MESSAGE", help="as it is: quotation marks need no care"),
    text=True,
)
def _ask(state: State, options: argparse.Namespace) -> Output | None:
    shell = get_ipython()
    assert shell is not None, "a magic runs in a shell"
    # The line has been interpolated already, and values are never looked at again.
    cell.run(state, shell, cell.parser().read(["--raw"]), options.message)
    return None
