"""One run in the store, as one process works on it: what it takes, what it gives back."""

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

from mnesis.events.bus import EventBus
from mnesis.events.payloads import MapCompletedPayload, MapStartedPayload, MnesisEvent, Payload
from mnesis.models.maps import RunState
from mnesis.store import Database, Tx, events, maps
from mnesis.store.lock import OwnerLock, living
from mnesis.store.maps import Counts, Finished, RunRow, Taken, owners_of
from mnesis.tasks import in_thread


class Desk:
    """Each method is one transaction. Held with `async with`: whoever does is alive, until the process dies."""

    def __init__(self, db: Database, row: RunRow, bus: EventBus) -> None:
        self.row = row
        self.owner = f"{owners_of(row.id)}{os.getpid()}-{secrets.token_hex(8)}"
        self._db, self._bus = db, bus
        self._lock = self._lock_of(self.owner)

    async def __aenter__(self) -> Self:
        await self._lock.take()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()

    async def begin(self, total: int | None, *, resumed: bool, retry_failed: bool = False) -> Counts:
        """The run begins, or goes on, with so many items as far as that is known. Returns where they are."""
        row = self.row
        payload = MapStartedPayload(
            session_id=row.session_id or "", run_id=row.id, operator=row.kind, total=total, resumed=resumed
        )

        def work(cx: Tx) -> Counts:
            if resumed:
                maps.set_state(cx, row.id, "running", _now())
            else:
                maps.insert_run(cx, row)
            if retry_failed:
                maps.retry_failed(cx, row.id)
            self._keep(cx, MnesisEvent.MAP_STARTED, payload)
            return maps.counts(cx, row.id)

        counts = await self._db.write(work)
        await self._bus.publish(MnesisEvent.MAP_STARTED, payload)
        return counts

    async def add(self, first: int, inputs: Sequence[str]) -> int:
        """Store inputs to be worked on. Returns how many of them are new."""
        return len(await self._db.write(lambda cx: maps.add(cx, self.row.id, first, inputs)))

    async def all_added(self, total: int) -> None:
        """There are no more inputs than these."""
        await self._db.write(lambda cx: maps.set_total(cx, self.row.id, total))

    async def step(self, finished: Sequence[Finished], first: int, fresh: Sequence[str], want: int) -> list[Taken]:
        """Store what has come of items, and take others: fresh inputs, from index `first` on, then stored ones."""

        def work(cx: Tx) -> list[Taken]:
            maps.finish(cx, self.row.id, self.owner, finished)
            taken = maps.add(cx, self.row.id, first, fresh, self.owner) if fresh else []
            if want > len(taken):
                taken += maps.take(cx, self.row.id, self.owner, want - len(taken))
            return taken

        return await self._db.write(work)

    async def recover(self) -> tuple[int, bool]:
        """Take back what the dead have left. Returns how many items, and whether others are at work on this run."""
        others = set(await self._db.read(lambda cx: maps.owners(cx, self.row.id))) - {self.owner}
        dead = [owner for owner in others if self._lock_of(owner).is_dead()]
        if not dead:
            return 0, bool(others)
        released = await self._db.write(lambda cx: sum(maps.release(cx, self.row.id, owner) for owner in dead))
        return released, len(dead) < len(others)

    async def end(self, finished: Sequence[Finished], state: RunState) -> None:
        """Store what has come of the last items, and let others take what is left: while they do, the run goes on."""
        row = self.row
        goes_on = state == "stopped" and await self._is_shared()

        def work(cx: Tx) -> MapCompletedPayload:
            maps.finish(cx, row.id, self.owner, finished)
            maps.release(cx, row.id, self.owner)
            maps.set_state(cx, row.id, "running" if goes_on else state, _now())
            counts = maps.counts(cx, row.id)
            payload = MapCompletedPayload(
                session_id=row.session_id or "",
                run_id=row.id,
                done=counts.done,
                failed=counts.failed,
                cost=counts.cost,
                stopped=state == "stopped",
            )
            self._keep(cx, MnesisEvent.MAP_COMPLETED, payload)
            return payload

        await self._bus.publish(MnesisEvent.MAP_COMPLETED, await self._db.write(work))

    def _keep(self, cx: Tx, event: MnesisEvent, payload: Payload) -> None:
        """In the record of the session that asked for the run. Without one, the run's own row says the same."""
        if self.row.session_id:
            events.append(cx, event, payload, None, _now())

    async def _is_shared(self) -> bool:
        """Whether other processes work on this run."""
        try:
            return bool(await in_thread(self._others))
        except RuntimeError:  # the interpreter ends, and gives no thread: this wait is the last one
            return bool(self._others())

    def _others(self) -> set[str]:
        return living(self._db.path, owners_of(self.row.id), self._db.in_turn) - {self.owner}

    def _lock_of(self, owner: str) -> OwnerLock:
        return OwnerLock(self._db.path, owner, self._db.in_turn)


def _now() -> datetime:
    return datetime.now(UTC)
