"""Erasing a session for good. Its mark stays."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mnesis.errors import InputError, SessionBusy, SessionNotFoundError, StoreError, describe_value
from mnesis.files.keeping import Keeping
from mnesis.ids import kind_of
from mnesis.ledger import Clock, utc_now
from mnesis.models.config import StoreConfig
from mnesis.store import Tx, erasures, files, sessions
from mnesis.store.database import opened
from mnesis.store.erasures import Erasure
from mnesis.store.lock import SessionLock
from mnesis.tasks import in_thread


async def erase(
    session_id: str,
    *,
    db_path: str | Path | None = None,
    storage_dir: str | Path | None = None,
    clock: Clock = utc_now,
) -> Erasure:
    """Delete a session from its store for good: all its own rows, and what they can be found by. A mark stays.

    What it shares with the session that it was forked from stays with that one. Copies of files that it had kept go,
    unless another session refers to the same content; files that it only points at stay. `storage_dir` is where the
    copies are, by default where the session's settings have them. The store is written anew, so this takes as long as
    copying it. Calling it again does what a process that died had left.
    Raises `SessionBusy` in a turn, `StoreError` where forks or sub-sessions stand on it, `Locked` where another process
    holds the file, `SessionNotFoundError`, and `FileError` where a copy cannot be removed.
    """
    if not isinstance(session_id, str) or kind_of(session_id) != "session":
        raise InputError(f"session_id={describe_value(session_id)} is not a session id; those begin with 'sess_'")
    config = StoreConfig() if db_path is None else StoreConfig(db_path=Path(db_path))
    async with opened(config, create=False) as store:
        lock = SessionLock(store.path, session_id, store.in_turn)
        if not lock.try_acquire():
            raise SessionBusy(session_id, 0)
        try:
            copies = _Copies(store.path, session_id)
            if to_go := await store.read(lambda cx: _to_go(cx, session_id, store.path, storage_dir)):
                await in_thread(lambda: copies.intend(to_go))
            mark = await store.write(lambda cx: _erase(cx, session_id, clock, store.path))
        finally:
            lock.release()
        removed = await in_thread(copies.remove)
        await store.rewrite()
        return replace(mark, copies=removed)


@dataclass(frozen=True, slots=True)
class _ToGo:
    """The copies of a session, by hash and id of each reference, and where they are."""

    folder: str
    references: list[tuple[str, str]]


class _Copies:
    """The copies of a session that is erased. Which they are is written down beside the store before its rows go: after
    that nobody would know, if the process died.
    """

    def __init__(self, store: Path | None, session_id: str) -> None:
        self._note = None if store is None else store.with_name(f"{store.name}.erasing-{session_id}")

    def intend(self, to_go: _ToGo) -> None:
        """Write them down."""
        if self._note is None:  # a store in memory, which ends with its process
            return
        with self._note.open("w", encoding="utf-8") as file:
            json.dump(asdict(to_go), file)
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> int:
        """Let go of those that are written down. Returns how many of them nobody else refers to, and are removed."""
        if self._note is None or not self._note.exists():
            return 0
        to_go = _ToGo(**json.loads(self._note.read_text("utf-8")))
        keeping = Keeping(Path(to_go.folder))
        removed = sum(keeping.drop(digest, id) for digest, id in to_go.references)
        self._note.unlink()
        return removed


def _to_go(cx: Tx, session_id: str, path: Path | None, storage_dir: str | Path | None) -> _ToGo | None:
    _check(cx, session_id, path)
    row = sessions.find(cx, session_id)
    references = files.kept_by(cx, session_id)
    if row is None or not references:
        return None
    folder = row.config.file.storage_dir if storage_dir is None else Path(storage_dir)
    return _ToGo(str(folder.expanduser().absolute()), references)


def _erase(cx: Tx, session_id: str, clock: Clock, path: Path | None) -> Erasure:
    _check(cx, session_id, path)
    return erasures.find(cx, session_id) or erasures.erase(cx, session_id, clock())


def _check(cx: Tx, session_id: str, path: Path | None) -> None:
    """Raise what says that a session cannot be erased."""
    if erasures.find(cx, session_id):
        return
    if sessions.find(cx, session_id) is None:
        raise SessionNotFoundError(session_id, path or ":memory:")
    if standing := erasures.standing_on(cx, session_id):
        raise StoreError(
            f"{', '.join(standing)} stand on session {session_id}: forks of it, or begun by it; erase them first"
        )
