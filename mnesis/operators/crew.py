"""The work on the items of a run: workers side by side, and a clerk who stores what they finish, many at a time."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from mnesis.errors import StoreError
from mnesis.models.maps import MapResult
from mnesis.operators.ask import Outcome
from mnesis.operators.desk import Desk
from mnesis.store.maps import Taken

type Work = Callable[[Taken], Awaitable[Outcome]]

_POLL = 0.25
"""Seconds between two looks at what other processes do, once nothing else is left."""

_UNREAD = 512
"""Results that wait for the caller; with more of them no further items are begun."""


class Crew:
    """Workers on one run. What it gives out is on disk; what it has in memory is bounded by `width`.

    `fresh` are inputs that are read only as far as they are needed. `told` is called after each transaction with the
    results that are in it.
    """

    def __init__(
        self,
        desk: Desk,
        work: Work,
        width: int,
        fresh: AsyncGenerator[str] | None,
        total: int | None,
        told: Callable[[Sequence[MapResult]], Awaitable[None]],
    ) -> None:
        self._desk, self._work, self._width, self._fresh, self._told = desk, work, width, fresh, told
        self._waiting: asyncio.Queue[Taken] = asyncio.Queue()
        self._read: asyncio.Queue[str] = asyncio.Queue(maxsize=2 * width)
        self._finished: list[Outcome] = []
        self._results: asyncio.Queue[MapResult | None] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._exhausted = fresh is None
        self._next = 0
        self._failure: Exception | None = None
        self.total = total
        """How many items there are; `None` until all are read."""
        self.stopping = False
        self.running = 0
        """Items that are taken, and not finished."""

    def stop(self) -> None:
        """Begin no more items. Those that are under way are finished."""
        self.stopping = True
        while not self._waiting.empty():
            self._waiting.get_nowait()
            self.running -= 1
        self._wake.set()

    async def results(self) -> AsyncGenerator[MapResult]:
        """The results as they are finished. Whoever leaves early cancels what is under way; it can be resumed."""
        clerk = asyncio.create_task(self._clerk())
        clerk.add_done_callback(lambda _: self._results.put_nowait(None))
        others = [asyncio.create_task(self._worker()) for _ in range(self._width)]
        if self._fresh is not None:
            others.append(asyncio.create_task(self._reader(self._fresh)))
        try:
            while (result := await self._results.get()) is not None:
                if self._results.qsize() == _UNREAD:
                    self._wake.set()
                yield result
            await clerk
            if self._failure is not None:
                raise self._failure
        finally:
            await self._leave(clerk, others)

    async def _leave(self, clerk: "asyncio.Task[bool]", others: "list[asyncio.Task[None]]") -> None:
        """Cancel all but the clerk, who stores what has been finished; then say how far the run came.

        A program that ends cancels every task of its loop, this one too: what has been paid for is stored first.
        """
        self.stop()
        for task in others:
            task.cancel()
        cancelled = False
        while not all(task.done() for task in (clerk, *others)):
            try:
                await asyncio.wait([clerk, *others])
            except asyncio.CancelledError:
                cancelled = True
        broken = None if clerk.cancelled() else clerk.exception()
        through = not clerk.cancelled() and broken is None and clerk.result()
        try:
            await self._desk.end([outcome.row for outcome in self._finished], "done" if through else "stopped")
        except StoreError:
            if broken is None:
                raise
        if cancelled:
            raise asyncio.CancelledError

    # -- the workers --------------------------------------------------------------------------------------------

    async def _worker(self) -> None:
        while True:
            item = await self._waiting.get()
            try:
                outcome = await self._work(item)
                self._finished.append(outcome)
            except Exception as error:  # noqa: BLE001  # not of the item, which stays to be done: raised to the reader
                self._fail(error)
            finally:
                self.running -= 1
                self._wake.set()

    async def _reader(self, texts: AsyncGenerator[str]) -> None:
        """Reads inputs ahead of the workers, a little."""
        try:
            async for text in texts:
                await self._read.put(text)
                self._wake.set()
            self._exhausted = True
        except Exception as error:  # noqa: BLE001  # the caller's generator: its error is raised where results are read
            self._fail(error)
        finally:
            self._wake.set()
            await texts.aclose()

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self.stop()

    # -- the clerk ----------------------------------------------------------------------------------------------

    async def _clerk(self) -> bool:
        """One transaction after the other, until nothing is left. Returns whether the run is through."""
        empty = False  # whether the store had fewer items than were wanted
        while True:
            self._wake.clear()
            if self._exhausted and self.total is None and self._read.empty():
                self.total = self._next
                await self._desk.all_added(self._next)
            room = self._room()
            fresh = [self._read.get_nowait() for _ in range(min(room, self._read.qsize()))]
            if self._finished or fresh or (room and not empty):
                empty = await self._step(room, fresh) < room
            elif self.running:
                await self._wake.wait()
            elif self.stopping:
                return False
            elif not self._exhausted or not room:
                await self._wake.wait()
            elif await self._is_through():
                return True
            else:
                empty = False

    async def _step(self, room: int, fresh: list[str]) -> int:
        """One transaction. Returns how many items it brought."""
        finished, self._finished = self._finished, []
        taken = await self._desk.step([outcome.row for outcome in finished], self._next, fresh, room)
        self._next += len(fresh)
        if not self.stopping:  # else they are given back at the end
            self.running += len(taken)
            for item in taken:
                self._waiting.put_nowait(item)
        for outcome in finished:
            self._results.put_nowait(outcome.result)
        await self._told([outcome.result for outcome in finished])
        return len(taken)

    def _room(self) -> int:
        """How many more items to take: enough that no worker waits for the store, and no more."""
        if self.stopping or self._results.qsize() > _UNREAD:
            return 0
        return max(0, 2 * self._width - self.running)

    async def _is_through(self) -> bool:
        """Whether others have finished as well: items of those who died are done again."""
        released, others = await self._desk.recover()
        if not released and others:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _POLL)
        return not released and not others
