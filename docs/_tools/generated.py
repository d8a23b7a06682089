"""What the documentation takes from the code: `<!-- generated: NAME -->` in a page becomes Markdown made here.

A hook of mkdocs (`mkdocs.yml`), and for the tests a module like any other.
"""

import argparse
import ast
import asyncio
import inspect
import re
import sqlite3
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from mnesis import Database, MnesisConfig, StoreConfig
from mnesis.cli import main as terminal_command
from mnesis.events.payloads import PAYLOADS, Payload
from mnesis.models.config import Settings
from mnesis_jupyter.cell import parser as cell_parser
from mnesis_jupyter.commands import COMMANDS
from mnesis_jupyter.current import Mnesis
from mnesis_jupyter.map_cell import parser as map_parser
from mnesis_jupyter.settings import SETTINGS

DOCS = Path(__file__).resolve().parents[1]
_PLACE = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page."""
    return _PLACE.sub(lambda place: GENERATED[place[1]](), markdown)


def asked_for(markdown: str) -> list[str]:
    """The names of what a page has generated."""
    return _PLACE.findall(markdown)


# -- settings and events ------------------------------------------------------------------------------------------


def settings() -> str:
    """Each group of settings: name, type, default, what is allowed, what it is for."""
    return "\n\n".join(_settings(group, path) for group, path in _groups(MnesisConfig, ""))


def _groups(model: type[Settings], path: str) -> Iterator[tuple[type[Settings], str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            inner = f"{path}.{name}" if path else name
            yield field.annotation, inner
            yield from _groups(field.annotation, inner)


def _settings(group: type[Settings], path: str) -> str:
    words = meanings(group)
    schema = group.model_json_schema()["properties"]
    rows = [
        (f"`{name}`", _type_in(each), f"`{each['default']!r}`" if "default" in each else "", words.get(name, ""))
        for name, each in schema.items()
        if "$ref" not in each
    ]
    head = f"### {group.__name__}\n\n`MnesisConfig.{path}`. {_prose(group)}"
    table = _table(("setting", "value", "default", ""), rows)
    return f'{head}\n\n<div class="settings" markdown>\n\n{table}\n\n</div>'


def meanings(group: type[Settings]) -> dict[str, str]:
    """What stands below each field of a model, as a docstring of its own."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(group))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: " ".join(inspect.cleandoc(below.value.value).split())
        for field, below in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def _type_in(schema: Mapping[str, Any]) -> str:
    """A JSON Schema in words."""
    if "anyOf" in schema:
        return " or ".join(_type_in(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each!r}`" for each in schema["enum"])
    words = {"boolean": "`True`, `False`", "integer": "whole number", "number": "number", "null": "`None`"}
    named = words.get(schema["type"], "path" if schema.get("format") == "path" else "text")
    bounds = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))
    return " ".join([named, *(f"{word} {schema[key]:g}" for key, word in bounds if key in schema)])


def events() -> str:
    """Each event with its payload."""
    return "\n\n".join(_event(name.value, payload) for name, payload in PAYLOADS.items())


def _event(name: str, payload: type[Payload]) -> str:
    fields = [
        f"`{field}` {_type_of(info.annotation)}"
        for field, info in payload.model_fields.items()
        if field not in Payload.model_fields
    ]
    told = ", ".join(fields) or "nothing more"
    return f"### {name}\n\n{_prose(payload)}\n\n`{payload.__name__}`: {told}."


def _type_of(annotation: Any) -> str:
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return (
        re.sub(r"\b\w+\.|^Literal", "", name.replace("typing.", ""))
        .replace("[", "")
        .replace("]", "")
        .replace(" | ", " or ")
    )


# -- commands -----------------------------------------------------------------------------------------------------


def cell() -> str:
    """The options of `%%mnesis`."""
    return _arguments(cell_parser())


def map_cell() -> str:
    """The options of `%%mnesis map`."""
    return _arguments(map_parser())


def commands() -> str:
    """Each subcommand of `%mnesis`."""
    return "\n\n".join(
        f"### %mnesis {each.name} {{ #{each.name} }}\n\n{each.help}\n\n{_arguments(each.parser())}"
        for each in COMMANDS.values()
    )


def notebook_settings() -> str:
    """The settings of the notebook."""
    traits = Mnesis.class_traits()
    rows = [
        (f"`{name}`", f"`MNESIS_{name.upper()}`", setting.allowed, re.sub(r" \[\w+\]", "", traits[name].help))
        for name, setting in SETTINGS.items()
    ]
    return _table(("setting", "in the environment", "value", ""), rows)


def _arguments(parser: argparse.ArgumentParser) -> str:
    usage = parser.format_usage().removeprefix("usage: ").replace(" [-h]", "", 1).rstrip()
    rows = [
        (", ".join(f"`{name}`" for name in action.option_strings) or f"`{_shown(action)}`", _help(action))
        for action in parser._actions  # noqa: SLF001  # argparse has no public list of them
        if action.dest != "help"
    ]
    return f"```text\n{usage}\n```" + (f"\n\n{_table(('', ''), rows)}" if rows else "")


def _help(action: argparse.Action) -> str:
    text = (action.help or "") % {"default": action.default}
    return text.replace("<", "&lt;").replace("{{", "`{{").replace("}}", "}}`")


def _shown(action: argparse.Action) -> str:
    return str(action.metavar or action.dest)


def terminal() -> str:
    """The command `mnesis`, with what it says about itself."""
    return "\n\n".join(_helps(terminal_command, "mnesis", None))


def _helps(command: click.Command, name: str, above: click.Context | None) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=above, max_content_width=100, terminal_width=100) as context:
        if not isinstance(command, click.Group):
            yield f"### {context.command_path}\n\n```text\n{command.get_help(context)}\n```"
            return
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from _helps(found, each, context)


# -- the store ----------------------------------------------------------------------------------------------------


def tables() -> str:
    """Each table of a new store."""
    with new_store() as connection:
        return "\n\n".join(_table_of(connection, name) for name in table_names(connection))


@contextmanager
def new_store() -> Iterator[sqlite3.Connection]:
    """A store without sessions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "new.db")
        asyncio.run(_make(path))
        with closing(sqlite3.connect(path)) as connection:
            yield connection


async def _make(path: Path) -> None:
    await (await Database.open(StoreConfig(db_path=path))).close()


def table_names(connection: sqlite3.Connection) -> list[str]:
    """The tables, without those that hold an index of full text together."""
    rows = connection.execute(
        "SELECT name FROM pragma_table_list WHERE type IN ('table', 'virtual') AND schema = 'main'"
    )
    return sorted(name for (name,) in rows if not name.startswith("sqlite_"))


def words_of_table(name: str) -> str:
    """What docs/design.md says that a table holds; nothing where it says nothing."""
    rows = re.findall(r"^\| (`.+?`) \| (.+) \|$", (DOCS / "design.md").read_text("utf-8"), re.MULTILINE)
    for names, words in rows:
        for known, more in re.findall(r"`(\w+)(…?)`", names):
            if name == known or (more and name.startswith(known)):
                return f"{words[0].upper()}{words[1:]}."
    return ""


def _table_of(connection: sqlite3.Connection, name: str) -> str:
    targets = {
        row[3]: f"[`{row[2]}`](#{row[2]})" for row in connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
    }
    rows = [
        (f"`{column}`", type.lower(), "" if required or key else "or `NULL`", targets.get(column, ""))
        for _, column, type, required, _, key in connection.execute(f"PRAGMA table_info({name})").fetchall()
    ]
    return f"### {name}\n\n{words_of_table(name)}\n\n{_table(('column', 'type', '', 'refers to'), rows)}"


# -- Markdown -----------------------------------------------------------------------------------------------------


def _prose(documented: type) -> str:
    return " ".join(inspect.getdoc(documented).split())  # type: ignore[union-attr]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


GENERATED: Mapping[str, Callable[[], str]] = {
    each.__name__: each for each in (settings, events, cell, map_cell, commands, notebook_settings, terminal, tables)
}
"""By the name in the page."""
