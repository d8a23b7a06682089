"""Texts that stand for other texts: three levels, each accepted only when it is whole and small enough.

Level 1 is a structured summary by a model, level 2 a terse one, level 3 sentences chosen without any model, and
labelled so. A text counts only if the provider said that it is whole, if it is not empty, and if it keeps to its limit.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mnesis.compaction.prompts import Source, prompt, prompt_hash
from mnesis.llm.base import ModelLimits, Provider, Request
from mnesis.llm.redact import redact_secrets
from mnesis.llm.reply import ReplyBuilder
from mnesis.llm.retry import Retries, Retry
from mnesis.models.config import CompactionConfig, RetryConfig
from mnesis.tokens import TokenCounter

type Level = Literal[1, 2, 3]

_PROMPT_TOKENS = 600
"""More than the order itself costs."""

_FRAME = re.compile(r"\[(?=(?:end of )?summary\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Draft:
    """A summary's text, before it is anything's summary. `model` is `None` where no model wrote it."""

    text: str
    level: Level
    model: str | None
    prompt_hash: str


class Summarizer:
    """Writes summaries with one model. Its requests are retried as `retry` says; `close` ends a delay."""

    def __init__(
        self,
        provider: Provider,
        model: str,
        limits: ModelLimits,
        counter: TokenCounter,
        config: CompactionConfig,
        retry: RetryConfig,
    ) -> None:
        self._provider = provider
        self._retries = Retries(retry, _say_nothing)
        self._model = model
        self._counter = counter
        self._config = config
        self._output = min(limits.output, limits.context // 4)
        order = _PROMPT_TOKENS + counter.count(config.compaction_prompt or "")
        self.room = max(256, (limits.context - self._output) * 9 // 10 - order)
        """How many tokens of material one call can take."""

    def close(self) -> None:
        """Wait for no retry any more."""
        self._retries.stop()

    async def summarise(self, sources: Sequence[Source], limit: int, *, without_model: bool = False) -> Draft:
        """A text of at most `limit` tokens. Raises `LLMError` where the provider fails; never returns an empty one."""
        clean = [Source(source.header, redact_secrets(source.text)) for source in sources]
        limit = min(limit, self._output)
        if not without_model:
            levels: tuple[Literal[1, 2], ...] = (1, 2) if self._config.level2_enabled else (1,)
            for level in levels:
                if draft := await self._by_model(clean, limit, level):
                    return draft
        return self._by_extraction(clean, limit)

    async def _by_model(self, sources: Sequence[Source], limit: int, level: Literal[1, 2]) -> Draft | None:
        """What the model wrote, if it is acceptable. Material that does not fit one call is read in several."""
        batches = list(self._batches(sources))
        if len(batches) == 1:
            return await self._one_call(batches[0], limit, level)
        parts: list[Source] = []
        for number, batch in enumerate(batches, 1):
            share = max(32, min(limit, self.room // len(batches)))
            draft = await self._one_call(batch, share, level) or self._by_extraction(batch, share)
            parts.append(Source(f"part {number} of {len(batches)} | summary | {batch[0].header}", draft.text))
        if len(batches) > 1 and len(list(self._batches(parts))) > 1:
            return self._by_extraction(parts, limit)
        return await self._one_call(parts, limit, level)

    async def _one_call(self, sources: Sequence[Source], limit: int, level: Literal[1, 2]) -> Draft | None:
        messages = prompt(sources, limit, level, self._config.compaction_prompt)
        reply = ReplyBuilder()
        request = Request(self._model, messages, params={"max_tokens": limit})
        async with contextlib.aclosing(self._retries.chunks_of(self._provider, request)) as chunks:
            async for chunk in chunks:
                reply.take(chunk)
        finish = reply.finished(self._model)
        text = _unframed(redact_secrets(reply.text.strip()))
        if finish.reason != "stop" or not text or self._counter.count(text) > limit:
            return None
        return Draft(text, level, self._model, prompt_hash(messages))

    def _by_extraction(self, sources: Sequence[Source], limit: int) -> Draft:
        from mnesis.llm.extract import summarise as extract  # on first use: it brings its word lists

        pairs = [(source.header.rsplit("|", 1)[-1].strip(), _unframed(source.text)) for source in sources]
        text = extract(pairs, limit, self._counter.count) or "(the sources hold no words)"
        return Draft(text, 3, None, prompt_hash(prompt(sources, limit, 2)))

    def _batches(self, sources: Sequence[Source]) -> Iterator[list[Source]]:
        """The material in portions that fit one call; a source that is too large by itself comes in pieces."""
        batch: list[Source] = []
        held = 0
        for source in self._pieces(sources):
            tokens = self._counter.count(source.render()) + 2
            if batch and held + tokens > self.room:
                yield batch
                batch, held = [], 0
            batch.append(source)
            held += tokens
        if batch:
            yield batch

    def _pieces(self, sources: Sequence[Source]) -> Iterator[Source]:
        for source in sources:
            tokens = self._counter.count(source.text)
            if tokens + 64 <= self.room:
                yield source
                continue
            middle = _middle(source.text)
            halves = (source.text[:middle], source.text[middle:])
            yield from self._pieces([Source(source.header, half) for half in halves])


async def _say_nothing(retry: Retry) -> None:
    """A retry of a summary is nobody's turn: only what comes of the compaction is told."""


def _middle(text: str) -> int:
    """Where to cut a text in two: at the end of a line or a word where there is one near the middle."""
    start, end = len(text) // 4, len(text) // 2
    return max(text.rfind("\n", start, end), 0) or max(text.rfind(" ", start, end), 0) or end


def _unframed(text: str) -> str:
    """The text without anything that could pass for the label around a summary, or end it early."""
    return _FRAME.sub("(", text)
