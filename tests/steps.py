"""Counts of steps, which are the same on any machine, however busy: of SQLite's virtual machine, and of Python."""

import sys
from collections.abc import Callable
from typing import Any, Self

from mnesis import Database


class Steps:
    """Counts the steps of a store's connection, in hundreds."""

    def __init__(self) -> None:
        self.taken = 0

    @classmethod
    async def of(cls, db: Database) -> Self:
        steps = cls()
        await db.read(lambda cx: cx.set_progress_handler(steps._count, 100))
        return steps

    def _count(self) -> int:
        self.taken += 1
        return 0


def lines_of(work: Callable[[], object]) -> int:
    """How many lines of Python it takes, and calls and returns."""
    counted = 0

    def count(*_: object) -> Callable[..., Any]:
        nonlocal counted
        counted += 1
        return count

    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(None)
    return counted
