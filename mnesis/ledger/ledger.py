"""The record of one session: what is in the store, and the window that follows from it.

Each method is one transaction. Events are published after it, in the order in which they were stored.
"""

from collections.abc import Callable
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
from mnesis.ledger.windows import drafted, read_entries
from mnesis.ledger.writing import Clock, Posting, Writer, utc_now
from mnesis.models.context import Budget, ContextBreakdown, ContextWindow
from mnesis.models.message import Message, Part, Role, TextPart, TokenUsage, TurnState
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
    """A turn between its two transactions."""

    id: str
    index: int
    user: NewMessage
    request_hash: str
    """Of the window that it was opened with."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a turn's request was, as far as the store keeps it: its hash, and its tokens by kind."""

    request_hash: str
    tokens: ContextBreakdown


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended: what to store with it. `parts` is the reply, or as much of it as there is."""

    state: TurnState
    parts: tuple[Part, ...]
    usage: TokenUsage | None = None
    cost: float | None = None
    finish_reason: str | None = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class _Finished:
    """What transaction 2 left: the view, the reply's place in the log (-1 where there is none), the turn."""

    view: int
    seq: int
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
                turns.finish_turn(cx, id, TurnState.ABORTED, posting.now)
                payload = TurnAbortedPayload(
                    session_id=self.row.id, turn=index, turn_id=id, reason="it was interrupted, or its process ended"
                )
                posting.post(cx, MnesisEvent.TURN_ABORTED, payload, index)

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

    async def open_turn(self, turn: NewTurn, user: NewMessage) -> OpenTurn:
        """Transaction 1: the turn is open, the user message stored and in the window."""
        live = await self.live()
        sent = self._sent(live, user, self.preamble(turn.system_prompt, turn.tools))

        def work(cx: Tx, posting: Posting) -> tuple[int, int, int]:
            return self._insert_open(cx, posting, turn, user, sent, live.version)

        def apply(stored: tuple[int, int, int]) -> None:
            index, view, seq = stored
            self._append(live, drafted(seq, index, user), view)

        index, _, _ = await self.write(work, apply)
        return OpenTurn(turn.id, index, user, sent.request_hash)

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

    async def add_round(
        self, turn: OpenTurn, said: tuple[Part, ...], results: tuple[Part, ...], room: int | None = None
    ) -> None:
        """Between the two: what the model said on its way to the reply, with its tool calls, and their results."""
        live = await self.live()
        drafts = [self.draft("assistant", said, room=room), self.draft("tool", results, room=room)]

        def work(cx: Tx, posting: Posting) -> list[tuple[int, int]]:
            stored = []
            for draft in drafts:
                view = views.advance(cx, self.row.id, "tool round", turn.index, posting.now)
                stored.append((view, self._insert_message(cx, posting, turn.id, turn.index, draft, view)))
            return stored

        def apply(stored: list[tuple[int, int]]) -> None:
            for draft, (view, seq) in zip(drafts, stored, strict=True):
                self._append(live, drafted(seq, turn.index, draft), view)

        await self.write(work, apply)

    async def finish_turn(self, turn: OpenTurn, outcome: Outcome, room: int | None = None) -> NewMessage | None:
        """Transaction 2: the turn is committed, failed or aborted; a whole reply is in the window.

        Returns the reply as stored: `None` where there was nothing to store, or the turn was finished before.
        """
        live = await self.live()
        committed = outcome.state is TurnState.COMMITTED
        reply = None
        if outcome.parts or committed:
            reply = self.draft("assistant", outcome.parts, room=room, partial=not committed)

        def work(cx: Tx, posting: Posting) -> _Finished | None:
            return self._insert_finished(cx, posting, turn.id, turn.index, outcome, reply)

        def apply(stored: _Finished | None) -> None:
            if stored is None:
                self._live = None
                return
            self.accounts.add([stored.turn])
            if reply is not None and committed:
                self._append(live, drafted(stored.seq, turn.index, reply), stored.view)

        return reply if await self.write(work, apply) else None

    async def record(
        self, turn: NewTurn, user: NewMessage, outcome: Outcome, room: int | None = None
    ) -> tuple[int, NewMessage]:
        """Both writes in one transaction: a turn that somebody else's model answered. Returns its index and reply."""
        live = await self.live()
        sent = self._sent(live, user, live.preamble)
        reply = self.draft("assistant", outcome.parts, room=room)

        def work(cx: Tx, posting: Posting) -> tuple[int, int, int, _Finished]:
            index, view, seq = self._insert_open(cx, posting, turn, user, sent, live.version)
            finished = self._insert_finished(cx, posting, turn.id, index, outcome, reply)
            assert finished is not None, "a turn that was opened in this transaction is open"
            return index, view, seq, finished

        def apply(stored: tuple[int, int, int, _Finished]) -> None:
            index, view, seq, finished = stored
            self._append(live, drafted(seq, index, user), view)
            self._append(live, drafted(finished.seq, index, reply), finished.view)
            self.accounts.add([finished.turn])

        index, *_ = await self.write(work, apply)
        return index, reply

    def _sent(self, live: LiveWindow, user: NewMessage, preamble: Preamble) -> Sent:
        """What the window with this message is; in O(message) where the preamble is the usual one."""
        if preamble != live.preamble:
            live = LiveWindow(live.version, preamble, live.entries)
        return Sent(*live.preview(drafted(-1, -1, user).items))

    def _append(self, live: LiveWindow, entry: Entry, view: int) -> None:
        """Follow the store; where something else moved the window in between, read it again."""
        if live is self._live and view == live.version + 1:
            live.append(entry, view)
        else:
            self._live = None

    def _insert_open(
        self, cx: Tx, posting: Posting, turn: NewTurn, user: NewMessage, sent: Sent, expected: int
    ) -> tuple[int, int, int]:
        session_id, now = self.row.id, posting.now
        if views.current(cx, session_id) != expected:
            raise StaleWindow(f"session {session_id} has moved on from view {expected}")
        index = turns.next_index(cx, session_id)
        view = views.advance(cx, session_id, "user message", index, now)
        turns.open_turn(cx, session_id, turn, index, view, sent.request_hash, sent.tokens, now)
        seq = self._insert_message(cx, posting, turn.id, index, user, view)
        return index, view, seq

    def _insert_finished(
        self,
        cx: Tx,
        posting: Posting,
        turn_id: str,
        index: int,
        outcome: Outcome,
        reply: NewMessage | None,
    ) -> _Finished | None:
        if not turns.finish_turn(cx, turn_id, outcome.state, posting.now, _columns(outcome)):
            return None
        view, seq = views.current(cx, self.row.id), -1
        if reply is not None:
            if not reply.partial:
                view = views.advance(cx, self.row.id, "reply", index, posting.now)
            seq = self._insert_message(cx, posting, turn_id, index, reply, view)
        posting.post(cx, *self._ending(turn_id, index, outcome), index)
        row = turns.find_turn(cx, self.row.id, index)
        assert row is not None, "the turn that was just finished is there"
        return _Finished(view, seq, row)

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
                return MnesisEvent.TURN_ABORTED, TurnAbortedPayload(**head, reason="it was interrupted")

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
