"""A tool as the engine sees it."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mnesis.errors import InputError, describe_value
from mnesis.store.turns import ToolSet
from mnesis.tokens import TokenCounter

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What providers take as a name: https://platform.openai.com/docs/api-reference/chat/create, `tools.function.name`."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something the model can call. `parameters` is a JSON Schema object.

    `run` takes the arguments as an object and returns what the model is to read; without it the caller of the turn runs
    the tool. `timeout` in seconds is that of the session where it is `None`. `recalled` marks what answers from the
    session's own record: its answers are never summarised as if they were new. `read_only` declares that it changes
    nothing: no others are given to agents that may only read.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    run: Callable[[dict[str, Any]], Awaitable[Any]] | None = None
    timeout: float | None = None
    recalled: bool = False
    read_only: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"tool name {describe_value(self.name)} is not usable: providers take up to 64 letters, digits, _ and -"
            )
        if self.timeout is not None and not self.timeout > 0:
            raise InputError(f"timeout={describe_value(self.timeout)} of tool {self.name} is not usable; give seconds")

    def spec(self) -> dict[str, Any]:
        """The tool as chat-completion APIs take it."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of one turn. `definitions` is what the store keeps of them."""

    tools: tuple[Tool, ...] = ()
    definitions: ToolSet | None = None

    @classmethod
    def of(cls, tools: Iterable[Tool], counter: TokenCounter) -> "Toolbox":
        """These tools, counted. Raises `InputError` where two have one name."""
        chosen = tuple(tools)
        if not chosen:
            return cls()
        names = [tool.name for tool in chosen]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(
                f"two tools are called {twice!r}; give each a name of its own, as in function_tool(f, name=…)"
            )
        specs = json.dumps([tool.spec() for tool in chosen], ensure_ascii=False, separators=(",", ":"))
        tokens = counter.count(specs) + counter.message_overhead
        # With the count: two models in one store may count the same definitions differently.
        digest = hashlib.sha256(f"{tokens} {specs}".encode()).hexdigest()
        return cls(chosen, ToolSet(digest, specs, tokens))

    @property
    def specs(self) -> tuple[dict[str, Any], ...]:
        """The tools as chat-completion APIs take them."""
        return tuple(tool.spec() for tool in self.tools)

    @property
    def by_name(self) -> dict[str, Tool]:
        """The tools by name."""
        return {tool.name: tool for tool in self.tools}
