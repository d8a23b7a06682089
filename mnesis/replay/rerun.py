"""The turns of a script, one after the other, in a session of their own."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from mnesis.context.assembly import Preamble
from mnesis.errors import ContextOverflow
from mnesis.events.payloads import CompactionCompletedPayload
from mnesis.ids import new_id
from mnesis.ledger import Ledger, OpenTurn, Outcome
from mnesis.llm.catalog import cost_of
from mnesis.models.context import ContextBreakdown, ContextItem
from mnesis.models.message import Message, TokenUsage, TurnState
from mnesis.models.replay import Replay, ReplayTurn
from mnesis.replay.meter import Meter
from mnesis.replay.needles import Needles
from mnesis.replay.script import Past, Script
from mnesis.room import Room
from mnesis.store.messages import NewMessage
from mnesis.store.turns import NewTurn
from mnesis.turn_lock import TurnLock


@dataclass(slots=True)
class _Sent:
    """What a turn sent and was answered so far, in tokens; `alike` is what the request before began with already."""

    requests: int = 0
    input: int = 0
    alike: int = 0
    output: int = 0
    window: Sequence[ContextItem] = ()

    @property
    def usage(self) -> TokenUsage:
        return TokenUsage(input=self.input, output=self.output, total=self.input + self.output, counted=True)


class Rerun:
    """A replay under way: what a turn does, but for asking the model and running its tools."""

    def __init__(
        self,
        ledger: Ledger,
        room: Room,
        lock: TurnLock,
        meter: Meter,
        settled: Callable[[], Awaitable[None]],
        needles: Needles,
    ) -> None:
        self._ledger, self._room, self._lock = ledger, room, lock
        self._meter, self._settled, self._needles = meter, settled, needles
        self._before: Sequence[ContextItem] = ()
        """What was sent last."""

    async def run(self, script: Script, source_id: str) -> Replay:
        """All turns. Compactions in the background are waited for, so that the same comes of it every time."""
        done = []
        for past in script.turns:
            sent = await self._turn(past, script)
            await self._settled()
            done.append(self._told(past, sent))
        row = self._ledger.row
        items = [item for entry in (await self._ledger.live()).entries for item in entry.items]
        return Replay(
            session_id=row.id,
            source_id=source_id,
            title=row.title,
            model=row.model,
            budget=self._room.budget().usable,
            turns=await self._with_compactions(done),
            needles=self._needles.names,
            evidence=self._needles.look(items, len(done)),
        )

    # -- one turn -----------------------------------------------------------------------------------------------

    async def _turn(self, past: Past, script: Script) -> _Sent:
        sent = _Sent()
        async with self._lock.held():
            if past.opening is None:
                await self._unasked(past, script)
            else:
                await self._asked(past, past.opening, sent, script)
            await self._room.compact_if_due()
        return sent

    async def _asked(self, past: Past, opening: Message, sent: _Sent, script: Script) -> None:
        """A turn that somebody asked for. Whatever happens, it does not stay open."""
        script.time = opening.created_at
        preamble = self._ledger.preamble(past.system_prompt, past.tools)
        turn = await self._lock.latest(lambda: self._open(past, opening, preamble))
        try:
            await self._request(turn, preamble, sent)
            for number, message in enumerate(past.said, 1):
                script.time = message.created_at
                said = await self._ledger.add(
                    turn, message.role, message.parts, await self._room_for(message, preamble)
                )
                sent.output += said.tokens if message.role == "assistant" else 0
                if message.role == "tool" and (number < len(past.said) or past.outcome.parts):
                    await self._request(turn, preamble, sent)
        except BaseException as error:
            await self._give_up(turn, error)
            raise
        script.time = past.ended
        outcome = self._outcome(past, sent)
        await self._ledger.finish_turn(turn, outcome, await self._room.for_answer(preamble))

    async def _open(self, past: Past, opening: Message, preamble: Preamble) -> OpenTurn:
        if opening.role == "user":
            room = self._room.for_message(preamble)
        else:
            room = await self._room.for_results(preamble, len(opening.parts))
        return await self._ledger.open_turn(self._new(past), self._draft(opening, room))

    async def _request(self, turn: OpenTurn, preamble: Preamble, sent: _Sent) -> None:
        """What the model would be sent now."""
        await self._room.make(preamble)
        window = await self._ledger.sending(turn, self._room.budget(), preamble)
        sent.requests += 1
        sent.input += window.size
        sent.alike += _alike(self._before, window.items)
        self._before = sent.window = window.items

    async def _unasked(self, past: Past, script: Script) -> None:
        """A turn in which only the assistant speaks, as where an imported conversation begins: nothing was sent."""
        script.time = past.ended
        drafts = [self._draft(message, await self._room_for(message, ())) for message in past.said]
        if past.outcome.parts:
            room = await self._room.for_answer(())
            drafts.append(self._ledger.draft("assistant", past.outcome.parts, room=room, at=past.ended))
        await self._ledger.record(self._new(past), None, drafts, replace(past.outcome, usage=TokenUsage(counted=True)))

    async def _give_up(self, turn: OpenTurn, error: BaseException) -> None:
        failed = isinstance(error, Exception)
        state = TurnState.FAILED if failed else TurnState.ABORTED
        await self._ledger.finish_turn(turn, Outcome(state, error=error if failed else None))
        if isinstance(error, ContextOverflow):
            error.add_note(f"turn {turn.index} of the replay {self._ledger.row.id}, which ends here")

    # -- step by step -------------------------------------------------------------------------------------------

    def _new(self, past: Past) -> NewTurn:
        model, prompt = self._ledger.row.model, past.system_prompt
        return NewTurn(new_id("turn"), model, True, prompt, tools=past.tools, key=past.key)

    def _draft(self, message: Message, room: int | None) -> NewMessage:
        return self._ledger.draft(message.role, message.parts, room=room, at=message.created_at)

    async def _room_for(self, message: Message, preamble: Preamble) -> int | None:
        if message.role == "tool":
            return await self._room.for_results(preamble, len(message.parts))
        return await self._room.for_answer(preamble)

    def _outcome(self, past: Past, sent: _Sent) -> Outcome:
        """How the turn ended, with what it would have used."""
        if past.output is not None:
            sent.output = past.output
        elif past.outcome.parts:
            sent.output += self._ledger.draft("assistant", past.outcome.parts).tokens
        return replace(past.outcome, usage=sent.usage, requests=sent.requests)

    def _told(self, past: Past, sent: _Sent) -> ReplayTurn:
        tokens = sent.usage.model_copy(update={"cache_read": sent.alike})
        return ReplayTurn(
            turn=past.index,
            window=ContextBreakdown.of(sent.window),
            requests=sent.requests,
            tokens=tokens,
            cost=cost_of(self._ledger.row.model, tokens),
            summaries=self._meter.take(),
            evidence=self._needles.look(sent.window, past.index),
        )

    async def _with_compactions(self, done: Sequence[ReplayTurn]) -> tuple[ReplayTurn, ...]:
        made: dict[int | None, list[CompactionCompletedPayload]] = {}
        for record in await self._ledger.events():
            if isinstance(record.payload, CompactionCompletedPayload):
                made.setdefault(record.turn, []).append(record.payload)
        return tuple(turn.model_copy(update=_compactions(made.get(turn.turn, []))) for turn in done)


def _compactions(made: Sequence[CompactionCompletedPayload]) -> dict[str, int | None]:
    levels = (each.level_used for each in made if each.summary_message_id)
    return {"compactions": len(made), "level": max(levels, default=None)}


def _alike(before: Sequence[ContextItem], now: Sequence[ContextItem]) -> int:
    """The tokens of what two windows begin with, item by item."""
    tokens = 0
    for old, new in zip(before, now, strict=False):
        if (old.role, old.text, old.tool_call_id, old.media) != (new.role, new.text, new.tool_call_id, new.media):
            break
        tokens += new.tokens
    return tokens
