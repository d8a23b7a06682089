"""Help, and what went wrong."""

import argparse
import traceback

from mnesis_jupyter.commands.registry import COMMANDS, argument, command, find, notice, table
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.output import Output, joined, preformatted
from mnesis_jupyter.state import State


@command("help", "This list, or the options of one subcommand.", argument("subcommand", nargs="?", help="its name"))
def _help(state: State, options: argparse.Namespace) -> Output:
    if options.subcommand:
        return preformatted(find(options.subcommand).parser().format_help().rstrip())
    rows = [
        ("%%mnesis", "The cell is a message: the reply is shown below. Options: %%mnesis -h"),
        ("%%mnesis map", "The cell is a template, asked about each item. Options: %%mnesis map -h"),
        *((f"%mnesis {each.name}", each.help) for each in COMMANDS.values()),
    ]
    return table(rows, ("magic", "what it does"), "mnesis in a notebook")


@command("debug", "The traceback of the last error.")
def _debug(state: State, options: argparse.Namespace) -> Output:
    if state.error is None:
        return notice("No magic of mnesis has failed since the extension was loaded.")
    return preformatted("".join(traceback.format_exception(state.error)).rstrip())


@command("config", "Each setting: its value, and where that is from.")
def _config(state: State, options: argparse.Namespace) -> Output:
    rows = [(name, _plain(found.value), found.origin) for name, found in CURRENT.in_force().items()]
    order = "The first wins: a flag, `%config Mnesis.NAME = …`, the environment, pyproject.toml, ~/.mnesis/config.toml."
    return joined(table(rows, ("setting", "value", "from"), "Settings"), notice(order))


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
