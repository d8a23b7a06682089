"""The record of one session: what is in the store, and the window that follows from it.

Each method is one transaction. Events are published after it, in the order in which they were stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Self

from mnesis.context.assembly import (
    Entry,
    LiveWindow,
    Preamble,
    assemble,
    entry_of,
    measure,
    summary_entry,
    system_item,
    system_tokens,
    tools_item,
)
from mnesis.context.excerpt import excerpts
from mnesis.errors import MnesisError, NotFound, SessionNotFoundError
from mnesis.events.bus import EventBus
from mnesis.events.payloads import (
    CompactionCompletedPayload,
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
from mnesis.models.context import Budget, ContextBreakdown, ContextWindow, TurnSnapshot
from mnesis.models.message import Message, Part, Role, TextPart, TokenUsage, TurnState
from mnesis.models.summary import Summary
from mnesis.store import Database, Tx, events, messages, sessions, summaries, turns, views
from mnesis.store.messages import NewMessage, Tombstone
from mnesis.store.rows import SessionRow, usage_columns
from mnesis.store.summaries import NewSummary
from mnesis.store.turns import NewTurn, ToolSet, TurnRow
from mnesis.tokens import TokenCounter, correction, counter_for

type Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of the store's time columns. Nothing is ordered by it."""
    return datetime.now(UTC)


_COMPACTIONS = (MnesisEvent.COMPACTION_TRIGGERED, MnesisEvent.COMPACTION_COMPLETED)
_RECENT = 50


class _SwapLost(Exception):
    """Something that was to be replaced does not stand in the window any more."""


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
        self._compactions: list[tuple[int, MnesisEvent, Payload]] = []
        self._usage = TokenUsage()

    # -- beginning and end --------------------------------------------------------------------------------------

    @classmethod
    async def create(
        cls, db: Database, row: SessionRow, counter: TokenCounter, bus: EventBus, clock: Clock = utc_now
    ) -> Self:
        """Store a new session."""
        ledger = cls(db, row, counter, bus, clock)
        payload = SessionCreatedPayload(session_id=row.id, model=row.model, agent=row.agent, parent_id=row.parent_id)

        def work(cx: Tx, posting: _Posting) -> None:
            if row.parent_id is not None and sessions.find(cx, row.parent_id) is None:
                raise NotFound("session", row.parent_id, "it was given as parent_id")
            sessions.insert(cx, row)
            posting.post(cx, MnesisEvent.SESSION_CREATED, payload, None)

        await ledger._write(work)
        return ledger

    @classmethod
    async def load(cls, db: Database, id: str, bus: EventBus, clock: Clock = utc_now) -> Self:
        """Read a session. Raises `SessionNotFoundError`."""

        def work(cx: Tx) -> tuple[SessionRow, list[TurnRow], list[EventRecord]] | None:
            row = sessions.find(cx, id)
            if row is None:
                return None
            return row, turns.read_turns(cx, id), events.recent(cx, id, _COMPACTIONS, limit=-1)

        found = await db.read(work)
        if found is None:
            raise SessionNotFoundError(id, db.path or ":memory:")
        row, past, compactions = found
        ledger = cls(db, row, counter_for(row.model), bus, clock)
        ledger._account(past)
        ledger._compactions = [
            (each.turn, each.event, each.payload) for each in reversed(compactions) if each.turn is not None
        ]
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

        def work(cx: Tx, posting: _Posting) -> tuple[int, int, int]:
            return self._insert_open(cx, posting, turn, user, sent, live.version)

        def apply(stored: tuple[int, int, int]) -> None:
            index, view, seq = stored
            self._append(live, _entry(seq, index, user), view)

        index, _, _ = await self._write(work, apply)
        return OpenTurn(turn.id, index, user, sent.request_hash)

    async def sending(self, turn: OpenTurn, budget: Budget, preamble: Preamble) -> ContextWindow:
        """The window that is sent now. Where it is not what was stored last, because of a compaction or a tool round,
        the turn's record follows. Raises `ContextOverflow`.
        """
        live = await self.live()
        window = assemble(preamble, live.entries, budget)
        if window.request_hash != turn.request_hash:
            version, sent = live.version, Sent(window.request_hash, window.breakdown())
            await self._write(lambda cx, _: turns.mark_sent(cx, turn.id, version, sent.request_hash, sent.tokens))
        return window

    async def tokens_of(self, turn: int) -> int:
        """How much of the window a turn takes."""
        newest = takewhile(lambda entry: entry.last_turn >= turn, reversed((await self.live()).entries))
        return sum(entry.tokens for entry in newest if entry.first_turn == turn)

    async def add_round(
        self, turn: OpenTurn, said: tuple[Part, ...], results: tuple[Part, ...], room: int | None = None
    ) -> None:
        """Between the two: what the model said on its way to the reply, with its tool calls, and their results."""
        live = await self.live()
        drafts = [self.draft("assistant", said, room=room), self.draft("tool", results, room=room)]

        def work(cx: Tx, posting: _Posting) -> list[tuple[int, int]]:
            stored = []
            for draft in drafts:
                view = views.advance(cx, self.row.id, "tool round", turn.index, posting.now)
                stored.append((view, self._insert_message(cx, posting, turn.id, turn.index, draft, view)))
            return stored

        def apply(stored: list[tuple[int, int]]) -> None:
            for draft, (view, seq) in zip(drafts, stored, strict=True):
                self._append(live, _entry(seq, turn.index, draft), view)

        await self._write(work, apply)

    async def finish_turn(self, turn: OpenTurn, outcome: Outcome, room: int | None = None) -> NewMessage | None:
        """Transaction 2: the turn is committed, failed or aborted; a whole reply is in the window.

        Returns the reply as stored: `None` where there was nothing to store, or the turn was finished before.
        """
        live = await self.live()
        committed = outcome.state is TurnState.COMMITTED
        reply = None
        if outcome.parts or committed:
            reply = self.draft("assistant", outcome.parts, room=room, partial=not committed)

        def work(cx: Tx, posting: _Posting) -> _Finished | None:
            return self._insert_finished(cx, posting, turn.id, turn.index, outcome, reply)

        def apply(stored: _Finished | None) -> None:
            if stored is None:
                self._live = None
                return
            self._account([stored.turn])
            if reply is not None and committed:
                self._append(live, _entry(stored.seq, turn.index, reply), stored.view)

        return reply if await self._write(work, apply) else None

    async def record(
        self, turn: NewTurn, user: NewMessage, outcome: Outcome, room: int | None = None
    ) -> tuple[int, NewMessage]:
        """Both writes in one transaction: a turn that somebody else's model answered. Returns its index and reply."""
        live = await self.live()
        sent = self._sent(live, user, live.preamble)
        reply = self.draft("assistant", outcome.parts, room=room)

        def work(cx: Tx, posting: _Posting) -> tuple[int, int, int, _Finished]:
            index, view, seq = self._insert_open(cx, posting, turn, user, sent, live.version)
            finished = self._insert_finished(cx, posting, turn.id, index, outcome, reply)
            assert finished is not None, "a turn that was opened in this transaction is open"
            return index, view, seq, finished

        def apply(stored: tuple[int, int, int, _Finished]) -> None:
            index, view, seq, finished = stored
            self._append(live, _entry(seq, index, user), view)
            self._append(live, _entry(finished.seq, index, reply), finished.view)
            self._account([finished.turn])

        index, *_ = await self._write(work, apply)
        return index, reply

    def _sent(self, live: LiveWindow, user: NewMessage, preamble: Preamble) -> Sent:
        """What the window with this message is; in O(message) where the preamble is the usual one."""
        if preamble != live.preamble:
            live = LiveWindow(live.version, preamble, live.entries)
        return Sent(*live.preview(_entry(-1, -1, user).items))

    def _append(self, live: LiveWindow, entry: Entry, view: int) -> None:
        """Follow the store; where something else moved the window in between, read it again."""
        if live is self._live and view == live.version + 1:
            live.append(entry, view)
        else:
            self._live = None

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
            tokens = _entry(seq, index, message).tokens
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
            since = self._settled()
            live, rows = await self._db.read(lambda cx: (self._read_live(cx), turns.read_turns(cx, self.row.id, since)))
            known = self._settled()  # another reader may have been quicker
            self._account([row for row in rows if row.idx >= known], known)
            self._live = live
        return self._live

    async def reread(self) -> None:
        """Forget the window in memory, and read it again: something else moved it."""
        self._live = None
        await self.live()

    def _settled(self) -> int:
        """How many turns memory holds that cannot change any more."""
        count = len(self._turns)
        while count and self._turns[count - 1].state == TurnState.OPEN:
            count -= 1
        return count

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
        drafted = [_entry(-1, len(self._turns), user)] if user else []
        return assemble(live.preamble if preamble is None else preamble, [*live.entries, *drafted], budget)

    async def past_window(self, turn: int, budget: Budget) -> ContextWindow:
        """The window of a past turn, as it was sent. Raises `NotFound`."""

        def work(cx: Tx) -> tuple[Preamble, list[Entry]]:
            row = turns.find_turn(cx, self.row.id, turn)
            if row is None:
                raise NotFound("turn", str(turn), f"session {self.row.id} has {len(self._turns)} turns, from 0")
            return self.preamble(row.system_prompt, turns.tool_set(cx, row.tools)), self._read_entries(cx, row.view)

        preamble, entries = await self._db.read(work)
        return assemble(preamble, entries, budget, turn=turn)

    def _read_live(self, cx: Tx) -> LiveWindow:
        return LiveWindow(views.current(cx, self.row.id), self.preamble(), self._read_entries(cx, None))

    def _read_entries(self, cx: Tx, view: int | None) -> list[Entry]:
        """What stands in a view (`None`: the current one), in the order of the window."""
        said = [
            entry_of(message.seq, message.id, message.turn, message.role, message.parts, message.part_ids, sizes, cut)
            for message, sizes, cut in messages.read_window(cx, self.row.id, view)
        ]
        stands_for = [
            summary_entry(
                pos,
                row.id,
                row.text,
                depth=row.depth,
                level=row.level,
                model=row.model,
                turns=(row.first_turn, row.last_turn),
                message_count=row.message_count,
                tokens=row.tokens,
            )
            for pos, row in summaries.read_window(cx, self.row.id, view)
        ]
        return sorted([*said, *stands_for], key=lambda entry: entry.pos)

    # -- compaction ---------------------------------------------------------------------------------------------

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.row.id

    def now(self) -> datetime:
        """What the clock says."""
        return self._clock()

    async def swap(self, entries: Sequence[Entry], summary: NewSummary) -> bool:
        """Let a summary stand for these entries from a new view on.

        Compare-and-swap: False, and nothing has changed, where one of them does not stand in the window any more.
        """

        def work(cx: Tx, posting: _Posting) -> bool:
            view = views.advance(cx, self.row.id, "compaction", None, posting.now)
            if not summaries.bury(cx, self.row.id, view, [entry.ref for entry in entries]):
                raise _SwapLost
            summaries.insert(cx, self.row.id, summary, posting.now)
            views.add_item(cx, self.row.id, entries[0].pos, view, "summary", summary.id, summary.tokens)
            return True

        return await self._moved(work)

    async def prune(self, stones: Sequence[Tombstone], of: Sequence[Entry]) -> bool:
        """Let tombstones stand for tool outputs from a new view on; compare-and-swap as in `swap`."""
        buried = {stone.part_id for stone in stones}
        refs = [entry.ref for entry in of if any(item.id in buried for item in entry.items)]

        def work(cx: Tx, posting: _Posting) -> bool:
            view = views.advance(cx, self.row.id, "pruning", None, posting.now)
            if not summaries.are_alive(cx, self.row.id, refs) or summaries.are_pruned(cx, buried):
                raise _SwapLost
            summaries.set_tombstones(cx, self.row.id, view, stones)
            return True

        return await self._moved(work)

    async def _moved(self, work: Callable[[Tx, _Posting], bool]) -> bool:
        try:
            await self._write(work)
        except _SwapLost:
            return False
        finally:
            self._live = None
        return True

    async def post(self, event: MnesisEvent, payload: Payload, turn: int | None) -> None:
        """Store an event by itself, and tell subscribers."""
        await self._write(lambda cx, posting: posting.post(cx, event, payload, turn))
        if event in _COMPACTIONS and turn is not None:
            self._compactions.append((turn, event, payload))

    async def recent_compactions(self) -> Sequence[Payload]:
        """What the last compactions came to, newest first."""
        ends = (MnesisEvent.COMPACTION_COMPLETED, MnesisEvent.COMPACTION_FAILED)
        found = await self._db.read(lambda cx: events.recent(cx, self.row.id, ends, _RECENT))
        return [record.payload for record in found]

    # -- accounting ---------------------------------------------------------------------------------------------

    @property
    def usage(self) -> TokenUsage:
        """What the provider has counted over the whole session."""
        return self._usage

    def snapshots(self) -> list[TurnSnapshot]:
        """The window of each finished turn, in tokens by kind, and what compaction it set off."""
        triggered = {turn for turn, event, _ in self._compactions if event is MnesisEvent.COMPACTION_TRIGGERED}
        results = {
            turn: payload.result()
            for turn, _, payload in self._compactions
            if isinstance(payload, CompactionCompletedPayload)
        }
        return [
            TurnSnapshot(
                turn_index=row.idx,
                context_tokens=row.tokens,
                compaction_triggered=row.idx in triggered,
                compact_result=results.get(row.idx),
            )
            for row in self._turns
            if row.state != TurnState.OPEN
        ]

    def correction(self) -> float:
        """What the provider counts for each token that we count. 1 where the counts are exact."""
        if self.counter.exact:
            return 1.0
        recent = [row for row in self._turns[-16:] if not row.recorded and row.model == self.row.model]
        return correction((row.window_tokens, row.input_tokens or 0) for row in recent)

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

    def _account(self, rows: Sequence[TurnRow], start: int | None = None) -> None:
        """Take the turns from `start` on (by default the first of them) into memory."""
        first = start if start is not None else rows[0].idx if rows else 0
        self._turns[first:] = rows
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
    cut = {index: (stone.text, stone.tokens) for index, stone in message.excerpts.items()}
    return entry_of(seq, message.id, turn, message.role, message.parts, message.part_ids, message.sizes, cut)


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
