"""Asks again after a transient error, as long as nothing of the reply has been shown."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from itertools import count

from mnesis.errors import LLMError, Unavailable
from mnesis.llm.base import Chunk, Provider, Request
from mnesis.llm.reply import chunks_of
from mnesis.models.config import RetryConfig

__all__ = ["LONGEST_WISH", "Retries", "Retry"]

LONGEST_WISH = 300.0
"""Seconds. So long is a provider's `retry-after` waited for, or `max_delay` where that is longer."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The request failed with `error` and is made again after `delay` seconds. `attempt` counts from 1."""

    attempt: int
    max_retries: int
    delay: float
    error: LLMError


type Wait = Callable[[float, asyncio.Event], Awaitable[None]]
"""Waits so many seconds, or until the event is set."""


async def _wait(seconds: float, stopped: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopped.wait(), seconds)


class Retries:
    """Streams replies, and retries them as `config` says: transient errors only, before the first piece only.

    The delay is a random one below `base_delay * 2**n` and `max_delay` (without jitter: that itself), and never
    shorter than the provider's `retry_after`. Where that is beyond `LONGEST_WISH` the error is raised at once.
    `on_retry` is awaited before each delay. `wait` and `jitter` (from 0 to 1) are for tests.
    """

    def __init__(
        self,
        config: RetryConfig,
        on_retry: Callable[[Retry], Awaitable[None]],
        *,
        wait: Wait = _wait,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config, self._on_retry, self._wait, self._jitter = config, on_retry, wait, jitter
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End a delay that is under way, and have no more: its error is raised at once."""
        self._stopped.set()

    async def chunks_of(self, provider: Provider, request: Request) -> AsyncGenerator[Chunk]:
        """The reply, piece by piece, as `mnesis.llm.reply.chunks_of` gives it. Raises the error of the last attempt."""
        for attempt in count(1):
            shown = False
            try:
                async with contextlib.aclosing(chunks_of(provider, request)) as chunks:
                    async for chunk in chunks:
                        shown = True
                        yield chunk
                if not shown:
                    raise Unavailable(
                        f"the reply of {request.model} broke off before it began; send it again", model=request.model
                    )
                return
            except LLMError as error:
                if shown or not await self._may_go_on(error, attempt):
                    raise

    async def _may_go_on(self, error: LLMError, attempt: int) -> bool:
        """Whether the request is to be made again, once the delay is over."""
        wish = error.retry_after or 0.0
        if attempt > self._config.max_retries or not error.transient or self._stopped.is_set():
            return False
        if wish > max(LONGEST_WISH, self._config.max_delay):
            return False
        delay = max(self._backoff(attempt), wish)
        await self._on_retry(Retry(attempt, self._config.max_retries, delay, error))
        await self._wait(delay, self._stopped)
        return not self._stopped.is_set()

    def _backoff(self, attempt: int) -> float:
        longest = min(self._config.base_delay * 2.0 ** min(attempt - 1, 64), self._config.max_delay)
        return longest * self._jitter() if self._config.jitter else longest
