"""Transactions that tell what they did: events are stored with what caused them, and published when it is on disk."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mnesis.events.bus import EventBus
from mnesis.events.payloads import MnesisEvent, Payload
from mnesis.store import Database, Tx, events

type Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of the store's time columns. Nothing is ordered by it."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Posting:
    """The events of one transaction, kept until it is on disk."""

    now: datetime
    events: list[tuple[MnesisEvent, Payload]] = field(default_factory=list)

    def post(self, cx: Tx, event: MnesisEvent, payload: Payload, turn: int | None) -> int:
        """Store an event, to be published after the transaction. Returns its number."""
        seq = events.append(cx, event, payload, turn, self.now)
        self.events.append((event, payload))
        return seq


class Writer:
    """Runs the transactions of one session."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock) -> None:
        self.clock = clock
        self._db = db
        self._bus = bus

    async def write[T](self, work: Callable[[Tx, Posting], T], apply: Callable[[T], None] = lambda _: None) -> T:
        """Run `work` as one transaction, `apply` its result to what is in memory, then tell subscribers."""
        posting = Posting(self.clock())
        result = await self._db.write(lambda cx: work(cx, posting))
        apply(result)
        for event, payload in posting.events:
            await self._bus.publish(event, payload)
        return result
