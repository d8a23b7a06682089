"""The sessions of this kernel: which are open, which one is current, where they are kept."""

import asyncio
import atexit
import contextlib
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Protocol

from mnesis import Database, InputError, MnesisSession, NotFound, StoreConfig
from mnesis_jupyter import frames
from mnesis_jupyter.attachments import Waiting
from mnesis_jupyter.bridge import Bridge
from mnesis_jupyter.current import CURRENT

_GOODBYE = 3.0
"""Seconds that open sessions have to finish their turns when the kernel ends."""

_LAST_WORDS = 1.0
"""Of these, the seconds before turns in the background are stopped, so that what there is of them is stored."""


class Running(Protocol):
    """A turn that runs in the background."""

    session: MnesisSession
    origin: str | None

    @property
    def waits(self) -> bool:
        """Whether its question is not stored yet."""

    def cancel(self) -> None:
        """Stop it without waiting."""

    def stop(self) -> None:
        """Stop it, and wait until it is stored."""


class Ending(Protocol):
    """A map that runs in the background."""

    def cancel(self) -> None:
        """Stop it without waiting."""

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for its end."""


class State:
    """Opens sessions on the bridge's loop and keeps them. Each file is opened once, and shared by its sessions."""

    def __init__(self) -> None:
        self.bridge = Bridge()
        self.error: BaseException | None = None
        """What the last magic that failed ran into."""
        self.introduced = False
        """Whether a cell has said which model answers."""
        self.running: set[Running] = set()
        """The turns that run in the background."""
        self.maps: set[Ending] = set()
        """The maps that do."""
        self.waiting = Waiting()
        """What goes along with the next turn of each session."""
        self._stores: dict[Path, Database] = {}
        self._opening = asyncio.Lock()
        self._loading = threading.Lock()
        self._sessions: dict[str, MnesisSession] = {}
        self._named: dict[str, str] = {}
        """Which session a title means: branches have the same, and the one that was current last is meant."""
        self._listeners: dict[str, Callable[[str], None]] = {}
        atexit.register(self._say_goodbye)

    @property
    def sessions(self) -> tuple[MnesisSession, ...]:
        """Those that are open, in the order of opening."""
        return tuple(self._sessions.values())

    # -- opening ----------------------------------------------------------------------------------------------------

    def create(self, *, model: str | None = None, **options: Any) -> MnesisSession:
        """A new session, current from now on. `options` as for `MnesisSession.create`."""

        async def create() -> MnesisSession:
            pool = await self._store(CURRENT.store)
            return await MnesisSession.create(model=model or CURRENT.model, pool=pool, **options)

        session = self.bridge.call(create)
        self._sessions[session.id] = session
        return self.use(session)

    def load(self, name: str, *, db: Path | None = None, **options: Any) -> MnesisSession:
        """A stored session by id or title, current from now on. One that is open already is not opened again."""
        return self.use(self._loaded(name, db, **options))

    def _loaded(self, name: str, db: Path | None, **options: Any) -> MnesisSession:
        path = (db or CURRENT.store).expanduser().absolute()
        id = frames.find_session(name, path)
        if id is None:
            raise NotFound("session", name, f"{path} has none of this id or title")

        async def load() -> MnesisSession:
            return await MnesisSession.load(id, pool=await self._store(path), **options)

        with self._loading:  # two threads may want the same one
            if id not in self._sessions:
                self._sessions[id] = self.bridge.call(load)
            return self._sessions[id]

    def find(self, name: str, **options: Any) -> MnesisSession | None:
        """A session by id or title: among the open ones, else from the store, where it is opened with these options.

        `None` where there is none. Which one is current, and what a title means, stays as it is.
        """
        if meant := self._sessions.get(self._named.get(name, name)):
            return meant
        if frames.find_session(name, CURRENT.store):
            return self._loaded(name, None, **options)
        return next((session for session in reversed(self._sessions.values()) if session.title == name), None)

    def named(self, name: str, **options: Any) -> MnesisSession:
        """The same, where there has to be one. Raises `NotFound`."""
        session = self.find(name, **options)
        if session is None:
            raise NotFound("session", name, f"{CURRENT.store} has none of this id or title")
        return session

    def chosen(self, session: MnesisSession | str | None) -> MnesisSession:
        """The session that is meant: itself, by id or title, or the current one. Raises `NotFound`, `InputError`."""
        if isinstance(session, MnesisSession):
            return session
        if session:
            return self.named(session)
        if CURRENT.session is None:
            raise InputError("there is no session yet; write a %%mnesis cell, or begin one with `%mnesis new`")
        return CURRENT.session

    def use(self, session: MnesisSession) -> MnesisSession:
        """Make a session that is open here the current one."""
        CURRENT.session = session
        if session.title:
            self._named[session.title] = session.id
        return session

    def fork(self, session: MnesisSession, turn: int | None, title: str | None = None) -> MnesisSession:
        """A branch that shares the turns up to this one, current from now on. Without a title it has the same."""
        branch = self.bridge.call(session.fork, turn, title=title or session.title)
        self._sessions[branch.id] = branch
        return self.use(branch)

    def rename(self, session: MnesisSession, title: str) -> None:
        """Give a session another title, which means it from now on."""
        self.bridge.call(session.rename, title)
        self._named = {name: id for name, id in self._named.items() if id != session.id} | {title: session.id}

    def adopt(self, session: MnesisSession, **options: Any) -> MnesisSession:
        """Make somebody's own session current. Where it lives on another loop, it is opened a second time here."""
        return self.use(self.hosted(session, **options))

    def hosted(self, session: MnesisSession, **options: Any) -> MnesisSession:
        """The session itself if it lives on the loop here; else the same one, opened a second time."""
        if self._sessions.get(session.id) is session:
            return session
        if session.db_path is None:
            raise InputError("a session kept in memory lives on its own loop only; open it with open_session() instead")
        return self._loaded(session.id, session.db_path, **options)

    async def _store(self, path: Path) -> Database:
        async with self._opening:
            if path not in self._stores:
                self._stores[path] = await Database.open(StoreConfig(db_path=path))
            return self._stores[path]

    # -- replies as they are written ---------------------------------------------------------------------------------

    def listen(self, session_id: str, listener: Callable[[str], None]) -> None:
        """Have a session's replies told, as far as chat cells show them, piece by piece; to one listener a session."""
        self._listeners[session_id] = listener

    def heard(self, session: MnesisSession, text: str) -> None:
        """Tell the listener, if there is one, that this was written."""
        if listener := self._listeners.get(session.id):
            listener(text)

    # -- closing ----------------------------------------------------------------------------------------------------

    def close_session(self, session: MnesisSession) -> None:
        """Close one session. It stays in the store."""
        self.bridge.call(session.close)
        self._sessions.pop(session.id, None)
        self._listeners.pop(session.id, None)
        if CURRENT.session is session:
            CURRENT.session = None

    def close(self) -> None:
        """Close all sessions and files, and end the loop. What does not end in time is cancelled."""
        atexit.unregister(self._say_goodbye)
        self._say_goodbye()
        self.bridge.close()

    def _say_goodbye(self) -> None:
        # At exit this is all: the loop cannot be ended any more, as that takes a new thread, and its own is a daemon.
        CURRENT.session = None
        self.bridge.call(self._close_all)

    async def _close_all(self) -> None:
        def stop() -> None:
            for turn in tuple(self.running):
                turn.cancel()

        end = asyncio.get_running_loop().call_later(_LAST_WORDS, stop)
        maps = tuple(self.maps)
        for each in maps:  # at once: they can be gone on with
            each.cancel()
        with contextlib.suppress(TimeoutError):  # nothing is lost: the next load marks a turn cut off as aborted
            async with asyncio.timeout(_GOODBYE):
                await asyncio.gather(*maps, return_exceptions=True)
                await asyncio.gather(*(session.close() for session in self.sessions), return_exceptions=True)
                await asyncio.gather(*(store.close() for store in self._stores.values()), return_exceptions=True)
        end.cancel()


_state: State | None = None
_making = threading.Lock()


def state() -> State:
    """The state of this process, made when it is first needed."""
    global _state  # noqa: PLW0603  # a kernel is one
    with _making:
        _state = _state or State()
        return _state


def shut_down() -> None:
    """Close everything that was opened; a later `state()` begins anew."""
    global _state
    _state, ending = None, _state
    if ending is not None:
        ending.close()


# -- for cells of plain Python ----------------------------------------------------------------------------------------


def open_session(*, model: str | None = None, **options: Any) -> MnesisSession:
    """A new session of this kernel, current from now on, for `%%mnesis` cells and for you.

    Without `model` it is the kernel's default. `options` as for `MnesisSession.create`: `title`, `llm`, `config`, ….
    It lives on the engine's own loop: talk to it through `%%mnesis`; for `await` in a cell open one yourself.
    """
    return state().create(model=model, **options)


def use(session: MnesisSession | str, **options: Any) -> MnesisSession:
    """Make a session current: an object (also one you opened yourself), an id or a title.

    `options` (`llm`, `config`) as for `MnesisSession.load`, where it has to be opened first.
    """
    if isinstance(session, MnesisSession):
        return state().adopt(session, **options)
    return state().use(state().named(session, **options))
