"""One turn, in a straight line."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mnesis.context.assembly import Preamble
from mnesis.ids import new_id
from mnesis.ledger import Ledger, OpenTurn, Outcome
from mnesis.llm.base import Finish, Provider, Request
from mnesis.llm.reply import ReplyBuilder, Spent, chunks_of
from mnesis.models.config import SessionConfig
from mnesis.models.message import (
    Part,
    RecordResult,
    StreamEvent,
    TextDelta,
    TextPart,
    TokenUsage,
    TurnResult,
    TurnState,
)
from mnesis.recall import Recall
from mnesis.room import Room
from mnesis.store.messages import NewMessage
from mnesis.store.turns import NewTurn
from mnesis.tools import Toolbox, run_calls
from mnesis.tools.recall import recall_tools
from mnesis.turn_lock import TurnLock

type Emit = Callable[[StreamEvent], None]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller wants of one turn."""

    parts: tuple[Part, ...]
    system_prompt: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A turn that somebody else's model answered. Without `usage` it is counted."""

    asked: tuple[Part, ...]
    answered: tuple[Part, ...]
    usage: TokenUsage | None
    finish_reason: str


class Turns:
    """Runs the turns of one session, one after the other, whoever asks for them."""

    def __init__(
        self, ledger: Ledger, room: Room, lock: TurnLock, recall: Recall, provider: Provider, config: SessionConfig
    ) -> None:
        self._ledger = ledger
        self._room = room
        self._lock = lock
        self._recall = recall
        self._provider = provider
        self._config = config
        self._model = ledger.row.model

    async def run(self, ask: Ask, emit: Emit) -> TurnResult:
        """A turn that the session's own model answers. Whatever happens, it does not stay open."""
        async with self._lock.held():
            tools = await self.offered()
            preamble = self._ledger.preamble(ask.system_prompt, tools.definitions)
            user = self._ledger.draft("user", ask.parts, room=self._room.for_message(preamble))
            turn = await self._lock.latest(lambda: self._open(ask, user, preamble, tools))
            reply = ReplyBuilder()
            try:
                compaction = await self._room.make(preamble)
                spent = await self._converse(turn, preamble, ask, tools, reply, emit)
                result = await self._commit(turn, preamble, spent, reply)
            except asyncio.CancelledError:
                await self._ledger.finish_turn(turn, Outcome(TurnState.ABORTED, _kept(reply)))
                raise
            except Exception as error:  # whatever a provider raises, the turn does not stay open
                await self._ledger.finish_turn(turn, Outcome(TurnState.FAILED, _kept(reply), error=error))
                raise
            triggered = await self._room.compact_if_due() or compaction is not None
            return result.model_copy(update={"compaction_triggered": triggered, "compaction_result": compaction})

    async def record(self, turn: Recorded) -> RecordResult:
        """A turn that is over already."""
        async with self._lock.held():
            return await self._lock.latest(lambda: self._record(turn))

    async def offered(self) -> Toolbox:
        """The tools of the next turn: those that bring back what the window no longer holds."""
        wanted = self._config.recall
        summarised = any(entry.is_summary for entry in (await self._ledger.live()).entries)
        if wanted == "always" or (wanted == "auto" and summarised and self._room.limits.tools):
            answer = max(256, min(4_000, self._room.budget().usable // 8))
            return Toolbox.of(recall_tools(self._recall, answer, self._ledger.counter), self._ledger.counter)
        return Toolbox()

    # -- step by step -------------------------------------------------------------------------------------------

    async def _open(self, ask: Ask, user: NewMessage, preamble: Preamble, tools: Toolbox) -> OpenTurn:
        if not self._room.automatic:  # nothing will make room: refuse before anything is stored
            await self._ledger.window(self._room.budget(), user, preamble)
        new = NewTurn(new_id("turn"), self._model, False, ask.system_prompt, ask.origin, tools.definitions)
        return await self._ledger.open_turn(new, user)

    async def _converse(
        self, turn: OpenTurn, preamble: Preamble, ask: Ask, tools: Toolbox, reply: ReplyBuilder, emit: Emit
    ) -> Spent:
        """Ask the model, run the tools that it calls, and ask again, until it answers."""
        spent = Spent()
        for rounds_left in range(self._config.max_tool_rounds, -1, -1):
            window = await self._ledger.sending(turn, self._room.budget(), preamble)
            params = ask.params if rounds_left else {**ask.params, "tool_choice": "none"}
            request = Request(self._model, *window.to_request(), tools=tools.specs, params=params)
            finish = await self._ask_model(request, reply, emit)
            spent = spent.plus(finish, finish.usage or self._counted(window.size, reply.parts()))
            if not (tools.specs and reply.calls and rounds_left):
                break
            results = await run_calls(reply.calls, tools.by_name)
            room = await self._room.for_answer(preamble)
            await self._ledger.add_round(turn, reply.take_all(), results, room)
            await self._room.make(preamble)
        return spent

    async def _ask_model(self, request: Request, reply: ReplyBuilder, emit: Emit) -> Finish:
        async with contextlib.aclosing(chunks_of(self._provider, request)) as chunks:
            async for chunk in chunks:
                if text := reply.take(chunk):
                    emit(TextDelta(text=text))
        return reply.finished(self._model)

    async def _commit(self, turn: OpenTurn, preamble: Preamble, spent: Spent, reply: ReplyBuilder) -> TurnResult:
        outcome = Outcome(TurnState.COMMITTED, reply.parts(), spent.usage, spent.cost, spent.finish_reason)
        stored = await self._ledger.finish_turn(turn, outcome, await self._room.for_answer(preamble))
        assert stored is not None, "a committed turn has a reply"
        assert spent.usage is not None, "a reply cost something"
        return TurnResult(
            text=reply.text,
            tokens=spent.usage,
            finish_reason=spent.finish_reason,
            cost=spent.cost,
            message_id=stored.id,
            user_message_id=turn.user.id,
            turn=turn.index,
            model=self._model,
        )

    async def _record(self, turn: Recorded) -> RecordResult:
        live = await self._ledger.live()
        user = self._ledger.draft("user", turn.asked, room=self._room.for_message(live.preamble))
        room = self._room.for_message(live.preamble, taken=user.window_tokens)
        usage = turn.usage or self._counted(live.size + user.tokens, turn.answered)
        outcome = Outcome(TurnState.COMMITTED, turn.answered, usage, finish_reason=turn.finish_reason)
        index, reply = await self._ledger.record(NewTurn(new_id("turn"), self._model, True), user, outcome, room)
        return RecordResult(
            user_message_id=user.id,
            assistant_message_id=reply.id,
            tokens=usage,
            turn=index,
            compaction_triggered=await self._room.compact_if_due(),
        )

    def _counted(self, window: int, answered: tuple[Part, ...]) -> TokenUsage:
        """Usage by our own count, where nobody reported any."""
        output = self._ledger.draft("assistant", answered).tokens
        return TokenUsage(input=window, output=output, total=window + output)


def _kept(reply: ReplyBuilder) -> tuple[Part, ...]:
    """As much of a broken reply as can be stored: where its parts make no sense, its text."""
    try:
        return reply.parts()
    except (ValueError, RecursionError):
        return (TextPart(text=reply.text),) if reply.text else ()
