"""What the engine costs, beside what the same work costs without it.

    python benchmarks/engine.py           about a minute
    python benchmarks/engine.py --quick   a smoke run of a few seconds; its numbers mean little

Machines differ and are busy, so each number stands beside a floor: the least that the same work can cost, measured in
the same run, in turns with it (A B A B …). A report, not a test: it exits with 0 whatever it finds.
"""

import argparse
import asyncio
import logging
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mnesis import CompactionConfig, Database, MnesisConfig, MnesisSession, StoreConfig
from mnesis.llm.base import Chunk, Finish, ModelLimits, Request, TextChunk

MODEL = "offline/quote"
USER = "How did the harvest of 1911 compare with that of the year before, and what did the almanac say of it? " * 2
REPLY = "The harvest was a tenth below that of 1910, says the almanac, because the rain of June came late. " * 8
SYSTEM = "You are a helpful assistant."

type Step = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. Of turns, windows, loads, imports and shells: how often."""

    ages: tuple[int, ...]
    """At which turns of a session `record()` is measured."""
    window_tokens: int
    loaded_messages: int
    turns: int
    windows: int
    loads: int
    imports: int
    shells: int


FULL = Sizes((10, 1_000, 5_000), 200_000, 5_000, turns=250, windows=30, loads=30, imports=17, shells=6)
QUICK = Sizes((10, 100, 200), 20_000, 200, turns=15, windows=3, loads=3, imports=1, shells=1)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Times in seconds; `aim` is the largest ratio to the floor, `limit` the longest time."""

    what: str
    measured: float
    floor: float
    beside: str
    aim: float | None = None
    limit: float | None = None

    @property
    def ratio(self) -> float:
        """How many times the floor."""
        return self.measured / self.floor

    def cells(self) -> tuple[str, ...]:
        """The line, column by column."""
        aims = [f"<= {self.aim:g}x"] if self.aim is not None else []
        aims += [f"<= {self.limit * 1e3:g} ms"] if self.limit is not None else []
        over = (self.aim is not None and self.ratio > self.aim) or (
            self.limit is not None and self.measured > self.limit
        )
        verdict = ("over" if over else "ok") if aims else "-"
        ratio = f"{self.ratio:.2f}x"
        return self.what, _ms(self.measured), _ms(self.floor), ratio, ", ".join(aims) or "-", verdict, self.beside


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be measured, and why."""

    what: str
    why: str

    def cells(self) -> tuple[str, ...]:
        """The line, column by column."""
        return self.what, "-", "-", "-", "-", "skipped", self.why


HEAD = ("what", "measured", "floor", "ratio", "aim", "", "the floor is")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f} ms"


# -- the floor ------------------------------------------------------------------------------------------------------


class Floor:
    """One table and nothing else: what keeping these bytes, safely, costs at least."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cx = _connect(path)
        self._cx.execute("CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, role TEXT, text TEXT)")

    async def turn(self) -> None:
        """Two commits: what the user says, what the assistant says."""
        for role, text in (("user", USER), ("assistant", REPLY)):
            with self._cx:
                self._cx.execute("INSERT INTO message (role, text) VALUES (?, ?)", (role, text))

    async def window(self) -> list[dict[str, str]]:
        """All of it, as chat-completion messages."""
        return _chat(self._cx)

    async def load(self) -> None:
        """Open the file by itself and read all of it."""
        connection = _connect(self.path)
        _chat(connection)
        connection.close()

    def close(self) -> None:
        """Close the file."""
        self._cx.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _chat(connection: sqlite3.Connection) -> list[dict[str, str]]:
    rows = connection.execute("SELECT role, text FROM message ORDER BY id")
    return [{"role": role, "content": text} for role, text in rows]


class Instant:
    """A model that answers at once: what is left of a turn is the engine's."""

    def limits(self, _: str) -> ModelLimits:
        """Room for everything."""
        return ModelLimits(context=10_000_000, output=4_096)

    async def stream(self, _: Request) -> AsyncIterator[Chunk]:
        """The whole reply in one piece."""
        yield TextChunk(REPLY)
        yield Finish("stop")


# -- measuring ------------------------------------------------------------------------------------------------------


async def alternate(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """The median time of each step: all of them in each round, each first in its turn, after a round for nothing."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = deque(steps)
    for _ in range(rounds + 1):
        for name in order:
            start = time.perf_counter()
            await steps[name]()
            times[name].append(time.perf_counter() - start)
        order.rotate()
    return {name: statistics.median(measured[1:]) for name, measured in times.items()}


def settings(path: str | Path = ":memory:") -> MnesisConfig:
    """No compaction, and a window that holds everything: what is measured here is the store."""
    return MnesisConfig(
        store=StoreConfig(db_path=Path(path)),
        compaction=CompactionConfig(auto=False),
        model_overrides={"context_limit": 10_000_000},
    )


async def record(session: MnesisSession) -> None:
    """One turn."""
    await session.record(USER, REPLY)


async def filled(folder: Path, turns: Iterable[int]) -> dict[int, tuple[Path, str]]:
    """One session, copied to a file at each of these ages. Filled in memory, where commits cost nothing."""
    copies: dict[int, tuple[Path, str]] = {}
    config = settings()
    memory = await Database.open(config.store)
    try:
        session = await MnesisSession.create(model=MODEL, system_prompt=SYSTEM, config=config, pool=memory)
        done = 0
        for age in sorted(set(turns)):
            for _ in range(age - done):
                await record(session)
            done = age
            copies[age] = folder / f"turn-{age}.db", session.id
            await memory.backup(copies[age][0])
        await session.close()
    finally:
        await memory.close()
    return copies


async def turns(folder: Path, copies: dict[int, tuple[Path, str]], sizes: Sizes) -> list[Row]:
    """`record()` at several ages of a session, and `send()` in a young one."""
    floor = Floor(folder / "floor.db")
    async with AsyncExitStack() as stack:
        steps: dict[str, Step] = {"floor": floor.turn}
        for age in sizes.ages:
            path, id = copies[age]
            session = await stack.enter_async_context(await MnesisSession.load(id, settings(path)))
            steps[str(age)] = lambda session=session: record(session)  # type: ignore[misc]
        quote = await stack.enter_async_context(MnesisSession.open(model=MODEL, config=settings(folder / "quote.db")))
        instant = await stack.enter_async_context(
            MnesisSession.open(model=MODEL, config=settings(folder / "instant.db"), llm=Instant())
        )
        median = await alternate(steps, sizes.turns)
        # By themselves, and not for long: a model reads its whole window, and that grows.
        sending = await alternate(
            {"floor": floor.turn, "instant": lambda: instant.send(USER), "quote": lambda: quote.send(USER)},
            min(sizes.turns, 40),
        )
    floor.close()
    bare = "sqlite3, same bytes, 2 commits"
    rows = [Row(f"record() at turn {age:,}", median[str(age)], median["floor"], bare, 4) for age in sizes.ages]
    times = [median[str(age)] for age in sizes.ages]
    rows.append(Row("record(): slowest age / fastest", max(times), min(times), "the fastest age", 1.3))
    rows.append(Row("send() on a model that answers at once", sending["instant"], sending["floor"], bare))
    rows.append(Row(f"send() on {MODEL}", sending["quote"], sending["floor"], bare))
    return rows


async def window(folder: Path, sizes: Sizes) -> Row:
    """`context()` of a window that is full."""
    floor = Floor(folder / "window.db")
    memory = await Database.open(settings().store)
    try:
        async with await MnesisSession.create(
            model=MODEL, system_prompt=SYSTEM, config=settings(), pool=memory
        ) as full:
            size, turn = 0, 0
            while size + turn <= sizes.window_tokens:
                recorded = await full.record(USER, REPLY)
                await floor.turn()
                turn, size = recorded.tokens.total - size, recorded.tokens.total
            median = await alternate({"floor": floor.window, "context": full.context}, sizes.windows)
            context = await full.context()
    finally:
        await memory.close()
        floor.close()
    name = f"context() of {context.size:,} tokens, {len(context.items):,} items"
    return Row(name, median["context"], median["floor"], "sqlite3 reads it into dicts")


async def loading(folder: Path, copies: dict[int, tuple[Path, str]], age: int, sizes: Sizes) -> list[Row]:
    """`load()` of a long session, from nothing but its file."""
    floor = Floor(folder / "load.db")
    for _ in range(age):
        await floor.turn()
    path, id = copies[age]
    config = settings(path)
    times: dict[str, list[float]] = {"floor": [], "load": [], "both": []}
    for _ in range(sizes.loads + 1):
        start = time.perf_counter()
        await floor.load()
        times["floor"].append(time.perf_counter() - start)
        start = time.perf_counter()
        session = await MnesisSession.load(id, config)
        times["load"].append(time.perf_counter() - start)
        await session.context()
        times["both"].append(time.perf_counter() - start)
        await session.close()
    floor.close()
    median = {name: statistics.median(measured[1:]) for name, measured in times.items()}
    beside = "sqlite3 opens and reads it all"
    return [
        Row(f"load() at {2 * age:,} messages", median["load"], median["floor"], beside, limit=0.010),
        Row("load() and first context()", median["both"], median["floor"], beside),
    ]


# -- fresh interpreters ---------------------------------------------------------------------------------------------

LIBRARIES = "from pydantic import BaseModel, ConfigDict, Field, TypeAdapter; import asyncio, sqlite3"

_TIMED = """
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""
_SHELL = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("1 + 1")
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""
_LOAD_EXT = "shell.run_line_magic('load_ext', 'mnesis_jupyter'); assert 'mnesis' in shell.magics_manager.magics['cell']"
_FIRST_CELL = f"{_LOAD_EXT}; import mnesis_jupyter; mnesis_jupyter.ChatResult"


def importing(folder: Path, sizes: Sizes) -> Row:
    """`import mnesis` in a fresh interpreter."""
    ours, theirs = _alternating(folder, _TIMED, "import mnesis", LIBRARIES, sizes.imports)
    return Row("import mnesis", ours, theirs, "import pydantic, sqlite3, asyncio", 1.2)


def extension(folder: Path, sizes: Sizes, what: str, statement: str, limit: float | None) -> Row | Skipped:
    """`%load_ext mnesis_jupyter` in a fresh IPython, by itself or with what a first cell waits for."""
    if find_spec("IPython") is None or find_spec("mnesis_jupyter") is None:
        return Skipped(what, "IPython or mnesis_jupyter is not installed")
    try:
        ours, theirs = _alternating(folder, _SHELL, statement, LIBRARIES, sizes.shells)
    except subprocess.CalledProcessError as error:
        return Skipped(what, (error.stderr.strip().splitlines() or ["it did not load"])[-1][:100])
    return Row(what, ours, theirs, "import pydantic, sqlite3, asyncio", limit=limit)


def _alternating(folder: Path, script: str, ours: str, theirs: str, rounds: int) -> tuple[float, float]:
    """The fastest of many runs of each: an import has no luck, only bad luck."""
    environment = os.environ | {"IPYTHONDIR": str(folder / "ipython"), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as if installed: nothing is compiled while the clock runs
    times: tuple[list[float], list[float]] = ([], [])
    for attempt in range(rounds + 1):
        for statement, measured in zip((ours, theirs), times, strict=True):
            seconds = _interpreter(script.format(statement=statement), environment)
            if attempt:  # the first pair warms the disk cache and the byte code
                measured.append(seconds)
    return min(times[0]), min(times[1])


def _interpreter(program: str, environment: dict[str, str]) -> float:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return float(done.stdout.split()[-1])


# -- the report -----------------------------------------------------------------------------------------------------


async def in_process(folder: Path, sizes: Sizes) -> list[Row]:
    """Everything that needs no interpreter of its own."""
    loaded = sizes.loaded_messages // 2
    copies = await filled(folder, (*sizes.ages, loaded))
    rows = await loading(folder, copies, loaded, sizes)  # first: the other rows write into the copies
    return [*await turns(folder, copies, sizes), await window(folder, sizes), *rows]


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Columns of equal width, numbers to the right."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < index < 4 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def file_system(folder: Path) -> str:
    """What kind of disk a folder is on, where the system tells (Linux)."""
    best, kind = "", "an unknown file system"
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return kind
    for _, point, name, *_ in mounts:
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, name
    return kind


def place() -> str | None:
    """Where to write: the system's temporary folder, or, where that is memory, this folder's disk."""
    system = Path(tempfile.gettempdir()).resolve()
    return str(Path(__file__).parent) if file_system(system) in ("tmpfs", "ramfs") else None


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few seconds; its numbers mean little")
    sizes = QUICK if parser.parse_args().quick else FULL
    logging.disable(logging.WARNING)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mnesis-bench-", dir=place()) as name:
        folder = Path(name).resolve()
        print(f"stores in {folder} ({file_system(folder)}), SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
        rows: list[Row | Skipped] = [
            *asyncio.run(in_process(folder, sizes)),
            importing(folder, sizes),
            extension(folder, sizes, "%load_ext mnesis_jupyter", _LOAD_EXT, 0.300),
            extension(folder, sizes, "%load_ext and the engine behind it", _FIRST_CELL, None),
        ]
    print()
    print(table([HEAD, *(row.cells() for row in rows)]))
    print()
    print(f"medians (imports: fastest), alternating with their floor; {time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
