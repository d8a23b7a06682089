"""The same question about many items, side by side: checked answers, a run that is stopped and goes on, and agents.

python examples/05_parallel_processing.py
MNESIS_MODEL=anthropic/claude-opus-4-6 python examples/05_parallel_processing.py    (key in ANTHROPIC_API_KEY)
"""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from mnesis import AgenticMap, LLMMap, MnesisSession, function_tool
from mnesis.llm.base import Request
from mnesis.llm.scripted import Reply, ScriptedProvider

MODEL = os.environ.get("MNESIS_MODEL", "offline/quote")
OFFLINE = MODEL.startswith("offline/") or "MNESIS_MOCK_LLM" in os.environ
REVIEWS = [
    {"product": product, "text": f"The {product} is {verdict}, {stars} stars."}
    for product in ("kettle", "lamp", "radio", "chair", "clock", "stove")
    for verdict, stars in (("good", 5), ("bad", 1), ("good", 4))
]
STOCK = {"kettle": 3, "lamp": 0}


class Verdict(BaseModel):
    """What is wanted of each review. An answer that does not fit goes back to the model with what is wrong."""

    mood: Literal["good", "bad"]
    stars: int


def stock(product: str) -> int:
    """How many of a product there are."""
    return STOCK[product]


def agent(request: Request) -> Reply:
    """Stands in for a model that calls tools, which none does offline: asks for the stock, then says it."""
    last = request.messages[-1]
    if last["role"] == "tool":
        return Reply(f"In stock: {last['content']}")
    product = next(name for name in STOCK if name in str(last["content"]))
    return Reply(tool_calls=[{"name": "stock", "arguments": {"product": product}}])


async def main(store: Path) -> None:
    # offline/quote keeps to a schema, too, but understands nothing: it copies what fits.
    llm_map = LLMMap(model=MODEL, db_path=store)
    run = llm_map.run(REVIEWS, "A review of a {{ item.product }}: {{ item.text }}", Verdict, concurrency=4)
    async for result in run:  # as they are finished, each once it is on disk
        if result.index == 0:
            print(f"{result.input['text']} -> {result.output!r}")
        if run.progress.finished >= 6:
            run.stop()  # or the program is killed: what is done is done
    print(f"stopped early: {(await llm_map.describe(run.id)).done < len(REVIEWS)}")

    results = await llm_map.resume_all(run.id, output_schema=Verdict)  # elsewhere, tomorrow: only the id is needed
    progress = results.progress
    print(f"{progress.done} of {progress.total} done, {progress.failed} failed, cost: {progress.cost}")
    print(f"good: {sum(result.success and result.output.mood == 'good' for result in results)}")

    # An agent for each item: a session of its own, with tools that only read, as nothing else is allowed.
    agentic_map = AgenticMap(model=MODEL, llm=ScriptedProvider([agent], cycle=True) if OFFLINE else None, db_path=store)
    tools = [function_tool(stock, read_only=True)]
    for result in await agentic_map.run_all(list(STOCK), "How many of this do we have: {{ item }}?", tools=tools):
        print(f"{result.input}: {result.output}")
        async with await MnesisSession.load(result.session_id or "", db_path=store) as session:
            print(f"  all that it did: {', '.join(message.role for message in await session.messages())}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder, "sessions.db")))
