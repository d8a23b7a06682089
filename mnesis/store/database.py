"""One SQLite file: its connection, its transactions, its errors.

A unit of work is a plain function over `sqlite3.Connection`; `Database.write` and `Database.read` run the whole of it
on the connection's thread in one hop, because a hop costs about as much as a statement. Between BEGIN and COMMIT
nothing is awaited, so a transaction cannot be left half done by a cancelled task.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import aiosqlite

from mnesis.errors import Corrupt, Locked, NotFound, ReadOnly, StoreError
from mnesis.models.config import StoreConfig
from mnesis.store import search
from mnesis.store.migrations import migrate, version_of
from mnesis.store.rows import undecodable_row

type Work[T] = Callable[[sqlite3.Connection], T]


class Database:
    """An open store. Share one among the sessions of a process by passing it as `pool=`."""

    def __init__(self, path: Path | None, connection: "_Connection", timeout: float) -> None:
        self.path = path
        self.timeout = timeout
        self.in_turn: set[str] = set()
        """Of a store in memory: the sessions that are in a turn. A file has locks of its own beside it."""
        self._connection = connection

    @classmethod
    async def open(cls, config: StoreConfig | None = None, *, create: bool = True) -> Self:
        """Open the store, creating the file and its folder unless `create` is False.

        Raises `NotFound` when it is not there and must be, `ReadOnly`, `Locked`, `SchemaVersion`, `StoreError`.
        """
        config = config or StoreConfig()
        memory = str(config.db_path) == ":memory:"
        path = None if memory else _expanded(config.db_path)
        if path is not None:
            _prepare(path, create)
        connection = _Connection(lambda: _connect(path, config), iter_chunk_size=64)
        with _translated(path):
            try:
                await connection
            except BaseException:
                await connection.ended()  # else its thread may report to an event loop that is closed by then
                raise
        return cls(path, connection, config.connection_timeout)

    async def write[T](self, work: Work[T]) -> T:
        """Run `work` in one immediate transaction: all of it happens, or nothing.

        A cancelled caller still waits for it to end, so that what is on disk is never in doubt.
        """
        return await self._run(_in_transaction, work, "BEGIN IMMEDIATE")

    async def read[T](self, work: Work[T]) -> T:
        """Run `work` on one consistent snapshot."""
        return await self._run(_in_transaction, work, "BEGIN")

    async def backup(self, target: Path) -> None:
        """A consistent copy, while sessions go on: SQLite's backup API, never a copy of the file and its WAL."""

        def copy(source: sqlite3.Connection) -> None:
            destination = sqlite3.connect(target)
            try:
                source.backup(destination)
            finally:
                destination.close()

        await self._run(copy)

    async def rewrite(self) -> None:
        """Write the file anew with what is left in it, so that no byte of what was deleted stays, nor in its log.

        Raises `Locked` while another process reads or writes it.
        """

        def work(cx: sqlite3.Connection) -> bool:
            cx.execute("VACUUM")
            busy, *_ = cx.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

        if not await self._run(work):
            raise Locked(f"{self.path} is read by another process, so its log still holds what was deleted; try again")

    async def close(self) -> None:
        """Close the file. Further calls raise `StoreError`."""
        await self._connection.close()

    async def _run[T](self, function: Callable[..., T], *arguments: Any) -> T:
        with _translated(self.path):
            work = asyncio.ensure_future(self._connection.run(function, *arguments))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                while not work.done():  # also when the caller is cancelled again
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([work])
                if not work.cancelled():
                    work.exception()  # the caller is gone: else asyncio prints that nobody asked for it
                raise


class _Connection(aiosqlite.Connection):
    """Adds the one thing that aiosqlite lacks: running a function of ours on its thread."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        # A program that forgets to close its session must still be able to end; every commit is on disk already.
        self._thread.daemon = True

    async def ended(self) -> None:
        """Wait for the thread of a connection that could not be made."""
        while self._thread.is_alive():  # noqa: ASYNC110  # while the interpreter ends there is no thread to join it in
            await asyncio.sleep(0.005)

    async def run[T](self, function: Callable[..., T], *arguments: Any) -> T:
        """Call `function(connection, *arguments)` on the connection's thread."""
        # aiosqlite has no types inside.
        result: T = await self._execute(lambda: function(self._conn, *arguments))  # type: ignore[no-untyped-call]
        return result


def _in_transaction[T](connection: sqlite3.Connection, work: Work[T], begin: str) -> T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.OperationalError) and "decode to UTF-8" in str(error):
            raise undecodable_row(connection) from error
        raise
    return result


def _expanded(path: Path) -> Path:
    try:
        if "\0" in str(path):
            raise ValueError("it holds a NUL character")
        return path.expanduser()
    except (ValueError, RuntimeError) as error:
        raise StoreError(f"{str(path)!r} is no usable path ({error}); choose another db_path") from error


def _prepare(path: Path, create: bool) -> None:
    try:
        if not create and not path.exists():
            raise NotFound("store", str(path), "nothing was created; check db_path")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise StoreError(f"{path} is a folder; give db_path the name of a file")
    except OSError as error:
        raise ReadOnly(f"{path} cannot be used ({error.strerror}: {error.filename}); choose another db_path") from error


def _connect(path: Path | None, config: StoreConfig) -> sqlite3.Connection:
    target = ":memory:" if path is None else f"file:{quote(str(path))}?mode=rwc"
    connection = sqlite3.connect(
        target, uri=path is not None, timeout=config.connection_timeout, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        version_of(connection)  # before anything is written: somebody else's file stays as it is
        if path is not None and config.wal_mode:
            _use_wal(connection, config.connection_timeout)
        connection.execute("PRAGMA synchronous = FULL")
        search.register(connection)
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Switch to WAL once per file. SQLite does not wait for other processes here, so we do."""
    deadline = time.monotonic() + timeout
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class _translated:
    """Turns sqlite3's errors into ours at the edge of the store."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise _explained(error, self._path) from error
        if isinstance(error, ValueError) and str(error) in ("Connection closed", "no active connection"):
            raise StoreError(f"the store {self._path} is closed; open it again") from error


def _explained(error: sqlite3.Error, path: Path | None) -> StoreError:
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Locked(f"{path} is locked by another process; close it there, or raise StoreConfig.connection_timeout")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return ReadOnly(f"{path} cannot be written ({error}); check its permissions, or choose another db_path")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path} is not an SQLite file; give mnesis a db_path of its own")
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"the disk that holds {path} is full; nothing of this step was stored, free some space")
    if code == sqlite3.SQLITE_CORRUPT:
        return Corrupt("database", str(path), str(error))
    return StoreError(f"{path}: {error}")


@asynccontextmanager
async def opened(config: StoreConfig, *, create: bool) -> AsyncIterator[Database]:
    """A database for the length of a block."""
    database = await Database.open(config, create=create)
    try:
        yield database
    finally:
        await database.close()
