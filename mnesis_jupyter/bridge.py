"""The engine's loop, in a thread of its own: the only crossing between threads.

The kernel's thread asks and shows. The engine lives on the loop here, so what it does in the background goes on between
cells and while a cell computes. Tasks are cancelled once, as asyncio does it, not again and again as anyio's cancel
scopes do: an interrupted turn must be able to await its own last write.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self

from mnesis.errors import MnesisError
from mnesis.progress import watched
from mnesis_jupyter.progress import Board

_POLL = 0.1
"""Seconds between two looks at the queue: where a wait cannot be interrupted, an interrupt is seen that late."""

_GRACE = 5.0
"""Seconds that cancelled work has for its last writes."""


class Bridge:
    """Runs coroutines on a loop of its own while this thread waits, and can be interrupted."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: set[asyncio.Task[None]] = set()
        # A daemon, so that it never keeps a kernel from ending; `close` is the orderly way.
        self._thread = threading.Thread(target=self._run, name="mnesis", daemon=True)
        self._thread.start()

    def call[**P, T](self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `await function(…)`. If this thread is interrupted it is cancelled, and waited for."""

        async def once() -> AsyncGenerator[T]:
            yield await function(*args, **kwargs)

        with self.stream(once) as results:
            return next(results)

    def stream[**P, T](
        self, function: Callable[P, AsyncGenerator[T]], *args: P.args, **kwargs: P.kwargs
    ) -> "Stream[T]":
        """The events of `function(…)`, an async generator, as a plain iterator to be used with `with`."""
        if threading.current_thread() is self._thread:
            raise MnesisError("this was called on the engine's own thread and would wait for itself; await it instead")
        return Stream(self._loop, function(*args, **kwargs))

    async def awaited[**P, T](
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The result of `await function(…)`, to be awaited on any loop. Cancelling it cancels the work."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(function(*args, **kwargs), self._loop))

    def start[**P](self, function: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have `await function(…)` run, from any thread, and wait for nothing. Does nothing once the loop is closed."""

        def begin() -> None:
            task = self._loop.create_task(function(*args, **kwargs))
            self._started.add(task)
            task.add_done_callback(self._started.discard)

        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(begin)

    def close(self, timeout: float = _GRACE) -> None:
        """Cancel what still runs and end the thread, waiting for it at most `timeout` seconds."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._wait())

    async def _wait(self) -> None:
        await self._stop.wait()


class Stream[T](Iterator[T]):
    """What runs on the loop, seen from this thread. Leaving its `with` block early cancels it and waits for the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, source: AsyncGenerator[T]) -> None:
        self._loop = loop
        self._source = source
        self._events: queue.SimpleQueue[T | asyncio.Task[None]] = queue.SimpleQueue()
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self.idle: Callable[[], None] = lambda: None
        """Called on the thread that waits, each tenth of a second, while nothing comes."""
        self._board = Board()
        loop.call_soon_threadsafe(self._start, context=watched(self._board))

    def __next__(self) -> T:
        while not self._ended:
            try:
                event = self._events.get(timeout=_POLL)
            except queue.Empty:
                self.idle()
                self._board.draw()
                continue
            self._board.draw()
            if not isinstance(event, asyncio.Task):
                return event
            self._ended = True
            event.result()
        raise StopIteration

    def stop(self) -> None:
        """Have the work end, from any thread, and wait for nothing: whoever iterates meets a `CancelledError`."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the work with it
            self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())

    def cancel(self, timeout: float = _GRACE) -> list[T]:
        """Cancel the work and wait for its end. Returns the events that had arrived and were not taken yet."""
        rest: list[T] = []
        if self._ended:
            return rest
        self.stop()
        with contextlib.suppress(queue.Empty):
            while not isinstance(event := self._events.get(timeout=timeout), asyncio.Task):
                rest.append(event)
        self._ended = True
        return rest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
        self._board.close()

    def _start(self) -> None:
        self._task = self._loop.create_task(self._pump())
        # Not the last act of `_pump`: a task that is cancelled before its first step never runs.
        self._task.add_done_callback(self._events.put)

    async def _pump(self) -> None:
        async with contextlib.aclosing(self._source) as events:
            async for event in events:
                self._events.put(event)
