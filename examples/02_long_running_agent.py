"""A session that outgrows its window, watched through its events: what is compacted stays within reach.

python examples/02_long_running_agent.py
MNESIS_MODEL=anthropic/claude-opus-4-6 python examples/02_long_running_agent.py    (key in ANTHROPIC_API_KEY)
"""

import asyncio
import os
import tempfile
from pathlib import Path

from mnesis import CompactionConfig, MnesisConfig, MnesisEvent, MnesisSession
from mnesis.events.payloads import CompactionCompletedPayload, CompactionTriggeredPayload, Payload

MODEL = os.environ.get("MNESIS_MODEL", "offline/quote")

# A small window, so that it fills within seconds. Leave this out, and the model's own limits hold.
CONFIG = MnesisConfig(
    model_overrides={"context_limit": 3_000, "max_output_tokens": 500},
    compaction=CompactionConfig(compaction_output_budget=500),
)
STATIONS = ("Bergen", "Oslo", "Tromsø", "Bodø", "Molde", "Narvik")


def told(_event: MnesisEvent, payload: Payload) -> None:
    """Called with what happened, once it is on disk. It may be async, too."""
    match payload:
        case CompactionTriggeredPayload():
            print(f"    compacting ({payload.reason}), down to {payload.target / payload.budget:.0%} of the budget")
        case CompactionCompletedPayload():
            print(
                f"    done: {payload.compacted_message_count} messages became a summary of level {payload.level_used}"
            )


async def main(store: Path) -> None:
    async with MnesisSession.open(model=MODEL, config=CONFIG, db_path=store) as session:
        session.subscribe(MnesisEvent.COMPACTION_TRIGGERED, told)
        session.subscribe(MnesisEvent.COMPACTION_COMPLETED, told)

        await session.send("The password of the archive is heron-blue-7.")
        for day in range(1, 25):
            station = STATIONS[day % len(STATIONS)]
            report = f"Day {day}, {station}: {day % 9 + 3} degrees, wind {day % 7 + 2} m/s. All instruments are fine. "
            await session.send(report * 3)
            while session.compaction_in_progress:  # only so that this prints the same each time: turns need not wait
                await asyncio.sleep(0.01)
            if day % 8 == 0:
                print(f"day {day}: {len(await session.conversation_messages())} messages stored")

        window = await session.context()
        kinds = [item.kind for item in window.items]
        print(f"\nthe window holds a summary: {'summary' in kinds}, and fits: {window.size <= window.budget}")

        # What has left the window is found by what it says, and brought back through the summaries that stand for it.
        [match] = (await session.grep("password", limit=1)).matches
        print(f"found in turn {match.turn}: {match.snippet}")
        summary, hops = match.covered_by, 0
        while summary:  # a summary of summaries gives back those; the oldest comes first
            original = await session.expand(summary, max_tokens=2_000)
            summary = original.items[0].id if original.items[0].kind == "summary" else None
            hops += 1
        print(f"brought back in {hops} step(s): {original.items[0].text}")

        # The model itself has only the summary to go by, and may be lucky.
        question = "What is the password of the archive?"
        print(f"\n> {question}\n{(await session.send(question)).text}\n")
        print(f"everything is consistent: {(await session.verify()).ok}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder, "sessions.db")))
