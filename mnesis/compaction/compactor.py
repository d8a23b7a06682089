"""When the window is compacted, and how that becomes the next view.

The model is asked outside of any transaction. Each step ends in one swap: compare-and-swap on the items it read, all of
them or nothing. Meanwhile turns go on; they only ever add to the end.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol

from mnesis.compaction.breaker import IRREDUCIBLE, Breaker
from mnesis.compaction.certificate import certify
from mnesis.compaction.plan import Condense, Step, is_worth_it, next_step, target_of
from mnesis.compaction.prompts import Source
from mnesis.compaction.pruning import prunable
from mnesis.compaction.references import references_line
from mnesis.compaction.summarize import Draft, Summarizer
from mnesis.context.assembly import Entry, LiveWindow
from mnesis.errors import LLMError, Unavailable
from mnesis.events.payloads import (
    CompactionCompletedPayload,
    CompactionFailedPayload,
    CompactionTriggeredPayload,
    MnesisEvent,
    Payload,
    PruneCompletedPayload,
)
from mnesis.ids import new_id
from mnesis.llm.redact import redact, redact_secrets
from mnesis.models.config import CompactionConfig
from mnesis.models.context import Budget
from mnesis.models.message import CompactionResult
from mnesis.models.summary import Fidelity, SummarySource
from mnesis.progress import Track, track
from mnesis.rendering import summary_block
from mnesis.store.messages import Tombstone
from mnesis.store.summaries import NewSummary
from mnesis.tokens import TokenCounter

_log = logging.getLogger(__name__)

type Reason = Literal["soft", "hard", "manual"]


class Record(Protocol):
    """What the compactor needs of a session's record in the store."""

    counter: TokenCounter

    @property
    def session_id(self) -> str: ...
    def now(self) -> datetime: ...
    async def live(self) -> LiveWindow: ...
    async def swap(self, entries: Sequence[Entry], summary: NewSummary) -> bool: ...
    async def prune(self, stones: Sequence[Tombstone], of: Sequence[Entry]) -> bool: ...
    async def post(self, event: MnesisEvent, payload: Payload, turn: int | None) -> None: ...
    async def recent_compactions(self) -> Sequence[Payload]: ...


@dataclass(slots=True)
class _Tally:
    """What a compaction has done so far."""

    level: Literal[1, 2, 3] = 3
    steps: int = 0
    messages: int = 0
    summary_tokens: int = 0
    saved: int = 0
    pruned: int = 0
    pruned_tokens: int = 0
    summary_id: str | None = None

    def add(self, summary: NewSummary, saved: int) -> None:
        if not self.steps or summary.level > self.level:
            self.level = summary.level
        self.steps += 1
        if summary.kind == "leaf":
            self.messages += summary.message_count
        self.summary_tokens += summary.tokens
        self.saved += saved
        self.summary_id = summary.id


class Compactor:
    """Compacts one session's window; the session sees to it that only one compaction runs at a time."""

    def __init__(
        self, record: Record, summarizer: Summarizer, config: CompactionConfig, budget: Callable[[], Budget]
    ) -> None:
        self._record = record
        self._summarizer = summarizer
        self._config = config
        self._budget = budget

    async def due(self) -> bool:
        """Whether the window is over the soft threshold and something can be done about it now."""
        budget = self._budget()
        live = await self._record.live()
        if not self._config.auto or live.size <= budget.soft:
            return False
        full = live.size > budget.usable
        if not full and (await self._breaker()).is_open(self._record.now()):
            return False
        target = target_of(budget)
        if self._plan(live, live.size, target) or self._prunable(live, target):
            return full or is_worth_it(live.entries, live.size, target, budget)
        await self._report_irreducible(live, budget)
        return False

    async def run(self, reason: Reason) -> CompactionResult:
        """Bring the window to its target, or as near to it as it can be. The result is measured.

        "soft" and a failing provider: the window stays as it is while it fits, and the breaker opens. Otherwise it goes
        on without a model, so that the session does.
        """
        budget = self._budget()
        target = 0 if reason == "manual" else target_of(budget)
        live = await self._record.live()
        started, before = time.perf_counter(), live.size
        turn = live.last_turn
        triggered = CompactionTriggeredPayload(
            session_id=self._record.session_id, reason=reason, window_tokens=before, budget=budget.usable, target=target
        )
        await self._record.post(MnesisEvent.COMPACTION_TRIGGERED, triggered, turn)
        tally = _Tally()
        breaker = await self._breaker()
        # By hand, how much can go is not known before.
        with track("compacting", None if reason == "manual" else max(0, before - target), "tokens") as progress:
            await self._prune(tally, live, target)
            progress.reach(tally.saved)
            error = await self._summarise(
                tally, reason, before, target, budget, progress, without_model=breaker.is_open(self._record.now())
            )
        result = CompactionResult(
            level_used=tally.level,
            compacted_message_count=tally.messages,
            summary_token_count=tally.summary_tokens,
            tokens_before=before,
            tokens_after=before - tally.saved,
            elapsed_ms=(time.perf_counter() - started) * 1000,
            pruned_tool_outputs=tally.pruned,
            pruned_tokens=tally.pruned_tokens,
            summary_message_id=tally.summary_id,
        )
        if tally.saved or error is None:
            completed = CompactionCompletedPayload.of(self._record.session_id, result)
            await self._record.post(MnesisEvent.COMPACTION_COMPLETED, completed, turn)
        if error is not None:
            await self._report_failure(error, breaker, turn)
        return result

    async def _summarise(
        self,
        tally: _Tally,
        reason: Reason,
        before: int,
        target: int,
        budget: Budget,
        progress: Track,
        *,
        without_model: bool,
    ) -> LLMError | None:
        """Step by step to the target. Returns the provider's error, where there was one.

        What turns add meanwhile is left to the next compaction, but not where the next request would not fit.
        """
        failure: LLMError | None = None
        rounds = 0
        while True:
            live = await self._record.live()
            pressing = live.size > budget.usable
            if rounds >= self._config.max_compaction_rounds and not pressing:
                return failure
            size = live.size if pressing else before - tally.saved
            step = self._plan(live, size, target, fit=live.size > target_of(budget))
            if step is None:
                return failure
            rounds += 1
            try:
                cheap = without_model or rounds > self._config.max_compaction_rounds
                draft = await self._draft(step, without_model=cheap)
            except Exception as error:  # noqa: BLE001  # whatever a provider raises, the session goes on
                failure = _as_failure(error)
                if reason == "soft" and not pressing:
                    return failure
                without_model = True
                continue
            summary = self._summary(step, draft)
            if await self._record.swap(step.entries, summary):
                tally.add(summary, sum(entry.tokens for entry in step.entries) - summary.tokens)
                progress.reach(tally.saved)

    def _plan(self, live: LiveWindow, size: int, target: int, *, fit: bool = True) -> Step | None:
        room = self._summarizer.room
        return next_step(live.entries, size, target, room, self._budget(), self._config, condense_to_fit=fit)

    async def _draft(self, step: Step, *, without_model: bool) -> Draft:
        sources = [_source(entry) for entry in step.entries]
        files = references_line(step.entries, step.limit // 2, self._record.counter)
        limit = step.limit - self._record.counter.count(f"\n{files}") if files else step.limit
        draft = await self._summarizer.summarise(sources, limit, without_model=without_model)
        return replace(draft, text=f"{draft.text}\n{files}") if files else draft

    def _summary(self, step: Step, draft: Draft) -> NewSummary:
        id = new_id("sum")
        first, last = step.entries[0], step.entries[-1]
        condensed = isinstance(step, Condense)
        depth = 1 + max(entry.depth for entry in step.entries) if condensed else 0
        count = sum(entry.message_count for entry in step.entries)
        turns = (first.first_turn, last.last_turn)
        counter = self._record.counter
        block = summary_block(id, draft.text, turns=turns, messages=count, level=draft.level, model=draft.model)
        return NewSummary(
            id=id,
            kind="condensed" if condensed else "leaf",
            depth=depth,
            level=draft.level,
            model=draft.model,
            prompt_hash=draft.prompt_hash,
            text=draft.text,
            tokens=counter.count(block) + counter.message_overhead,
            source_tokens=sum(each.tokens for each in step.entries),
            first_turn=turns[0],
            last_turn=turns[1],
            message_count=count,
            sources=tuple(_edge(each) for each in step.entries),
            certificate=certify([redact_secrets(_source(each).text) for each in step.entries], draft.text),
        )

    # -- tool outputs -------------------------------------------------------------------------------------------

    def _prunable(self, live: LiveWindow, target: int) -> list[tuple[Tombstone, int]]:
        return prunable(live.entries, live.size - target, self._budget(), self._config, self._record.counter)

    async def _prune(self, tally: _Tally, live: LiveWindow, target: int) -> None:
        chosen = self._prunable(live, target)
        if not chosen or not await self._record.prune([stone for stone, _ in chosen], live.entries):
            return
        tally.pruned, tally.pruned_tokens = len(chosen), sum(saved for _, saved in chosen)
        tally.saved += tally.pruned_tokens
        payload = PruneCompletedPayload(
            session_id=self._record.session_id, pruned_tool_outputs=tally.pruned, pruned_tokens=tally.pruned_tokens
        )
        await self._record.post(MnesisEvent.PRUNE_COMPLETED, payload, live.last_turn)

    # -- what went wrong ----------------------------------------------------------------------------------------

    async def _breaker(self) -> Breaker:
        return Breaker.after(await self._record.recent_compactions())

    async def _report_failure(self, error: LLMError, before: Breaker, turn: int | None) -> None:
        breaker = before.failed(self._record.now(), error.retry_after)
        told = redact(str(error))
        _log.warning("compaction of %s failed (%s); the window stays as it is", self._record.session_id, told)
        payload = CompactionFailedPayload(
            session_id=self._record.session_id,
            error_kind=type(error).__name__,
            error=told,
            failures=breaker.failures,
            retry_at=breaker.retry_at,
        )
        await self._record.post(MnesisEvent.COMPACTION_FAILED, payload, turn)

    async def _report_irreducible(self, live: LiveWindow, budget: Budget) -> None:
        """Say it once; what cannot shrink is found out without calling a model."""
        recent = await self._record.recent_compactions()
        if any(isinstance(each, CompactionFailedPayload) and each.error_kind == IRREDUCIBLE for each in recent):
            return
        payload = CompactionFailedPayload(
            session_id=self._record.session_id,
            error_kind=IRREDUCIBLE,
            error=f"the window holds {live.size:,} of {budget.usable:,} tokens and nothing in it can shrink: "
            "the newest turn is never compacted, nor is what is too small for a summary",
        )
        await self._record.post(MnesisEvent.COMPACTION_FAILED, payload, live.last_turn)


def _as_failure(error: Exception) -> LLMError:
    if isinstance(error, LLMError):
        return error
    failure = Unavailable(f"the summariser's provider raised {type(error).__name__}: {redact(str(error))}")
    failure.__cause__ = error
    return failure


def _source(entry: Entry) -> Source:
    if entry.is_summary:
        return Source(f"{entry.ref} | summary | turns {entry.first_turn}-{entry.last_turn}", entry.body)
    lines = []
    for item in entry.items:
        if item.recalled:
            lines.append(f"{item.tool_name} recalled what was said before (left out here)")
        elif item.role == "tool":
            lines.append(f"{item.tool_name} answered: {item.text}")
        elif item.tool_call_id is not None:
            lines.append(f"called {item.tool_name} with {item.text}")
        else:
            lines.append(item.text)
    role = entry.items[0].role if entry.items else "assistant"
    return Source(f"m{entry.pos} | {role} | turn {entry.first_turn}", "\n".join(lines))


def _edge(entry: Entry) -> SummarySource:
    clipped = bool(entry.stand_ins) or any(item.recalled or item.kind == "media" for item in entry.items)
    return SummarySource(
        kind="summary" if entry.is_summary else "message",
        id=entry.ref,
        fidelity=Fidelity.CLIPPED if clipped else Fidelity.FULL,
    )
