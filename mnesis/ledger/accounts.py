"""What a session has used, turn by turn, in memory: read once, and kept up with each turn."""

from collections.abc import Iterable, Sequence

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
    """The turns of one session and the compactions that they set off."""

    def __init__(self) -> None:
        self.rows: list[TurnRow] = []
        self.usage = TokenUsage()
        self._compactions: list[tuple[int, MnesisEvent, Payload]] = []

    def settled(self) -> int:
        """How many of the turns held here cannot change any more."""
        count = len(self.rows)
        while count and self.rows[count - 1].state == TurnState.OPEN:
            count -= 1
        return count

    def add(self, rows: Sequence[TurnRow], start: int | None = None) -> None:
        """Take in the turns from `start` on (by default the first of them)."""
        first = start if start is not None else rows[0].idx if rows else 0
        self.rows[first:] = rows
        self.usage += turns.usage_of(rows)

    def note(self, turn: int | None, event: MnesisEvent, payload: Payload) -> None:
        """Take in an event, where it tells of a turn's compaction."""
        if event in COMPACTIONS and turn is not None:
            self._compactions.append((turn, event, payload))

    @property
    def cost(self) -> float | None:
        """US dollars over all turns that asked a model; `None` where one of them has no known cost."""
        return _sum(row.cost for row in self.rows if row.state == TurnState.COMMITTED or row.requests)

    def snapshots(self) -> list[TurnSnapshot]:
        """The window of each finished turn, in tokens by kind, and what compaction it set off."""
        triggered = {turn for turn, event, _ in self._compactions if event is MnesisEvent.COMPACTION_TRIGGERED}
        results = {
            turn: payload.result()
            for turn, _, payload in self._compactions
            if isinstance(payload, CompactionCompletedPayload)
        }
        return [
            TurnSnapshot(
                turn_index=row.idx,
                context_tokens=row.tokens,
                compaction_triggered=row.idx in triggered,
                compact_result=results.get(row.idx),
            )
            for row in self.rows
            if row.state != TurnState.OPEN
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
