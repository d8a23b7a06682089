"""One turn of a session at a time: in this process in the order of asking, across processes by a file lock."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from mnesis.errors import StoreError
from mnesis.ledger import Ledger, StaleWindow
from mnesis.store import Database
from mnesis.store.lock import SessionLock

_log = logging.getLogger(__name__)


class TurnLock:
    """Whoever holds it may write turns. The ledger is settled when it is taken and when it is let go."""

    def __init__(self, db: Database, ledger: Ledger) -> None:
        self._ledger = ledger
        self._timeout = db.timeout
        self._here = asyncio.Lock()
        self._everywhere = SessionLock(db.path, ledger.row.id, db.in_turn)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold it for the length of a block. Raises `SessionBusy` where another process does not let go in time."""
        async with self._here:
            await self._everywhere.acquire(self._timeout)
            try:
                await self._ledger.settle()
                yield
            finally:
                try:
                    await self._ledger.settle()
                except StoreError as error:
                    _log.warning("the last turn of %s is settled before the next one: %s", self._ledger.row.id, error)
                finally:
                    self._everywhere.release()

    async def latest[T](self, step: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do a step on the newest state; a compaction, or another process, may have gone on since ours was read."""
        while True:
            try:
                return await step()
            except StaleWindow:
                await self._ledger.settle()

    async def recover(self) -> None:
        """Abort what a dead process left open. Whoever holds the lock is alive, and in the middle of its turn."""
        async with self.if_free() as free:
            if free:
                await self._ledger.abort_left_open()

    @contextlib.asynccontextmanager
    async def if_free(self) -> AsyncIterator[bool]:
        """Keep others from beginning a turn for the length of a block. False where one is running."""
        if self._here.locked():
            yield False
            return
        async with self._here:
            free = self._everywhere.try_acquire()
            try:
                yield free
            finally:
                if free:
                    self._everywhere.release()
