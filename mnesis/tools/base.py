"""A tool as the engine sees it."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mnesis.store.turns import ToolSet
from mnesis.tokens import TokenCounter


@dataclass(frozen=True, slots=True)
class Tool:
    """Something the model can call. `parameters` is a JSON Schema object; `run` takes the arguments as an object.

    `recalled` marks what answers from the session's own record: its answers are never summarised as if they were new.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    run: Callable[[dict[str, Any]], Awaitable[str]]
    recalled: bool = False

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
        """These tools, counted."""
        chosen = tuple(tools)
        specs = json.dumps([tool.spec() for tool in chosen], ensure_ascii=False, separators=(",", ":"))
        digest = hashlib.sha256(specs.encode()).hexdigest()
        return cls(chosen, ToolSet(digest, specs, counter.count(specs) + counter.message_overhead))

    @property
    def specs(self) -> tuple[dict[str, Any], ...]:
        """The tools as chat-completion APIs take them."""
        return tuple(tool.spec() for tool in self.tools)

    @property
    def by_name(self) -> dict[str, Tool]:
        """The tools by name."""
        return {tool.name: tool for tool in self.tools}
