"""Counts what a store does, in steps of SQLite's virtual machine: the same on any machine, however busy."""

from typing import Self

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
