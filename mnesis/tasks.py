"""Background tasks that somebody waits for."""

import asyncio
import logging
from collections.abc import Coroutine
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
