"""Erasing a session for good. Its mark stays."""

from pathlib import Path

from mnesis.errors import InputError, SessionBusy, SessionNotFoundError, StoreError, describe_value
from mnesis.ids import kind_of
from mnesis.ledger import Clock, utc_now
from mnesis.models.config import StoreConfig
from mnesis.store import Tx, erasures, sessions
from mnesis.store.database import opened
from mnesis.store.erasures import Erasure
from mnesis.store.lock import SessionLock


async def erase(session_id: str, *, db_path: str | Path | None = None, clock: Clock = utc_now) -> Erasure:
    """Delete a session from its store for good: all its own rows, and what they can be found by. A mark stays.

    What it shares with the session that it was forked from stays with that one; files that it refers to stay where they
    are. The store is written anew, so this takes as long as copying it. Calling it again does that again.
    Raises `SessionBusy` in a turn, `StoreError` where forks or sub-sessions stand on it, `Locked` where another process
    holds the file, `SessionNotFoundError`.
    """
    if not isinstance(session_id, str) or kind_of(session_id) != "session":
        raise InputError(f"session_id={describe_value(session_id)} is not a session id; those begin with 'sess_'")
    config = StoreConfig() if db_path is None else StoreConfig(db_path=Path(db_path))
    async with opened(config, create=False) as store:
        lock = SessionLock(store.path, session_id, store.in_turn)
        if not lock.try_acquire():
            raise SessionBusy(session_id, 0)
        try:
            mark = await store.write(lambda cx: _erase(cx, session_id, clock, store.path))
        finally:
            lock.release()
        await store.rewrite()
        return mark


def _erase(cx: Tx, session_id: str, clock: Clock, path: Path | None) -> Erasure:
    if mark := erasures.find(cx, session_id):
        return mark
    if sessions.find(cx, session_id) is None:
        raise SessionNotFoundError(session_id, path or ":memory:")
    if standing := erasures.standing_on(cx, session_id):
        raise StoreError(
            f"{', '.join(standing)} stand on session {session_id}: forks of it, or begun by it; erase them first"
        )
    return erasures.erase(cx, session_id, clock())
