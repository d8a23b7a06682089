"""How far long work is. Who does the work says so, who watches shows it; where nobody watches, nothing happens.

    with shown():  # bars in a terminal; a notebook has its own watcher
        with track("reading", total=len(files), unit="files") as progress:
            for file in files:
                read(file)
                progress.advance()

The watcher is found through `contextvars`: it follows the work into tasks and `asyncio.to_thread`. A thread of
one's own is started with `contextvars.copy_context().run`. The watcher is called on the thread that does the work.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

__all__ = ["Progress", "Track", "Watcher", "is_watched", "shown", "track", "watch", "watched"]

SHOWN_AFTER = 0.5
"""Seconds: shorter work is not worth a bar."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work is. `total` is `None` where nobody knows, `key` tells pieces at the same time apart."""

    key: int
    what: str
    done: int = 0
    total: int | None = None
    unit: str = ""
    ended: bool = False


type Watcher = Callable[[Progress], None]

_keys = count()
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


class Track:
    """One piece of work, in the hands of whoever does it."""

    def __init__(self, progress: Progress) -> None:
        self._now = progress
        self._tell()

    def advance(self, count: int = 1) -> None:
        """So much more is done."""
        self.reach(self._now.done + count)

    def reach(self, done: int, total: int | None = None) -> None:
        """So much is done, in all; `total` where it is known only now."""
        self._now = replace(self._now, done=done, total=self._now.total if total is None else total)
        self._tell()

    def end(self) -> None:
        """It is over, one way or the other."""
        self._now = replace(self._now, ended=True)
        self._tell()

    def _tell(self) -> None:
        if watcher := _watcher.get():
            watcher(self._now)


@contextlib.contextmanager
def track(what: str, total: int | None = None, unit: str = "") -> Iterator[Track]:
    """Tell how far the work in this block is. `what` is a few words: "compacting"; `unit` "B" counts bytes."""
    piece = Track(Progress(next(_keys), what, 0, total, unit))
    try:
        yield piece
    finally:
        piece.end()


@contextlib.contextmanager
def watch(watcher: Watcher) -> Iterator[None]:
    """Have `watcher(progress)` called for all work that begins in this block."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def is_watched() -> bool:
    """Whether somebody watches here."""
    return _watcher.get() is not None


def watched(watcher: Watcher) -> Context:
    """A copy of this context in which it is called, for work that begins elsewhere."""
    context = copy_context()
    context.run(_watcher.set, watcher)
    return context


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Show it as bars on stderr, where that is a terminal and nobody watches yet. They come after half a second, and go
    when the work ends.
    """
    if is_watched() or not sys.stderr.isatty():
        yield
        return
    bars = TerminalBars()
    try:
        with watch(bars):
            yield
    finally:
        bars.close()


class TerminalBars:
    """A watcher that draws with tqdm."""

    def __init__(self) -> None:
        self._bars: dict[int, Any] = {}

    def __call__(self, progress: Progress) -> None:
        """Draw it as it is now."""
        bar = self._bars.get(progress.key)
        if bar is None:
            bar = self._bars[progress.key] = _bar(progress)
        if progress.total not in (None, bar.total):
            bar.total = progress.total
        bar.update(progress.done - bar.n)
        if progress.ended:
            self._bars.pop(progress.key).close()

    def close(self) -> None:
        """Take away what is left."""
        while self._bars:
            self._bars.popitem()[1].close()


def _bar(progress: Progress) -> Any:
    from tqdm import tqdm  # it takes a moment to import

    return tqdm(
        desc=progress.what,
        total=progress.total,
        unit=spaced(progress.unit),
        unit_scale=progress.unit == "B",
        delay=SHOWN_AFTER,
        leave=False,
        file=sys.stderr,
        dynamic_ncols=True,
    )


def spaced(unit: str) -> str:
    """The unit as tqdm wants it: words stand apart from the number."""
    return unit if unit == "B" else f" {unit or 'it'}"
