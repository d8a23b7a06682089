"""The record of one session: what is in the store, and the window that follows from it.

Each method is one transaction. Events are published after it, in the order in which they were stored.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from mnesis.context.assembly import Entry, LiveWindow, assemble, entry_of, measure, system_item, system_tokens
from mnesis.errors import MnesisError, NotFound, SessionNotFoundError
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
from mnesis.models.context import Budget, ContextBreakdown, ContextItem, ContextWindow, TurnSnapshot
from mnesis.models.message import Message, Part, Role, TokenUsage, TurnState
from mnesis.store import Database, Tx, events, messages, sessions, turns, views
from mnesis.store.messages import NewMessage, Sizes
from mnesis.store.rows import SessionRow, usage_columns
from mnesis.store.turns import NewTurn, TurnRow
from mnesis.tokens import TokenCounter, correction, counter_for

type Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of the store's time columns. Nothing is ordered by it."""
    return datetime.now(UTC)


class StaleWindow(MnesisError):
    """Another process moved the session on since the window was read. Internal: read it again."""


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn between its two transactions."""

    id: str
    index: int
    user: NewMessage


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


@dataclass(slots=True)
class _Posting:
    """The events of one transaction, kept until it is on disk."""

    now: datetime
    events: list[tuple[MnesisEvent, Payload]] = field(default_factory=list)

    def post(self, cx: Tx, event: MnesisEvent, payload: Payload, turn: int | None) -> None:
        events.append(cx, event, payload, turn, self.now)
        self.events.append((event, payload))


class Ledger:
    """One session in the store. Not safe for two turns at once: the session sees to that."""

    def __init__(
        self, db: Database, row: SessionRow, counter: TokenCounter, bus: EventBus, clock: Clock = utc_now
    ) -> None:
        self.row = row
        self.bus = bus
        self.counter = counter
        self._db = db
        self._clock = clock
        self._live: LiveWindow | None = None
        self._in_doubt = False
        self._turns: list[TurnRow] = []
        self._usage = TokenUsage()

    # -- beginning and end --------------------------------------------------------------------------------------

    @classmethod
    async def create(cls, db: Database, row: SessionRow, counter: TokenCounter, bus: EventBus) -> Self:
        """Store a new session."""
        ledger = cls(db, row, counter, bus)
        payload = SessionCreatedPayload(session_id=row.id, model=row.model, agent=row.agent, parent_id=row.parent_id)

        def work(cx: Tx, posting: _Posting) -> None:
            if row.parent_id is not None and sessions.find(cx, row.parent_id) is None:
                raise NotFound("session", row.parent_id, "it was given as parent_id")
            sessions.insert(cx, row)
            posting.post(cx, MnesisEvent.SESSION_CREATED, payload, None)

        await ledger._write(work)
        return ledger

    @classmethod
    async def load(cls, db: Database, id: str, bus: EventBus) -> Self:
        """Read a session. Raises `SessionNotFoundError`."""

        def work(cx: Tx) -> tuple[SessionRow, list[TurnRow]] | None:
            row = sessions.find(cx, id)
            return (row, turns.read_turns(cx, id)) if row else None

        found = await db.read(work)
        if found is None:
            raise SessionNotFoundError(id, db.path or ":memory:")
        ledger = cls(db, found[0], counter_for(found[0].model), bus)
        ledger._account(found[1])
        return ledger

    async def abort_left_open(self) -> None:
        """Mark turns that a dead process left open as aborted. Call it only while holding the session's lock."""
        if not any(row.state == TurnState.OPEN for row in self._turns):
            return

        def work(cx: Tx, posting: _Posting) -> None:
            for id, index in turns.open_turns(cx, self.row.id):
                turns.finish_turn(cx, id, TurnState.ABORTED, posting.now)
                payload = TurnAbortedPayload(
                    session_id=self.row.id, turn=index, turn_id=id, reason="it was interrupted, or its process ended"
                )
                posting.post(cx, MnesisEvent.TURN_ABORTED, payload, index)

        await self._write(work)
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
        await self._write(lambda cx, posting: posting.post(cx, MnesisEvent.SESSION_CLOSED, payload, None))

    # -- the two writes of a turn -------------------------------------------------------------------------------

    def draft(self, role: Role, parts: tuple[Part, ...], *, partial: bool = False) -> NewMessage:
        """A message with its ids and its tokens, counted now and never again."""
        return NewMessage(
            id=new_id("msg"),
            role=role,
            parts=parts,
            part_ids=tuple(new_id("part") for _ in parts),
            sizes=measure(role, parts, self.counter),
            partial=partial,
        )

    async def open_turn(self, turn: NewTurn, user: NewMessage, sent: Sent) -> OpenTurn:
        """Transaction 1: the turn is open, the user message stored and in the window."""
        live = await self.live()

        def work(cx: Tx, posting: _Posting) -> tuple[int, int, int]:
            return self._insert_open(cx, posting, turn, user, sent, live.version)

        def apply(stored: tuple[int, int, int]) -> None:
            index, view, seq = stored
            live.append(_entry(seq, index, user), view)

        index, _, _ = await self._write(work, apply)
        return OpenTurn(turn.id, index, user)

    async def finish_turn(self, turn: OpenTurn, outcome: Outcome) -> NewMessage | None:
        """Transaction 2: the turn is committed, failed or aborted; a whole reply is in the window.

        Returns the reply as stored: `None` where there was nothing to store, or the turn was finished before.
        """
        live = await self.live()
        committed = outcome.state is TurnState.COMMITTED
        reply = self.draft("assistant", outcome.parts, partial=not committed) if outcome.parts or committed else None

        def work(cx: Tx, posting: _Posting) -> _Finished | None:
            return self._insert_finished(cx, posting, turn.id, turn.index, outcome, reply)

        def apply(stored: _Finished | None) -> None:
            if stored is None:
                self._live = None
                return
            self._account([stored.turn])
            if reply is not None and committed:
                live.append(_entry(stored.seq, turn.index, reply), stored.view)

        return reply if await self._write(work, apply) else None

    async def record(self, turn: NewTurn, user: NewMessage, outcome: Outcome) -> tuple[int, NewMessage]:
        """Both writes in one transaction: a turn that somebody else's model answered. Returns its index and reply."""
        live = await self.live()
        sent = Sent(*live.preview(_entry(0, 0, user).items))
        reply = self.draft("assistant", outcome.parts)

        def work(cx: Tx, posting: _Posting) -> tuple[int, int, int, _Finished]:
            index, view, seq = self._insert_open(cx, posting, turn, user, sent, live.version)
            finished = self._insert_finished(cx, posting, turn.id, index, outcome, reply)
            assert finished is not None, "a turn that was opened in this transaction is open"
            return index, view, seq, finished

        def apply(stored: tuple[int, int, int, _Finished]) -> None:
            index, view, seq, finished = stored
            live.append(_entry(seq, index, user), view)
            live.append(_entry(finished.seq, index, reply), finished.view)
            self._account([finished.turn])

        index, *_ = await self._write(work, apply)
        return index, reply

    def _insert_open(
        self, cx: Tx, posting: _Posting, turn: NewTurn, user: NewMessage, sent: Sent, expected: int
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
        posting: _Posting,
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
        self, cx: Tx, posting: _Posting, turn_id: str, index: int, message: NewMessage, view: int
    ) -> int:
        session_id = self.row.id
        seq = messages.append(cx, session_id, turn_id, index, message, posting.now)
        if not message.partial:
            views.add_item(cx, session_id, seq, view, "message", message.id, message.tokens)
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
        """The current window, read from the store where memory does not hold it."""
        if self._live is None:
            self._live = await self._db.read(self._read_live)
        return self._live

    async def reread(self) -> None:
        """Forget what is in memory: somebody else went on with this session."""
        self._live = None
        self._account(await self._db.read(lambda cx: turns.read_turns(cx, self.row.id)))

    def system(self, override: str | None = None) -> ContextItem | None:
        """The system prompt as an item: the session's, or the one given for a turn."""
        if override is None or override == self.row.system_prompt:
            return system_item(self.row.system_prompt, self.row.system_tokens)
        return system_item(override, system_tokens(override, self.counter))

    async def window(
        self, budget: Budget, user: NewMessage | None = None, system_prompt: str | None = None
    ) -> ContextWindow:
        """The window as it would be sent now, with a user message that is not stored yet."""
        live = await self.live()
        drafted = [_entry(-1, len(self._turns), user)] if user else []
        return assemble(self.system(system_prompt), [*live.entries, *drafted], budget)

    async def past_window(self, turn: int, budget: Budget) -> ContextWindow:
        """The window of a past turn, as it was sent. Raises `NotFound`."""

        def work(cx: Tx) -> tuple[TurnRow, list[Entry]]:
            row = turns.find_turn(cx, self.row.id, turn)
            if row is None:
                raise NotFound("turn", str(turn), f"session {self.row.id} has {len(self._turns)} turns, from 0")
            return row, _entries(messages.read_window(cx, self.row.id, row.view))

        row, entries = await self._db.read(work)
        return assemble(self.system(row.system_prompt), entries, budget, turn=turn)

    def _read_live(self, cx: Tx) -> LiveWindow:
        entries = _entries(messages.read_window(cx, self.row.id, None))
        return LiveWindow(views.current(cx, self.row.id), self.system(), entries)

    # -- accounting ---------------------------------------------------------------------------------------------

    @property
    def usage(self) -> TokenUsage:
        """What the provider has counted over the whole session."""
        return self._usage

    def snapshots(self) -> list[TurnSnapshot]:
        """The window of each finished turn, in tokens by kind."""
        return [_snapshot(row) for row in self._turns if row.state != TurnState.OPEN]

    def correction(self) -> float:
        """What the provider counts for each token that we count. 1 where the counts are exact."""
        if self.counter.exact:
            return 1.0
        recent = [row for row in self._turns[-16:] if not row.recorded and row.model == self.row.model]
        return correction((row.window_tokens, row.input_tokens or 0) for row in recent)

    async def log(self) -> list[Message]:
        """Every message, in order."""
        return await self._db.read(lambda cx: messages.read_log(cx, self.row.id))

    async def events(self) -> list[EventRecord]:
        """Every event, in order."""
        return await self._db.read(lambda cx: events.read(cx, self.row.id))

    def _account(self, rows: Sequence[TurnRow]) -> None:
        """Take turns into memory: those of a finished turn, or all from the first."""
        start = rows[0].idx if rows else 0
        if start == 0:
            self._usage = TokenUsage()
        self._turns[start:] = rows
        self._usage += turns.usage_of(rows)

    # -- transactions -------------------------------------------------------------------------------------------

    async def _write[T](self, work: Callable[[Tx, _Posting], T], apply: Callable[[T], None] = lambda _: None) -> T:
        """Run `work` as one transaction, `apply` its result to what is in memory, then tell subscribers."""
        posting = _Posting(self._clock())
        try:
            result = await self._db.write(lambda cx: work(cx, posting))
        except BaseException:
            self._live = None  # a cancelled write may be on disk all the same: read everything again
            self._in_doubt = True
            raise
        apply(result)
        for event, payload in posting.events:
            await self.bus.publish(event, payload)
        return result


def _entry(seq: int, turn: int, message: NewMessage) -> Entry:
    return entry_of(seq, message.id, turn, message.role, message.parts, message.part_ids, message.sizes)


def _entries(stored: Iterable[tuple[Message, Sizes]]) -> list[Entry]:
    return [
        entry_of(message.seq, message.id, message.turn, message.role, message.parts, message.part_ids, sizes)
        for message, sizes in stored
    ]


def _columns(outcome: Outcome) -> dict[str, Any]:
    columns: dict[str, Any] = {"cost": outcome.cost, "finish_reason": outcome.finish_reason}
    if outcome.usage is not None:
        columns |= usage_columns(outcome.usage)
    if outcome.error is not None:
        columns |= {"error_kind": type(outcome.error).__name__, "error": str(outcome.error)}
    return columns


def _snapshot(row: TurnRow) -> TurnSnapshot:
    return TurnSnapshot(turn_index=row.idx, context_tokens=row.tokens)
