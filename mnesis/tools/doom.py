"""Doom loops: the model makes the same call with the same arguments, again and again."""

import json
from collections.abc import Iterable

from mnesis.models.message import ToolPart


class DoomLoop:
    """Counts equal calls in a row. `threshold` of them are one too many."""

    def __init__(self, threshold: int, before: Iterable[tuple[str, str]] = ()) -> None:
        self._threshold = threshold
        self._last: tuple[str, str] | None = None
        self.count = 0
        for name, arguments in before:
            self._take(name, json.loads(arguments))

    def sees(self, call: ToolPart) -> bool:
        """Take in a call. True where it is the same for the `threshold`th time, or more."""
        return self._take(call.tool_name, call.input)

    def _take(self, name: str, arguments: object) -> bool:
        call = (name, json.dumps(arguments, sort_keys=True))
        self.count = self.count + 1 if call == self._last else 1
        self._last = call
        return self.count >= self._threshold
