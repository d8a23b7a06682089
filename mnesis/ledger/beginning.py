"""Where the record of a session comes from: it is new, it was stored before, or it begins with another one's past."""

from dataclasses import replace

from mnesis.errors import InputError, NotFound, SessionNotFoundError, describe_value
from mnesis.events.bus import EventBus
from mnesis.events.payloads import EventRecord, MnesisEvent, SessionCreatedPayload
from mnesis.ledger.accounts import COMPACTIONS
from mnesis.ledger.ledger import Ledger
from mnesis.ledger.windows import no_turn
from mnesis.ledger.writing import Clock, Posting, Writer
from mnesis.models.message import TurnState
from mnesis.store import Database, Tx, branches, erasures, events, sessions, turns
from mnesis.store.branches import Segment
from mnesis.store.rows import SessionRow
from mnesis.store.turns import TurnRow
from mnesis.tokens import TokenCounter, counter_for


async def create(db: Database, row: SessionRow, counter: TokenCounter, bus: EventBus, clock: Clock) -> Ledger:
    """Store a new session. Raises `NotFound` for a parent that is not there."""
    ledger = Ledger(db, row, counter, bus, clock)
    payload = SessionCreatedPayload(session_id=row.id, model=row.model, agent=row.agent, parent_id=row.parent_id)

    def work(cx: Tx, posting: Posting) -> None:
        if row.parent_id is not None and sessions.find(cx, row.parent_id) is None:
            raise NotFound("session", row.parent_id, "it was given as parent_id")
        sessions.insert(cx, row)
        posting.post(cx, MnesisEvent.SESSION_CREATED, payload, None)

    await ledger.write(work)
    return ledger


async def load(db: Database, id: str, bus: EventBus, clock: Clock) -> Ledger:
    """Read a session. Raises `SessionNotFoundError`."""

    def work(cx: Tx) -> tuple[SessionRow, list[TurnRow], list[EventRecord]] | None:
        row = sessions.find(cx, id)
        if row is None:
            return None
        return row, turns.read_turns(cx, id), events.recent(cx, id, COMPACTIONS, limit=-1)

    found = await db.read(work)
    if found is None:
        mark = await db.read(lambda cx: erasures.find(cx, id))
        gone = f"its {mark.turns} turns were erased on {mark.erased_at:%Y-%m-%d %H:%M} UTC" if mark else ""
        raise SessionNotFoundError(id, db.path or ":memory:", gone)
    row, past, compactions = found
    ledger = Ledger(db, row, counter_for(row.model), bus, clock)
    ledger.accounts.add(past)
    for each in reversed(compactions):
        ledger.accounts.note(each.seq, each.turn, each.event, each.payload)
    return ledger


async def fork(past: Ledger, db: Database, row: SessionRow, turn: int | None, bus: EventBus, clock: Clock) -> Ledger:
    """Store `row` as a new session that shares the turns of another one up to one; `None`: all that are finished.

    Its window is the one that the next turn was given, or the current one where there is none.
    Raises `InputError`, `NotFound`.
    """
    if turn is not None and (not isinstance(turn, int) or isinstance(turn, bool) or turn < -1):
        raise InputError(f"turn={describe_value(turn)} is not usable; give the index of a turn, or -1 for none")
    origin, known = past.row.id, past.accounts.settled()

    def work(cx: Tx, posting: Posting) -> tuple[SessionRow, list[TurnRow], Segment]:
        at = _last_shared(cx, origin, turn)
        forked = replace(row, forked_from=origin, forked_turn=at)
        sessions.insert(cx, forked)
        own = branches.fork(cx, origin, at, row.id, posting.now)
        payload = SessionCreatedPayload(
            session_id=row.id, model=row.model, agent=row.agent, forked_from=origin, forked_turn=at
        )
        posting.post(cx, MnesisEvent.SESSION_CREATED, payload, None)
        return forked, turns.read_turns(cx, row.id, known), own

    forked, unknown, own = await Writer(db, bus, clock).write(work)
    ledger = Ledger(db, forked, counter_for(row.model), bus, clock)
    ledger.accounts = past.accounts.forked(row.id, own.first_turn - 1, own.first_event - 1)
    ledger.accounts.add(unknown)
    return ledger


def _last_shared(cx: Tx, session_id: str, turn: int | None) -> int:
    """The last turn of a fork: this one, where it is finished; `None`: the last that is."""
    count = branches.next_number(cx, session_id, "turn")
    if turn is None:
        unfinished = turns.open_turns(cx, session_id)
        return (unfinished[0][1] if unfinished else count) - 1
    if turn >= 0:
        row = turns.find_turn(cx, session_id, turn)
        if row is None:
            raise no_turn(session_id, turn, count)
        if row.state == TurnState.OPEN:
            raise InputError(f"turn={turn} is not finished; wait for it, or fork before it: turn={turn - 1}")
    return turn
