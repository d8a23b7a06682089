"""What can stand at the cursor of a cell with `%mnesis` or `%%mnesis`: subcommands, options, and what these name.

Nothing is imported here before such a cell is completed, so that `%load_ext` and other cells stay quick.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.getipython import get_ipython

if TYPE_CHECKING:
    import argparse

_MOST = 200
"""So many of one kind are offered at most; what is typed next narrows them down."""

_WORD = re.compile(r"""(?:[^\s"']|"[^"]*(?:"|$)|'[^']*(?:'|$))+""")
_LINE, _CELL = re.compile(r"\s*%mnesis(?=\s)"), re.compile(r"\s*%%mnesis(?=\s)")
_OPEN_SLOT = re.compile(r"\{\{[ \t]*([^{}\n]*)$")
_ATTRIBUTE = re.compile(r"(?:(?P<owner>.+)\.)?(?P<name>[^\W\d]\w*|)$")


@context_matcher(priority=200, identifier="mnesis")  # type: ignore[untyped-decorator]  # before IPython's own
def complete(context: CompletionContext) -> SimpleMatcherResult:
    """What IPython's completer asks for each cell."""
    fragment, kind, texts = _completed(context)
    return {
        "completions": [SimpleCompletion(text=text, type=kind) for text in texts],
        "matched_fragment": fragment,
        "suppress": True,
        "ordered": True,
    }


def _completed(context: CompletionContext) -> tuple[str, str, list[str]]:
    """What is there already of the thing at the cursor, what kind of thing it is, and what it may become."""
    line = context.text_until_cursor
    first = context.full_text.lstrip().partition("\n")[0]
    above = context.full_text.split("\n")[: context.cursor_line]
    if _CELL.match(f"{first}\n") and any(above):
        return _slot(line)
    if not (found := _CELL.match(line) or _LINE.match(line)):
        return "", "", []
    from mnesis import MnesisError

    try:
        rest = line[found.end() :]
        return _cell(rest) if found[0].endswith("%%mnesis") else _subcommand(rest)
    except MnesisError:  # a store that cannot be read, a wrong setting: the cell will say so when it is run
        return "", "", []


# -- lines ------------------------------------------------------------------------------------------------------------


def _cell(rest: str) -> tuple[str, str, list[str]]:
    from mnesis_jupyter import cell, map_cell

    words, fragment = _words(rest)
    if words[:1] == [map_cell.NAME]:
        return _argument(map_cell.parser(), rest, after=1)
    if not words and fragment and map_cell.NAME.startswith(fragment):
        return fragment, "subcommand", [map_cell.NAME]
    return _argument(cell.parser(), rest)


def _subcommand(rest: str) -> tuple[str, str, list[str]]:
    from mnesis_jupyter.commands import COMMANDS

    if slot := _OPEN_SLOT.search(rest):
        return _slot(slot[0])
    words, fragment = _words(rest)
    if not words:
        return fragment, "subcommand", [name for name in COMMANDS if name.startswith(fragment)]
    command = COMMANDS.get(words[0])
    return _argument(command.parser(), rest, after=1) if command else (fragment, "", [])


def _argument(parser: "argparse.ArgumentParser", rest: str, after: int = 0) -> tuple[str, str, list[str]]:
    """The argument that is being written behind so many words."""
    words, fragment = _words(rest)
    actions = parser._actions  # noqa: SLF001  # argparse has no public list of them
    by_name = {name: action for action in actions for name in action.option_strings}
    positionals = [action for action in actions if not action.option_strings]
    wanted: argparse.Action | None = None
    for word in words[after:]:
        if wanted is not None:
            wanted = None  # this word is its value
        elif option := by_name.get(word):
            wanted = option if option.nargs != 0 else None
        elif positionals and positionals[0].nargs not in ("+", "*"):
            positionals.pop(0)
    if wanted is None and fragment.startswith("-"):
        return fragment, "option", [name for name in by_name if name.startswith(fragment)]
    if wanted is None and not positionals:
        return fragment, "option", list(by_name) if not fragment else []
    return (fragment, *_values(wanted or positionals[0], fragment))


def _values(action: "argparse.Action", fragment: str) -> tuple[str, list[str]]:
    """What an argument may be: its choices, or what its name says."""
    quote = fragment[0] if fragment[:1] in ('"', "'") else ""
    beginning = fragment.removeprefix(quote)
    kind, of_kind = action.dest, _OF_KIND.get(action.dest, _nothing)
    values = map(str, action.choices) if action.choices else of_kind(beginning)
    fitting = dict.fromkeys(value for value in values if value.startswith(beginning))
    return kind, [_quoted(value, quote) for value in list(fitting)[:_MOST]]


def _quoted(value: str, quote: str) -> str:
    """A value as the line takes it: in the quotes that were begun, or in some where it needs them."""
    if not quote and not re.search(r"[\s\"']", value):
        return value
    quote = quote or ("'" if '"' in value else '"')
    return f"{quote}{value}{quote}"


def _words(rest: str) -> tuple[list[str], str]:
    """The whole words of a line, and the one that is being written."""
    found = list(_WORD.finditer(rest))
    if found and found[-1].end() == len(rest):
        return [word[0] for word in found[:-1]], found[-1][0]
    return [word[0] for word in found], ""


# -- what arguments name ----------------------------------------------------------------------------------------------


def _nothing(beginning: str) -> Iterable[str]:
    return ()


def _sessions(beginning: str) -> Iterable[str]:
    """Titles, then ids: of the sessions that are open, and of the newest in the store."""
    from mnesis_jupyter import frames
    from mnesis_jupyter.current import CURRENT
    from mnesis_jupyter.state import state

    known = [(session.id, session.title) for session in reversed(state().sessions)]
    known += frames.names(CURRENT.store, _MOST)
    yield from (title for _, title in known if title)
    yield from (id for id, _ in known)


def _models(beginning: str) -> Iterable[str]:
    from mnesis import known_models, local
    from mnesis_jupyter.current import CURRENT, OFFLINE_MODEL

    yield from (CURRENT.model, OFFLINE_MODEL)
    yield from (f"local/{path.stem}" for path in local.installed())
    yield from known_models()


def _ids(beginning: str) -> Iterable[str]:
    from mnesis_jupyter import frames
    from mnesis_jupyter.current import CURRENT

    session = CURRENT.session
    if session is None or session.db_path is None:
        return []
    return frames.ids(session.db_path, session.id, beginning, _MOST)


def _runs(beginning: str) -> Iterable[str]:
    """Of maps, the newest first."""
    from mnesis_jupyter import frames
    from mnesis_jupyter.current import CURRENT

    yield from (id for *_, id, _ in frames.map_listing(CURRENT.store, _MOST))
    if beginning:
        yield from _names(beginning)


def _summaries(beginning: str) -> Iterable[str]:
    return (id for id in _ids(beginning or "sum_") if id.startswith("sum_"))


def _paths(beginning: str) -> Iterable[str]:
    """Files and folders, as they are written; a folder ends on a slash, to go on from."""
    from pathlib import Path

    folder, slash, name = beginning.rpartition("/")
    try:
        found = sorted(Path(f"{folder}{slash}").expanduser().iterdir() if slash else Path().iterdir())
        for path in found:
            if path.name.startswith(name) and (name or not path.name.startswith(".")):
                yield f"{folder}{slash}{path.name}{'/' * path.is_dir()}"
    except OSError:  # not there, or not ours to read
        return


def _names(beginning: str) -> Iterable[str]:
    return (name for name, _ in _visible(_namespace()))


def _attachables(beginning: str) -> Iterable[str]:
    yield from _names(beginning)
    yield from _paths(beginning)


def _functions(beginning: str) -> Iterable[str]:
    """Names of what the model can be given to call, also behind a comma."""
    before, comma, _ = beginning.rpartition(",")
    for name, value in _visible(_namespace()):
        if not isinstance(value, type) and (callable(value) or _is_tool(value)):
            yield f"{before}{comma}{name}"


def _is_tool(value: Any) -> bool:
    return type(value).__name__ == "Tool" or (isinstance(value, dict) and value.get("type") == "function")


def _subcommands(beginning: str) -> Iterable[str]:
    from mnesis_jupyter.commands import COMMANDS

    return COMMANDS


_OF_KIND: Mapping[str, Callable[[str], Iterable[str]]] = {
    "session": _sessions,
    "model": _models,
    "id": _ids,
    "summary": _summaries,
    "file": _paths,
    "db": _paths,
    "attach": _attachables,
    "out": _names,
    "inputs": _attachables,
    "schema": _names,
    "resume": _runs,
    "other": _sessions,
    "tools": _functions,
    "subcommand": _subcommands,
}
"""By the name of the argument."""


# -- what stands between braces ---------------------------------------------------------------------------------------


def _slot(line: str) -> tuple[str, str, list[str]]:
    """A name of the notebook, or an attribute of what is named."""
    slot = _OPEN_SLOT.search(line)
    found = _ATTRIBUTE.fullmatch(slot[1]) if slot else None
    if found is None:
        return "", "", []
    names = _visible(_namespace()) if found["owner"] is None else ((name, None) for name in _attributes(found["owner"]))
    return found["name"], "instance", [name for name, _ in names if name.startswith(found["name"])]


def _attributes(owner: str) -> list[str]:
    """The attributes of an expression, found out without running any code of the user's."""
    from IPython.core.guarded_eval import EvaluationContext, guarded_eval

    try:
        value = guarded_eval(owner, EvaluationContext(globals=_namespace(), locals={}, evaluation="limited"))
        return [name for name in dir(value) if not name.startswith("_")]
    except Exception:  # noqa: BLE001  # half-written code, and objects of other people
        return []


def _namespace() -> dict[str, Any]:
    shell = get_ipython()
    return shell.user_ns if shell else {}


def _visible(names: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """What the user has named, without what IPython keeps there."""
    shell = get_ipython()
    hidden = shell.user_ns_hidden if shell else {}
    return (
        (name, value)
        for name, value in names.items()
        if not name.startswith("_") and hidden.get(name, names) is not value
    )
