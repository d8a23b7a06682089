"""Work that runs on after its cell has ended, in the hands of whoever began it."""

import asyncio
import concurrent.futures
import time
from collections.abc import Generator
from typing import Any, ClassVar

_POLL = 0.1
"""Seconds between two looks, so that an interrupt is heard."""

_GRACE = 5.0
"""Seconds that work has to end in when it is stopped."""


class Handle[T]:
    """What is waited for by `result()`, or `await`. An interrupt ends the waiting, not the work."""

    _what: ClassVar[str]

    def __init__(self) -> None:
        self._future: concurrent.futures.Future[T] = concurrent.futures.Future()

    @property
    def done(self) -> bool:
        """Whether it has ended: with a result, with an error, or stopped."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> T:
        """Wait for the end, at most so many seconds. Raises `TimeoutError`, and what the work ran into."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _POLL if end is None else min(_POLL, max(0.0, end - time.monotonic()))
            try:
                return self._future.result(left)
            except TimeoutError:
                if self._future.done():  # a timeout of the provider's is an error like others
                    raise
                if end is not None and time.monotonic() >= end:
                    raise TimeoutError(f"the {self._what} is not done after {timeout:g} s; it goes on") from None

    def stop(self) -> None:
        """Stop it, and wait until what there is of it is stored. Does nothing once it is done."""
        self.cancel()
        concurrent.futures.wait([self._future], _GRACE)

    def cancel(self) -> None:
        """Stop it without waiting."""
        raise NotImplementedError

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.shield(asyncio.wrap_future(self._future)).__await__()
