"""Recall as tools for the model: it can search, look at and read again what has left its window."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from mnesis.errors import InputError, describe_value
from mnesis.tokens import TokenCounter
from mnesis.tools.base import Tool

GREP, DESCRIBE, EXPAND = "mnesis_grep", "mnesis_describe", "mnesis_expand"

_CUT = "\n[cut: ask for less, or expand an id]"

_MORE_TOKENS = 96
"""What the line that names the cursor of the next page takes at most."""

_ID = {"type": "string", "description": "an id as it is printed in the window: sum_…, msg_…, part_…"}


class Recall(Protocol):
    """What the tools need: the session's own recall."""

    async def grep(self, pattern: str, *, summary_id: str | None = None, limit: int = 20) -> Any: ...
    async def describe(self, id: str) -> Any: ...
    async def expand(self, id: str, *, max_tokens: int, cursor: str | None = None) -> Any: ...


def recall_tools(recall: Recall, answer_tokens: int, counter: TokenCounter) -> list[Tool]:
    """grep, describe and expand. No answer is larger than `answer_tokens`, by `counter`."""

    async def grep(arguments: dict[str, Any]) -> str:
        pattern, within = _text(arguments, "pattern"), _text(arguments, "summary_id", optional=True)
        return shortened(str(await recall.grep(pattern, summary_id=within or None, limit=8)), answer_tokens, counter)

    async def describe(arguments: dict[str, Any]) -> str:
        return shortened(str(await recall.describe(_text(arguments, "id"))), answer_tokens, counter)

    async def expand(arguments: dict[str, Any]) -> str:
        cursor = _text(arguments, "cursor", optional=True) or None
        room = answer_tokens - _MORE_TOKENS
        page = await recall.expand(_text(arguments, "id"), max_tokens=room, cursor=cursor)
        more = f"\n[more: call {EXPAND} with cursor {page.next_cursor}]" if page.next_cursor else ""
        return f"{page.text}{more}"

    return [
        _tool(
            GREP,
            "Search everything ever said in this conversation, also what is only in summaries now. "
            "A question in plain words is a good query.",
            {"pattern": {"type": "string"}, "summary_id": _ID},
            ["pattern"],
            grep,
        ),
        _tool(DESCRIBE, "What an id is: kind, size, sources, what a summary lost.", {"id": _ID}, ["id"], describe),
        _tool(
            EXPAND,
            "Read the originals behind a summary, a pruned output or an excerpt, page by page.",
            {"id": _ID, "cursor": {"type": "string", "description": "next_cursor of the page before"}},
            ["id"],
            expand,
        ),
    ]


def shortened(text: str, tokens: int, counter: TokenCounter) -> str:
    """The beginning of a text, as much of it as `tokens` allow, and a word where something was cut."""
    kept, share = text, 1.0
    while counter.count(kept) > tokens:
        share *= 0.8 * tokens / max(tokens, counter.count(kept))
        kept = f"{text[: int(len(text) * share)]}{_CUT}"
    return kept


def _tool(
    name: str, description: str, properties: dict[str, Any], required: list[str], run: Callable[..., Awaitable[str]]
) -> Tool:
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Tool(name, description, schema, run, recalled=True, read_only=True)


def _text(arguments: dict[str, Any], name: str, *, optional: bool = False) -> str:
    value = arguments.get(name, "" if optional else None)
    if not isinstance(value, str):
        raise InputError(f"{name}={describe_value(value)} is not usable: give a string")
    return value
