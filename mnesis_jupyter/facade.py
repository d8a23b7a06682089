"""A session for cells of plain Python: `chat = mnesis_jupyter.chat("my chat")`, then `chat.send("Hello.")`."""

import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Concatenate

from mnesis import InputError, MnesisSession, NotFound, TokenUsage, TurnSnapshot
from mnesis.models.message import StreamEvent
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.state import state

type _Method[**P, T] = Callable[Concatenate[MnesisSession, P], Coroutine[Any, Any, T]]


def _waits[**P, T](method: _Method[P, T]) -> Callable[Concatenate["Chat", P], T]:
    """The method of a session as one that waits."""

    @functools.wraps(method)
    def waiting(chat: "Chat", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return state().bridge.call(method, chat.session, *args, **kwargs)

    return waiting


def _awaits[**P, T](method: _Method[P, T]) -> Callable[Concatenate["Chat", P], Coroutine[Any, Any, T]]:
    """The method of a session as one to be awaited on any loop."""

    @functools.wraps(method)
    async def awaited(chat: "Chat", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await state().bridge.awaited(method, chat.session, *args, **kwargs)

    return awaited


class Chat:
    """A session whose methods wait for their answers; with an `a` before its name each is to be awaited instead.

    Both may be called from any thread, and from the kernel's own loop: the session lives on a loop of its own, and its
    turns run one after the other. Arguments, results and errors are those of `MnesisSession`.
    """

    def __init__(self, session: MnesisSession) -> None:
        self.session = session

    send, asend = _waits(MnesisSession.send), _awaits(MnesisSession.send)
    record, arecord = _waits(MnesisSession.record), _awaits(MnesisSession.record)
    submit_tool_results = _waits(MnesisSession.submit_tool_results)
    asubmit_tool_results = _awaits(MnesisSession.submit_tool_results)
    context, acontext = _waits(MnesisSession.context), _awaits(MnesisSession.context)
    preview, apreview = _waits(MnesisSession.preview), _awaits(MnesisSession.preview)
    compact, acompact = _waits(MnesisSession.compact), _awaits(MnesisSession.compact)
    messages, amessages = _waits(MnesisSession.messages), _awaits(MnesisSession.messages)
    summaries, asummaries = _waits(MnesisSession.summaries), _awaits(MnesisSession.summaries)
    events, aevents = _waits(MnesisSession.events), _awaits(MnesisSession.events)
    grep, agrep = _waits(MnesisSession.grep), _awaits(MnesisSession.grep)
    describe, adescribe = _waits(MnesisSession.describe), _awaits(MnesisSession.describe)
    expand, aexpand = _waits(MnesisSession.expand), _awaits(MnesisSession.expand)
    why, awhy = _waits(MnesisSession.why), _awaits(MnesisSession.why)
    diff, adiff = _waits(MnesisSession.diff), _awaits(MnesisSession.diff)
    verify, averify = _waits(MnesisSession.verify), _awaits(MnesisSession.verify)
    attach, aattach = _waits(MnesisSession.attach), _awaits(MnesisSession.attach)
    files, afiles = _waits(MnesisSession.files), _awaits(MnesisSession.files)
    file_state, afile_state = _waits(MnesisSession.file_state), _awaits(MnesisSession.file_state)
    branches, abranches = _waits(MnesisSession.branches), _awaits(MnesisSession.branches)
    export, aexport = _waits(MnesisSession.export), _awaits(MnesisSession.export)

    def stream(self, message: Any, **options: Any) -> Iterator[StreamEvent]:
        """One turn as it happens. A caller who leaves early, or is interrupted, stops the turn."""
        with state().bridge.stream(self.session.stream, message, **options) as events:
            yield from events

    def fork(self, turn: int | None = None, *, title: str | None = None) -> "Chat":
        """A branch that shares the turns up to this one, current from now on; without a title it has the same."""
        return Chat(state().fork(self.session, turn, title))

    def rename(self, title: str) -> None:
        """Give the session another title. Those it had stay in `events()`."""
        state().rename(self.session, title)

    def history(self) -> list[TurnSnapshot]:
        """What each turn's window was made of, from the first turn on."""
        return self.session.history()

    @property
    def id(self) -> str:
        """The session's id."""
        return self.session.id

    @property
    def title(self) -> str | None:
        """The name it was given."""
        return self.session.title

    @property
    def model(self) -> str:
        """The model string."""
        return self.session.model

    @property
    def token_usage(self) -> TokenUsage:
        """What the provider counted over all turns."""
        return self.session.token_usage

    @property
    def cost(self) -> float | None:
        """US dollars over all turns; `None` where the price of one is not known."""
        return self.session.cost

    def close(self) -> None:
        """Close the session. It stays in the store."""
        state().close_session(self.session)

    def __repr__(self) -> str:
        return f"<Chat {self.title or self.id} with {self.model}, {len(self.history())} turns>"


def chat(session: str | MnesisSession | None = None, *, model: str | None = None, **options: Any) -> Chat:
    """A session by id or title, or a new one of this title; current from now on, for `%%mnesis` cells too.

    `model` is of a new session (by default the kernel's), `options` as for `MnesisSession.create`.
    Raises `NotFound` for an id that is not in the store, and `InputError` where the session is there and is with
    another model, or cannot take the options any more.
    """
    here = state()
    if isinstance(session, MnesisSession):
        _check_model(session, session.id, model)
        return Chat(here.adopt(session, **options))
    found = here.find(session) if session else None
    if found is None and session and session.startswith("sess_"):
        raise NotFound("session", session, f"{CURRENT.store} does not hold it")
    if found is None:
        return Chat(here.create(model=model, title=session, **options))
    _check_model(found, session, model)
    if options:
        raise InputError(f"{', '.join(options)}: session {session!r} is there already; give these to a new one")
    return Chat(here.use(found))


def _check_model(session: MnesisSession, name: str | None, model: str | None) -> None:
    if model not in (None, session.model):
        raise InputError(f"model={model!r}: session {name!r} is with {session.model}, and a session keeps its model")
