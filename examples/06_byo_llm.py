"""Your own client makes the calls, mnesis keeps the memory: it gives the window, and is told what came of it.

python examples/06_byo_llm.py
OPENAI_MODEL=gpt-4o-mini python examples/06_byo_llm.py    (key in OPENAI_API_KEY, server in OPENAI_BASE_URL)
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from mnesis import MnesisSession, TokenUsage
from mnesis.llm.base import Chunk, Finish, ModelLimits, Request, TextChunk

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
OFFLINE = "MNESIS_MOCK_LLM" in os.environ or "OPENAI_MODEL" not in os.environ


async def ask(messages: list[dict[str, Any]]) -> tuple[str, TokenUsage | None]:
    """Your own call of a model: reply and usage. Offline it only tells what it was given."""
    if OFFLINE:
        return f"I was given {len(messages)} messages, the last one: {messages[-1]['content']!r}", None
    reply = await AsyncOpenAI().chat.completions.create(model=MODEL, messages=messages)  # type: ignore[arg-type]
    text, used = reply.choices[0].message.content or "", reply.usage
    return text, TokenUsage(input=used.prompt_tokens, output=used.completion_tokens) if used else None


class Shout:
    """Or be a provider yourself, given as `llm=`: two methods, and send, stream, tools and compaction are there."""

    def limits(self, model: str) -> ModelLimits:
        return ModelLimits(context=32_000, output=1_000)

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        for word in str(request.messages[-1]["content"]).upper().split():
            yield TextChunk(word + " ")
        yield Finish("stop")  # without it, the reply counts as broken off


async def main(store: Path) -> None:
    # The model's name says how to count and how large the window is; mnesis does not call it here.
    async with MnesisSession.open(model=f"openai/{MODEL}", system_prompt="Be brief.", db_path=store) as session:
        for number, question in enumerate(["My name is Alice.", "What's my name?"]):
            # What fits, summaries included, then the question. For Anthropic: (await session.context()).to_anthropic()
            window = await session.context_for_next_turn()
            text, usage = await ask([*window, {"role": "user", "content": question}])
            # The same key twice is stored once: safe to repeat after a crash.
            await session.record(question, text, tokens=usage, key=f"question-{number}")
            print(f"> {question}\n{text}\n")
        print(f"{len(session.history())} turns recorded")

    async with MnesisSession.open(model="my/shout", llm=Shout(), db_path=store) as session:
        print((await session.send("a provider of my own")).text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder, "sessions.db")))
