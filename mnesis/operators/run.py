"""A run of a map: begun or resumed, read result by result, stopped, followed."""

import inspect
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mnesis.errors import InputError
from mnesis.events.bus import EventBus
from mnesis.events.payloads import MapItemCompletedPayload, MnesisEvent
from mnesis.models.config import StoreConfig
from mnesis.models.maps import MapProgress, MapResult
from mnesis.operators.crew import Crew, Work
from mnesis.operators.desk import Desk
from mnesis.operators.inputs import Inputs
from mnesis.store import Database
from mnesis.store.database import opened
from mnesis.store.maps import Counts, RunRow

type OnProgress = Callable[[MapProgress], Awaitable[None] | None]

_log = logging.getLogger(__name__)

_BATCH = 1_000
"""Inputs that are stored in one transaction."""


@dataclass(frozen=True, slots=True)
class Where:
    """The store of a run: one that is open already, or a file, opened for as long as the run is read."""

    pool: Database | None = None
    db_path: str | Path | None = None

    @asynccontextmanager
    async def opened(self, *, create: bool = False) -> AsyncIterator[Database]:
        """The store, for the length of a block."""
        if self.pool is not None:
            yield self.pool
            return
        config = StoreConfig() if self.db_path is None else StoreConfig(db_path=Path(self.db_path))
        async with opened(config, create=create) as db:
            yield db


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do. `work_on` is given the open store and makes the work on one item."""

    row: RunRow
    work_on: Callable[[Database, RunRow], Work]
    inputs: Inputs | None
    width: int
    resumed: bool = False
    retry_failed: bool = False


class _Tally:
    """Adds up what this process has done to what was there."""

    def __init__(self, counts: Counts | None = None) -> None:
        before = counts or Counts()
        self.done, self.failed, self.tokens, self.cost = before.done, before.failed, before.tokens, before.cost
        self._before = self.done + self.failed
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since this process began."""
        return time.monotonic() - self._began

    @property
    def rate(self) -> float:
        """Items per second, since this process began."""
        return (self.done + self.failed - self._before) / max(self.seconds, 1e-9)

    def add(self, result: MapResult) -> None:
        """One item more."""
        self.done += result.success
        self.failed += not result.success
        self.tokens += result.tokens
        self.cost = None if self.cost is None or result.cost is None else self.cost + result.cost


class MapResults(list[MapResult]):
    """All results of a run, in the order of the inputs. `run_id` resumes it; `progress` has the totals."""

    def __init__(self, results: Sequence[MapResult], progress: MapProgress) -> None:
        super().__init__(results)
        self.progress = progress

    @property
    def run_id(self) -> str:
        """The run."""
        return self.progress.run_id

    def __repr__(self) -> str:
        return f"<MapResults of {self.run_id}: {self.progress.done:,} done, {self.progress.failed:,} failed>"


class MapRun:
    """A run of a map. `async for result in run` does the work, and gives each result once it is on disk.

    Leaving the loop cancels what is under way; `stop()` lets it be finished. Either way the run can be resumed by its
    `id`, and so it can when the process is killed.
    """

    def __init__(self, plan: Plan, where: Where, bus: EventBus, on_progress: OnProgress | None = None) -> None:
        self._plan, self._where, self._bus, self._on_progress = plan, where, bus, on_progress
        self._tally = _Tally()
        self._total = plan.row.total if plan.inputs is None else plan.inputs.count
        self._crew: Crew | None = None
        self._begun = self._stopped = False

    @property
    def id(self) -> str:
        """The run's id, for `resume`."""
        return self._plan.row.id

    @property
    def progress(self) -> MapProgress:
        """How far it is."""
        tally, width = self._tally, self._plan.width
        return MapProgress(
            run_id=self.id,
            total=self._crew.total if self._crew else self._total,
            done=tally.done,
            failed=tally.failed,
            running=min(self._crew.running, width) if self._crew else 0,
            tokens=tally.tokens,
            cost=tally.cost,
            seconds=tally.seconds,
            rate=tally.rate,
        )

    def __repr__(self) -> str:
        progress = self.progress
        of = "" if progress.total is None else f" of {progress.total:,}"
        return f"<MapRun {self.id}: {progress.finished:,}{of} items finished>"

    def stop(self) -> None:
        """Begin no more items; those that are under way are finished, and their results given. Call it in the loop's
        own thread.
        """
        self._stopped = True
        if self._crew is not None:
            self._crew.stop()

    def __aiter__(self) -> AsyncGenerator[MapResult]:
        if self._begun:
            raise InputError(f"run {self.id} was read already; resume({self.id!r}) does what is left of it")
        self._begun = True
        return self._results()

    async def _results(self) -> AsyncGenerator[MapResult]:
        plan = self._plan
        async with self._where.opened(create=not plan.resumed) as db, Desk(db, plan.row, self._bus) as desk:
            counts = await desk.begin(self._total, resumed=plan.resumed, retry_failed=plan.retry_failed)
            self._tally = _Tally(counts)
            fresh = plan.inputs.texts if plan.inputs else None
            if plan.inputs and plan.inputs.whole:
                async with aclosing(plan.inputs.texts) as texts:
                    await self._store(desk, texts)
                fresh = None
            self._crew = Crew(desk, plan.work_on(db, plan.row), plan.width, fresh, self._total, self._tell)
            if self._stopped:
                self._crew.stop()
            async with aclosing(self._crew.results()) as results:
                async for result in results:
                    yield result

    async def _store(self, desk: Desk, texts: AsyncIterator[str]) -> None:
        """Store all inputs, before the first is worked on."""
        try:
            batch: list[str] = []
            total = 0
            async for text in texts:
                batch.append(text)
                if len(batch) == _BATCH:
                    await desk.add(total, batch)
                    total += len(batch)
                    batch = []
            await desk.add(total, batch)
            self._total = total + len(batch)
            await desk.all_added(self._total)
        except BaseException:
            await desk.end([], "stopped")
            raise

    async def _tell(self, results: Sequence[MapResult]) -> None:
        for result in results:
            self._tally.add(result)
            await self._bus.publish(
                MnesisEvent.MAP_ITEM_COMPLETED,
                MapItemCompletedPayload(
                    session_id=self._plan.row.session_id or "",
                    run_id=self.id,
                    index=result.index,
                    success=result.success,
                    attempts=result.attempts,
                    error_kind=result.error_kind,
                    tokens=result.tokens.effective_total(),
                    cost=result.cost,
                    done=self._tally.done,
                    failed=self._tally.failed,
                ),
            )
        if self._on_progress is None:
            return
        try:
            outcome = self._on_progress(self.progress)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception:  # noqa: BLE001  # the caller's code, at the edge of the run
            _log.exception("on_progress failed; the run goes on")
