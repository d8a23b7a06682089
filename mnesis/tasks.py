"""Background tasks that somebody waits for, and threads for what blocks."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from mnesis.llm.redact import redact

_log = logging.getLogger(__name__)


class Tasks:
    """The tasks of one session. They go on when whoever started them leaves; `drain` waits for all of them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` as a task. Its error is the business of whoever awaits it; nobody has to."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._reap)
        return task

    async def drain(self) -> None:
        """Wait until none is left, those included that are started meanwhile."""
        while self._running:
            await asyncio.wait(self._running)

    def _reap(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.debug("a task ended in %s", redact(repr(error)))


async def in_thread[T](function: Callable[[], T]) -> T:
    """The result of a function that runs in a thread of its own: a daemon, as what hangs must not keep the process
    from ending, which a thread of a pool would.
    """
    answer: Future[T] = Future()

    def run() -> None:
        answer.set_running_or_notify_cancel()  # from here on nobody can cancel it: the result may come too late
        try:
            answer.set_result(function())
        except StopIteration as error:  # no future takes it
            answer.set_exception(RuntimeError(f"the function let a StopIteration out: {error!r}"))
        except BaseException as error:  # noqa: BLE001  # the thread's edge: whoever waits gets it
            answer.set_exception(error)

    threading.Thread(target=run, name="mnesis-work", daemon=True).start()
    return await asyncio.wrap_future(answer)
