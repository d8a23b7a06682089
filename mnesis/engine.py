"""The engine of one session: its record, its room, its turns, put together over a store."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Self

from mnesis.errors import InputError, describe_value
from mnesis.exchange import Ask
from mnesis.files import LargeFileHandler, Shelf
from mnesis.files.handler import Prose
from mnesis.files.prose import prose_by
from mnesis.ledger import Ledger
from mnesis.llm.base import Provider
from mnesis.llm.select import is_offline, provider_for
from mnesis.models.config import MnesisConfig
from mnesis.models.message import StreamEvent, TurnComplete
from mnesis.recall import Recall
from mnesis.room import Room
from mnesis.store import Database
from mnesis.tasks import Tasks
from mnesis.turn_lock import TurnLock
from mnesis.turns import Turns


@dataclass(frozen=True, slots=True)
class Providers:
    """Who answers, and who summarises. A provider object that was passed does both, for every model string."""

    answers: Provider
    summarises: Provider
    by_the_map: bool = False
    """Whether the model map says what the model takes."""
    passed: Provider | None = None
    """The object that was passed."""
    prose: Prose | None = None
    """Describes texts that are attached."""

    @classmethod
    def of(
        cls,
        llm: Provider | None,
        model: str,
        config: MnesisConfig,
        find: Callable[[str], Provider] = provider_for,
    ) -> Self:
        """Those of a session: `llm`, where it was passed, else what `find` has for its model strings.

        Raises `InputError`, and what `find` raises.
        """
        if llm is not None and not all(callable(getattr(llm, name, None)) for name in ("limits", "stream")):
            raise InputError(f"llm={describe_value(llm)} is no provider; give an object with limits() and stream()")
        describes = config.file.exploration_summary_model
        prose = prose_by(llm or find(describes), describes, config.session.retry) if describes else None
        if llm is not None:
            return cls(llm, llm, passed=llm, prose=prose)
        own, other = find(model), config.compaction.compaction_model
        summarises = own if other in (None, model) else find(other)
        return cls(own, summarises, not is_offline(model), prose=prose)


class Engine:
    """What a session's methods are made of. `owns_db`: the store is its own, and closed with it."""

    def __init__(self, db: Database, owns_db: bool, ledger: Ledger, providers: Providers, config: MnesisConfig) -> None:
        self.db, self.owns_db = db, owns_db
        self.ledger, self.providers, self.config = ledger, providers, config
        self.tasks = Tasks()
        self.lock = TurnLock(db, ledger)
        self.room = Room(ledger, providers.answers, providers.summarises, config, self.tasks)
        self.files = Shelf(ledger, LargeFileHandler(config.file, counter=ledger.counter, prose=providers.prose))
        self.recall = Recall(db, ledger, self.room.budget, self.files)
        self.turns = Turns(ledger, self.room, self.lock, self.recall, self.files, providers.answers, config)
        self._closing: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        """Whether it is closed, or is about to be."""
        return self._closing is not None

    async def answers(self, ask: Ask) -> AsyncGenerator[StreamEvent]:
        """A turn as a task of its own, and what it emits.

        It goes on without a caller who leaves; one who is cancelled while waiting cancels it. To that one nothing more
        can be yielded, so what came out is the beginning of what is stored, and not always all of it.
        """
        events: asyncio.Queue[StreamEvent | None] = asyncio.Queue()
        task = self.tasks.start(self.turns.run(ask, events.put_nowait))
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            result = await task
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        yield TurnComplete(result=result)

    async def close(self) -> None:
        """Wait for what is under way, then let go of the store. Calling it again does nothing."""
        if self._closing is None:
            self.turns.close()
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)  # it goes on where the caller is cancelled: the store outlives the turns

    async def _close(self) -> None:
        try:
            await self.tasks.drain()
            await self.ledger.close()
        finally:
            if self.owns_db:
                await self.db.close()
