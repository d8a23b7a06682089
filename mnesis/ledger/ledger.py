"""The record of one session: what is in the store, and the window that follows from it.

Each method is one transaction. Events are published after it, in the order in which they were stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

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
from mnesis.errors import InputError, describe_value
from mnesis.events.bus import EventBus
from mnesis.events.payloads import (
    EventRecord,
    MnesisEvent,
    Payload,
    SessionClosedPayload,
    SessionUpdatedPayload,
)
from mnesis.ids import new_id
from mnesis.ledger import inserts
from mnesis.ledger.accounts import Accounts
from mnesis.ledger.inserts import CUT_OFF, Finished, Opened, Outcome, Sent
from mnesis.ledger.windows import as_message, call_of, drafted, no_turn, read_entries
from mnesis.ledger.writing import Clock, Posting, Writer, utc_now
from mnesis.models.context import Budget, ContextWindow
from mnesis.models.message import Message, Part, Role, TokenUsage, TurnState
from mnesis.models.recall import Branch
from mnesis.models.summary import Summary
from mnesis.store import Database, Tx, events, messages, sessions, summaries, turns, views
from mnesis.store.messages import NewMessage
from mnesis.store.rows import SessionRow
from mnesis.store.turns import NewTurn, ToolSet, TurnRow
from mnesis.tokens import TokenCounter, counter_for

_LEFT = "no result was given; the user went on without it"


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """A turn between its two transactions. `message` is what began it."""

    id: str
    index: int
    message: NewMessage
    request_hash: str
    """Of the window that it was opened with."""


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """A turn that is stored as a whole: its index, its first and its last message, and what was written for it."""

    index: int
    first: str
    last: str
    usage: TokenUsage
    steps: tuple[Opened | Finished, ...] = ()


class Ledger:
    """One session in the store. Not safe for two turns at once: the session sees to that."""

    def __init__(
        self, db: Database, row: SessionRow, counter: TokenCounter, bus: EventBus, clock: Clock = utc_now
    ) -> None:
        self.row = row
        self.bus = bus
        self.counter = counter
        self.accounts = Accounts(row.id)
        self._db = db
        self._writer = Writer(db, bus, clock)
        self._live: LiveWindow | None = None
        self._in_doubt = False

    # -- as a whole ---------------------------------------------------------------------------------------------

    async def abort_left_open(self) -> None:
        """Mark turns that a dead process left open as aborted. Call it only while holding the session's lock."""
        if not any(row.state == TurnState.OPEN for row in self.accounts.rows):
            return

        def work(cx: Tx, posting: Posting) -> None:
            for id, index in turns.open_turns(cx, self.row.id):
                self._finish(cx, posting, id, index, CUT_OFF)

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

    async def rename(self, title: str) -> None:
        """Store what the session is called from now on."""
        payload = SessionUpdatedPayload(session_id=self.row.id, field="title", before=self.row.title, after=title)
        await self.post(MnesisEvent.SESSION_UPDATED, payload, None)
        self.row = replace(self.row, title=title)

    async def branches(self) -> list[Branch]:
        """The sessions that forks relate to this one."""
        return await self._db.read(lambda cx: sessions.branches(cx, self.row.id))

    async def close(self) -> None:
        """Store that the session was closed."""
        payload = SessionClosedPayload(session_id=self.row.id)
        await self.post(MnesisEvent.SESSION_CLOSED, payload, None)

    # -- the two writes of a turn -------------------------------------------------------------------------------

    def draft(
        self,
        role: Role,
        parts: tuple[Part, ...],
        *,
        room: int | None = None,
        partial: bool = False,
        at: datetime | None = None,
    ) -> NewMessage:
        """A message with its ids and its tokens, counted now and never again.

        What makes it larger than `room` tokens is kept whole, and stands in the window as an excerpt. `at` is when it
        was said, by default when it is stored.
        """
        part_ids = tuple(new_id("part") for _ in parts)
        sizes = measure(role, parts, self.counter)
        cut = {} if room is None else excerpts(role, parts, part_ids, sizes, room, self.counter)
        return NewMessage(new_id("msg"), role, parts, part_ids, sizes, cut, partial, at)

    async def open_turn(self, turn: NewTurn, message: NewMessage) -> OpenTurn:
        """Transaction 1: the turn is open, the message that begins it stored and in the window.

        Tool calls that still wait for a result get none any more where a user goes on without it: that is said.
        """
        live = await self.live()
        opening = [message]
        if message.role == "user" and (pending := pending_calls(live.entries)):
            opening.insert(0, self.draft("tool", tuple(call_of(item).failed(_LEFT) for item in pending)))
        sent = self._sent(live, opening, self.preamble(turn.system_prompt, turn.tools))

        def work(cx: Tx, posting: Posting) -> Opened:
            return inserts.open_turn(cx, posting, self.row.id, turn, opening, sent, live.version)

        opened = await self.write(work, lambda opened: self._follow(live, opened))
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

        def work(cx: Tx, posting: Posting) -> Opened:
            return inserts.add(cx, posting, self.row.id, turn.id, turn.index, draft, "tool round")

        await self.write(work, lambda added: self._follow(live, added))
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

        def work(cx: Tx, posting: Posting) -> Finished | None:
            return self._finish(cx, posting, turn.id, turn.index, outcome, reply, room)

        def apply(finished: Finished | None) -> None:
            if finished is None:
                self._live = None
                return
            self.accounts.add([finished.turn])
            self._follow(live, finished)

        return reply if await self.write(work, apply) else None

    async def record(
        self, turn: NewTurn, asked: NewMessage | None, answered: Sequence[NewMessage], outcome: Outcome
    ) -> RecordedTurn:
        """Both writes in one transaction: a turn that somebody else's model answered.

        A turn with the key of one that is stored already is not stored again; that one is returned.
        """
        live = await self.live()
        opening = [] if asked is None else [asked]
        sent = self._sent(live, opening, live.preamble)

        def work(cx: Tx, posting: Posting) -> RecordedTurn:
            if turn.key is not None and (known := turns.of_key(cx, self.row.id, turn.key)):
                return RecordedTurn(known.row.idx, known.first, known.last, known.row.usage)
            opened = inserts.open_turn(cx, posting, self.row.id, turn, opening, sent, live.version)
            steps = [opened]
            steps += [
                inserts.add(cx, posting, self.row.id, turn.id, opened.index, message, "recorded turn")
                for message in answered[:-1]
            ]
            finished = inserts.finish_turn(cx, posting, self.row.id, turn.id, opened.index, outcome, answered[-1:])
            assert finished is not None, "a turn that was opened in this transaction is open"
            said = [*opening, *answered]
            ids = (said[0].id, said[-1].id) if said else ("", "")
            return RecordedTurn(opened.index, *ids, finished.turn.usage, (*steps, finished))

        def apply(stored: RecordedTurn) -> None:
            for step in stored.steps:
                self._follow(live, step)
                if isinstance(step, Finished):
                    self.accounts.add([step.turn])

        return await self.write(work, apply)

    def _sent(self, live: LiveWindow, opening: Sequence[NewMessage], preamble: Preamble) -> Sent:
        """What the window with these messages is; in O(messages) where the preamble is the usual one."""
        if preamble != live.preamble:
            live = LiveWindow(live.version, preamble, live.entries)
        return Sent(*live.preview([item for message in opening for item in drafted(-1, -1, message).items]))

    def _follow(self, live: LiveWindow, step: Opened | Finished) -> None:
        """Follow the store; where something else moved the window in between, read it again."""
        if live is self._live and step.view == live.version + bool(step.entries):
            live.extend(step.entries, step.view)
        else:
            self._live = None

    def _finish(
        self,
        cx: Tx,
        posting: Posting,
        turn_id: str,
        index: int,
        outcome: Outcome,
        reply: NewMessage | None = None,
        room: int | None = None,
    ) -> Finished | None:
        last = [] if reply is None else [reply]
        cut_off = outcome.state is not TurnState.COMMITTED
        if cut_off and (results := inserts.unanswered(cx, self.row.id, turn_id, outcome.results)):
            last.insert(0, self.draft("tool", results, room=room))
        return inserts.finish_turn(cx, posting, self.row.id, turn_id, index, outcome, last)

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

    async def next_window(self, budget: Budget) -> ContextWindow:
        """The window as it stands, also where it does not fit."""
        live = await self.live()
        return assemble(live.preamble, live.entries, budget, to_send=False)

    async def past_window(self, turn: int, budget: Budget) -> ContextWindow:
        """The window of a past turn, as it was sent. Raises `InputError`, `NotFound`."""
        if not isinstance(turn, int) or isinstance(turn, bool):
            raise InputError(f"turn={describe_value(turn)} is not usable; give the 0-based index of a turn")

        def work(cx: Tx) -> tuple[Preamble, list[Entry]]:
            row = turns.find_turn(cx, self.row.id, turn)
            if row is None:
                raise no_turn(self.row.id, turn, len(self.accounts.rows))
            tools = turns.tool_set(cx, row.tools)
            return self._preamble_of(cx, row, tools), read_entries(cx, row.session_id, row.view)

        preamble, entries = await self._db.read(work)
        return assemble(preamble, entries, budget, turn=turn)

    def _preamble_of(self, cx: Tx, row: TurnRow, tools: ToolSet | None) -> Preamble:
        """What a turn began with: where a fork shares it, the prompt may be that of the session that had it."""
        if row.session_id == self.row.id:
            return self.preamble(row.system_prompt, tools)
        owner = sessions.find(cx, row.session_id)
        assert owner is not None, "foreign keys are on"
        return Ledger(self._db, owner, counter_for(owner.model), self.bus).preamble(row.system_prompt, tools)

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
            made = [as_message(summary, seq) for summary, seq in summaries.read_placed(cx, self.row.id)]
            return sorted([*said, *made], key=lambda message: (message.seq, message.is_summary))

        return await self._db.read(work)

    async def keys(self) -> dict[int, str]:
        """The keys that turns were recorded under, by the index of the turn."""
        return await self._db.read(lambda cx: turns.keys(cx, self.row.id))

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

        def work(cx: Tx, posting: Posting) -> int:
            return posting.post(cx, event, payload, turn)

        await self.write(work, lambda seq: self.accounts.note(seq, turn, event, payload))
