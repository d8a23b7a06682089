"""A scripted provider that lets its pieces through one by one, when a test says so."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from mnesis.llm.scripted import ScriptedProvider


class GatedProvider(ScriptedProvider):
    """Each piece of a reply (words, then its end) waits for `let(n)`. `asked` is set when a request has arrived."""

    def __init__(self, script: Sequence[Any], **options: Any) -> None:
        super().__init__(script, **options)
        self.asked = asyncio.Event()
        self._gate = asyncio.Semaphore(0)

    def let(self, pieces: int = 1) -> None:
        """Let so many pieces through."""
        for _ in range(pieces):
            self._gate.release()

    def let_all(self) -> None:
        """Let everything through."""
        self.let(1_000)

    async def stream(self, request: Any) -> AsyncGenerator[Any]:
        self.asked.set()
        async for piece in super().stream(request):
            await self._gate.acquire()
            yield piece
