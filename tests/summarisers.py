"""A model that chats in one way and summarises in another, and what tests need to make windows fill up."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnesis import CompactionConfig, LLMError, MnesisConfig, MnesisSession, SessionConfig
from mnesis.llm.base import Chunk, ModelLimits, Request
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.config import ModelOverrides
from mnesis.tokens import counter_for

count = counter_for("offline/quote").count

MARK = "<<mnesis:summarise"

type Answer = str | LLMError | Reply


@dataclass(frozen=True)
class Order:
    """A request to summarise, as the summariser sees it."""

    request: Request

    @property
    def system(self) -> str:
        return str(self.request.messages[0]["content"])

    @property
    def material(self) -> str:
        return str(self.request.messages[1]["content"])

    @property
    def limit(self) -> int:
        return int(self.request.params["max_tokens"])

    @property
    def terse(self) -> bool:
        return "style=terse" in self.system

    @property
    def tokens(self) -> int:
        """The whole request, by count."""
        return sum(count(str(message["content"])) + 3 for message in self.request.messages)


def brief(order: Order) -> str:
    """The beginning of the material, in at most half of what is allowed: short, true, and always accepted."""
    return cut_to(order.material.removeprefix("<material>\n"), order.limit // 2)


def cut_to(text: str, tokens: int) -> str:
    """As much of the beginning of a text as `tokens` allow."""
    text = text[: tokens * 6]
    while text and count(text) > tokens:
        text = text[: len(text) * 9 // 10]
    return text.strip() or "so"


def exactly(text: str, tokens: int) -> str:
    """A text of exactly so many tokens."""
    words = text
    while count(words) < tokens:
        words += " and"
    while count(words) > tokens:
        words = words[:-1]
    while count(words) < tokens:
        words += " a"
    assert count(words) == tokens
    return words


class Model:
    """Passed as `llm=`: `chat` answers chats, `summarise` orders; both are functions, or the answer itself.

    `chats` and `orders` keep every request. While `gate` is closed, summaries wait; `asked` is set when one does.
    """

    def __init__(
        self,
        chat: Answer | Callable[[Request], Answer] = "Noted.",
        summarise: Answer | Callable[[Order], Answer] = brief,
        *,
        limits: Mapping[str, ModelLimits] | ModelLimits | None = None,
    ) -> None:
        self.chat, self.summarise = chat, summarise
        self.chats: list[Request] = []
        self.orders: list[Order] = []
        self.at_once = self.most_at_once = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self._limits = limits

    def limits(self, model: str) -> ModelLimits:
        usual = ModelLimits(128_000, 4_096)
        if isinstance(self._limits, ModelLimits):
            return self._limits
        return (self._limits or {}).get(model, usual)

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        system = next((str(each["content"]) for each in request.messages if each["role"] == "system"), "")
        if MARK not in system:
            self.chats.append(request)
            async for chunk in _said(self.chat(request) if callable(self.chat) else self.chat, request):
                yield chunk
            return
        order = Order(request)
        self.orders.append(order)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.asked.set()
            await self.gate.wait()
            answer = self.summarise(order) if callable(self.summarise) else self.summarise
            async for chunk in _said(answer, request):
                yield chunk
        finally:
            self.at_once -= 1


def _said(answer: Answer, request: Request) -> AsyncIterator[Chunk]:
    return ScriptedProvider([answer]).stream(request)


def config(window: int = 8_000, **compaction: Any) -> MnesisConfig:
    """Settings for a window of so many tokens."""
    recall = compaction.pop("recall", "off")
    return MnesisConfig(
        model_overrides=ModelOverrides(context_limit=window),
        compaction=CompactionConfig(**compaction),
        session=SessionConfig(recall=recall),
    )


async def create(path: Path | str, llm: Any = None, window: int = 8_000, **options: Any) -> MnesisSession:
    """A session with a window of so many tokens. Settings of compaction go by their names."""
    names = [name for name in options if name in CompactionConfig.model_fields or name == "recall"]
    settings = config(window, **{name: options.pop(name) for name in names})
    options.setdefault("model", "offline/quote")
    return await MnesisSession.create(db_path=path, llm=llm, config=settings, **options)


def talk(number: int, tokens: int = 200) -> str:
    """A message of about so many tokens, with a needle of its own that no other one has."""
    words = f"Item {number}: the needle {needle(number)} belongs to the shelf by the {number % 7}th window. "
    filler = f"It was seen by visitor {number} on a quiet morning, and nobody asked about it again. "
    return words + filler * max(0, (tokens - 22) // count(filler))


def needle(number: int) -> str:
    """What only message `number` says."""
    return f"needle-{number:05d}-{(number * 7919) % 9973:04d}"


def needles(text: str) -> set[str]:
    """The needles in a text."""
    return set(re.findall(r"needle-\d{5}-\d{4}", text))


async def settled(session: MnesisSession) -> None:
    """Wait until no compaction is under way."""
    while session.compaction_in_progress:
        await asyncio.sleep(0.001)


async def fill(session: MnesisSession, turns: int, tokens: int = 200, start: int = 0) -> None:
    """So many turns of about so many tokens each, each with a needle; waits for compactions."""
    for number in range(start, start + turns):
        await session.send(talk(number, tokens))
        await settled(session)


async def covered(session: MnesisSession) -> dict[str, int]:
    """How often each message is covered by the current window: verbatim, or through summaries' sources."""
    sources = {summary.id: summary.sources for summary in await session.summaries()}
    times: dict[str, int] = {}

    def visit(id: str) -> None:
        if id in sources:
            for source in sources[id]:
                visit(source.id)
        else:
            times[id] = times.get(id, 0) + 1

    window = await session.context()
    for id in dict.fromkeys(
        item.message_id or item.id for item in window.items if item.kind not in ("system", "tools")
    ):
        visit(id)
    return times


async def said(session: MnesisSession) -> list[str]:
    """The ids of all messages that may be in the window, in order."""
    return [each.id for each in await session.messages() if not each.is_summary and not each.partial]
