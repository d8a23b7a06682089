"""How a subcommand is made, found and carried out; and what most of them need."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnesis import InputError, MnesisSession
from mnesis_jupyter.arguments import Parser, did_you_mean, split
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State
from mnesis_jupyter.views import notice_html, notice_text, table_html, table_text

type Run = Callable[[State, argparse.Namespace], Output | None]


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
    text: bool
    """Whether all that follows the name is its one argument, as it is."""

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


def command(name: str, help: str, *arguments: Argument, text: bool = False) -> Callable[[Run], Run]:
    """Make a function a subcommand; with `text` its one argument is the rest of the line."""

    def register(run: Run) -> Run:
        COMMANDS[name] = Command(name, help, arguments, run, text)
        return run

    return register


def run(state: State, line: str) -> Output | None:
    """Carry out a line such as `use "my chat"`. `None` where it has shown something by itself."""
    name, rest = (*line.split(maxsplit=1), "", "")[:2]
    if name.endswith("?"):
        name, rest = "help", name.rstrip("?")
    found = find("help" if name in ("", "-h", "--help") else name)
    if found.text and (text := rest.strip()) and text not in ("-h", "--help"):
        return found.run(state, argparse.Namespace(**{found.arguments[0].names[0]: text}))
    return found.run(state, found.parser().read(split(rest)))


def find(name: str) -> Command:
    """The subcommand of this name."""
    if name not in COMMANDS:
        raise InputError(
            f"%mnesis has no {name!r}{did_you_mean(name, list(COMMANDS))}; `%mnesis help` lists what it has"
        )
    return COMMANDS[name]


# -- what most of them need ---------------------------------------------------------------------------------------

SESSION = argument("session", nargs="?", help="id or title (default: the current session)")
OF_SESSION = argument("-s", "--session", help="id or title (default: the current session)")

NEWEST = argument("-n", type=int, default=50, metavar="COUNT", help="the newest so many (default: 50)")


def chosen(state: State, options: argparse.Namespace) -> MnesisSession:
    """The session that a command is for."""
    return state.chosen(options.session)


def name_of(session: MnesisSession) -> str:
    """Its title, or its id."""
    return f"“{session.title}”" if session.title else session.id


def positive(count: int) -> int:
    """A count that shows something."""
    if count < 1:
        raise InputError(f"-n {count} shows nothing; give 1 or more")
    return count


def notice(text: str, hint: str | None = None) -> Output:
    """One line, and what to do about it."""
    return Output(notice_html(text, hint), notice_text(text, hint))


def table(rows: Sequence[Sequence[object]], columns: Sequence[str], caption: str) -> Output:
    """A small listing."""
    return Output(table_html(rows, columns, caption), table_text(rows, columns, caption))
