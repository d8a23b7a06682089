"""Files as tools for the model: it can read on in what is only referred to in its window, and search it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from mnesis.errors import InputError, describe_value
from mnesis.files import Shelf
from mnesis.tokens import TokenCounter
from mnesis.tools.base import Tool

READ_FILE, SEARCH_FILE = "mnesis_read_file", "mnesis_search_file"

_LINES = 200
_FRAME_TOKENS = 96
"""What the lines around an answer take at most."""

_ID = {"type": "string", "description": "the id of a file as it is printed in the window: file_…"}


def file_tools(shelf: Shelf, answer_tokens: int, counter: TokenCounter) -> list[Tool]:
    """read_file and search_file. No answer is larger than `answer_tokens`, by `counter`."""
    room = answer_tokens - _FRAME_TOKENS

    async def read_file(arguments: dict[str, Any]) -> str:
        from mnesis.files.reading import read  # on first use: it brings `regex`

        start, lines, offset = (_number(arguments, *each) for each in (("start", 1), ("lines", _LINES), ("offset", 0)))
        work = partial(read, start=start, lines=lines, offset=offset, room=room, counter=counter)
        return await _answer(shelf, arguments, work)

    async def search_file(arguments: dict[str, Any]) -> str:
        from mnesis.files.reading import search

        work = partial(
            search, pattern=arguments.get("pattern"), start=_number(arguments, "start", 1), room=room, counter=counter
        )
        return await _answer(shelf, arguments, work)

    start = {"type": "integer", "minimum": 1, "description": "the line to begin with, 1 by default"}
    return [
        _tool(
            READ_FILE,
            "Read lines of a file that is referred to in this conversation. "
            "Pages of a PDF and rows of sheets and tables are lines too.",
            {
                "id": _ID,
                "start": start,
                "lines": {"type": "integer", "minimum": 1, "description": f"how many, {_LINES} by default"},
                "offset": {"type": "integer", "minimum": 0, "description": "characters of the first line to leave out"},
            },
            ["id"],
            read_file,
        ),
        _tool(
            SEARCH_FILE,
            "Find the lines of a file that match a regular expression, in any case, with their numbers.",
            {"id": _ID, "pattern": {"type": "string"}, "start": start},
            ["id", "pattern"],
            search_file,
        ),
    ]


async def _answer(shelf: Shelf, arguments: dict[str, Any], work: Callable[..., Any]) -> str:
    """What was found, as data: between labels that name the file, and with a word where it has changed."""
    record, excerpt, notice = await shelf.text(arguments.get("id"), work)
    head = f"[{record.id} · {record.name} · {excerpt.place}]"
    lines = [f"[{notice}]"] if notice else []
    body = [excerpt.text.rstrip("\n"), f"[end of {record.id}]"] if excerpt.text else []
    return "\n".join([*lines, head, *body])


def _number(arguments: dict[str, Any], name: str, default: int) -> int:
    value = arguments.get(name, default)
    if isinstance(value, float) and value.is_integer():
        return int(value)  # some models write all numbers so
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{name}={describe_value(value)} is not usable: give a whole number")
    return value


def _tool(
    name: str, description: str, properties: dict[str, Any], required: list[str], run: Callable[..., Any]
) -> Tool:
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Tool(name, description, schema, run, read_only=True)
