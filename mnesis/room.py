"""Sees to it that the next request fits: what may be filled, what is too large for it, and when to compact."""

import asyncio
import logging

from mnesis.compaction.compactor import Compactor, Reason
from mnesis.compaction.plan import floor_of, waiting_of
from mnesis.compaction.summarize import Summarizer
from mnesis.context.assembly import Preamble
from mnesis.context.budget import share
from mnesis.errors import BadRequest, StoreError
from mnesis.ledger import CompactionRecord, Ledger
from mnesis.llm.absent import AbsentProvider
from mnesis.llm.base import Provider
from mnesis.llm.select import limits_of
from mnesis.models.config import MnesisConfig
from mnesis.models.context import Budget, ContextWindow
from mnesis.models.message import CompactionResult
from mnesis.tasks import Tasks

_log = logging.getLogger(__name__)


class Room:
    """The space in a session's window. One compaction at a time, each among the `tasks`."""

    def __init__(
        self, ledger: Ledger, answers: Provider, summarises: Provider, config: MnesisConfig, tasks: Tasks
    ) -> None:
        self.limits = limits_of(answers, ledger.row.model, config)
        self._answers = not isinstance(answers, AbsentProvider)
        """Whether the model is here. Where it is not, its window is not known, and nothing is made smaller for it."""
        self._ledger = ledger
        self._config = config
        self._tasks = tasks
        self._lock = asyncio.Lock()
        model = config.compaction.compaction_model or ledger.row.model
        limits = limits_of(summarises, model, config if model == ledger.row.model else MnesisConfig())
        self._summarizer = Summarizer(
            summarises, model, limits, ledger.counter, config.compaction, config.session.retry
        )
        self._compactor = Compactor(CompactionRecord(ledger), self._summarizer, config.compaction, self.budget)

    @property
    def automatic(self) -> bool:
        """Whether room is made without being asked for."""
        return self._config.compaction.auto and self._answers

    @property
    def being_made(self) -> bool:
        """Whether the window is being compacted at this moment."""
        return self._lock.locked()

    def budget(self) -> Budget:
        """How the model's window is shared out now."""
        return share(self.limits, self._config, self._ledger.correction())

    def for_message(self, preamble: Preamble, taken: int = 0) -> int | None:
        """How large a message may be in the window: beyond this it stands there as an excerpt.

        Three quarters of what the preamble leaves. All since the newest user message, together, may take what is sure
        to be there once everything before it is compacted, and at most seven eighths; of this, `taken` are gone.
        `None`, as large as it is, where nothing is to be done automatically.
        """
        if not self.automatic:
            return None
        budget = self.budget()
        left = budget.usable - sum(item.tokens for item in preamble)
        kept = max(left // 8, min(left // 2, floor_of(budget)))
        return max(0, min(left * 3 // 4, left - kept - taken))

    async def for_answer(self, preamble: Preamble) -> int | None:
        """How large a message may be that comes after the newest user message."""
        waiting = waiting_of((await self._ledger.live()).entries)
        return self.for_message(preamble, await self._ledger.tokens_of_newest() + waiting)

    async def for_results(self, preamble: Preamble, count: int) -> int | None:
        """How large so many results of tools may be together: for each no more than a file may take in the window."""
        room = await self.for_answer(preamble)
        return None if room is None else min(room, max(1, count) * self._config.file.inline_threshold)

    def close(self) -> None:
        """Have no more delays before the summariser is asked again."""
        self._summarizer.close()

    async def make(self, preamble: Preamble) -> CompactionResult | None:
        """See to it that the window fits; what has to be compacted for that is waited for."""
        if not self.automatic or await self._fits(preamble):
            return None
        async with self._lock:  # one under way may be enough
            pass
        return None if await self._fits(preamble) else await self.compact("hard")

    async def window(self, preamble: Preamble) -> ContextWindow:
        """The next window, with this beginning; what has to be compacted for it is waited for."""
        await self.make(preamble)
        return await self._ledger.window(self.budget(), preamble=preamble)

    async def compact(self, reason: Reason) -> CompactionResult:
        """Compact now. Raises `BadRequest` where the session's model is not here."""
        if not self._answers:
            raise BadRequest(
                f"{self._ledger.row.model} is not here, so its window is not known and nothing is compacted for it; "
                "bring the model, or pass llm= to MnesisSession.load"
            )
        return await self._tasks.start(self._compact(reason))

    async def compact_if_due(self) -> bool:
        """Start a compaction in the background where the window is over the soft threshold.

        The turn before it is stored by now: what goes wrong here is not that turn's error, and the next tries again.
        """
        try:
            if not self.automatic or self.being_made or not await self._compactor.due():
                return False
        except StoreError as error:
            _log.warning("whether %s is to be compacted could not be seen: %s", self._ledger.row.id, error)
            return False
        self._tasks.start(self._compact_unheard())
        await asyncio.sleep(0)  # it holds its lock from now on
        return True

    async def _compact_unheard(self) -> None:
        try:
            await self._compact("soft")
        except StoreError as error:
            _log.warning("%s could not be compacted; a later turn tries again: %s", self._ledger.row.id, error)

    async def _compact(self, reason: Reason) -> CompactionResult:
        async with self._lock:
            return await self._compactor.run(reason)

    async def _fits(self, preamble: Preamble) -> bool:
        live = await self._ledger.live()
        said = live.size - sum(item.tokens for item in live.preamble)
        return said + sum(item.tokens for item in preamble) <= self.budget().usable
