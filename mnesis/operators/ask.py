"""One item of a map: ask the model, check the answer, say what is wrong with it, ask again."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mnesis.errors import Authentication, ContextOverflow, MnesisError
from mnesis.llm.base import Provider, Request
from mnesis.llm.redact import redact, redact_error
from mnesis.llm.reply import ReplyBuilder
from mnesis.llm.retry import Retries, Retry
from mnesis.models.config import RetryConfig
from mnesis.models.maps import MapResult
from mnesis.models.message import TokenUsage
from mnesis.operators.inputs import stored
from mnesis.operators.schema import OutputSchema, SchemaMismatch
from mnesis.operators.template import PromptTemplate
from mnesis.store.maps import Finished, Taken
from mnesis.tokens import counter_for

ANSWER_AS = (
    "Answer with one JSON value that this JSON Schema describes, and with nothing else: no explanation, no Markdown.\n"
)
_AGAIN = "That answer cannot be used: {problem}\nAnswer again, as asked, and correct it."
_QUOTED = 4_000
"""Characters of a wrong answer that the model is shown again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an item, for the caller and for the store."""

    result: MapResult
    row: Finished


@dataclass(slots=True)
class Bill:
    """What an item has used so far. It is kept when the item fails."""

    started_at: int = field(default_factory=lambda: time.time_ns() // 1000)
    attempts: int = 0
    tokens: TokenUsage | None = None
    cost: float | None = 0.0
    session_id: str | None = None

    def add(self, tokens: TokenUsage, cost: float | None) -> None:
        """One reply more."""
        self.tokens = tokens if self.tokens is None else self.tokens + tokens
        self.cost = None if self.cost is None or cost is None else self.cost + cost

    def done(self, item: Taken, value: Any, output: Any, text: str) -> Outcome:
        """The item has its answer, which is `text` as JSON."""
        return self._outcome(item, value, output, text, None, None)

    def failed(self, item: Taken, value: Any, kind: str, error: str) -> Outcome:
        """The item has none, and why."""
        return self._outcome(item, value, None, None, kind, error)

    def _outcome(
        self, item: Taken, value: Any, output: Any, text: str | None, kind: str | None, error: str | None
    ) -> Outcome:
        tokens = self.tokens or TokenUsage()
        result = MapResult(
            index=item.index,
            input=value,
            output=output,
            success=kind is None,
            error=error,
            error_kind=kind,
            attempts=self.attempts,
            tokens=tokens,
            cost=self.cost,
            session_id=self.session_id,
        )
        ended = time.time_ns() // 1000
        used = self.attempts, tokens, self.cost, self.session_id
        return Outcome(result, Finished(item.index, text, kind, error, *used, self.started_at, ended))


@dataclass(frozen=True, slots=True)
class Asking:
    """How the items of a run are asked. `timeout` in seconds is for one item, with all its attempts.

    `max_retries` counts for transient errors and for answers that do not fit, together.
    """

    model: str
    system_prompt: str
    params: Mapping[str, Any] = field(repr=False)  # a key may be among them
    retry: RetryConfig
    timeout: float


async def outcome_of(
    item: Taken, timeout: float, answer: Callable[[Any, int, Bill], Awaitable[tuple[Any, str]]]
) -> Outcome:
    """What came of an item, whatever happened; `timeout` in seconds. What stops the run is raised: a refused key, and
    an item that cannot be read back.
    """
    bill, value = Bill(), stored(item.input, item.index)
    try:
        async with asyncio.timeout(timeout):
            output, text = await answer(value, item.index, bill)
        return bill.done(item, value, output, text)
    except Authentication:
        raise
    except TimeoutError:
        said = f"no answer within {timeout:g} s; resume with retry_failed=True, or a longer timeout"
        return bill.failed(item, value, "Timeout", said)
    except MnesisError as error:
        return bill.failed(item, value, type(error).__name__, redact_error(error))
    except Exception as error:  # noqa: BLE001  # a provider is foreign code, at the edge of a task
        return bill.failed(item, value, type(error).__name__, redact(f"{type(error).__name__}: {error}"))


class Asker:
    """Answers items, any number at once. Raises what `outcome_of` raises."""

    def __init__(self, provider: Provider, asking: Asking, template: PromptTemplate, schema: OutputSchema) -> None:
        self._provider, self._asking = provider, asking
        self._template, self._schema = template, schema
        self._limits = provider.limits(asking.model)
        self._counter = counter_for(asking.model)
        told = [asking.system_prompt, ANSWER_AS + schema.text if schema.text else ""]
        system = "\n\n".join(filter(None, told))
        self._head = [{"role": "system", "content": system}] if system else []
        self._head_tokens = sum(
            self._counter.count(each["content"]) + self._counter.message_overhead for each in self._head
        )
        self._params = {**self._format(), **asking.params}

    async def __call__(self, item: Taken) -> Outcome:
        return await outcome_of(item, self._asking.timeout, self._answer)

    async def _answer(self, value: Any, index: int, bill: Bill) -> tuple[Any, str]:
        asked = [*self._head, {"role": "user", "content": self._template.render(value, index)}]
        self._check_size(asked)
        messages = asked
        while True:
            reply, reason = await self._reply(messages, bill)
            try:
                if reason == "length":
                    raise SchemaMismatch("it was cut off at the limit of the output; be shorter")
                return self._schema.parse(reply)
            except SchemaMismatch as mismatch:
                if bill.attempts > self._asking.retry.max_retries:
                    raise SchemaMismatch(f"{mismatch} (after {bill.attempts} attempts)") from None
                again = {"role": "user", "content": _AGAIN.format(problem=mismatch)}
                messages = [*asked, {"role": "assistant", "content": reply[:_QUOTED] or "(nothing)"}, again]

    async def _reply(self, messages: list[dict[str, Any]], bill: Bill) -> tuple[str, str]:
        async def count(_: Retry) -> None:
            bill.attempts += 1

        model, retry = self._asking.model, self._asking.retry
        left = retry.model_copy(update={"max_retries": max(0, retry.max_retries - bill.attempts)})
        builder = ReplyBuilder()
        bill.attempts += 1
        request = Request(model, messages, params=self._params)
        async with contextlib.aclosing(Retries(left, count).chunks_of(self._provider, request)) as chunks:
            async for chunk in chunks:
                builder.take(chunk)
        finish, text = builder.finished(model), builder.text
        bill.add(finish.usage or self._counted(messages, text), finish.cost)
        return text, finish.reason

    def _counted(self, messages: list[dict[str, Any]], reply: str) -> TokenUsage:
        counter = self._counter
        said = self._head_tokens + sum(
            counter.count(message["content"]) + counter.message_overhead for message in messages[len(self._head) :]
        )
        input, output = said + counter.reply_priming, counter.count(reply)
        return TokenUsage(input=input, output=output, total=input + output, counted=True)

    def _check_size(self, messages: list[dict[str, Any]]) -> None:
        """Raise `ContextOverflow` for what the model cannot take: it would be refused, and paid for by some."""
        room = self._limits.context - min(self._limits.output, self._limits.context // 2)
        if sum(len(message["content"].encode()) for message in messages) <= room:
            return  # a token has a byte at least
        size = self._counted(messages, "").input
        if size > room:
            raise ContextOverflow(
                f"the prompt of this item has {size:,} tokens and {self._asking.model} takes {room:,}; "
                "split the item, or use less of it in the template",
                model=self._asking.model,
            )

    def _format(self) -> dict[str, Any]:
        """The schema for providers that keep to one by themselves: those ask for an object."""
        schema = self._schema.json_schema
        if not self._limits.schemas or schema is None or schema.get("type") != "object":
            return {}
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}
