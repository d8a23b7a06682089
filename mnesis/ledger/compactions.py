"""The moves of a compaction: each is one transaction, compare-and-swap on what it read."""

from collections.abc import Callable, Sequence
from datetime import datetime

from mnesis.context.assembly import Entry, LiveWindow
from mnesis.events.payloads import MnesisEvent, Payload
from mnesis.ledger.ledger import Ledger
from mnesis.ledger.writing import Posting
from mnesis.store import Tx, events, summaries, views
from mnesis.store.messages import Tombstone
from mnesis.store.summaries import NewSummary

_ENDS = (MnesisEvent.COMPACTION_COMPLETED, MnesisEvent.COMPACTION_FAILED)
_RECENT = 50


class _SwapLost(Exception):
    """Something that was to be replaced does not stand in the window any more."""


class CompactionRecord:
    """A session's ledger as the compactor sees it."""

    def __init__(self, ledger: Ledger) -> None:
        self.counter = ledger.counter
        self.session_id = ledger.row.id
        self._ledger = ledger

    def now(self) -> datetime:
        """What the session's clock says."""
        return self._ledger.now()

    async def live(self) -> LiveWindow:
        """The current window."""
        return await self._ledger.live()

    async def swap(self, entries: Sequence[Entry], summary: NewSummary) -> bool:
        """Let a summary stand for these entries from a new view on.

        Compare-and-swap: False, and nothing has changed, where one of them does not stand in the window any more.
        """

        def work(cx: Tx, posting: Posting) -> None:
            view = views.advance(cx, self.session_id, "compaction", None, posting.now)
            if not summaries.bury(cx, self.session_id, view, [entry.ref for entry in entries]):
                raise _SwapLost
            summaries.insert(cx, self.session_id, summary, posting.now)
            views.add_item(cx, self.session_id, entries[0].pos, view, "summary", summary.id, summary.tokens)

        return await self._moved(work)

    async def prune(self, stones: Sequence[Tombstone], of: Sequence[Entry]) -> bool:
        """Let tombstones stand for tool outputs from a new view on; compare-and-swap as in `swap`."""
        buried = {stone.part_id for stone in stones}
        refs = [entry.ref for entry in of if any(item.id in buried for item in entry.items)]

        def work(cx: Tx, posting: Posting) -> None:
            view = views.advance(cx, self.session_id, "pruning", None, posting.now)
            if not summaries.are_alive(cx, self.session_id, refs) or summaries.are_pruned(cx, self.session_id, buried):
                raise _SwapLost
            summaries.set_tombstones(cx, self.session_id, view, stones)

        return await self._moved(work)

    async def post(self, event: MnesisEvent, payload: Payload, turn: int | None) -> None:
        """Store an event by itself, and tell subscribers."""
        await self._ledger.post(event, payload, turn)

    async def recent_compactions(self) -> Sequence[Payload]:
        """What the last compactions came to, newest first."""
        found = await self._ledger.read(lambda cx: events.recent(cx, self.session_id, _ENDS, _RECENT))
        return [record.payload for record in found]

    async def _moved(self, work: Callable[[Tx, Posting], None]) -> bool:
        try:
            await self._ledger.write(work)
        except _SwapLost:
            return False
        finally:
            self._ledger.forget()
        return True
