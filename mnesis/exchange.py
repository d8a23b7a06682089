"""The exchange of one turn with the model: ask, run the tools that it calls, ask again, until it answers."""

import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from mnesis.context.assembly import Preamble, newest_turn
from mnesis.errors import InputError, describe_value
from mnesis.events.payloads import DoomLoopDetectedPayload, LlmRetryPayload, MnesisEvent
from mnesis.intake import check_texts
from mnesis.ledger import Ledger, OpenTurn
from mnesis.llm.base import Finish, Provider, Request
from mnesis.llm.redact import redact
from mnesis.llm.reply import ReplyBuilder, Spent, thoughts_of
from mnesis.llm.retry import Retries, Retry
from mnesis.models.config import MnesisConfig
from mnesis.models.message import (
    Part,
    PartUpdate,
    ReasoningPart,
    StreamEvent,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolPart,
)
from mnesis.room import Room
from mnesis.store.messages import NewMessage
from mnesis.tools import DoomLoop, Tool, Toolbox, ToolLike, run_calls, tools_of

type OnPart = Callable[[Part], Awaitable[None] | None]

_log = logging.getLogger(__name__)

_TOO_OFTEN = (
    "this is the same call with the same arguments, {count} times in a row; it was not run again: "
    "answer with what there is"
)
_SMALLEST_ROUND = 128
"""Tokens that a call takes with its result, where even that has to be cut."""

_NO_ROOM = "not run: the window has no room for so many calls at once"
_NO_MORE = "no more tools are run in this turn; answer with what there is"


@dataclass(frozen=True, slots=True)
class Ask:
    """What a caller wants of one turn: what is said, and how it is answered.

    `parts` are the user's message; without them the turn begins with `results` of the calls of the turn before.
    """

    parts: tuple[Part, ...] | None = None
    results: Any = None
    system_prompt: str | None = None
    params: dict[str, Any] = field(default_factory=dict, repr=False)  # a key may be among them
    origin: str | None = None
    tools: tuple[Tool, ...] = ()
    on_part: OnPart | None = None

    @classmethod
    def of(
        cls,
        parts: tuple[Part, ...] | None,
        results: Any,
        tools: Sequence[ToolLike] | None,
        on_part: OnPart | None,
        system_prompt: str | None,
        params: Mapping[str, Any] | None,
        origin: str | None,
    ) -> Self:
        """What a caller wants, checked. Raises `InputError`, naming the argument."""
        check_texts(system_prompt=system_prompt, origin=origin)
        if not isinstance(params, Mapping | None):
            raise InputError(f"params={describe_value(params)} is a {type(params).__name__}; give a dict")
        if on_part is not None and not callable(on_part):
            raise InputError(f"on_part={describe_value(on_part)} is a {type(on_part).__name__}; give a function")
        return cls(parts, results, system_prompt, dict(params or {}), origin, tools_of(tools), on_part)


class Exchange:
    """One turn between its two transactions. What it holds at any moment is what there is of the reply."""

    def __init__(
        self,
        ledger: Ledger,
        room: Room,
        provider: Provider,
        config: MnesisConfig,
        turn: OpenTurn,
        preamble: Preamble,
        ask: Ask,
        tools: Toolbox,
        emit: Callable[[StreamEvent], None],
    ) -> None:
        self.reply = ReplyBuilder()
        self.spent = Spent()
        self.said: NewMessage | None = None
        """The last message of the model that is stored already."""
        self.results: list[ToolPart] = []
        """Of the calls that run, or have run and are not stored yet: those that have come."""
        self.pending: tuple[ToolPart, ...] = ()
        """Calls whose results only the caller can give."""
        self.doom_loop = False
        self.retries = Retries(config.session.retry, self._tell_of_retry)
        self._thoughts: dict[str, tuple[ReasoningPart, ...]] = {}
        self._ledger, self._room, self._provider, self._config = ledger, room, provider, config
        self._turn, self._preamble, self._ask, self._tools = turn, preamble, ask, tools
        self._emit = emit

    async def run(self) -> None:
        """Until the model answers, or calls what only the caller can run."""
        loop = DoomLoop(self._config.session.doom_loop_threshold, await self._calls_before())
        for rounds_left in range(self._config.session.max_tool_rounds, -1, -1):
            last = not rounds_left or self.doom_loop or await self._is_full()
            await self._ask_model({"tool_choice": "none"} if last else {})
            calls = self.reply.calls
            looping = [call for call in calls if loop.sees(call)]
            if looping and not last:
                await self._report(looping[-1], loop.count)
            refused = {call.tool_call_id: _NO_MORE for call in calls} if last else await self._refused(calls, looping)
            self.pending = tuple(call for call in calls if call.tool_call_id not in refused and not self._is_ours(call))
            if len(self.pending) == len(calls):  # also where there are none
                return
            await self._answer(calls, refused)
            if last or self.pending:
                return
            await self._room.make(self._preamble)

    @property
    def finish_reason(self) -> str:
        """Why the turn ended. "tool_calls" is kept for calls that wait for the caller."""
        if self.pending:
            return "tool_calls"
        reason = self.spent.finish_reason
        return "max_tool_rounds" if reason == "tool_calls" else reason

    # -- step by step -------------------------------------------------------------------------------------------

    async def _ask_model(self, params: dict[str, Any]) -> None:
        window = await self._ledger.sending(self._turn, self._room.budget(), self._preamble)
        model = self._ledger.row.model
        most = self._config.model_overrides.max_output_tokens
        own = {} if most is None else {"max_tokens": most}
        params = {**own, **self._ask.params, **(params if self._tools.tools else {})}
        messages, ids, system_ends = window.to_request()
        request = Request(model, messages, ids, system_ends, self._tools.specs, self._thoughts, params)
        finish = await self._listen(request)
        parts = self.reply.parts()
        usage = finish.usage or counted(self._ledger, window.size, parts)
        self.spent = self.spent.plus(finish, usage)
        for part in parts:
            await self._tell(part)

    async def _listen(self, request: Request) -> Finish:
        async with contextlib.aclosing(self.retries.chunks_of(self._provider, request)) as chunks:
            async for chunk in chunks:
                if text := self.reply.take(chunk):
                    self._emit(TextDelta(text=text))
        return self.reply.finished(request.model)

    async def _answer(self, calls: tuple[ToolPart, ...], refused: dict[str, str]) -> None:
        """Store the calls, run those that are ours, store their results."""
        room = await self._room.for_answer(self._preamble)
        self.said = await self._ledger.add(self._turn, "assistant", self.reply.take_all(), room)
        self._thoughts |= thoughts_of(self.said.parts, self.said.part_ids)
        for call in calls:
            if note := refused.get(call.tool_call_id):
                await self._came(call.failed(note))
        ours = [call for call in calls if call not in self.pending and call.tool_call_id not in refused]
        await run_calls(ours, self._tools.by_name, self._came, self._config.session.tool_timeout)
        came = {part.tool_call_id: part for part in self.results}
        results = tuple(came[call.tool_call_id] for call in calls if call.tool_call_id in came)
        await self._ledger.add(self._turn, "tool", results, await self._room.for_results(self._preamble, len(results)))
        self.results.clear()

    async def _came(self, part: ToolPart) -> None:
        if part.finished:
            self.results.append(part)
        await self._tell(part)

    async def _tell(self, part: Part) -> None:
        """Whoever reads the stream, and the caller's `on_part`, whose errors do not break the turn."""
        if not isinstance(part, TextPart):  # a text was told as it came
            self._emit(PartUpdate(part=part))
        if self._ask.on_part is None:
            return
        try:
            outcome = self._ask.on_part(part)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception:  # noqa: BLE001  # the caller's code, at the edge of a turn
            _log.exception("on_part failed on a %s part; the turn goes on", part.type)

    async def _tell_of_retry(self, retry: Retry) -> None:
        payload = LlmRetryPayload(
            session_id=self._ledger.row.id,
            attempt=retry.attempt,
            max_retries=retry.max_retries,
            delay=retry.delay,
            error_kind=type(retry.error).__name__,
            error=redact(str(retry.error)),
        )
        await self._ledger.post(MnesisEvent.LLM_RETRY, payload, self._turn.index)

    # -- whose a call is ----------------------------------------------------------------------------------------

    def _is_ours(self, call: ToolPart) -> bool:
        tool = self._tools.by_name.get(call.tool_name)
        return tool is not None and tool.run is not None

    async def _refused(self, calls: tuple[ToolPart, ...], looping: list[ToolPart]) -> dict[str, str]:
        """What is not run, by the id of the call, and the word for the model."""
        room = await self._room.for_answer(self._preamble)
        most = None if room is None else max(1, room // _SMALLEST_ROUND)
        names = ", ".join(self._tools.by_name)
        refused = {call.tool_call_id: _NO_ROOM for call in calls[most:]} if most is not None else {}
        unknown = {
            call.tool_call_id: f"there is no tool {call.tool_name!r}; there are: {names}"
            for call in calls
            if names and call.tool_name not in self._tools.by_name
        }
        count = self._config.session.doom_loop_threshold
        return refused | unknown | {call.tool_call_id: _TOO_OFTEN.format(count=count) for call in looping}

    async def _calls_before(self) -> list[tuple[str, str]]:
        """The calls since the newest user message: those of the turns before, where this one gives their results."""
        entries = (await self._ledger.live()).entries
        newest = newest_turn(entries)
        items = (item for entry in entries if entry.last_turn >= newest for item in entry.items)
        return [(item.tool_name or "", item.text) for item in items if item.tool_call_id and item.role == "assistant"]

    async def _is_full(self) -> bool:
        """Whether the window has no room for another call and its result."""
        room = await self._room.for_answer(self._preamble)
        return self.said is not None and room is not None and room < _SMALLEST_ROUND

    async def _report(self, call: ToolPart, count: int) -> None:
        self.doom_loop = True
        payload = DoomLoopDetectedPayload(
            session_id=self._ledger.row.id, turn=self._turn.index, tool_name=call.tool_name, count=count
        )
        await self._ledger.post(MnesisEvent.DOOM_LOOP_DETECTED, payload, self._turn.index)


def counted(ledger: Ledger, window: int, answered: tuple[Part, ...]) -> TokenUsage:
    """Usage by our own count, where nobody reported any."""
    output = ledger.draft("assistant", answered).tokens
    return TokenUsage(input=window, output=output, total=window + output, counted=True)
