"""The record of one session: what is in the store, and the window that follows from it.

Each method is one transaction. Events are published after it, in the order in which they were stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, Self

from mnesis.context.assembly import (
    Entry,
    LiveWindow,
    Preamble,
    assemble,
    measure,
    newest_turn,
    pending_calls,
    system_item,
    system_tokens,
    tools_item,
)
from mnesis.context.excerpt import excerpts
from mnesis.errors import InputError, MnesisError, NotFound, SessionNotFoundError, describe_value
from mnesis.events.bus import EventBus
from mnesis.events.payloads import (
    EventRecord,
    MessageCreatedPayload,
    MnesisEvent,
    Payload,
    SessionClosedPayload,
    SessionCreatedPayload,
    TurnAbortedPayload,
    TurnCommittedPayload,
    TurnFailedPayload,
)
from mnesis.ids import new_id
from mnesis.ledger.accounts import COMPACTIONS, Accounts
from mnesis.ledger.windows import call_of, drafted, read_entries
from mnesis.ledger.writing import Clock, Posting, Writer, utc_now
from mnesis.models.context import Budget, ContextBreakdown, ContextWindow
from mnesis.models.message import Message, Part, Role, TextPart, TokenUsage, ToolPart, TurnState
from mnesis.models.summary import Summary
from mnesis.store import Database, Tx, events, messages, sessions, summaries, turns, views
from mnesis.store.messages import NewMessage
from mnesis.store.rows import SessionRow, usage_columns
from mnesis.store.turns import NewTurn, ToolSet, TurnRow
from mnesis.tokens import TokenCounter, counter_for


class StaleWindow(MnesisError):
    """Another process moved the session on since the window was read. Internal: read it again."""


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn between its two transactions. `message` is what began it."""

    id: str
    index: int
    message: NewMessage
    request_hash: str
    """Of the window that it was opened with."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a turn's request was, as far as the store keeps it: its hash, and its tokens by kind."""

    request_hash: str
    tokens: ContextBreakdown


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended: what to store with it. `parts` is the reply, or as much of it as there is.

    `results` are those of tool calls that had come when the turn was cut off. `replied`: the last thing that the model
    said is stored already, so that without parts there is no reply to store.
    """

    state: TurnState
    parts: tuple[Part, ...] = ()
    usage: TokenUsage | None = None
    cost: float | None = None
    finish_reason: str | None = None
    error: BaseException | None = None
    reason: str = "it was interrupted"
    results: tuple[ToolPart, ...] = ()
    replied: bool = False


_CUT_OFF = Outcome(TurnState.ABORTED, reason="it was interrupted, or its process ended")
_INTERRUPTED = "the turn was cut off before this call had a result"
_LEFT = "no result was given; the user went on without it"


@dataclass(frozen=True, slots=True)
class _Opened:
    """What transaction 1 left: the turn's index, the view, and what came into the window."""

    index: int
    view: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class _Finished:
    """What transaction 2 left: the view, what came into the window, the turn."""

    view: int
    entries: list[Entry]
    turn: TurnRow


class Ledger:
    """One session in the store. Not safe for two turns at once: the session sees to that."""

    def __init__(
        self, db: Database, row: SessionRow, counter: TokenCounter, bus: EventBus, clock: Clock = utc_now
    ) -> None:
        self.row = row
        self.bus = bus
        self.counter = counter
        self.accounts = Accounts()
        self._db = db
        self._writer = Writer(db, bus, clock)
        self._live: LiveWindow | None = None
        self._in_doubt = False

    # -- beginning and end --------------------------------------------------------------------------------------

    @classmethod
    async def create(
        cls, db: Database, row: SessionRow, counter: TokenCounter, bus: EventBus, clock: Clock = utc_now
    ) -> Self:
        """Store a new session."""
        ledger = cls(db, row, counter, bus, clock)
        payload = SessionCreatedPayload(session_id=row.id, model=row.model, agent=row.agent, parent_id=row.parent_id)

        def work(cx: Tx, posting: Posting) -> None:
            if row.parent_id is not None and sessions.find(cx, row.parent_id) is None:
                raise NotFound("session", row.parent_id, "it was given as parent_id")
            sessions.insert(cx, row)
            posting.post(cx, MnesisEvent.SESSION_CREATED, payload, None)

        await ledger.write(work)
        return ledger

    @classmethod
    async def load(cls, db: Database, id: str, bus: EventBus, clock: Clock = utc_now) -> Self:
        """Read a session. Raises `SessionNotFoundError`."""

        def work(cx: Tx) -> tuple[SessionRow, list[TurnRow], list[EventRecord]] | None:
            row = sessions.find(cx, id)
            if row is None:
                return None
            return row, turns.read_turns(cx, id), events.recent(cx, id, COMPACTIONS, limit=-1)

        found = await db.read(work)
        if found is None:
            raise SessionNotFoundError(id, db.path or ":memory:")
        row, past, compactions = found
        ledger = cls(db, row, counter_for(row.model), bus, clock)
        ledger.accounts.add(past)
        for each in reversed(compactions):
            ledger.accounts.note(each.turn, each.event, each.payload)
        return ledger

    async def abort_left_open(self) -> None:
        """Mark turns that a dead process left open as aborted. Call it only while holding the session's lock."""
        if not any(row.state == TurnState.OPEN for row in self.accounts.rows):
            return

        def work(cx: Tx, posting: Posting) -> None:
            for id, index in turns.open_turns(cx, self.row.id):
                self._insert_finished(cx, posting, id, index, _CUT_OFF, None)

        await self.write(work)
        await self.reread()

    async def settle(self) -> None:
        """After a write that was interrupted or refused: read what is on disk, and abort a turn that was left open.

        Does nothing otherwise. Call it only while holding the session's lock.
        """
        if self._in_doubt:
            await self.reread()
            await self.abort_left_open()
            self._in_doubt = False

    async def close(self) -> None:
        """Store that the session was closed."""
        payload = SessionClosedPayload(session_id=self.row.id)
        await self.write(lambda cx, posting: posting.post(cx, MnesisEvent.SESSION_CLOSED, payload, None))

    # -- the two writes of a turn -------------------------------------------------------------------------------

    def draft(
        self, role: Role, parts: tuple[Part, ...], *, room: int | None = None, partial: bool = False
    ) -> NewMessage:
        """A message with its ids and its tokens, counted now and never again.

        What makes it larger than `room` tokens is kept whole, and stands in the window as an excerpt.
        """
        part_ids = tuple(new_id("part") for _ in parts)
        sizes = measure(role, parts, self.counter)
        cut = {} if room is None else excerpts(role, parts, part_ids, sizes, room, self.counter)
        return NewMessage(new_id("msg"), role, parts, part_ids, sizes, cut, partial)

    async def open_turn(self, turn: NewTurn, message: NewMessage) -> OpenTurn:
        """Transaction 1: the turn is open, the message that begins it stored and in the window.

        Tool calls that still wait for a result get none any more where a user goes on without it: that is said.
        """
        live = await self.live()
        opening = [message]
        if message.role == "user" and (pending := pending_calls(live.entries)):
            opening.insert(0, self.draft("tool", tuple(call_of(item).failed(_LEFT) for item in pending)))
        sent = self._sent(live, opening, self.preamble(turn.system_prompt, turn.tools))

        def work(cx: Tx, posting: Posting) -> _Opened:
            return self._insert_open(cx, posting, turn, opening, sent, live.version)

        def apply(opened: _Opened) -> None:
            self._extend(live, opened.entries, opened.view)

        opened = await self.write(work, apply)
        return OpenTurn(turn.id, opened.index, message, sent.request_hash)

    async def sending(self, turn: OpenTurn, budget: Budget, preamble: Preamble) -> ContextWindow:
        """The window that is sent now. Where it is not what was stored last, because of a compaction or a tool round,
        the turn's record follows. Raises `ContextOverflow`.
        """
        live = await self.live()
        window = assemble(preamble, live.entries, budget)
        if window.request_hash != turn.request_hash:
            version, sent = live.version, Sent(window.request_hash, window.breakdown())
            await self.write(lambda cx, _: turns.mark_sent(cx, turn.id, version, sent.request_hash, sent.tokens))
        return window

    async def tokens_of_newest(self) -> int:
        """How much of the window the newest user message takes, with everything after it."""
        entries = (await self.live()).entries
        newest = newest_turn(entries)
        tail = takewhile(lambda entry: entry.last_turn >= newest, reversed(entries))
        return sum(entry.tokens for entry in tail if not entry.is_summary)

    async def add(self, turn: OpenTurn, role: Role, parts: tuple[Part, ...], room: int | None = None) -> NewMessage:
        """Between the two: what the model says on its way to the reply, with its tool calls; or their results."""
        live = await self.live()
        draft = self.draft(role, parts, room=room)

        def work(cx: Tx, posting: Posting) -> tuple[int, int]:
            view = views.advance(cx, self.row.id, "tool round", turn.index, posting.now)
            return view, self._insert_message(cx, posting, turn.id, turn.index, draft, view)

        def apply(stored: tuple[int, int]) -> None:
            view, seq = stored
            self._extend(live, [drafted(seq, turn.index, draft)], view)

        await self.write(work, apply)
        return draft

    async def finish_turn(self, turn: OpenTurn, outcome: Outcome, room: int | None = None) -> NewMessage | None:
        """Transaction 2: the turn is committed, failed or aborted; a whole reply is in the window.

        Returns the reply as stored: `None` where there was nothing to store, or the turn was finished before.
        """
        live = await self.live()
        committed = outcome.state is TurnState.COMMITTED
        reply = None
        if outcome.parts or (committed and not outcome.replied):
            reply = self.draft("assistant", outcome.parts, room=room, partial=not committed)

        def work(cx: Tx, posting: Posting) -> _Finished | None:
            return self._insert_finished(cx, posting, turn.id, turn.index, outcome, reply, room)

        def apply(stored: _Finished | None) -> None:
            if stored is None:
                self._live = None
                return
            self.accounts.add([stored.turn])
            self._extend(live, stored.entries, stored.view)

        return reply if await self.write(work, apply) else None

    async def record(
        self, turn: NewTurn, user: NewMessage, outcome: Outcome, room: int | None = None
    ) -> tuple[int, NewMessage]:
        """Both writes in one transaction: a turn that somebody else's model answered. Returns its index and reply."""
        live = await self.live()
        sent = self._sent(live, [user], live.preamble)
        reply = self.draft("assistant", outcome.parts, room=room)

        def work(cx: Tx, posting: Posting) -> tuple[_Opened, _Finished]:
            opened = self._insert_open(cx, posting, turn, [user], sent, live.version)
            finished = self._insert_finished(cx, posting, turn.id, opened.index, outcome, reply)
            assert finished is not None, "a turn that was opened in this transaction is open"
            return opened, finished

        def apply(stored: tuple[_Opened, _Finished]) -> None:
            for step in stored:
                self._extend(live, step.entries, step.view)
            self.accounts.add([stored[1].turn])

        opened, _ = await self.write(work, apply)
        return opened.index, reply

    def _sent(self, live: LiveWindow, opening: Sequence[NewMessage], preamble: Preamble) -> Sent:
        """What the window with these messages is; in O(messages) where the preamble is the usual one."""
        if preamble != live.preamble:
            live = LiveWindow(live.version, preamble, live.entries)
        return Sent(*live.preview([item for message in opening for item in drafted(-1, -1, message).items]))

    def _extend(self, live: LiveWindow, entries: Sequence[Entry], view: int) -> None:
        """Follow the store; where something else moved the window in between, read it again."""
        if live is self._live and view == live.version + bool(entries):
            live.extend(entries, view)
        else:
            self._live = None

    def _insert_open(
        self,
        cx: Tx,
        posting: Posting,
        turn: NewTurn,
        opening: Sequence[NewMessage],
        sent: Sent,
        expected: int,
    ) -> _Opened:
        session_id, now = self.row.id, posting.now
        if views.current(cx, session_id) != expected:
            raise StaleWindow(f"session {session_id} has moved on from view {expected}")
        index = turns.next_index(cx, session_id)
        view = views.advance(cx, session_id, f"{opening[-1].role} message", index, now)
        turns.open_turn(cx, session_id, turn, index, view, sent.request_hash, sent.tokens, now)
        seqs = [self._insert_message(cx, posting, turn.id, index, message, view) for message in opening]
        entries = [drafted(seq, index, message) for seq, message in zip(seqs, opening, strict=True)]
        return _Opened(index, view, entries)

    def _insert_finished(
        self,
        cx: Tx,
        posting: Posting,
        turn_id: str,
        index: int,
        outcome: Outcome,
        reply: NewMessage | None,
        room: int | None = None,
    ) -> _Finished | None:
        last = None if outcome.state is TurnState.COMMITTED else self._closing(cx, turn_id, outcome, room)
        if not turns.finish_turn(cx, turn_id, outcome.state, posting.now, _columns(outcome)):
            return None
        view, entries = views.current(cx, self.row.id), []
        for message in filter(None, (last, reply)):
            if not message.partial:
                view = views.advance(cx, self.row.id, "reply", index, posting.now)
            seq = self._insert_message(cx, posting, turn_id, index, message, view)
            if not message.partial:
                entries.append(drafted(seq, index, message))
        posting.post(cx, *self._ending(turn_id, index, outcome), index)
        row = turns.find_turn(cx, self.row.id, index)
        assert row is not None, "the turn that was just finished is there"
        return _Finished(view, entries, row)

    def _closing(self, cx: Tx, turn_id: str, outcome: Outcome, room: int | None) -> NewMessage | None:
        """The results of the tool calls of a turn that ends too early: those that came, and errors for all others."""
        calls: dict[str, ToolPart] = {}
        for message in messages.of_turn(cx, self.row.id, turn_id):
            for part in message.parts:
                if isinstance(part, ToolPart) and not message.partial:
                    if part.finished:
                        calls.pop(part.tool_call_id, None)
                    else:
                        calls[part.tool_call_id] = part
        came = {part.tool_call_id: part for part in outcome.results}
        results = tuple(came.get(id, call.failed(_INTERRUPTED)) for id, call in calls.items())
        return self.draft("tool", results, room=room) if results else None

    def _insert_message(
        self, cx: Tx, posting: Posting, turn_id: str, index: int, message: NewMessage, view: int
    ) -> int:
        session_id = self.row.id
        seq = messages.append(cx, session_id, turn_id, index, message, posting.now)
        if not message.partial:
            tokens = drafted(seq, index, message).tokens
            views.add_item(cx, session_id, seq, view, "message", message.id, tokens)
            summaries.set_tombstones(cx, session_id, view, message.excerpts.values())
        payload = MessageCreatedPayload(
            session_id=session_id, message_id=message.id, role=message.role, turn=index, tokens=message.tokens
        )
        posting.post(cx, MnesisEvent.MESSAGE_CREATED, payload, index)
        return seq

    def _ending(self, turn_id: str, index: int, outcome: Outcome) -> tuple[MnesisEvent, Payload]:
        head: dict[str, Any] = {"session_id": self.row.id, "turn": index, "turn_id": turn_id}
        match outcome.state:
            case TurnState.COMMITTED:
                told: dict[str, Any] = {"finish_reason": outcome.finish_reason, "tokens": outcome.usage}
                return MnesisEvent.TURN_COMMITTED, TurnCommittedPayload(**head, **told, cost=outcome.cost)
            case TurnState.FAILED:
                kind = type(outcome.error).__name__
                return MnesisEvent.TURN_FAILED, TurnFailedPayload(**head, error_kind=kind, error=str(outcome.error))
            case _:
                return MnesisEvent.TURN_ABORTED, TurnAbortedPayload(**head, reason=outcome.reason)

    # -- the window ---------------------------------------------------------------------------------------------

    async def live(self) -> LiveWindow:
        """The current window, read from the store where memory does not hold it, with the turns that others added."""
        if self._live is None:
            since = self.accounts.settled()
            live, rows = await self._db.read(lambda cx: (self._read_live(cx), turns.read_turns(cx, self.row.id, since)))
            known = self.accounts.settled()  # another reader may have been quicker
            self.accounts.add([row for row in rows if row.idx >= known], known)
            self._live = live
        return self._live

    async def reread(self) -> None:
        """Forget the window in memory, and read it again: something else moved it."""
        self._live = None
        await self.live()

    def preamble(self, system_prompt: str | None = None, tools: ToolSet | None = None) -> Preamble:
        """What a request begins with: the session's system prompt, or the turn's own, and the tools of the turn."""
        if system_prompt is None or system_prompt == self.row.system_prompt:
            system = system_item(self.row.system_prompt, self.row.system_tokens)
        else:
            system = system_item(system_prompt, system_tokens(system_prompt, self.counter))
        offered = tools_item(tools.specs, tools.tokens) if tools else None
        return tuple(item for item in (system, offered) if item is not None)

    async def window(
        self, budget: Budget, user: NewMessage | None = None, preamble: Preamble | None = None
    ) -> ContextWindow:
        """The window as it would be sent now, with a user message that is not stored yet."""
        live = await self.live()
        asked = [drafted(-1, len(self.accounts.rows), user)] if user else []
        return assemble(live.preamble if preamble is None else preamble, [*live.entries, *asked], budget)

    async def past_window(self, turn: int, budget: Budget) -> ContextWindow:
        """The window of a past turn, as it was sent. Raises `InputError`, `NotFound`."""
        if not isinstance(turn, int) or isinstance(turn, bool):
            raise InputError(f"turn={describe_value(turn)} is not usable; give the 0-based index of a turn")

        def work(cx: Tx) -> tuple[Preamble, list[Entry]]:
            row = turns.find_turn(cx, self.row.id, turn)
            if row is None:
                raise NotFound("turn", str(turn), f"session {self.row.id} has {len(self.accounts.rows)} turns, from 0")
            return self.preamble(row.system_prompt, turns.tool_set(cx, row.tools)), read_entries(
                cx, self.row.id, row.view
            )

        preamble, entries = await self._db.read(work)
        return assemble(preamble, entries, budget, turn=turn)

    def _read_live(self, cx: Tx) -> LiveWindow:
        return LiveWindow(views.current(cx, self.row.id), self.preamble(), read_entries(cx, self.row.id, None))

    # -- what is there ------------------------------------------------------------------------------------------

    @property
    def usage(self) -> TokenUsage:
        """What the provider has counted over the whole session."""
        return self.accounts.usage

    def correction(self) -> float:
        """What the provider counts for each token that we count. 1 where the counts are exact."""
        return 1.0 if self.counter.exact else self.accounts.correction(self.row.model)

    async def log(self) -> list[Message]:
        """Every message, in order, and each summary where the log had got to when it was made."""

        def work(cx: Tx) -> list[Message]:
            said = messages.read_log(cx, self.row.id)
            made = [_as_message(summary, seq) for summary, seq in summaries.read_placed(cx, self.row.id)]
            return sorted([*said, *made], key=lambda message: (message.seq, message.is_summary))

        return await self._db.read(work)

    async def summaries(self) -> list[Summary]:
        """Every summary, in the order in which they were made."""
        return await self._db.read(lambda cx: summaries.read_all(cx, self.row.id))

    async def events(self) -> list[EventRecord]:
        """Every event, in order."""
        return await self._db.read(lambda cx: events.read(cx, self.row.id))

    # -- transactions -------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """What the clock says."""
        return self._writer.clock()

    def forget(self) -> None:
        """What is in memory of the window is not what is on disk any more: read it when it is needed."""
        self._live = None

    async def read[T](self, work: Callable[[Tx], T]) -> T:
        """Run `work` on one consistent snapshot of the store."""
        return await self._db.read(work)

    async def write[T](self, work: Callable[[Tx, Posting], T], apply: Callable[[T], None] = lambda _: None) -> T:
        """Run `work` as one transaction, `apply` its result to what is in memory, then tell subscribers."""
        try:
            return await self._writer.write(work, apply)
        except BaseException:
            self._live = None  # a cancelled write may be on disk all the same: read everything again
            self._in_doubt = True
            raise

    async def post(self, event: MnesisEvent, payload: Payload, turn: int | None) -> None:
        """Store an event by itself, and tell subscribers."""
        await self.write(lambda cx, posting: posting.post(cx, event, payload, turn))
        self.accounts.note(turn, event, payload)


def _columns(outcome: Outcome) -> dict[str, Any]:
    columns: dict[str, Any] = {"cost": outcome.cost, "finish_reason": outcome.finish_reason}
    if outcome.usage is not None:
        columns |= usage_columns(outcome.usage)
    if outcome.error is not None:
        columns |= {"error_kind": type(outcome.error).__name__, "error": str(outcome.error)}
    return columns


def _as_message(summary: Summary, seq: int) -> Message:
    return Message(
        id=summary.id,
        session_id=summary.session_id,
        turn_id="",
        turn=summary.last_turn,
        seq=seq,
        role="summary",
        parts=(TextPart(text=summary.text),),
        part_ids=(summary.id,),
        part_tokens=(summary.tokens,),
        tokens=summary.tokens,
        partial=False,
        created_at=summary.created_at,
    )
