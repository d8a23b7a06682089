"""The arguments of the magics: argparse without its exits."""

import argparse
import difflib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from mnesis import InputError


class UsageShown(Exception):
    """Not an error: help was asked for. The exception's text is the help."""


class Parser(argparse.ArgumentParser):
    """Raises `InputError` for what it cannot read, and `UsageShown` for `-h` and `--help`."""

    def __init__(self, prog: str, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(prog, allow_abbrev=False, **options)

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The options in a list of words."""
        options, unknown = self.parse_known_args(words)
        if unknown:
            known = [name for action in self._actions for name in action.option_strings]
            self.error(f"{unknown[0]!r} is not understood{did_you_mean(unknown[0], known)}")
        return options

    def print_help(self, file: object = None) -> NoReturn:
        raise UsageShown(self.format_help().rstrip())

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message}; `{self.prog} -h` shows the options")


def whole(text: str) -> int:
    """A whole number from 1 on, as a type of an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def temperature(text: str) -> float:
    """A number from 0 to 2, as a type of an argument."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 2")
    return value


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`, did you mean 'x'?`, or nothing where nothing is close."""
    close = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def objects_named(words: Sequence[str], names: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook's objects of these names: separated by commas or spaces, with dots where they are attributes."""
    wanted = [name for word in words for name in word.split(",") if name]
    if not wanted:
        raise InputError("--tools names nothing; give names of functions, as in --tools f, g")
    return {name: _object_named(name, names) for name in wanted}


def _object_named(name: str, names: Mapping[str, Any]) -> Any:
    first, *attributes = name.split(".")
    if first not in names:
        known = [known for known in names if not known.startswith("_")]
        hint = did_you_mean(first, known) or "; define it in a cell above"
        raise InputError(f"{name}: there is no name {first!r} in this notebook{hint}")
    value = names[first]
    for attribute in attributes:
        if not hasattr(value, attribute):
            hint = did_you_mean(attribute, dir(value))
            raise InputError(f"{name}: a {type(value).__name__} has no attribute {attribute!r}{hint}")
        value = getattr(value, attribute)
    return value


def split(line: str) -> list[str]:
    """The words of a line; those in quotes stay together. A backslash is a character like others, as in paths."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer)
    except ValueError as error:
        raise InputError(f"a quotation mark is not closed in {line.strip()!r}; close it") from error
