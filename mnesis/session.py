"""A session: the story of a turn, nothing else."""

import contextlib
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from mnesis import opening
from mnesis.engine import Engine
from mnesis.errors import InputError, MnesisError, SessionClosed, describe_value
from mnesis.events.bus import EventBus, Handler
from mnesis.events.payloads import EventRecord, MnesisEvent
from mnesis.exchange import Ask, OnPart
from mnesis.intake import asked_of, check_media, check_texts, text_of
from mnesis.ledger import Clock, utc_now
from mnesis.llm.base import Provider
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
from mnesis.opening import DEFAULT_SYSTEM_PROMPT, Setting
from mnesis.replay import replay
from mnesis.store import Database
from mnesis.tools import ToolLike, tools_of
from mnesis.transcripts import Format, Transcript, exported
from mnesis.turns import Recorded

type MessageLike = str | Sequence[Part | dict[str, Any]]


class MnesisSession:
    """A conversation that keeps everything and sends what fits.

    Make one with `open`, `create` or `load`. Its turns run one after the other, whoever asks for them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ledger = engine.ledger

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
        setting = Setting(config, db_path, pool, llm, clock)
        async with cls(await opening.create(setting, model, system_prompt, agent, parent_id, title)) as session:
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
        setting = Setting(config, db_path, pool, llm, clock)
        return cls(await opening.create(setting, model, system_prompt, agent, parent_id, title))

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
        return cls(await opening.load(Setting(config, db_path, pool, llm, clock), session_id))

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
        setting = Setting(config, db_path, pool, llm, clock)
        return cls(await opening.begin_with(setting, messages, format, model, system_prompt, title))

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
        forked = await opening.fork(
            self._running,
            turn,
            title=title,
            model=model,
            system_prompt=system_prompt,
            config=config,
            llm=llm,
            clock=clock,
        )
        return type(self)(forked)

    async def branches(self) -> list[Branch]:
        """The tree of sessions that forks relate to this one, itself included: the original first, each session before
        its forks.
        """
        return await self._running.ledger.branches()

    async def rename(self, title: str) -> None:
        """Give the session another title. Those it had stay in `events()`."""
        engine = self._running
        if not text_of(title, "title").strip():
            raise InputError(f"title={describe_value(title)} says nothing; give some text")
        await engine.tasks.start(engine.ledger.rename(title))

    async def export(self, format: Literal["openai", "anthropic", "mnesis"] = "openai") -> Any:
        """The whole conversation, not the window: without summaries, and without partial replies of failed turns.

        "openai" is a list of chat-completion messages, "anthropic" `{"system": …, "messages": […]}`, "mnesis" a line of
        JSON with all that was said, its times, and the keys of turns; `from_messages` takes each of them back. Usage,
        costs and finish reasons are not in it, and names of speakers are not in the store.
        """
        transcript = Transcript.of(await self.messages(), self.system_prompt or None, await self._ledger.keys())
        return exported(transcript, format)

    async def close(self) -> None:
        """Wait for what is under way, then let go of the store. Calling it again does nothing.

        A turn that waits to make its request again does not wait any longer: it fails with the error that it had.
        """
        await self._engine.close()

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
        asked = self._asked(message)
        return await _result(self._running.answers(Ask.of(asked, None, tools, on_part, system_prompt, params, origin)))

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

        A caller who leaves early does not stop the turn: it goes on to its end and is stored; `close` waits for it. One
        who is cancelled while waiting here does: the turn is stored as aborted, with all that the model had said as a
        partial reply. What came out here is the beginning of that; what was under way to a caller is stored only.
        """
        ask = Ask.of(self._asked(message), None, tools, on_part, system_prompt, params, origin)
        async with contextlib.aclosing(self._running.answers(ask)) as events:
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
        return await _result(
            self._running.answers(Ask.of(None, results, tools, on_part, system_prompt, params, origin))
        )

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
        ask = Ask.of(None, results, tools, on_part, system_prompt, params, origin)
        async with contextlib.aclosing(self._running.answers(ask)) as events:
            async for event in events:
                yield event

    def _asked(self, message: MessageLike) -> tuple[Part, ...]:
        """The parts of a user's message. Whoever passed a provider of his own knows what that takes."""
        parts = asked_of(message, "message")
        if self._engine.providers.by_the_map:
            check_media(parts, self.model, "message")
        return parts

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
        engine = self._running
        turn = Recorded.of(user_message, assistant_response, tokens, finish_reason, key, at)
        return await engine.tasks.start(engine.turns.record(turn))

    async def compact(self) -> CompactionResult:
        """Compact now, all turns but the newest, and wait for it. The result is measured: what was too small to shrink
        stays as it is. Where the summariser fails, sentences are chosen without a model (level 3).
        """
        return await self._running.room.compact("manual")

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
        engine = self._running
        return await engine.tasks.start(engine.files.attach(source, name, keep))

    async def files(self) -> list[FileRecord]:
        """The files that `attach` made references of, in order."""
        return await self._running.files.all()

    async def file_state(self, file_id: str) -> FileState:
        """Whether a file is as it was when it was attached, and where. Raises `InputError`, `NotFound`."""
        files = self._running.files
        return await files.state(await files.find(file_id))

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
        return self._engine.config

    @property
    def db_path(self) -> Path | None:
        """The file it is kept in; `None` for a store in memory."""
        return self._engine.db.path

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
        return self._engine.room.being_made

    @property
    def event_bus(self) -> EventBus:
        """Where this session's events are published, after they are on disk."""
        return self._ledger.bus

    def subscribe(self, event: MnesisEvent | str | None, handler: Handler) -> Callable[[], None]:
        """Have `handler(event, payload)` called when it happens (`None`: whatever happens). Returns the way to stop.

        A handler may be sync or async; its errors are logged. It must not await a turn of this session.
        Raises `InputError` for an event that does not exist.
        """
        return self.event_bus.subscribe(event, handler)

    async def messages(self) -> list[Message]:
        """The whole log, in order: also partial replies of failed turns."""
        return await self._running.ledger.log()

    async def conversation_messages(self) -> list[Message]:
        """The log without summaries and without partial replies: what was said."""
        return [message for message in await self.messages() if not (message.partial or message.is_summary)]

    async def context(self, turn: int | None = None, *, compact: bool = True) -> ContextWindow:
        """The window as it would be sent now; or, rebuilt, as a past turn (0-based) sent it, in its last request.

        Where the next request needs a compaction first, it is made here, and waited for. With `compact=False` nothing
        is made or stored: the window is shown as it stands, which may then be larger than its budget.

        Raises `NotFound` for a turn that is not there, `ContextOverflow` where the window does not fit.
        """
        ledger, room = self._running.ledger, self._running.room
        if turn is not None:
            return await ledger.past_window(turn, room.budget())
        return await room.window(ledger.preamble()) if compact else await ledger.next_window(room.budget())

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
        check_texts(system_prompt=system_prompt)
        return await self._running.turns.preview(self._asked(message), tools_of(tools), system_prompt)

    async def context_for_next_turn(self, system_prompt: str | None = None) -> list[dict[str, Any]]:
        """The window as chat-completion messages, for a model that you call yourself."""
        check_texts(system_prompt=system_prompt)
        engine = self._running
        return (await engine.room.window(engine.ledger.preamble(system_prompt))).to_openai()

    async def summaries(self) -> list[Summary]:
        """The summaries, in the order in which they were made: what they stand for, and what they no longer say."""
        return await self._running.ledger.summaries()

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
        return await self._running.recall.grep(
            pattern, regex=regex, summary_id=summary_id, role=role, limit=limit, cursor=cursor
        )

    async def describe(self, id: str) -> Description:
        """What an id names, and where that is now: a message, part, summary, file, turn, event, or this session.

        Raises `InputError`, and `NotFound` also for what another session holds.
        """
        return await self._running.recall.describe(id)

    async def expand(self, summary_id: str, *, max_tokens: int = 2000, cursor: str | None = None) -> Expansion:
        """The originals behind a summary, page by page, each labelled with its id. Ids of a message, a part or a turn
        work as well.

        A page never has more than `max_tokens` (at least 128) by the session's counter; all pages together hold every
        original whole. Of a condensed summary these are summaries, to be expanded by their own ids.
        Raises `InputError`, `NotFound`.
        """
        return await self._running.recall.expand(summary_id, max_tokens=max_tokens, cursor=cursor)

    async def why(self, id: str) -> Lineage:
        """Where a message, a part or a summary is now, and how it came there."""
        return await self._running.recall.why(id)

    async def diff(self, a: int, b: int | None = None) -> WindowDiff:
        """What changed from the window of turn `a` to that of turn `b`, with the cause for each item.

        Without `b` it is the next window, as `context(compact=False)` shows it: nothing is compacted for it.
        """
        return await self._running.recall.diff(a, b)

    async def verify(self, *, deep: bool = False) -> VerifyReport:
        """Check the invariants on what is stored. `deep` rebuilds every window, not only the newest 50, and reads the
        whole file.
        """
        engine = self._running
        async with engine.lock.if_free() as free:
            return await engine.recall.verify(deep=deep, turn_running=not free)

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
        return await replay(
            self._running,
            config=config,
            model=model,
            llm=llm,
            needles=needles,
            title=title,
            db_path=db_path,
            pool=pool,
        )

    # -- the record ---------------------------------------------------------------------------------------------

    def history(self) -> list[TurnSnapshot]:
        """What each turn's window was made of, from the first turn on."""
        return self._ledger.accounts.snapshots()

    async def events(self) -> list[EventRecord]:
        """Everything that happened, as it is stored."""
        return await self._running.ledger.events()

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
        turns, closed = self._ledger.accounts.settled(), " closed" * self._engine.closed
        return f"<MnesisSession {self.id} {self.model} {turns} turns{closed}>"

    @property
    def _running(self) -> Engine:
        """The engine, as long as the session is open. Raises `SessionClosed`."""
        if self._engine.closed:
            raise SessionClosed(self.id)
        return self._engine


async def _result(events: AsyncGenerator[StreamEvent]) -> TurnResult:
    """What a stream ends with."""
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, TurnComplete):
                return event.result
    raise AssertionError("a stream ends with TurnComplete or an error")
