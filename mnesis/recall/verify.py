"""The invariants, checked on what is stored."""

from collections.abc import Callable
from functools import partial

from mnesis.errors import StoreError
from mnesis.models.context import Budget
from mnesis.models.recall import VerifyReport
from mnesis.recall.record import Record
from mnesis.store import Database, turns
from mnesis.store import verify as checks
from mnesis.store.turns import TurnRow

_NEWEST = 50


async def verify(
    db: Database, of: Record, budget: Callable[[], Budget], *, deep: bool, turn_running: bool
) -> VerifyReport:
    """See `MnesisSession.verify`. Where `turn_running`, a turn may be open."""
    found = _Findings()
    for check in checks.CHECKS:
        await found.take(db, check, of.row.id)
    if not turn_running:
        await found.take(db, checks.open_turns, of.row.id)
    if deep:
        await found.take(db, checks.file, of.row.id)
    await _windows(found, db, of, budget, deep=deep)
    return VerifyReport(problems=tuple(found.problems), checked=found.checked)


class _Findings:
    """The problems so far."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.checked = 0

    async def take(self, db: Database, check: checks.Check, session_id: str) -> None:
        """Run a check; what cannot be read is a problem, too."""
        self.checked += 1
        try:
            self.problems += await db.read(lambda cx: list(check(cx, session_id)))
        except StoreError as error:
            self.problems.append(str(error))


async def _windows(found: _Findings, db: Database, of: Record, budget: Callable[[], Budget], *, deep: bool) -> None:
    """Invariants 4, 13 and 17: windows are what was sent, bear the ids of their summaries, and usage adds up."""
    try:
        past = await db.read(partial(turns.read_turns, session_id=of.row.id))
        billed = await db.read(partial(checks.billed, session_id=of.row.id))
        live = await of.live()
    except StoreError as error:
        found.problems.append(str(error))
        return
    found.checked += 2
    found.problems += [
        f"summary {entry.ref} stands in the window without its id"
        for entry in live.entries
        if entry.is_summary and not any(entry.ref in item.text for item in entry.items)
    ]
    used = of.usage
    if (used.input, used.output, used.total) != billed and not any(row.state == "open" for row in past):
        found.problems.append(f"usage in memory is {used.input, used.output, used.total}, in the store {billed}")
    for row in past if deep else past[-_NEWEST:]:
        found.checked += 1
        if problem := await _rebuilt(of, row, budget()):
            found.problems.append(problem)


async def _rebuilt(of: Record, row: TurnRow, budget: Budget) -> str | None:
    try:
        window = await of.past_window(row.idx, budget)
    except StoreError as error:
        return f"the window of turn {row.idx} cannot be rebuilt: {error}"
    if window.request_hash != row.request_hash:
        hashes = f"{window.request_hash:.12}… instead of {row.request_hash:.12}…"
        return f"the window of turn {row.idx} is rebuilt with the hash {hashes}: it is not what was sent"
    return None
