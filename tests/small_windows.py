"""Sessions whose windows fill up soon, and what can be read off their text."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from mnesis import MnesisConfig, MnesisSession, TextPart, ToolPart, ToolStatus
from mnesis.models.config import ModelOverrides
from mnesis.models.recall import GrepMatch

SMALL = MnesisConfig(model_overrides=ModelOverrides(context_limit=8000, max_output_tokens=500))

ID = re.compile(r"\b(?:sum|msg|part)_[0-9A-HJKMNP-TV-Z]{26}\b")


@asynccontextmanager
async def small(path: str | Path = ":memory:", **options) -> AsyncIterator[MnesisSession]:
    """A session with a window of 8,000 tokens."""
    async with MnesisSession.open(model="offline/quote", db_path=path, config=SMALL, **options) as session:
        yield session


async def settled(session: MnesisSession) -> None:
    """Wait until no compaction runs."""
    while session.compaction_in_progress:
        await asyncio.sleep(0.001)


def answered(text: str, output: str, id: str = "c1", name: str = "look", **arguments: object):
    """A reply that called a tool and has its result."""
    tool = ToolPart(tool_name=name, tool_call_id=id, input=arguments, output=output, status=ToolStatus.COMPLETED)
    return [TextPart(text=text), tool]


async def chatter(session: MnesisSession, turns: int, seed: int = 0) -> list[str]:
    """Turns of very different sizes, some with tools and some in Chinese, each message with a needle of its own.

    Returns the needles.
    """
    rng = random.Random(seed)
    needles = []
    for turn in range(turns):
        mine, theirs = f"needle{turn:05d}u", f"needle{turn:05d}a"
        needles += [mine, theirs]
        asked = f"About {mine} in turn {turn}. " + f"The word{turn} is said again. " * rng.choice([0, 1, 5, 60])
        reply = f"I noted {theirs}. " + "我们约定的截止日期是五月三日。" * rng.choice([0, 0, 3, 40])
        output = f"row {turn} of the log\n" * rng.choice([1, 30, 300])
        parts = answered(reply, output, f"c{turn}") if turn % 4 == 0 else reply
        await session.record(asked, parts)
        await settled(session)
    return needles


async def reachable(session: MnesisSession, printed: str) -> str:
    """Everything that can be read by expanding the ids in a text, and those in what comes back."""
    texts, seen, todo = [printed], set(), ID.findall(printed)
    while todo:
        id = todo.pop()
        if id in seen:
            continue
        seen.add(id)
        text = await expanded(session, id)
        texts.append(text)
        todo += ID.findall(text)
    return "\n".join(texts)


async def expanded(session: MnesisSession, id: str, max_tokens: int = 2000) -> str:
    """All pages of an id, one after the other."""
    return "\n".join([page.text async for page in pages(session, id, max_tokens)])


async def pages(session: MnesisSession, id: str, max_tokens: int = 2000):
    """The pages of an id."""
    cursor = None
    while True:
        page = await session.expand(id, max_tokens=max_tokens, cursor=cursor)
        yield page
        if (cursor := page.next_cursor) is None:
            return


async def all_matches(session: MnesisSession, pattern: str, **options) -> list[GrepMatch]:
    """The hits of all pages."""
    cursor: str | None = None
    found: list[GrepMatch] = []
    while True:
        page = await session.grep(pattern, cursor=cursor, **options)
        found += page.matches
        if (cursor := page.next_cursor) is None:
            return found


def window_text(items: Iterable) -> str:
    """What the model reads."""
    return "\n".join(item.text for item in items)
