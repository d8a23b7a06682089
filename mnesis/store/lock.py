"""One turn at a time, across processes: a file lock per session, which the system lets go when a process dies."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from mnesis.errors import ReadOnly, SessionBusy

if TYPE_CHECKING:
    from filelock import BaseFileLock

_POLL_SECONDS = 0.01
_LOOK_SECONDS = 5.0


class SessionLock:
    """Held for the length of a turn, by whoever runs it. For a store in memory `in_turn` holds who has it."""

    def __init__(self, store: Path | None, session_id: str, in_turn: set[str]) -> None:
        self._session_id = session_id
        self._in_turn = in_turn
        self._lock = None if store is None else _file_lock(store, session_id)

    async def acquire(self, timeout: float) -> None:
        """Take the lock, waiting at most `timeout` seconds. Raises `SessionBusy`."""
        deadline = asyncio.get_running_loop().time() + timeout
        while not self.try_acquire():
            if asyncio.get_running_loop().time() >= deadline:
                raise SessionBusy(self._session_id, timeout)
            await asyncio.sleep(_POLL_SECONDS)

    def try_acquire(self) -> bool:
        """Take the lock if it is free at this moment."""
        if self._lock is None:
            free = self._session_id not in self._in_turn
            self._in_turn.add(self._session_id)
            return free
        from filelock import Timeout

        try:
            self._lock.acquire()
        except Timeout:
            return False
        except OSError as error:
            raise ReadOnly(f"the lock file {self._lock.lock_file} cannot be written ({error.strerror})") from error
        return True

    def release(self) -> None:
        """Let others have a turn."""
        if self._lock is not None:
            self._lock.release()
        self._in_turn.discard(self._session_id)


def _file_lock(store: Path, session_id: str) -> "BaseFileLock":
    # Imported here: it takes as long as all the rest of `import mnesis`.
    from filelock import FileLock

    return FileLock(_lock_file(store, session_id), timeout=0)


def _folder(store: Path) -> Path:
    return store.with_name(store.name + ".locks")


def _lock_file(store: Path, session_id: str) -> Path:
    folder = _folder(store)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ReadOnly(f"the folder {folder} cannot be created ({error.strerror}); choose another db_path") from error
    return folder / session_id


class OwnerLock:
    """Says that the owner of some work is alive: held as long as it works, and let go by the system when it dies."""

    def __init__(self, store: Path | None, owner: str, here: set[str]) -> None:
        self._file = None if store is None else _lock_file(store, owner)
        self._lock = SessionLock(store, owner, here)

    async def take(self) -> None:
        """Be alive. Nobody else has this name, but who looks for the living may have the lock for a moment."""
        await self._lock.acquire(_LOOK_SECONDS)

    def release(self) -> None:
        """Be gone, and leave no file behind."""
        self._lock.release()
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def is_dead(self) -> bool:
        """Whether nobody of this name is alive."""
        if not self._lock.try_acquire():
            return False
        self.release()
        return True


def living(store: Path | None, prefix: str, here: set[str]) -> set[str]:
    """The owners whose names begin so and who are alive. Looking creates nothing and takes nothing away."""
    if store is None:
        return {name for name in here if name.startswith(prefix)}
    return {file.name for file in _folder(store).glob(f"{prefix}*") if _is_held(file)}


def _is_held(file: Path) -> bool:
    from filelock import FileLock, Timeout

    try:
        with FileLock(file, timeout=0):
            return False
    except (Timeout, OSError):  # what cannot be tried, as it is somebody else's, may be alive
        return True
