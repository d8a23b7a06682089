"""What compaction costs: the engine's own time, the provider's prompt cache, and the summariser's tokens.

The summariser answers at once, so what is measured is the engine. Times are also given as ratios to a floor measured in
the same run: the time that counting the tokens of the same text takes, which no engine can do without.
Run it with `./run bench compaction`.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from mnesis import CompactionConfig, MnesisConfig, MnesisSession, SessionConfig
from mnesis.llm.base import Chunk, Finish, ModelLimits, Request, TextChunk
from mnesis.models.config import ModelOverrides
from mnesis.tokens import counter_for

MARK = "<<mnesis:summarise"
WINDOWS = {8_000: 400, 32_000: 600, 128_000: 1_200}
count = counter_for("offline/quote").count


class Instant:
    """Chats and summarises at once. Keeps the last request, and how much of each was a prefix it had seen before."""

    def __init__(self) -> None:
        self.before = ""
        self.sent = self.unchanged = 0
        self.summarised = self.orders = 0
        self.counting = 0.0

    def limits(self, model: str) -> ModelLimits:
        return ModelLimits(1_000_000, 4_096)

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        if MARK in str(request.messages[0]["content"]):
            began = time.perf_counter()
            self.summarised += sum(count(str(message["content"])) for message in request.messages)
            self.counting += time.perf_counter() - began
            self.orders += 1
            yield TextChunk(self.summary(request))
        else:
            self.compare(json.dumps(request.messages, ensure_ascii=False)[:-1])
            yield TextChunk("The sensor is fine; its reading was stored, and nothing else was asked for.")
        yield Finish("stop")

    def summary(self, request: Request) -> str:
        text = str(request.messages[1]["content"])[11:]
        return text[: int(request.params["max_tokens"]) * 2]

    def compare(self, sent: str) -> None:
        low, high = 0, min(len(sent), len(self.before))
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if sent[:middle] == self.before[:middle] else (low, middle - 1)
        self.sent, self.unchanged, self.before = self.sent + len(sent), self.unchanged + low, sent


def message(number: int) -> str:
    return (
        f"Reading {number}: sensor {number % 113} at /srv/site-{number % 7}/log.csv says {900 + number % 90} millibar. "
        "The pump ran through the night, as it does every night, and nobody complained about the noise. "
        f"Please keep ticket T-{number:05d} open until Ada Lovelace has looked at it. " * 2
    )


async def measure(window: int, turns: int, folder: str) -> dict[str, Any]:
    llm = Instant()
    config = MnesisConfig(
        model_overrides=ModelOverrides(context_limit=window),
        compaction=CompactionConfig(),
        session=SessionConfig(recall="off"),
    )
    ingested = 0
    own: list[float] = []
    floors: list[float] = []
    async with MnesisSession.open(
        model="offline/quote", db_path=Path(folder) / f"{window}.db", llm=llm, config=config
    ) as session:
        for number in range(turns):
            result = await session.send(message(number))
            ingested += count(message(number)) + count(result.text)
            counted = llm.counting
            began = time.perf_counter()
            while session.compaction_in_progress:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
            if result.compaction_triggered:
                spent = time.perf_counter() - began
                own.append(spent - (llm.counting - counted))
                floors.append(llm.counting - counted)
        summaries = await session.summaries()
    return {
        "window": window,
        "turns": turns,
        "own": statistics.median(own) if own else float("nan"),
        "floor": statistics.median(floors) if floors else float("nan"),
        "prefix": llm.unchanged / llm.sent,
        "sent": llm.sent,
        "unchanged": llm.unchanged,
        "per_100": 100 * len(own) / turns,
        "summarised": llm.summarised / ingested,
        "depth": max((summary.depth for summary in summaries), default=0),
    }


async def main() -> int:
    count("warm")
    print(
        f"{'window':>8} {'turns':>6} {'own ms':>8} {'x floor':>8} {'prefix':>7} {'per 100':>8} {'summ/ing':>9} "
        f"{'depth':>6}"
    )
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for window, turns in WINDOWS.items():
            one = await measure(window, turns, folder)
            results.append(one)
            print(
                f"{one['window']:>8,} {one['turns']:>6,} {one['own'] * 1e3:>8.1f} {one['own'] / one['floor']:>8.1f} "
                f"{one['prefix']:>7.3f} {one['per_100']:>8.1f} {one['summarised']:>9.2f} {one['depth']:>6}",
                flush=True,
            )
    share = sum(one["unchanged"] for one in results) / sum(one["sent"] for one in results)
    print(
        "own ms: median of a compaction without the summariser; x floor: to counting the same prompts once;\n"
        f"prefix: share of the bytes of a request that is the beginning of the one before, {share:.3f} over all;\n"
        "per 100: compactions per 100 turns; summ/ing: summariser prompt tokens per ingested token"
    )
    aims = {
        "prefix >= 0.95 over all": share >= 0.95,
        "summ/ing <= 1.5 from 32,000 on": all(one["summarised"] <= 1.5 for one in results if one["window"] >= 32_000),
    }
    missed = [aim for aim, reached in aims.items() if not reached]
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
