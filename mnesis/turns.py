"""One turn, in a straight line."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from mnesis.context.assembly import Entry, Preamble, pending_calls
from mnesis.errors import InputError, describe_value
from mnesis.exchange import Ask, Exchange
from mnesis.files import Shelf
from mnesis.ids import new_id
from mnesis.intake import asked_of, check_texts, parts_of, text_of
from mnesis.ledger import Ledger, OpenTurn, Outcome, RecordedTurn, call_of
from mnesis.llm.base import Provider
from mnesis.llm.reply import ReplyBuilder
from mnesis.models.config import MnesisConfig
from mnesis.models.context import ContextWindow
from mnesis.models.message import (
    FileRefPart,
    Part,
    RecordResult,
    Role,
    StreamEvent,
    TextPart,
    TokenUsage,
    ToolPart,
    TurnResult,
    TurnState,
)
from mnesis.recall import Recall
from mnesis.room import Room
from mnesis.store.messages import NewMessage
from mnesis.store.turns import NewTurn
from mnesis.tools import Tool, Toolbox, results_of
from mnesis.tools.files import file_tools
from mnesis.tools.recall import recall_tools
from mnesis.turn_lock import TurnLock

type Emit = Callable[[StreamEvent], None]


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a recorded turn. `at` is when it was said, by default now."""

    role: Role
    parts: tuple[Part, ...]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A turn that is over: what was asked, and all that answered it. Without `usage` it is counted."""

    asked: Said | None
    answered: tuple[Said, ...]
    usage: TokenUsage | None = None
    finish_reason: str = "stop"
    key: str | None = None

    @classmethod
    def of(
        cls,
        user_message: object,
        assistant_response: object,
        tokens: TokenUsage | None,
        finish_reason: str,
        key: str | None,
        at: datetime | None,
    ) -> Self:
        """One question and its answer, checked. Raises `InputError`, naming the argument."""
        asked = asked_of(user_message, "user_message")
        answered = parts_of(assistant_response, "assistant_response", may_be_empty=True)
        text_of(finish_reason, "finish_reason")
        check_texts(key=key)
        if not isinstance(tokens, TokenUsage | None):
            raise InputError(f"tokens={describe_value(tokens)} is not a TokenUsage; give TokenUsage(input=…, output=…)")
        if at is not None and (not isinstance(at, datetime) or at.tzinfo is None):
            raise InputError(f"at={describe_value(at)} is no time with a zone; give a datetime with tzinfo")
        return cls(Said("user", asked, at), (Said("assistant", answered, at),), tokens, finish_reason, key)


class Turns:
    """Runs the turns of one session, one after the other, whoever asks for them."""

    def __init__(
        self,
        ledger: Ledger,
        room: Room,
        lock: TurnLock,
        recall: Recall,
        files: Shelf,
        provider: Provider,
        config: MnesisConfig,
    ) -> None:
        self._ledger = ledger
        self._room = room
        self._lock = lock
        self._recall = recall
        self._files = files
        self._provider = provider
        self._config = config
        self._model = ledger.row.model
        self._running: Exchange | None = None
        self._closing = False

    def close(self) -> None:
        """Have no more delays before a request is made again: a turn that fails now, fails."""
        self._closing = True
        if self._running is not None:
            self._running.retries.stop()
        self._room.close()

    async def run(self, ask: Ask, emit: Emit) -> TurnResult:
        """A turn that the session's own model answers. Whatever happens, it does not stay open."""
        async with self._lock.held():
            tools = await self.offered(ask.tools, ask.parts or ())
            preamble = self._ledger.preamble(ask.system_prompt, tools.definitions)
            message = await self._message(ask, preamble)
            turn = await self._lock.latest(lambda: self._open(ask, message, preamble, tools))
            exchange = Exchange(
                self._ledger, self._room, self._provider, self._config, turn, preamble, ask, tools, emit
            )
            self._running = exchange
            if self._closing:
                exchange.retries.stop()
            try:
                compaction = await self._room.make(preamble)
                await exchange.run()
                result = await self._commit(exchange, turn, preamble)
            except asyncio.CancelledError:
                await self._give_up(exchange, turn, preamble, None)
                raise
            except Exception as error:  # whatever a provider raises, the turn does not stay open
                await self._give_up(exchange, turn, preamble, error)
                raise
            finally:
                self._running = None
            triggered = await self._room.compact_if_due() or compaction is not None
            return result.model_copy(update={"compaction_triggered": triggered, "compaction_result": compaction})

    async def record(self, turn: Recorded) -> RecordResult:
        """A turn that somebody else's model answered. With the key of a stored one, that is returned instead."""
        async with self._lock.held():
            stored = await self._lock.latest(lambda: self._record(turn))
            return RecordResult(
                user_message_id=stored.first,
                assistant_message_id=stored.last,
                tokens=stored.usage,
                turn=stored.index,
                compaction_triggered=await self._room.compact_if_due(),
            )

    async def preview(
        self, asked: tuple[Part, ...], tools: tuple[Tool, ...], system_prompt: str | None
    ) -> ContextWindow:
        """The window that a turn would send. Nothing is stored, and nothing compacted."""
        offered = await self.offered(tools, asked)
        preamble = self._ledger.preamble(system_prompt, offered.definitions)
        user = self._ledger.draft("user", asked, room=self._room.for_message(preamble))
        return await self._ledger.window(self._room.budget(), user, preamble)

    async def offered(self, tools: tuple[Tool, ...] = (), asked: Sequence[Part] = ()) -> Toolbox:
        """The tools of the next turn: the caller's, and those that bring back what the window no longer holds, or holds
        a reference to.
        """
        wanted = self._config.session.recall
        entries = (await self._ledger.live()).entries
        calls = wanted == "always" or (wanted == "auto" and (bool(tools) or bool(self._room.limits.tools)))
        answer = max(256, min(4_000, self._room.budget().usable // 8))
        ours: list[Tool] = []
        if wanted == "always" or (calls and any(entry.is_summary for entry in entries)):
            ours += recall_tools(self._recall, answer, self._ledger.counter)
        if calls and (_refers(entries, asked) and await self._files.all()):
            ours += file_tools(self._files, answer, self._ledger.counter)
        return Toolbox.of((*tools, *ours), self._ledger.counter)

    # -- step by step -------------------------------------------------------------------------------------------

    async def _message(self, ask: Ask, preamble: Preamble) -> NewMessage:
        """What begins the turn: the user's message, or the results that the last turn's calls wait for."""
        if ask.parts is not None:
            return self._ledger.draft("user", ask.parts, room=self._room.for_message(preamble))
        waiting = pending_calls((await self._ledger.live()).entries)
        results = results_of(ask.results, [call_of(item) for item in waiting])
        return self._ledger.draft("tool", results, room=await self._room.for_results(preamble, len(results)))

    async def _open(self, ask: Ask, message: NewMessage, preamble: Preamble, tools: Toolbox) -> OpenTurn:
        if message.role == "tool":
            waiting = {item.tool_call_id for item in pending_calls((await self._ledger.live()).entries)}
            if waiting != {part.tool_call_id for part in message.parts if isinstance(part, ToolPart)}:
                raise InputError("the calls were answered meanwhile, or the session went on without them")
        if not self._room.automatic:  # nothing will make room: refuse before anything is stored
            await self._ledger.window(self._room.budget(), message, preamble)
        new = NewTurn(new_id("turn"), self._model, False, ask.system_prompt, ask.origin, tools.definitions)
        return await self._ledger.open_turn(new, message)

    async def _commit(self, exchange: Exchange, turn: OpenTurn, preamble: Preamble) -> TurnResult:
        spent, reply = exchange.spent, exchange.reply
        outcome = Outcome(
            TurnState.COMMITTED,
            reply.parts(),
            spent.usage,
            spent.cost,
            exchange.finish_reason,
            spent.requests,
            replied=exchange.said is not None,
        )
        stored = await self._ledger.finish_turn(turn, outcome, await self._room.for_answer(preamble)) or exchange.said
        assert stored is not None, "a committed turn has a reply"
        assert spent.usage is not None, "a reply cost something"
        return TurnResult(
            text=reply.text or _text(stored),
            tokens=spent.usage,
            finish_reason=exchange.finish_reason,
            cost=spent.cost,
            message_id=stored.id,
            user_message_id=turn.message.id,
            turn=turn.index,
            model=self._model,
            doom_loop_detected=exchange.doom_loop,
            tool_calls=exchange.pending,
        )

    async def _give_up(self, exchange: Exchange, turn: OpenTurn, preamble: Preamble, error: Exception | None) -> None:
        state = TurnState.ABORTED if error is None else TurnState.FAILED
        spent = exchange.spent
        outcome = Outcome(
            state,
            _kept(exchange.reply),
            spent.usage,
            spent.cost if spent.requests else None,
            requests=spent.requests,
            error=error,
            results=tuple(exchange.results),
        )
        await self._ledger.finish_turn(turn, outcome, await self._room.for_results(preamble, len(exchange.results)))

    async def _record(self, turn: Recorded) -> RecordedTurn:
        live = await self._ledger.live()
        drafts: list[NewMessage] = []
        for said in filter(None, (turn.asked, *turn.answered)):
            taken = sum(draft.window_tokens for draft in drafts)
            room = self._room.for_message(live.preamble, taken)
            drafts.append(self._ledger.draft(said.role, said.parts, room=room, at=said.at))
        asked = drafts.pop(0) if turn.asked else None
        outcome = Outcome(
            TurnState.COMMITTED,
            usage=turn.usage or self._counted(live.size, asked, drafts),
            finish_reason=turn.finish_reason,
            at=drafts[-1].at if drafts else None,
        )
        new = NewTurn(new_id("turn"), self._model, True, key=turn.key, at=turn.asked.at if turn.asked else None)
        return await self._ledger.record(new, asked, drafts, outcome)

    def _counted(self, window: int, asked: NewMessage | None, answered: Sequence[NewMessage]) -> TokenUsage:
        """As if the answer had been one reply to one request."""
        input = window + (asked.tokens if asked else 0)
        output = sum(draft.tokens for draft in answered)
        return TokenUsage(input=input, output=output, total=input + output, counted=True)


def _refers(entries: Sequence[Entry], asked: Sequence[Part]) -> bool:
    """Whether a file is referred to in the window, by name in a summary, or in what is asked."""
    if any(isinstance(part, FileRefPart) for part in asked):
        return True
    return any("file_" in entry.body or any(item.kind == "file" for item in entry.items) for entry in entries)


def _text(message: NewMessage) -> str:
    return "\n\n".join(part.text for part in message.parts if isinstance(part, TextPart))


def _kept(reply: ReplyBuilder) -> tuple[Part, ...]:
    """As much of a broken reply as can be stored: where its parts make no sense, its text."""
    try:
        return reply.parts()
    except (ValueError, RecursionError):
        return (TextPart(text=reply.text),) if reply.text else ()
