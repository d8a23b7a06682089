"""Long work in a cell shows how far it is: a bar after half a second, which is gone when the work is done.

The engine says how far it is (`mnesis.progress.track`); nothing is to be done for what goes over the bridge, as every
wait there is watched: `%mnesis …`, `%%mnesis`, and the methods of `chat()`. Work that a cell does by itself, or awaits
on the kernel's own loop, is watched like this:

    with mnesis_jupyter.progress.shown():
        result = await session.compact()

Bars are one display that is replaced, without a widget: a saved notebook holds no state of theirs. In the terminal's
IPython they are tqdm's.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import IPython.display
from IPython.core.displaypub import DisplayPublisher
from IPython.core.getipython import get_ipython

from mnesis.progress import SHOWN_AFTER, Progress, TerminalBars, is_watched, spaced, watch
from mnesis_jupyter.html import escape, visible

__all__ = ["Board", "can_replace", "shown"]

_EVERY = 0.2
"""Seconds between two drawings."""


def can_replace() -> bool:
    """Whether an output can be replaced in place. The terminal's IPython prints each version below the last."""
    shell = get_ipython()
    return shell is not None and type(shell.display_pub) is not DisplayPublisher


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Show how far the work in this block is, where nobody watches it yet, and in a notebook or a terminal."""
    if is_watched():
        yield
        return
    board = Board()
    try:
        with watch(board):
            yield
    finally:
        board.close()


class Board:
    """What is under way, drawn by the thread that made the board: it waits, and only it can show something.

    A watcher for `mnesis.progress.watch`, to be called from any thread. After `close` it shows nothing any more.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._under_way: dict[int, tuple[Progress, float]] = {}
        self._terminal: TerminalBars | None = None
        self._handle: Any = None
        self._shown = False
        self._closed = False
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        """Take note of how far something is; draw it too, where this is the thread that can."""
        if self._closed:
            return
        if self._terminal or (not can_replace() and sys.stderr.isatty()):
            self._terminal = self._terminal or TerminalBars()
            self._terminal(progress)
        elif progress.ended:
            self._under_way.pop(progress.key, None)
        else:
            began = self._under_way.get(progress.key, (progress, time.monotonic()))[1]
            self._under_way[progress.key] = (progress, began)
        if threading.get_ident() == self._thread:
            self.draw()

    def draw(self) -> None:
        """Show what has been under way for long enough; take it away where that is over."""
        now = time.monotonic()
        if not (self._under_way or self._shown) or now < self._next:
            return
        long = [(each, now - began) for each, began in [*self._under_way.values()] if now - began >= SHOWN_AFTER]
        if long or self._shown:
            self._next = now + _EVERY
            self._show(long)

    def close(self) -> None:
        """Take away what is shown."""
        self._closed = True
        self._under_way.clear()
        if self._shown:
            self._show([])
        if self._terminal:
            self._terminal.close()

    def _show(self, bars: list[tuple[Progress, float]]) -> None:
        if not can_replace():
            return
        self._shown = bool(bars)
        bundle = {
            "text/html": "".join(_html(each, passed) for each, passed in bars),
            "text/plain": "\n".join(_text(each, passed) for each, passed in bars),
        }
        if self._handle is None:
            self._handle = IPython.display.display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)


def _text(progress: Progress, passed: float) -> str:
    from tqdm import tqdm

    return visible(
        tqdm.format_meter(
            progress.done,
            progress.total,
            passed,
            ncols=80,
            prefix=progress.what,
            unit=spaced(progress.unit),
            unit_scale=progress.unit == "B",
        )
    )


def _html(progress: Progress, passed: float) -> str:
    """The same; the blocks of its bar are drawn everywhere, also without CSS."""
    return f'<pre style="margin:0;font-size:12px;line-height:1.5">{escape(_text(progress, passed))}</pre>'
