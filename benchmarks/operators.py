"""What a map costs, beside what the same requests cost without it.

    python benchmarks/operators.py           about two minutes
    python benchmarks/operators.py --quick   a smoke run of a few seconds; its numbers mean little

Each number stands beside a floor, measured in the same run and in turns with it. A report, not a test: it exits with 0
whatever it finds.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import HEAD, Row, Skipped, place, table

from mnesis import LLMMap
from mnesis.llm.base import Chunk, Finish, ModelLimits, Request, TextChunk
from mnesis.llm.litellm import LiteLLMProvider

MODEL = "offline/quote"
ANSWER = '{"mood": "good", "stars": 4}'
SCHEMA = {
    "type": "object",
    "properties": {"mood": {"enum": ["good", "bad"]}, "stars": {"type": "integer"}},
    "required": ["mood", "stars"],
}
TEMPLATE = "How does the reviewer feel?\n{{ item.text }}"
TESTS = Path(__file__).parents[1] / "tests"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many items are mapped, and how often."""

    sleeping: int
    instant: int
    requests: int
    rounds: int


FULL = Sizes(sleeping=10_000, instant=100_000, requests=1_500, rounds=5)
QUICK = Sizes(sleeping=300, instant=500, requests=20, rounds=1)


class Sleeping:
    """A model that answers after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def limits(self, _: str) -> ModelLimits:
        """Room for everything."""
        return ModelLimits(context=1_000_000, output=4_096)

    async def stream(self, _: Request) -> AsyncIterator[Chunk]:
        """The whole reply in one piece."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
        yield TextChunk(ANSWER)
        yield Finish("stop")


def reviews(count: int) -> Iterator[dict[str, str]]:
    """Items, made as they are asked for."""
    return ({"text": f"Review {n}: the harvest of 1911 was as good as that of the year before."} for n in range(count))


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds that it takes."""
    gc.collect()
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def side_by_side(count: int, width: int, one: Callable[[int], Awaitable[object]]) -> None:
    """The bare loop: a semaphore, and nothing else."""
    gate = asyncio.Semaphore(width)

    async def guarded(number: int) -> None:
        async with gate:
            await one(number)

    await asyncio.gather(*(guarded(number) for number in range(count)))


def resident() -> float:
    """Megabytes of this process that are in memory (Linux)."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return float("nan")


async def sleeping(folder: Path, sizes: Sizes) -> list[Row | str]:
    """Many items on a model that sleeps, and what the process holds meanwhile."""
    width, seconds = 64, 0.05
    llm_map = LLMMap(model=MODEL, llm=Sleeping(seconds), db_path=folder / "sleeping.db")
    await llm_map.run_all(list(reviews(width)), TEMPLATE, SCHEMA)
    memory: list[float] = []

    async def mapped() -> None:
        done = 0
        async for _ in llm_map.run(reviews(sizes.sleeping), TEMPLATE, SCHEMA, concurrency=width):
            done += 1
            if done * 10 % sizes.sleeping == 0:
                memory.append(resident())

    measured = await timed(mapped)
    bare = await timed(lambda: side_by_side(sizes.sleeping, width, lambda _: asyncio.sleep(seconds)))
    ideal = -(-sizes.sleeping // width) * seconds
    name = f"{sizes.sleeping:,} items of {seconds * 1e3:g} ms, {width} at a time"
    return [
        Row(name, measured, ideal, "the sleeps themselves", 1.05),
        Row(f"{name}: bare", bare, ideal, "the sleeps themselves"),
        f"memory in MB, at each tenth of these items: {' '.join(f'{each:.0f}' for each in memory)}",
    ]


async def instant(folder: Path, sizes: Sizes) -> Row:
    """What the engine takes for an item when the model takes nothing."""
    llm_map = LLMMap(model=MODEL, llm=Sleeping(0), db_path=folder / "instant.db")
    await llm_map.run_all(list(reviews(64)), TEMPLATE, SCHEMA)

    async def mapped() -> None:
        async for _ in llm_map.run(list(reviews(sizes.instant)), TEMPLATE, SCHEMA, concurrency=64):
            pass

    measured = await timed(mapped)
    floor = _written(folder / "floor.db", sizes.instant)
    name = f"an item of {sizes.instant:,} on a model that answers at once"
    return Row(
        name, measured / sizes.instant, floor / sizes.instant, "sqlite3, same bytes, commits of 64", limit=0.0003
    )


def _written(path: Path, count: int) -> float:
    """Seconds to keep the same bytes, safely, with nothing around."""
    cx = sqlite3.connect(path)
    cx.execute("PRAGMA journal_mode = WAL")
    cx.execute("PRAGMA synchronous = FULL")
    cx.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, input TEXT, output TEXT)")
    rows = [(json.dumps(item), ANSWER) for item in reviews(count)]
    start = time.perf_counter()
    for first in range(0, count, 64):
        with cx:
            cx.executemany("INSERT INTO item (input, output) VALUES (?, ?)", rows[first : first + 64])
    seconds = time.perf_counter() - start
    cx.close()
    return seconds


_SERVER = """
import asyncio, sys
from openai_server import Answer, OpenAIServer, usage

async def main():
    async with OpenAIServer() as server:
        server.default = Answer([sys.argv[1]], usage=usage(10, 5))
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The tests' own server of OpenAI's format, in a process of its own. Gives its address."""
    environment = os.environ | {"PYTHONPATH": str(TESTS), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, ANSWER], env=environment, stdin=-1, stdout=-1, stderr=-1, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.communicate(timeout=10)


async def through_litellm(folder: Path, url: str, sizes: Sizes) -> Row:
    """The same requests, by litellm alone and by a map."""
    model, width = "openai/gpt-4o", 16
    provider = LiteLLMProvider(api_base=url, api_key="none")
    llm_map = LLMMap(model=model, llm=provider, db_path=folder / "litellm.db")
    items = list(reviews(sizes.requests))

    async def mapped() -> None:
        results = await llm_map.run_all(items, TEMPLATE, SCHEMA, concurrency=width)
        assert results.progress.failed == 0, results[0].error

    await mapped()  # the import of litellm, the connections
    asked = await _as_sent()

    async def one(number: int) -> None:
        import litellm

        text = TEMPLATE.replace("{{ item.text }}", items[number]["text"])
        messages = [*asked["messages"][:-1], {"role": "user", "content": text}]
        async for _ in await litellm.acompletion(**asked | {"messages": messages}, api_base=url, api_key="none"):
            pass

    times: dict[str, list[float]] = {"map": [], "bare": []}
    for _ in range(sizes.rounds):
        times["bare"].append(await timed(lambda: side_by_side(sizes.requests, width, one)))
        times["map"].append(await timed(mapped))
    median = {name: statistics.median(measured) for name, measured in times.items()}
    name = f"{sizes.requests:,} requests through litellm, {width} at a time"
    return Row(name, median["map"], median["bare"], "litellm.acompletion, streamed, in a semaphore", 1.05)


async def _as_sent() -> dict[str, Any]:
    """The arguments of one request of the map, so that the bare loop makes the very same."""
    seen: list[Request] = []

    class Listening(LiteLLMProvider):
        async def stream(self, request: Request) -> AsyncIterator[Chunk]:  # type: ignore[override]
            seen.append(request)
            yield TextChunk(ANSWER)
            yield Finish("stop")

    listening = LLMMap(model="openai/gpt-4o", llm=Listening(), db_path=":memory:")
    await listening.run_all(list(reviews(1)), TEMPLATE, SCHEMA)
    (request,) = seen
    options = {"stream": True, "stream_options": {"include_usage": True}, "max_retries": 0, "num_retries": 0}
    return {"model": request.model, "messages": request.messages, **request.params, **options}


async def measure(folder: Path, sizes: Sizes) -> tuple[list[Row | Skipped], list[str]]:
    """All rows, and what is said below them."""
    found = await sleeping(folder, sizes)
    rows: list[Row | Skipped] = [each for each in found if isinstance(each, Row)]
    rows.append(await instant(folder, sizes))
    with serving() as url:
        rows.append(await through_litellm(folder, url, sizes))
    return rows, [each for each in found if isinstance(each, str)]


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few seconds; its numbers mean little")
    sizes = QUICK if parser.parse_args().quick else FULL
    logging.disable(logging.WARNING)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mnesis-bench-", dir=place()) as name:
        rows, notes = asyncio.run(measure(Path(name).resolve(), sizes))
    print(table([HEAD, *(row.cells() for row in rows)]))
    print("\n".join(["", *notes, f"{time.perf_counter() - start:.0f} s in all, {os.cpu_count()} cores"]))


if __name__ == "__main__":
    main()
