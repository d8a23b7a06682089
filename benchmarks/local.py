"""How fast `local/smollm2` runs here, and what the engine adds to it.

    python benchmarks/local.py            one to two minutes on an idle machine

The same request goes to the bare `xllamacpp`, to the provider and through a session, in turns (A B C A B C …), with the
prompt read anew each time; the last columns are ratios to the bare call of the same run. Then a conversation in a small
window, with the model summarising for itself. A report, not a test.
"""

import asyncio
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from mnesis import BadRequest, CompactionConfig, MnesisConfig, MnesisSession, TextDelta
from mnesis.events.payloads import CompactionCompletedPayload, MnesisEvent
from mnesis.llm.base import Finish, Request, TextChunk
from mnesis.llm.local import LocalProvider
from mnesis.local import find
from mnesis.models.config import ModelOverrides

MODEL = "local/smollm2"
ROUNDS = 5
CONTEXT = 2_048
REPLY = 40
SYSTEM = "You are a helpful assistant."
QUESTION = "How did the harvest of 1911 compare with that of the year before, and what did the almanac say of it? " * 8
PARAMS = {"temperature": 0, "max_tokens": REPLY, "cache_prompt": False}
MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]


@dataclass(frozen=True, slots=True)
class Run:
    """One reply: seconds to its first text, from there to its last, to its end; pieces of text."""

    first: float
    writing: float
    whole: float
    pieces: int


async def timed(pieces: AsyncIterator[object]) -> Run:
    began = time.perf_counter()
    arrivals = [time.perf_counter() - began async for _ in pieces]
    return Run(arrivals[0], arrivals[-1] - arrivals[0], time.perf_counter() - began, len(arrivals))


def bare_server() -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(find(MODEL))
    params.n_ctx, params.n_parallel = CONTEXT, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup, params.verbosity = False, -1
    return xllamacpp.Server(params)


async def bare(server: Any) -> AsyncIterator[object]:
    """The least that a program with an event loop can do: the call in a thread, its chunks through a queue."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()

    def put(data: Any) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, data)

    def call() -> None:
        server.handle_chat_completions({"messages": MESSAGES, "stream": True, **PARAMS}, put)
        put(None)

    threading.Thread(target=call).start()
    while (data := await queue.get()) is not None:
        if any(choice["delta"].get("content") for choice in data["choices"]):
            yield data


async def provided(provider: LocalProvider) -> AsyncIterator[object]:
    async for chunk in provider.stream(Request(MODEL, MESSAGES, params=PARAMS)):
        if isinstance(chunk, TextChunk):
            yield chunk


async def in_session(provider: LocalProvider) -> AsyncIterator[object]:
    async with MnesisSession.open(model=MODEL, llm=provider, system_prompt=SYSTEM, db_path=":memory:") as session:
        async for event in session.stream(QUESTION, params=PARAMS):
            if isinstance(event, TextDelta):
                yield event


async def prompt_tokens(provider: LocalProvider) -> int:
    async for chunk in provider.stream(Request(MODEL, MESSAGES, params=PARAMS)):
        if isinstance(chunk, Finish) and chunk.usage:
            return chunk.usage.input
    raise AssertionError("a reply ends with its usage")


async def speed() -> None:
    server, provider = bare_server(), LocalProvider(context=CONTEXT)
    tokens = await prompt_tokens(provider)
    ways: dict[str, Callable[[], AsyncIterator[object]]] = {
        "bare xllamacpp": lambda: bare(server),
        "provider": lambda: provided(provider),
        "session": lambda: in_session(provider),
    }
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            runs[name].append(await timed(way()))
    print(f"{MODEL}: a prompt of {tokens} tokens, a reply of {REPLY}, one thread, medians of {ROUNDS}")
    print(f"{'':16}{'prompt tok/s':>13}{'reply tok/s':>13}{'first text':>12}{'whole':>9}{'x first':>9}{'x whole':>9}")
    floor = runs["bare xllamacpp"]
    for name, done in runs.items():
        first, whole = (statistics.median(getattr(run, part) for run in done) for part in ("first", "whole"))
        writing = statistics.median((run.pieces - 1) / run.writing for run in done)
        ratios = [
            statistics.median(getattr(run, part) / getattr(least, part) for run, least in zip(done, floor, strict=True))
            for part in ("first", "whole")
        ]
        print(
            f"{name:16}{tokens / first:>13.0f}{writing:>13.0f}{first:>10.2f} s{whole:>7.2f} s"
            f"{ratios[0]:>8.2f}x{ratios[1]:>8.2f}x",
            flush=True,
        )


async def conversation() -> None:
    config = MnesisConfig(
        model_overrides=ModelOverrides(context_limit=1_000, max_output_tokens=100),
        compaction=CompactionConfig(compaction_output_budget=200),
    )
    done: list[CompactionCompletedPayload] = []
    took: list[float] = []
    async with MnesisSession.open(
        model=MODEL, llm=LocalProvider(temperature=0), db_path=":memory:", config=config
    ) as session:
        session.subscribe(
            MnesisEvent.COMPACTION_COMPLETED,
            lambda _, payload: done.append(payload) if isinstance(payload, CompactionCompletedPayload) else None,
        )
        for number in range(8):
            said = f"Note {number}: the gate code is {4700 + number}. " + f"Visitor {number} came by the old mill. " * 5
            began = time.perf_counter()
            await session.send(said, params={"max_tokens": 24})
            took.append(time.perf_counter() - began)
            while session.compaction_in_progress:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
        problems = (await session.verify()).problems
    print(f"\n8 turns in a window of 1,000 tokens: {statistics.median(took):.1f} s a turn, {len(problems)} problems")
    for each in done:
        print(
            f"compaction at level {each.level_used}: {each.tokens_before} -> {each.tokens_after} tokens "
            f"in {each.elapsed_ms / 1000:.1f} s"
        )


async def main() -> int:
    try:
        LocalProvider().check(MODEL)
    except BadRequest as error:
        print(f"skipped: {error}")
        return 0
    await speed()
    await conversation()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
