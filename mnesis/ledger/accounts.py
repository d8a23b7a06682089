"""What a session has used, turn by turn, in memory: read once, and kept up with each turn."""

from collections.abc import Iterable, Sequence
from typing import Self

from mnesis.events.payloads import CompactionCompletedPayload, MnesisEvent, Payload
from mnesis.models.context import TurnSnapshot
from mnesis.models.message import TokenUsage, TurnState
from mnesis.store import turns
from mnesis.store.turns import TurnRow
from mnesis.tokens import correction

COMPACTIONS = (MnesisEvent.COMPACTION_TRIGGERED, MnesisEvent.COMPACTION_COMPLETED)
"""The events that a turn's snapshot tells of."""

_CALIBRATED_BY = 16
"""So many of the newest turns say how the provider counts."""


class Accounts:
    """The turns of one session and the compactions that they set off.

    What it shares with the session that it was forked from is among them; usage and cost are of its own turns.
    """

    def __init__(
        self,
        session_id: str,
        shared: Iterable[TurnRow] = (),
        compactions: Iterable[tuple[int, int, MnesisEvent, Payload]] = (),
    ) -> None:
        self.rows = list(shared)
        self.usage = TokenUsage()
        self._session_id = session_id
        self._compactions = list(compactions)
        self._told: list[TurnSnapshot] = []
        """The snapshots of the first turns, as far as they were asked for, and nothing has changed since."""

    def forked(self, session_id: str, turn: int, event: int) -> Self:
        """Those of a fork, which shares the turns up to one and what happened up to an event."""
        return type(self)(session_id, self.rows[: turn + 1], (each for each in self._compactions if each[0] <= event))

    def settled(self) -> int:
        """How many of the turns held here cannot change any more."""
        count = len(self.rows)
        while count and self.rows[count - 1].state == TurnState.OPEN:
            count -= 1
        return count

    def add(self, rows: Sequence[TurnRow], start: int | None = None) -> None:
        """Take in the turns from `start` on (by default the first of them)."""
        first = start if start is not None else rows[0].idx if rows else len(self.rows)
        self.rows[first:] = rows
        del self._told[first:]
        self.usage += turns.usage_of(row for row in rows if row.session_id == self._session_id)

    def note(self, seq: int, turn: int | None, event: MnesisEvent, payload: Payload) -> None:
        """Take in an event by its number, where it tells of a turn's compaction."""
        if event in COMPACTIONS and turn is not None:
            self._compactions.append((seq, turn, event, payload))
            del self._told[turn:]

    @property
    def cost(self) -> float | None:
        """US dollars over all its own turns that asked a model; `None` where one of them has no known cost."""
        own = (row for row in self.rows if row.session_id == self._session_id)
        return _sum(row.cost for row in own if row.state == TurnState.COMMITTED or row.requests)

    def snapshots(self) -> list[TurnSnapshot]:
        """The window of each finished turn, in tokens by kind, and what compaction it set off."""
        if new := self.rows[len(self._told) : self.settled()]:
            self._told += self._snapshots(new)
        return list(self._told)

    def _snapshots(self, rows: Sequence[TurnRow]) -> list[TurnSnapshot]:
        triggered = {turn for _, turn, event, _ in self._compactions if event is MnesisEvent.COMPACTION_TRIGGERED}
        results = {
            turn: payload.result()
            for _, turn, _, payload in self._compactions
            if turn >= rows[0].idx and isinstance(payload, CompactionCompletedPayload)
        }
        return [
            TurnSnapshot(
                turn_index=row.idx,
                context_tokens=row.tokens,
                compaction_triggered=row.idx in triggered,
                compact_result=results.get(row.idx),
            )
            for row in rows
        ]

    def correction(self, model: str) -> float:
        """What the provider counts for each token that we count."""
        recent = [row for row in self.rows[-_CALIBRATED_BY:] if row.model == model and _tells(row)]
        return correction((row.window_tokens, row.input_tokens or 0) for row in recent)


def _tells(row: TurnRow) -> bool:
    """Whether its usage is what the provider counted for its window: of one request, and not counted by us."""
    return row.requests == 1 and not row.usage_counted and not row.recorded


def _sum(costs: Iterable[float | None]) -> float | None:
    total = 0.0
    for cost in costs:
        if cost is None:
            return None
        total += cost
    return total
