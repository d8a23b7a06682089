"""Recall: what has left the window is found, described, brought back, and accounted for."""

from collections.abc import Callable
from functools import partial

from mnesis.context.diff import diff
from mnesis.files import Shelf
from mnesis.ids import kind_of
from mnesis.models.context import Budget, ContextWindow
from mnesis.models.message import Role
from mnesis.models.recall import Description, Expansion, GrepResult, Lineage, VerifyReport, WindowDiff
from mnesis.recall.describe import describe, describe_file
from mnesis.recall.expand import expand
from mnesis.recall.lineage import why
from mnesis.recall.record import Record
from mnesis.recall.verify import verify
from mnesis.store import Database, Tx, summaries

__all__ = ["Recall"]


class Recall:
    """The questions that can be asked about one session. Each method is that of `MnesisSession`, documented there."""

    def __init__(self, db: Database, record: Record, budget: Callable[[], Budget], files: Shelf) -> None:
        self._db = db
        self._record = record
        self._budget = budget
        self._files = files

    async def grep(
        self,
        pattern: str,
        *,
        regex: bool = False,
        summary_id: str | None = None,
        role: Role | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> GrepResult:
        """What holds a pattern."""
        from mnesis.recall.grep import grep  # on first use: it brings `regex` and word lists

        return await grep(
            self._db,
            self._record.row.id,
            pattern,
            regex=regex,
            summary_id=summary_id,
            role=role,
            limit=limit,
            cursor=cursor,
        )

    async def describe(self, id: str) -> Description:
        """What an id names."""
        if isinstance(id, str) and kind_of(id) == "file" and (file := await self._files.known(id)):
            state = await self._files.state(file)
            return await self._db.read(lambda cx: describe_file(cx, self._record.row.id, file, state.sentence))
        window = (await self._record.live()).size
        return await self._db.read(lambda cx: describe(cx, self._record, id, self._budget(), window))

    async def expand(self, summary_id: str, *, max_tokens: int = 2000, cursor: str | None = None) -> Expansion:
        """The originals behind an id."""
        return await expand(self._db, self._record, summary_id, max_tokens=max_tokens, cursor=cursor)

    async def why(self, id: str) -> Lineage:
        """Where an item is, and how it came there."""
        return await self._db.read(lambda cx: why(cx, self._record.row.id, id))

    async def diff(self, a: int, b: int | None = None) -> WindowDiff:
        """What changed between the windows of two turns."""
        budget = self._budget()
        before = await self._record.past_window(a, budget)
        after = await (self._record.next_window(budget) if b is None else self._record.past_window(b, budget))
        covers = partial(_covers, session_id=self._record.row.id)
        return diff(
            before,
            after,
            await self._db.read(lambda cx: covers(cx, of=after, by=before)),
            await self._db.read(lambda cx: covers(cx, of=before, by=after)),
        )

    async def verify(self, *, deep: bool, turn_running: bool) -> VerifyReport:
        """The invariants, checked on what is stored."""
        return await verify(self._db, self._record, self._budget, deep=deep, turn_running=turn_running)


def _covers(cx: Tx, session_id: str, *, of: ContextWindow, by: ContextWindow) -> dict[str, str]:
    """For what one window holds and another does not: the summary that stands for it there."""
    held = {item.message_id or item.id for item in by.items}
    stand_ins = {item.id for item in by.items if item.kind == "summary"}
    covers = {}
    for ref in {item.message_id or item.id for item in of.items} - held:
        chain = summaries.covering(cx, session_id, ref)
        if found := next((id for id, _ in chain if id in stand_ins), None):
            covers[ref] = found
    return covers
