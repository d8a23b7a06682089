"""What the inspector costs: opening, following, scrolling.

    python benchmarks/widgets.py [--turns 100 1000 10000] [--no-browser]

For sessions of so many turns: the kernel's time and the bytes until all is drawn, the time to the first paint in
JupyterLab in Chromium, the bytes of a live update, and how evenly a window of 10,000 items scrolls.
"""

import argparse
import asyncio
import json
import queue
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comm
from comm.base_comm import BaseComm

from mnesis import CompactionConfig, MnesisConfig, MnesisSession, TextPart, ToolPart, ToolStatus

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SMALL = MnesisConfig(model_overrides={"context_limit": 8000, "max_output_tokens": 500})
WIDE = MnesisConfig(model_overrides={"context_limit": 50_000_000}, compaction=CompactionConfig(auto=False))


def main(arguments: list[str] | None = None) -> int:
    """Print one row for each thing that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--no-browser", action="store_true", help="only what is measured in the kernel")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mnesis-bench-") as folder:
        store = Path(folder) / "sessions.db"
        for turns in options.turns:
            asyncio.run(_make(store, f"of {turns}", turns, SMALL))
        if not options.no_browser:
            asyncio.run(_make(store, "wide", 5_000, WIDE))
        print(f"{'':<44}{'measured':>16}  limit")
        for turns in options.turns:
            _kernel(store, turns)
        if not options.no_browser:
            _browser(Path(folder), store, options.turns)
    return 0


def _row(what: str, measured: str, limit: str = "") -> None:
    print(f"{what:<44}{measured:>16}  {limit}", flush=True)


async def _make(store: Path, title: str, turns: int, config: MnesisConfig) -> None:
    began, rng = time.perf_counter(), random.Random(turns)
    async with MnesisSession.open(model="offline/quote", db_path=store, config=config, title=title) as session:
        for turn in range(turns):
            reply: Any = f"reply {turn} " + "word " * rng.choice([5, 30, 80])
            if turn % 4 == 0:
                output = "row\n" * rng.choice([1, 20, 90])
                call = ToolPart(tool_name="look", tool_call_id=f"c{turn}", output=output, status=ToolStatus.COMPLETED)
                reply = [TextPart(text=reply), call]
            await session.record(f"question {turn} " + "some word " * rng.choice([3, 10, 40]), reply)
            while session.compaction_in_progress:  # noqa: ASYNC110  # the session tells whether, not when
                await asyncio.sleep(0.001)
    print(f"made {title}: {turns:,} turns in {time.perf_counter() - began:.0f} s", file=sys.stderr)


# -- in the kernel ----------------------------------------------------------------------------------------------------


class _Front:
    """What a front end is sent, in bytes."""

    def __init__(self) -> None:
        self.bytes = 0
        self.answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.pushes: list[int] = []

    def receive(self, data: Any) -> None:
        size = len(json.dumps(data))
        content = (data or {}).get("content", {})
        if isinstance(content, dict) and "push" in content:
            self.pushes.append(size)
        else:
            self.bytes += size
        if isinstance(content, dict) and "answer" in content:
            self.answers.put(content)

    def ask(self, widget: Any, what: str, **arguments: Any) -> dict[str, Any]:
        content = {"ask": what, "number": 1, "with": arguments}
        widget.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
        return self.answers.get(timeout=60)


@contextmanager
def _front() -> Iterator[_Front]:
    front, before = _Front(), comm.create_comm

    class Line(BaseComm):
        def publish_msg(self, msg_type: str, data: Any = None, *args: Any, **keys: Any) -> None:
            front.receive(data)

    comm.create_comm = Line
    try:
        yield front
    finally:
        comm.create_comm = before


def _kernel(store: Path, turns: int) -> None:
    from mnesis_jupyter.current import CURRENT
    from mnesis_jupyter.state import shut_down, state
    from mnesis_jupyter.widgets import inspect

    CURRENT.settings.db = str(store)
    session = state().load(f"of {turns}")
    with _front() as front:
        began = time.perf_counter()
        ui = inspect(session)
        made, state_bytes = time.perf_counter() - began, front.bytes
        for what, arguments in (
            ("overview", {}),
            ("facts", {"turn": None}),
            ("lanes", {"axis": "turn"}),
            ("rows", {"turn": None, "start": 0}),
        ):
            front.ask(ui, what, **arguments)
        took = time.perf_counter() - began
        _row(f"open on {turns:,} turns: kernel", f"{took * 1e3:,.0f} ms", f"{made * 1e3:,.0f} of them to read the past")
        _row(f"open on {turns:,} turns: state", f"{state_bytes / 1e3:,.1f} kB", "nearly all of it the program")
        _row(f"open on {turns:,} turns: state and answers", f"{front.bytes / 1e3:,.1f} kB", "<= 300 kB")
        times = []
        for turn in random.Random(1).sample(range(turns), 20):
            began = time.perf_counter()
            front.ask(ui, "facts", turn=turn)
            front.ask(ui, "rows", turn=turn, start=0)
            times.append(time.perf_counter() - began)
        _row(f"travel in {turns:,} turns: kernel", f"{statistics.median(times) * 1e3:,.1f} ms", "a stop of the slider")
        front.pushes.clear()
        for number in range(20):
            state().bridge.call(session.record, f"one more {number}", "fine")
            time.sleep(0.15)
        time.sleep(0.5)
        plain = sorted(front.pushes)[: len(front.pushes) * 3 // 4]
        _row(
            f"live update at {turns:,} turns", f"{statistics.median(plain) / 1e3:,.2f} kB", "a turn, as it is recorded"
        )
    shut_down()


# -- in the browser ---------------------------------------------------------------------------------------------------

_PAINTED = "() => document.querySelector('.mnesis[data-ready] .mn-row') && document.querySelector('.mn-said')"
_SCROLL = """async by => {
    const list = document.querySelector('.mn-scroll'), gaps = [];
    list.scrollTop = 0;
    let last = performance.now();
    const frame = () => new Promise(requestAnimationFrame);
    for (let step = 0; step < 180; step++) {
        list.scrollTop += by;
        await frame();
        const now = performance.now();
        gaps.push(now - last);
        last = now;
    }
    gaps.splice(0, 5);
    gaps.sort((a, b) => a - b);
    return { median: gaps[gaps.length >> 1], p95: gaps[Math.floor(gaps.length * 0.95)],
        dropped: gaps.filter(gap => gap > 33.4).length, frames: gaps.length,
        rows: document.querySelectorAll('.mn-row').length };
}"""


def _browser(folder: Path, store: Path, turns: list[int]) -> None:
    from lab import lab

    with lab(folder, MNESIS_DB=str(store)) as jupyter:
        for count in turns:
            jupyter.write("open.ipynb", "%load_ext mnesis_jupyter", f'%mnesis use "of {count}"')
            with jupyter.open("open.ipynb") as notebook:
                notebook.run_all()
                began = time.perf_counter()
                notebook.add_and_run("%mnesis ui")
                notebook.page.wait_for_function(_PAINTED, timeout=60_000)
                took = time.perf_counter() - began
                _row(f"open on {count:,} turns: painted", f"{took:,.2f} s", "from running the cell")
        jupyter.write("scroll.ipynb", "%load_ext mnesis_jupyter", "%mnesis use wide", "%mnesis ui")
        with jupyter.open("scroll.ipynb") as notebook:
            notebook.run_all()
            notebook.page.wait_for_function(_PAINTED, timeout=60_000)
            notebook.page.wait_for_timeout(1000)
            rest, first, again = (notebook.page.evaluate(_SCROLL, step) for step in (0, 400, 400))
        items = 1 + 2 * 5_000 + 2 * 1_250
        for when, seen in (("not scrolled", rest), ("scrolled, pages on their way", first), ("scrolled again", again)):
            told = f"median {seen['median']:.1f} ms, 95 % within {seen['p95']:.1f} ms; {seen['rows']} rows are elements"
            _row(f"{items:,} items, {when}: dropped", f"{seen['dropped']} of {seen['frames']} frames", told)


if __name__ == "__main__":
    sys.exit(main())
