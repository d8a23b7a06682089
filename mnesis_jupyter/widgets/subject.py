"""A session under inspection: read from its file, followed live, told to its widgets as it changes."""

import asyncio
import contextlib
import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from weakref import WeakSet

from mnesis import InputError, MnesisError, MnesisEvent, MnesisSession
from mnesis.events.payloads import Payload
from mnesis.models.context import Budget
from mnesis_jupyter.bridge import Bridge
from mnesis_jupyter.frames import inspection
from mnesis_jupyter.frames.inspection import ItemRow
from mnesis_jupyter.html import visible
from mnesis_jupyter.widgets.log import Log
from mnesis_jupyter.widgets.wire import row_of, strip_of

_FRAME = 1 / 15
_SHARE = 0.25
"""Of the time, at most, goes into following a session that never rests."""

_KEPT_WINDOWS = 6
_TAIL = 60


class Listener(Protocol):
    """Who is told: a widget."""

    def send(self, content: Any, buffers: Any = None) -> None:
        """Send a message to the front end."""


class Told(NamedTuple):
    """How far the front end has been told: the first turn that may still change, marks, items of the window, epoch."""

    turn: int = 0
    marks: int = 0
    items: int = 0
    epoch: int = 0


class Subject:
    """One session, read from its file and followed live. All work is done on the bridge's loop, or beside it."""

    def __init__(self, session: MnesisSession, bridge: Bridge) -> None:
        if session.db_path is None:
            raise InputError("a session kept in memory can be read by itself only; give it a db_path to inspect it")
        self.id = session.id
        self.session = session
        """It, as it is open on the bridge's loop."""
        self.path: Path = session.db_path
        self.log = Log(self.path, self.id)
        self.changes = 0
        """How often something has happened."""
        self.bridge = bridge
        self._listeners: WeakSet[Any] = WeakSet()
        self._reading = threading.Lock()
        self._windows: OrderedDict[tuple[int, int], Sequence[ItemRow]] = OrderedDict()
        self._now: list[ItemRow] = []
        self.epoch = 0
        """How often the window was rewritten, rather than grown."""
        self._told = Told()
        self.budget: Budget | None = None
        """How the model's window is shared out, by the engine."""
        self._written = ""
        self._dirty = self._following = False
        self._followed: WeakSet[MnesisSession] = WeakSet()
        self.follow(session)
        self.catch_up()
        self._told = Told(self.log.settled, len(self.log.marks), len(self._now), self.epoch)

    def follow(self, session: MnesisSession) -> None:
        """Hear of what happens to this object, too: a session may be open more than once."""
        if session not in self._followed:
            self._followed.add(session)
            session.subscribe(None, self._happened)

    def catch_up(self) -> None:
        """Read what has happened, in this thread."""
        self.locked(self._read)
        with contextlib.suppress(MnesisError, RuntimeError):  # closed: the session, or the loop
            self.bridge.call(self.share_out)

    def join(self, listener: Listener) -> None:
        """Tell this widget what happens, for as long as it exists."""
        self._listeners.add(listener)

    # -- what is there ------------------------------------------------------------------------------------------------

    def overview(self, span: Sequence[int] = ()) -> dict[str, Any]:
        """All that is drawn at first, or of a span of turns: bounded, however long the session is."""
        first, last = self._span(span)
        return {
            "head": self.head(),
            "map": self.log.columns(first, last, self.log.width(first, last)),
            "summaries": self.log.icicle(first, last),
            "epoch": self.epoch,
        }

    def facts(self, turn: int | None) -> dict[str, Any]:
        """A window in numbers."""
        items = self.window(turn)
        kinds = Counter[str]()
        for item in items:
            kinds[item.kind] += item.tokens
        facts: dict[str, Any] = {
            "turn": turn,
            "count": len(items),
            "size": kinds.total(),
            "kinds": dict(kinds),
            "largest": max((item.tokens for item in items), default=0),
            "strip": strip_of(items),
            "view": inspection.version(self.path, self.id)[0] if turn is None else self.log.turns[turn].view,
        }
        if turn is not None:
            sent = self.log.turns[turn]
            facts |= {
                "state": sent.state,
                "at": sent.opened // 1000,
                "seconds": None if sent.finished is None else (sent.finished - sent.opened) / 1e6,
                "cost": sent.cost,
                "output": sent.output,
                "error": visible(sent.error or ""),
                "broken": self.log.broken.get(turn, ""),
            }
        return facts

    def window(self, turn: int | None) -> Sequence[ItemRow]:
        """The items of a window, in its order."""
        if turn is None:
            return self._now
        if not 0 <= turn < len(self.log.turns):
            raise InputError(f"turn {turn} is not there; the session has {len(self.log.turns):,}, from 0")
        key = (turn, self.log.turns[turn].view)
        if key not in self._windows:
            self._windows[key] = inspection.window(self.path, self.id, turn)
            if len(self._windows) > _KEPT_WINDOWS:
                self._windows.popitem(last=False)
        self._windows.move_to_end(key)
        return self._windows[key]

    def head(self) -> dict[str, Any]:
        """The session in numbers."""
        size = sum(item.tokens for item in self._now)
        busy = bool(self.log.turns) and self.log.turns[-1].state == "open"
        return {
            "id": self.id,
            "title": visible(self.session.title or ""),
            "model": visible(self.session.model),
            "turns": len(self.log.turns),
            "cost": self.log.cost,
            "state": "answering" if busy else "compacting" if self.session.compaction_in_progress else "idle",
            "size": size,
            "budget": self.budget.model_dump() if self.budget else None,
            "forecast": self._forecast(size),
        }

    def _forecast(self, size: int) -> str:
        if self.budget is None or not self.log.turns:
            return ""
        if not self.session.config.compaction.auto:
            return "automatic compaction is off"
        if self.session.compaction_in_progress:
            return "compacting in the background"
        left, pace = self.budget.soft - size, self.log.pace()
        if left <= 0:
            return "over the soft mark: the next turn sets off a compaction"
        if pace <= 0:
            return "no pace yet: the window has not grown"
        turns = math.ceil(left / pace)
        return f"compaction in about {turns:,} turn{'' if turns == 1 else 's'} at this pace (+{pace:,.0f} a turn)"

    # -- following ----------------------------------------------------------------------------------------------------

    def heard(self, text: str) -> None:
        """Some more of a reply that is being written. Called by the chat cell that shows it."""
        self.bridge.start(self._hear, text)

    async def _hear(self, text: str) -> None:
        self._written += text
        await self._wake()

    def _happened(self, event: MnesisEvent, payload: Payload) -> None:
        # Closed: the kernel may be ending. Items of a map are in no lane, and there may be very many.
        if event not in (MnesisEvent.SESSION_CLOSED, MnesisEvent.MAP_ITEM_COMPLETED):
            self.bridge.start(self._wake, True)

    async def _wake(self, stored: bool = False) -> None:
        self._dirty = self._dirty or stored
        self.changes += stored
        if self._following:
            return
        self._following = True
        try:
            while self._dirty or self._written:
                began = time.monotonic()
                await self._push()
                took = time.monotonic() - began
                await asyncio.sleep(max(_FRAME - took, took * (1 - _SHARE) / _SHARE))
        finally:
            self._following = False

    async def _push(self) -> None:
        """Tell all widgets what has changed: as much as has changed, not more."""
        written, self._written = self._written, ""
        content: dict[str, Any] = {"written": written} if written else {}
        if self._dirty:
            self._dirty = False
            await self.share_out()
            content |= await asyncio.to_thread(self.locked, self._news)
        if content:
            for listener in tuple(self._listeners):
                listener.send({"push": content})

    def _news(self) -> dict[str, Any]:
        """What the front end has not been told yet."""
        self._read()
        log, told = self.log, self._told
        count = len(log.turns)
        width = log.width(0, count)
        begin = min(told.turn, max(0, count - 1)) // width * width
        self._told = Told(log.settled, len(log.marks), len(self._now), self.epoch)
        news = {
            "head": self.head(),
            "facts": self.facts(None),
            "map": log.columns(begin, count, width),
            "marks": [[mark.lane, *mark[1:]] for mark in log.marks[told.marks :]],
            "epoch": self.epoch,
        }
        known = told.items if told.epoch == self.epoch else 0
        if told.epoch != self.epoch:
            news["summaries"] = log.icicle(0, count)
        start = max(known, len(self._now) - _TAIL)
        news["tail"] = [row_of(at, self._now[at]) for at in range(start, len(self._now))]
        return news

    def _read(self) -> None:
        rewritten = self.log.read()
        after = -1 if rewritten or not self._now else self._now[-1].pos
        fresh = inspection.window(self.path, self.id, None, after)
        if after < 0:
            self._now, self.epoch = fresh, self.epoch + 1
        else:
            self._now = self._now + fresh

    async def share_out(self) -> None:
        """Ask the engine how the model's window is shared out; the answer of last time stands where it is closed."""
        with contextlib.suppress(MnesisError):
            self.budget = (await self.session.describe(self.id)).budget

    # -- details ------------------------------------------------------------------------------------------------------

    def locked[T](self, work: Callable[[], T]) -> T:
        with self._reading:
            return work()

    def _span(self, span: Sequence[int]) -> tuple[int, int]:
        end = len(self.log.turns)
        if len(span) != 2:
            return 0, end
        first = min(max(0, int(span[0])), max(0, end - 1))
        return first, max(first + 1, min(int(span[1]), end)) if end else 0
