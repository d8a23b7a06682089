"""Maps: which runs there are."""

import argparse

from mnesis_jupyter import frames
from mnesis_jupyter.commands.registry import argument, command, notice, positive, table
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.output import Output, joined
from mnesis_jupyter.state import State

_COLUMNS = ("state", "model", "items", "done", "failed", "begun (UTC)", "id", "template")


@command(
    "maps",
    "The runs of maps in the store, newest first; %%mnesis map --resume goes on with one.",
    argument("-n", type=int, default=20, metavar="COUNT", help="how many (default: 20)"),
)
def _maps(state: State, options: argparse.Namespace) -> Output:
    rows = frames.map_listing(CURRENT.store, positive(options.n))
    shown = table(rows, _COLUMNS, f"Maps in {CURRENT.store.name}")
    if rows:
        return shown
    return joined(shown, notice("There is none yet; a cell with `%%mnesis map NAME` begins one.", "`%%mnesis map -h`"))
