"""A session: the story of a turn, nothing else."""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from mnesis.context.assembly import system_tokens
from mnesis.errors import ConfigError, InputError, MnesisError, SessionClosed, describe_value
from mnesis.events.bus import EventBus, Handler
from mnesis.events.payloads import EventRecord, MnesisEvent
from mnesis.exchange import Ask, OnPart
from mnesis.files import LargeFileHandler, Shelf
from mnesis.files.handler import Prose
from mnesis.files.prose import prose_by
from mnesis.ids import kind_of, new_id
from mnesis.intake import asked_of, check_media, parts_of, text_of
from mnesis.ledger import Clock, Ledger, utc_now
from mnesis.llm.base import Provider
from mnesis.llm.select import is_offline, provider_for, provider_or_word_for
from mnesis.models.config import MnesisConfig
from mnesis.models.context import ContextWindow, TurnSnapshot
from mnesis.models.file import FileRecord, FileState
from mnesis.models.message import (
    CompactionResult,
    FileRefPart,
    Message,
    Part,
    RecordResult,
    StreamEvent,
    TextPart,
    TokenUsage,
    ToolPart,
    TurnComplete,
    TurnResult,
)
from mnesis.models.recall import Branch, Description, Expansion, GrepResult, Lineage, VerifyReport, WindowDiff
from mnesis.models.replay import Replay
from mnesis.models.summary import Summary
from mnesis.progress import track
from mnesis.recall import Recall
from mnesis.replay import Meter, Needles, Rerun, Script
from mnesis.room import Room
from mnesis.store import Database
from mnesis.store.rows import SessionRow
from mnesis.tasks import Tasks
from mnesis.tokens import counter_for
from mnesis.tools import ToolLike, tools_of
from mnesis.transcripts import (
    Format,
    Transcript,
    to_anthropic_messages,
    to_jsonl,
    to_openai_messages,
    transcript_of,
)
from mnesis.transcripts.checks import check
from mnesis.turn_lock import TurnLock
from mnesis.turns import Recorded, Said, Turns

DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant."

type MessageLike = str | Sequence[Part | dict[str, Any]]


class MnesisSession:
    """A conversation that keeps everything and sends what fits.

    Make one with `open`, `create` or `load`. Its turns run one after the other, whoever asks for them.
    """

    def __init__(
        self, db: Database, owns_db: bool, ledger: Ledger, providers: "_Providers", config: MnesisConfig
    ) -> None:
        self._db = db
        self._owns_db = owns_db
        self._ledger = ledger
        self._config = config
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        self._providers = providers
        self._tasks = Tasks()
        self._lock = TurnLock(db, ledger)
        self._room = Room(ledger, providers.answers, providers.summarises, config, self._tasks)
        self._files = Shelf(ledger, LargeFileHandler(config.file, counter=ledger.counter, prose=providers.prose))
        self._recall = Recall(db, ledger, self._room.budget, self._files)
        self._turns = Turns(ledger, self._room, self._lock, self._recall, self._files, providers.answers, config)

    # -- beginning and end --------------------------------------------------------------------------------------

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        *,
        model: str,
        system_prompt: str = DEFAULT_SYSTEM_PROMPT,
        agent: str = "default",
        parent_id: str | None = None,
        config: MnesisConfig | None = None,
        db_path: str | Path | None = None,
        pool: Database | None = None,
        llm: Provider | None = None,
        title: str | None = None,
        clock: Clock = utc_now,
    ) -> AsyncIterator[Self]:
        """A new session for the length of a block: `async with MnesisSession.open(model=…) as session:`.

        `model` is a litellm model string, or "offline/quote". An empty `system_prompt` sends none. `llm` is a provider
        to use instead of the model string's; `pool` an open store to share. `clock` is for tests and replays.
        """
        session = await cls.create(
            model=model,
            system_prompt=system_prompt,
            agent=agent,
            parent_id=parent_id,
            config=config,
            db_path=db_path,
            pool=pool,
            llm=llm,
            title=title,
            clock=clock,
        )
        async with session:
            yield session

    @classmethod
    async def create(
        cls,
        *,
        model: str,
        system_prompt: str = DEFAULT_SYSTEM_PROMPT,
        agent: str = "default",
        parent_id: str | None = None,
        config: MnesisConfig | None = None,
        db_path: str | Path | None = None,
        pool: Database | None = None,
        llm: Provider | None = None,
        title: str | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """A new session, to be closed by `close()` or used with `async with`. Arguments as for `open`."""
        for value, argument in ((model, "model"), (system_prompt, "system_prompt"), (agent, "agent")):
            text_of(value, argument)
        for optional, argument in ((parent_id, "parent_id"), (title, "title")):
            if optional is not None:
                text_of(optional, argument)
        config = _checked(config)
        providers = _Providers.of(llm, model, config)
        counter = counter_for(model)
        row = SessionRow(
            id=new_id("sess"),
            parent_id=parent_id,
            forked_from=None,
            forked_turn=None,
            model=model,
            agent=agent,
            system_prompt=system_prompt,
            system_tokens=system_tokens(system_prompt, counter),
            config=config,
            title=title,
            created_at=clock(),
        )

        async def build(db: Database) -> Self:
            ledger = await Ledger.create(db, row, counter, EventBus(), clock)
            return cls(db, pool is None, ledger, providers, config)

        return await _built(build, config, db_path, pool, create=True)

    @classmethod
    async def load(
        cls,
        session_id: str,
        config: MnesisConfig | None = None,
        db_path: str | Path | None = None,
        pool: Database | None = None,
        *,
        llm: Provider | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """Go on with a stored session: its log, window, usage, history and events are as they were.

        Without `config` it keeps the one it was created with. A turn that a dead process left open is marked aborted.
        Raises `SessionNotFoundError`, or `NotFound` where the store itself is not there; neither creates anything.
        `clock` is for tests and replays.
        """
        if kind_of(text_of(session_id, "session_id")) != "session":
            raise InputError(f"session_id={session_id!r} is not a session id; those begin with 'sess_'")

        async def build(db: Database) -> Self:
            ledger = await Ledger.load(db, session_id, EventBus(), clock)
            settings = config or ledger.row.config
            # A session can be read where its model is not: that is said when it is asked something.
            providers = _Providers.of(llm, ledger.row.model, settings, provider_or_word_for)
            session = cls(db, pool is None, ledger, providers, settings)
            await session._lock.recover()
            return session

        return await _built(build, _checked(config), db_path, pool, create=False)

    @classmethod
    async def from_messages(
        cls,
        messages: Transcript | Sequence[Any] | Mapping[str, Any] | str | Path,
        *,
        model: str,
        system_prompt: str | None = None,
        format: Format = "auto",
        config: MnesisConfig | None = None,
        db_path: str | Path | None = None,
        pool: Database | None = None,
        llm: Provider | None = None,
        title: str | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """A new session that begins with a conversation held elsewhere, compacted where it is too long for the window.

        `messages` is a list in OpenAI's or Anthropic's form (or a whole request with one), a `Transcript`, or JSON
        lines, as a text or a path, that hold one conversation; `format` says which form, where it cannot be told.
        `system_prompt` takes the place of the conversation's own. Other arguments as for `open`.

        Raises `InputError`, naming the place, before anything is stored. Turns are stored one by one: where the store
        fails midway, or the caller is cancelled, a session with the turns so far is left in it.
        """
        transcript = transcript_of(messages, format)
        by_the_map = llm is None and not is_offline(text_of(model, "model"))
        check(transcript, model if by_the_map else None)
        prompt = transcript.system_prompt if system_prompt is None else system_prompt
        session = await cls.create(
            model=model,
            system_prompt=DEFAULT_SYSTEM_PROMPT if prompt is None else prompt,
            config=config,
            db_path=db_path,
            pool=pool,
            llm=llm,
            title=title,
            clock=clock,
        )
        try:
            with track("importing", len(transcript.turns), "turns") as progress:
                for turn in transcript.turns:
                    asked = Said("user", turn.user, turn.created_at) if turn.user else None
                    answered = tuple(Said(each.role, each.parts, each.created_at) for each in turn.messages)
                    await session._turns.record(Recorded(asked, answered, key=turn.key))  # noqa: SLF001  # it is ours
                    progress.advance()
        except BaseException:
            await session.close()
            raise
        return session

    async def fork(
        self,
        turn: int | None = None,
        *,
        title: str | None = None,
        model: str | None = None,
        system_prompt: str | None = None,
        config: MnesisConfig | None = None,
        llm: Provider | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """A new session that shares the past up to a turn, that turn included; by default all finished turns.

        `fork(turn=n - 1)` forks before turn n, so `fork(turn=-1)` shares none. The fork begins with the window that the
        next turn was given, or would be given now: the same message makes the same request. From there on each goes its
        own way; the fork shows the shared past and its own rows as one, and its turns are counted on from the shared
        ones. `token_usage` and `cost` are of its own turns. Other arguments take the place of this session's; messages
        keep the token counts that they have.

        Close it like any other. In a store in memory it lives as long as this one is open.
        Raises `InputError` for a turn that is not finished, `NotFound` for one that is not there.
        """
        self._check_open()
        for value, argument in ((title, "title"), (model, "model"), (system_prompt, "system_prompt")):
            if value is not None:
                text_of(value, argument)
        row, providers = self._ledger.row, self._providers
        settings = self._config if config is None else _checked(config)
        if llm is not None or model is not None or config is not None:
            same = providers.passed if model in (None, row.model) else None
            providers = _Providers.of(llm or same, model or row.model, settings)
        model = model or row.model
        if system_prompt is not None or model != row.model:
            prompt = row.system_prompt if system_prompt is None else system_prompt
            row = replace(row, system_prompt=prompt, system_tokens=system_tokens(prompt, counter_for(model)))
        row = replace(
            row, id=new_id("sess"), parent_id=None, model=model, config=settings, title=title, created_at=clock()
        )

        async def build(db: Database) -> Self:
            ledger = await self._ledger.fork(db, row, turn, EventBus(), clock)
            return type(self)(db, db is not self._db, ledger, providers, settings)

        shared = self._db if self.db_path is None or not self._owns_db else None
        return await _built(build, settings, self.db_path, shared, create=False)

    async def branches(self) -> list[Branch]:
        """The tree of sessions that forks relate to this one, itself included: the original first, each session before
        its forks.
        """
        self._check_open()
        return await self._ledger.branches()

    async def rename(self, title: str) -> None:
        """Give the session another title. Those it had stay in `events()`."""
        self._check_open()
        if not text_of(title, "title").strip():
            raise InputError(f"title={describe_value(title)} says nothing; give some text")
        await self._tasks.start(self._ledger.rename(title))

    async def export(self, format: Literal["openai", "anthropic", "mnesis"] = "openai") -> Any:
        """The whole conversation, not the window: without summaries, and without partial replies of failed turns.

        "openai" is a list of chat-completion messages, "anthropic" `{"system": …, "messages": […]}`, "mnesis" a line of
        JSON with all that was said, its times, and the keys of turns; `from_messages` takes each of them back. Usage,
        costs and finish reasons are not in it, and names of speakers are not in the store.
        """
        transcript = Transcript.of(await self.messages(), self.system_prompt or None, await self._ledger.keys())
        match format:
            case "openai":
                return to_openai_messages(transcript)
            case "anthropic":
                return to_anthropic_messages(transcript)
            case "mnesis":
                return to_jsonl([transcript])
        raise InputError(f"format={describe_value(format)} is not known; give 'openai', 'anthropic' or 'mnesis'")

    async def close(self) -> None:
        """Wait for what is under way, then let go of the store. Calling it again does nothing.

        A turn that waits to make its request again does not wait any longer: it fails with the error that it had.
        """
        if self._closing is None:
            self._closed = True
            self._turns.close()
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)  # it goes on where the caller is cancelled: the store outlives the turns

    async def _close(self) -> None:
        try:
            await self._tasks.drain()
            await self._ledger.close()
        finally:
            if self._owns_db:
                await self._db.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- turns --------------------------------------------------------------------------------------------------

    async def send(
        self,
        message: MessageLike,
        *,
        tools: Sequence[ToolLike] | None = None,
        on_part: OnPart | None = None,
        system_prompt: str | None = None,
        params: Mapping[str, Any] | None = None,
        origin: str | None = None,
    ) -> TurnResult:
        """One turn: store the message, ask the model, run the tools that it calls, store the reply.

        `message` is text or a list of `TextPart`, `MediaPart` and `FileRefPart`. `tools` are functions (sync or async,
        see `function_tool`), `Tool`s, or dicts in the chat-completion format; calls of the last kind are the caller's
        to run: the turn ends with `finish_reason="tool_calls"`, and `submit_tool_results` goes on. `on_part(part)`,
        sync or async, is given each part when it is complete, and each tool call in each of its states. `params`
        (`max_tokens`, `temperature`, …) go to the provider; `origin` is stored with the turn and says what caused it,
        such as a notebook cell.

        Raises `InputError`, `ContextOverflow` or `SessionBusy` before anything is stored, and what the provider ran
        into: the turn is then stored as failed, its user message kept. If the caller is cancelled it is aborted.
        """
        return await _result(self._answers(Ask(self._asked(message)), tools, on_part, system_prompt, params, origin))

    async def stream(
        self,
        message: MessageLike,
        *,
        tools: Sequence[ToolLike] | None = None,
        on_part: OnPart | None = None,
        system_prompt: str | None = None,
        params: Mapping[str, Any] | None = None,
        origin: str | None = None,
    ) -> AsyncGenerator[StreamEvent]:
        """One turn as it happens: `TextDelta`s while the model writes, a `PartUpdate` for each tool call in each of its
        states, then one `TurnComplete`. Arguments as for `send`.

        A caller who leaves early does not stop the turn: it goes on to its end and is stored; `close` waits for it. A
        caller who is cancelled does: it is stored as aborted, with the text so far as a partial reply.
        """
        async with contextlib.aclosing(
            self._answers(Ask(self._asked(message)), tools, on_part, system_prompt, params, origin)
        ) as events:
            async for event in events:
                yield event

    async def submit_tool_results(
        self,
        results: Mapping[str, Any] | Sequence[ToolPart | Mapping[str, Any]],
        *,
        tools: Sequence[ToolLike] | None = None,
        on_part: OnPart | None = None,
        system_prompt: str | None = None,
        params: Mapping[str, Any] | None = None,
        origin: str | None = None,
    ) -> TurnResult:
        """Go on after a turn that ended with `finish_reason="tool_calls"`: a turn that begins with the results.

        `results` maps the id of each pending call to what its tool returned, an exception where it failed; or it is a
        list of finished `ToolPart`s, or of messages `{"role": "tool", "tool_call_id": …, "content": …}`. All pending
        calls are answered at once. Give `tools` again where the model may call more. Arguments as for `send`.

        Raises `InputError` where a result is for no pending call, is given twice, or is missing.
        """
        ask = Ask(results=results)
        return await _result(self._answers(ask, tools, on_part, system_prompt, params, origin))

    async def stream_tool_results(
        self,
        results: Mapping[str, Any] | Sequence[ToolPart | Mapping[str, Any]],
        *,
        tools: Sequence[ToolLike] | None = None,
        on_part: OnPart | None = None,
        system_prompt: str | None = None,
        params: Mapping[str, Any] | None = None,
        origin: str | None = None,
    ) -> AsyncGenerator[StreamEvent]:
        """`submit_tool_results` as it happens, with the events of `stream`."""
        ask = Ask(results=results)
        async with contextlib.aclosing(self._answers(ask, tools, on_part, system_prompt, params, origin)) as events:
            async for event in events:
                yield event

    def _asked(self, message: MessageLike) -> tuple[Part, ...]:
        """The parts of a user's message. Whoever passed a provider of his own knows what that takes."""
        parts = asked_of(message, "message")
        if self._providers.by_the_map:
            check_media(parts, self.model, "message")
        return parts

    async def _answers(
        self,
        ask: Ask,
        tools: Sequence[ToolLike] | None,
        on_part: OnPart | None,
        system_prompt: str | None,
        params: Mapping[str, Any] | None,
        origin: str | None,
    ) -> AsyncGenerator[StreamEvent]:
        """The turn as a task of its own, and what it emits."""
        self._check_open()
        for value, argument in ((system_prompt, "system_prompt"), (origin, "origin")):
            if value is not None:
                text_of(value, argument)
        if not isinstance(params, Mapping | None):
            raise InputError(f"params={describe_value(params)} is a {type(params).__name__}; give a dict")
        if on_part is not None and not callable(on_part):
            raise InputError(f"on_part={describe_value(on_part)} is a {type(on_part).__name__}; give a function")
        ask = replace(
            ask,
            system_prompt=system_prompt,
            params=dict(params or {}),
            origin=origin,
            tools=tools_of(tools),
            on_part=on_part,
        )
        events: asyncio.Queue[StreamEvent | None] = asyncio.Queue()
        task = self._tasks.start(self._turns.run(ask, events.put_nowait))
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            result = await task
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        yield TurnComplete(result=result)

    async def record(
        self,
        user_message: MessageLike,
        assistant_response: MessageLike,
        *,
        tokens: TokenUsage | None = None,
        finish_reason: str = "stop",
        key: str | None = None,
        at: datetime | None = None,
    ) -> RecordResult:
        """Store a turn that your own model answered. Without `tokens` they are counted here.

        The response may hold tool calls with their results (finished `ToolPart`s). `key` tells the turn from all
        others: a second one with the same key is not stored, the first is returned. `at`, with a time zone, is when it
        was said, by default now; nothing is ordered by it.
        """
        self._check_open()
        asked = asked_of(user_message, "user_message")
        answered = parts_of(assistant_response, "assistant_response", may_be_empty=True)
        for value, argument in ((finish_reason, "finish_reason"), (key, "key")):
            if value is not None or argument == "finish_reason":
                text_of(value, argument)
        if not isinstance(tokens, TokenUsage | None):
            raise InputError(f"tokens={describe_value(tokens)} is not a TokenUsage; give TokenUsage(input=…, output=…)")
        if at is not None and (not isinstance(at, datetime) or at.tzinfo is None):
            raise InputError(f"at={describe_value(at)} is no time with a zone; give a datetime with tzinfo")
        said = Said("assistant", answered, at)
        turn = Recorded(Said("user", asked, at), (said,), tokens, finish_reason, key)
        return await self._tasks.start(self._turns.record(turn))

    async def compact(self) -> CompactionResult:
        """Compact now, all turns but the newest, and wait for it. The result is measured: what was too small to shrink
        stays as it is. Where the summariser fails, sentences are chosen without a model (level 3).
        """
        self._check_open()
        return await self._room.compact("manual")

    # -- files --------------------------------------------------------------------------------------------------

    async def attach(
        self, source: Any, *, name: str | None = None, keep: Literal["reference", "copy"] = "reference"
    ) -> TextPart | FileRefPart:
        """A file as a part of a message: `await session.send([await session.attach("a.csv"), TextPart(text="Why?")])`.

        `source` is a path, bytes, or a table (pandas, polars, Arrow), which becomes CSV. Up to
        `FileConfig.inline_threshold` tokens of text come whole; else the part is a reference with what the file holds,
        and the model is offered tools that read on in it and search it, as `SessionConfig.recall` says.

        `keep="copy"` keeps the content under `FileConfig.storage_dir`, as is always done for what has no path; else it
        stays where it is, and what is read later comes with a word where it has changed. An image for a model to see
        is a `MediaPart.from_path`. Raises `FileError`, `InputError`.
        """
        self._check_open()
        return await self._files.attach(source, name, keep)

    async def files(self) -> list[FileRecord]:
        """The files that `attach` made references of, in order."""
        self._check_open()
        return await self._files.all()

    async def file_state(self, file_id: str) -> FileState:
        """Whether a file is as it was when it was attached, and where. Raises `InputError`, `NotFound`."""
        self._check_open()
        return await self._files.state(await self._files.find(file_id))

    # -- what is there ------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The session's id, for `load`."""
        return self._ledger.row.id

    @property
    def model(self) -> str:
        """The model string."""
        return self._ledger.row.model

    @property
    def title(self) -> str | None:
        """The name it was given."""
        return self._ledger.row.title

    @property
    def system_prompt(self) -> str:
        """The system prompt of every turn that brings none of its own."""
        return self._ledger.row.system_prompt

    @property
    def config(self) -> MnesisConfig:
        """The settings in force."""
        return self._config

    @property
    def db_path(self) -> Path | None:
        """The file it is kept in; `None` for a store in memory."""
        return self._db.path

    @property
    def token_usage(self) -> TokenUsage:
        """What the provider counted over all turns, those before `load` included; of a fork over its own turns."""
        return self._ledger.usage

    @property
    def cost(self) -> float | None:
        """US dollars over all turns, those before `load` included; of a fork over its own turns. `None` where the price
        of one is not known.

        What summaries cost is not part of it, nor of `token_usage`: no turn asked for them.
        """
        return self._ledger.accounts.cost

    @property
    def compaction_in_progress(self) -> bool:
        """Whether the window is being compacted at this moment."""
        return self._room.being_made

    @property
    def event_bus(self) -> EventBus:
        """Where this session's events are published, after they are on disk."""
        return self._ledger.bus

    def subscribe(self, event: MnesisEvent | str | None, handler: Handler) -> Callable[[], None]:
        """Have `handler(event, payload)` called when it happens (`None`: whatever happens). Returns the way to stop.

        A handler may be sync or async; its errors are logged. It must not await a turn of this session.
        """
        return self.event_bus.subscribe(event, handler)

    async def messages(self) -> list[Message]:
        """The whole log, in order: also partial replies of failed turns."""
        self._check_open()
        return await self._ledger.log()

    async def conversation_messages(self) -> list[Message]:
        """The log without summaries and without partial replies: what was said."""
        return [message for message in await self.messages() if not (message.partial or message.is_summary)]

    async def context(self, turn: int | None = None, *, compact: bool = True) -> ContextWindow:
        """The window as it would be sent now; or, rebuilt, as a past turn (0-based) sent it, in its last request.

        Where the next request needs a compaction first, it is made here, and waited for. With `compact=False` nothing
        is made or stored: the window is shown as it stands, which may then be larger than its budget.

        Raises `NotFound` for a turn that is not there, `ContextOverflow` where the window does not fit.
        """
        self._check_open()
        if turn is None and not compact:
            return await self._ledger.next_window(self._room.budget())
        if turn is None:
            await self._room.make(self._ledger.preamble())
            return await self._ledger.window(self._room.budget())
        return await self._ledger.past_window(turn, self._room.budget())

    async def preview(
        self,
        message: MessageLike,
        *,
        tools: Sequence[ToolLike] | None = None,
        system_prompt: str | None = None,
    ) -> ContextWindow:
        """The window that `send` would send with this message. Nothing is stored, and no model is asked.

        Raises `InputError`, and `ContextOverflow` where the window would not fit.
        """
        self._check_open()
        asked = self._asked(message)
        offered = await self._turns.offered(tools_of(tools), asked)
        preamble = self._ledger.preamble(system_prompt, offered.definitions)
        user = self._ledger.draft("user", asked, room=self._room.for_message(preamble))
        return await self._ledger.window(self._room.budget(), user, preamble)

    async def context_for_next_turn(self, system_prompt: str | None = None) -> list[dict[str, Any]]:
        """The window as chat-completion messages, for a model that you call yourself."""
        self._check_open()
        preamble = self._ledger.preamble(system_prompt)
        await self._room.make(preamble)
        return (await self._ledger.window(self._room.budget(), preamble=preamble)).to_openai()

    async def summaries(self) -> list[Summary]:
        """The summaries, in the order in which they were made: what they stand for, and what they no longer say."""
        self._check_open()
        return await self._ledger.summaries()

    # -- recall -------------------------------------------------------------------------------------------------

    async def grep(
        self,
        pattern: str,
        *,
        regex: bool = False,
        summary_id: str | None = None,
        role: Literal["user", "assistant", "tool", "summary"] | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> GrepResult:
        """Search everything that was ever said, whether it stands in the window or not.

        A pattern in plain words is a question: any of its words counts, the rare ones most, everyday words for the same
        a little, and who or when it names; what stands beside them shares in it. "Quoted words" stand together. A
        single run with signs in it (a path, an identifier), text in a script without spaces, and what no word matches
        is looked for literally, in any case, the newest first; so are matches of a regular expression (`regex=True`). A
        search takes about two seconds at most: `next_cursor` goes on.
        Questions follow a word to the newest thousand of its places, the other searches to all.

        `summary_id` restricts it to what that summary stands for. Messages that come later do not move the pages.
        Raises `InputError`, `NotFound`.
        """
        self._check_open()
        return await self._recall.grep(
            pattern, regex=regex, summary_id=summary_id, role=role, limit=limit, cursor=cursor
        )

    async def describe(self, id: str) -> Description:
        """What an id names, and where that is now: a message, part, summary, file, turn, event, or this session.

        Raises `InputError`, and `NotFound` also for what another session holds.
        """
        self._check_open()
        return await self._recall.describe(id)

    async def expand(self, summary_id: str, *, max_tokens: int = 2000, cursor: str | None = None) -> Expansion:
        """The originals behind a summary, page by page, each labelled with its id. Ids of a message, a part or a turn
        work as well.

        A page never has more than `max_tokens` (at least 128) by the session's counter; all pages together hold every
        original whole. Of a condensed summary these are summaries, to be expanded by their own ids.
        Raises `InputError`, `NotFound`.
        """
        self._check_open()
        return await self._recall.expand(summary_id, max_tokens=max_tokens, cursor=cursor)

    async def why(self, id: str) -> Lineage:
        """Where a message, a part or a summary is now, and how it came there."""
        self._check_open()
        return await self._recall.why(id)

    async def diff(self, a: int, b: int | None = None) -> WindowDiff:
        """What changed from the window of turn `a` to that of turn `b`, with the cause for each item.

        Without `b` it is the next window, as `context(compact=False)` shows it: nothing is compacted for it.
        """
        self._check_open()
        return await self._recall.diff(a, b)

    async def verify(self, *, deep: bool = False) -> VerifyReport:
        """Check the invariants on what is stored. `deep` rebuilds every window, not only the newest 50, and reads the
        whole file.
        """
        self._check_open()
        async with self._lock.if_free() as free:
            return await self._recall.verify(deep=deep, turn_running=not free)

    # -- another memory -----------------------------------------------------------------------------------------

    async def replay(
        self,
        *,
        config: MnesisConfig | None = None,
        model: str | None = None,
        llm: Provider | None = None,
        needles: Sequence[str] = (),
        title: str | None = None,
        db_path: str | Path | None = None,
        pool: Database | None = None,
    ) -> Replay:
        """The same conversation under another memory, as a new session, with what each turn would have sent.

        Messages, replies and results of tools are those of the log; only summaries are asked for: of `llm`, where it
        is given, of `config.compaction.compaction_model`, or of the model. So with a summariser that always answers
        alike, the same comes of it each time. `model` gives the limits, the counting and the prices, by default this
        session's. `needles` are texts that were said, or ids of messages, whose whereabouts are followed. The new
        session goes into this one's store, unless `db_path` or `pool` names another; its clock shows the times of the
        original.

        Compactions that were asked for by hand are not repeated, and budgets are not calibrated by reported usage.
        Raises `InputError` for what stands nowhere in the conversation, `ContextOverflow` where a window does not fit
        and may not be compacted: the turns before it are kept.
        """
        self._check_open()
        config = self._config if config is None else _checked(config)
        here = db_path is None and pool is None
        name = self.model if model is None else text_of(model, "model")
        found = _Providers.of(llm or (self._providers.passed if model is None else None), name, config)
        meter = Meter(found.answers, found.summarises, config.compaction.compaction_model or name)
        script = await Script.of(self._ledger)
        followed = Needles.of(needles, script.messages)
        session = await type(self).create(
            model=name,
            system_prompt=self.system_prompt,
            agent=self._ledger.row.agent,
            parent_id=self.id if here else None,
            config=config,
            db_path=db_path,
            pool=self._db if here else pool,
            llm=meter,
            title=title if title is not None else f"{self.title or self.id}, replayed",
            clock=script.clock,
        )
        async with session:
            rerun = Rerun(session._ledger, session._room, session._lock, meter, session._tasks.drain, followed)  # noqa: SLF001  # it is ours
            return await rerun.run(script, self.id)

    # -- the record ---------------------------------------------------------------------------------------------

    def history(self) -> list[TurnSnapshot]:
        """What each turn's window was made of, from the first turn on."""
        return self._ledger.accounts.snapshots()

    async def events(self) -> list[EventRecord]:
        """Everything that happened, as it is stored."""
        self._check_open()
        return await self._ledger.events()

    def inspect(self, *, turn: int | None = None) -> Any:
        """The inspector of this session, a widget for a notebook: its window, live, or as a past turn sent it.

        Needs the extra: `pip install "mnesis[jupyter]"`. A session kept in memory cannot be inspected.
        """
        try:
            notebook = importlib.import_module("mnesis_jupyter")  # the one way up, and only when it is asked for
        except ImportError as error:
            raise MnesisError(f'the inspector needs the notebook ({error}); pip install "mnesis[jupyter]"') from error
        return notebook.inspect(self, turn=turn)

    def __repr__(self) -> str:
        return f"<MnesisSession {self.id} {self.model} {len(self.history())} turns{' closed' * self._closed}>"

    def _check_open(self) -> None:
        if self._closed:
            raise SessionClosed(self.id)


async def _result(events: AsyncGenerator[StreamEvent]) -> TurnResult:
    """What a stream ends with."""
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, TurnComplete):
                return event.result
    raise AssertionError("a stream ends with TurnComplete or an error")


def _checked(config: MnesisConfig | None) -> MnesisConfig:
    if not isinstance(config, MnesisConfig | None):
        raise ConfigError(f"config={describe_value(config)} is not a MnesisConfig; give MnesisConfig(…)")
    return config or MnesisConfig()


async def _built[S](
    build: Callable[[Database], Coroutine[Any, Any, S]],
    config: MnesisConfig,
    db_path: str | Path | None,
    pool: Database | None,
    *,
    create: bool,
) -> S:
    """Build a session on a store, and close the store again where that fails."""
    if pool is not None:
        return await build(pool)
    if not isinstance(db_path, str | Path | None):
        raise InputError(f"db_path={describe_value(db_path)} is not a path; give a str or a pathlib.Path")
    settings = config.store if db_path is None else config.store.model_copy(update={"db_path": Path(db_path)})
    db = await Database.open(settings, create=create)
    try:
        return await build(db)
    except BaseException:
        await db.close()
        raise


@dataclass(frozen=True, slots=True)
class _Providers:
    """Who answers, and who summarises. A provider object that was passed does both, for every model string."""

    answers: Provider
    summarises: Provider
    by_the_map: bool = False
    """Whether the model map says what the model takes."""
    passed: Provider | None = None
    """The object that was passed."""
    prose: Prose | None = None
    """Describes texts that are attached."""

    @classmethod
    def of(
        cls,
        llm: Provider | None,
        model: str,
        config: MnesisConfig,
        find: Callable[[str], Provider] = provider_for,
    ) -> "_Providers":
        describes = config.file.exploration_summary_model
        prose = describes and prose_by(llm or find(describes), describes, config.session.retry)
        if llm is not None:
            return cls(llm, llm, passed=llm, prose=prose or None)
        own, other = find(model), config.compaction.compaction_model
        summarises = own if other in (None, model) else find(other)
        return cls(own, summarises, not is_offline(model), prose=prose or None)
