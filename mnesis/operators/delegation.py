"""The tool by which an agent gives part of its task to another agent, and the guard that it is only a part."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from mnesis.errors import InputError, describe_value
from mnesis.tools import Tool

DELEGATE = "delegate"

_WORD = re.compile(r"\w+")
_NOTHING = re.compile(r"\W*(?:nothing|none|no|n/?a|not applicable|all(?: of it)?|everything|-)?\W*", re.IGNORECASE)
_SHARE = 0.9
"""Who passes on so large a share of the words of the own task passes on the task."""

_PARAMETERS = {
    "type": "object",
    "properties": {
        "task": {"type": "string", "description": "what the other agent is to do, with all that it has to know"},
        "delegated_scope": {"type": "string", "description": "which part of your task this is"},
        "kept_work": {"type": "string", "description": "what you do yourself with its answer"},
    },
    "required": ["task", "delegated_scope", "kept_work"],
    "additionalProperties": False,
}


def delegate_tool(own_task: str, spawn: Callable[[str], Awaitable[str]], *, read_only: bool) -> Tool:
    """The tool of an agent whose task is `own_task`. `spawn` runs another agent and gives its answer."""

    async def run(arguments: dict[str, Any]) -> str:
        task, scope, kept = (_text(arguments, name) for name in ("task", "delegated_scope", "kept_work"))
        check_scope(own_task, task, scope, kept)
        return await spawn(f"{task}\n\n(You are asked for this part of a larger task: {scope})")

    description = (
        "Have another agent, with a fresh window and the same tools, do a part of your task, and get its answer. "
        "State which part that is, and what you keep to do yourself; the whole task cannot be delegated."
    )
    return Tool(DELEGATE, description, _PARAMETERS, run, read_only=read_only)


def check_scope(own_task: str, task: str, delegated_scope: str, kept_work: str) -> None:
    """Raise `InputError`, for the model to read, unless what is delegated is less than the agent's own task."""
    if not _WORD.search(task):
        raise InputError("task is empty: say what the other agent is to do")
    if not _WORD.search(delegated_scope):
        raise InputError("delegated_scope is empty: say which part of your task the other agent gets")
    if _NOTHING.fullmatch(kept_work) or _same(kept_work, delegated_scope):
        raise InputError(
            f"kept_work={describe_value(kept_work)} leaves nothing for you, and a task cannot be delegated as a whole: "
            "delegate a smaller part and state what you do yourself, or do the task yourself"
        )
    own = set(_words(own_task))
    if own and len(own & set(_words(task))) >= _SHARE * len(own):
        raise InputError(
            "task is your own task again, and that cannot be delegated as a whole: "
            "delegate one part of it, in words of its own, or do it yourself"
        )


def _same(one: str, other: str) -> bool:
    return _words(one) == _words(other)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _text(arguments: dict[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise InputError(f"{name}={describe_value(value)} is not usable: give a text")
    return value
