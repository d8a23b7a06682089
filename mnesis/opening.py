"""The ways to a session: a new one, a stored one, one that begins with a conversation, a fork."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mnesis import ledger as ledgers
from mnesis.context.assembly import system_tokens
from mnesis.engine import Engine, Providers
from mnesis.errors import ConfigError, InputError, describe_value
from mnesis.events.bus import EventBus
from mnesis.ids import kind_of, new_id
from mnesis.intake import check_texts, text_of
from mnesis.ledger import Clock
from mnesis.llm.base import Provider
from mnesis.llm.select import is_offline, provider_or_word_for
from mnesis.models.config import MnesisConfig
from mnesis.progress import track
from mnesis.store import Database
from mnesis.store.rows import SessionRow
from mnesis.tokens import counter_for
from mnesis.transcripts import Format, Transcript, transcript_of
from mnesis.transcripts.checks import check
from mnesis.turns import Recorded, Said

DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant."


@dataclass(frozen=True, slots=True)
class Setting:
    """What every way to a session is told: how it works, where it is kept, who answers, what time it is."""

    config: MnesisConfig | None
    db_path: str | Path | None
    pool: Database | None
    llm: Provider | None
    clock: Clock


async def create(
    setting: Setting,
    model: str,
    system_prompt: str = DEFAULT_SYSTEM_PROMPT,
    agent: str = "default",
    parent_id: str | None = None,
    title: str | None = None,
) -> Engine:
    """A new session."""
    for value, argument in ((model, "model"), (system_prompt, "system_prompt"), (agent, "agent")):
        text_of(value, argument)
    check_texts(parent_id=parent_id, title=title)
    config = checked(setting.config)
    providers = Providers.of(setting.llm, model, config)
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
        created_at=setting.clock(),
    )

    async def build(db: Database, owns_db: bool) -> Engine:
        ledger = await ledgers.create(db, row, counter, EventBus(), setting.clock)
        return Engine(db, owns_db, ledger, providers, config)

    return await _built(build, config, setting.db_path, setting.pool, create=True)


async def load(setting: Setting, session_id: str) -> Engine:
    """A stored session. A turn that a dead process left open is marked aborted."""
    if kind_of(text_of(session_id, "session_id")) != "session":
        raise InputError(f"session_id={session_id!r} is not a session id; those begin with 'sess_'")

    async def build(db: Database, owns_db: bool) -> Engine:
        ledger = await ledgers.load(db, session_id, EventBus(), setting.clock)
        config = setting.config or ledger.row.config
        # A session can be read where its model is not: that is said when it is asked something.
        providers = Providers.of(setting.llm, ledger.row.model, config, provider_or_word_for)
        engine = Engine(db, owns_db, ledger, providers, config)
        await engine.lock.recover()
        return engine

    return await _built(build, checked(setting.config), setting.db_path, setting.pool, create=False)


async def begin_with(
    setting: Setting,
    messages: Transcript | Sequence[Any] | Mapping[str, Any] | str | Path,
    format: Format,
    model: str,
    system_prompt: str | None,
    title: str | None,
) -> Engine:
    """A new session that begins with a conversation, which is checked as a whole before anything is stored."""
    transcript = transcript_of(messages, format)
    by_the_map = setting.llm is None and not is_offline(text_of(model, "model"))
    check(transcript, model if by_the_map else None)
    prompt = transcript.system_prompt if system_prompt is None else system_prompt
    engine = await create(setting, model, DEFAULT_SYSTEM_PROMPT if prompt is None else prompt, title=title)
    try:
        with track("importing", len(transcript.turns), "turns") as progress:
            for turn in transcript.turns:
                asked = Said("user", turn.user, turn.created_at) if turn.user else None
                answered = tuple(Said(each.role, each.parts, each.created_at) for each in turn.messages)
                await engine.turns.record(Recorded(asked, answered, key=turn.key))
                progress.advance()
    except BaseException:
        await engine.close()
        raise
    return engine


async def fork(
    past: Engine,
    turn: int | None,
    *,
    title: str | None,
    model: str | None,
    system_prompt: str | None,
    config: MnesisConfig | None,
    llm: Provider | None,
    clock: Clock,
) -> Engine:
    """A session that shares the past of another one up to a turn. What is given takes the place of what that had."""
    check_texts(title=title, model=model, system_prompt=system_prompt)
    row, providers = past.ledger.row, past.providers
    settings = past.config if config is None else checked(config)
    if llm is not None or model is not None or config is not None:
        same = providers.passed if model in (None, row.model) else None
        providers = Providers.of(llm or same, model or row.model, settings)
    model = model or row.model
    if system_prompt is not None or model != row.model:
        prompt = row.system_prompt if system_prompt is None else system_prompt
        row = replace(row, system_prompt=prompt, system_tokens=system_tokens(prompt, counter_for(model)))
    row = replace(row, id=new_id("sess"), parent_id=None, model=model, config=settings, title=title, created_at=clock())

    async def build(db: Database, owns_db: bool) -> Engine:
        ledger = await ledgers.fork(past.ledger, db, row, turn, EventBus(), clock)
        return Engine(db, owns_db, ledger, providers, settings)

    shared = past.db if past.db.path is None or not past.owns_db else None
    return await _built(build, settings, past.db.path, shared, create=False)


def checked(config: MnesisConfig | None) -> MnesisConfig:
    """The settings that were passed, or the defaults. Raises `ConfigError`."""
    if not isinstance(config, MnesisConfig | None):
        raise ConfigError(f"config={describe_value(config)} is not a MnesisConfig; give MnesisConfig(…)")
    return config or MnesisConfig()


async def _built(
    build: Callable[[Database, bool], Coroutine[Any, Any, Engine]],
    config: MnesisConfig,
    db_path: str | Path | None,
    pool: Database | None,
    *,
    create: bool,
) -> Engine:
    """Build a session on a store, and close the store again where that fails."""
    if not isinstance(pool, Database | None):
        raise InputError(f"pool={describe_value(pool)} is no open store; give what Database.open() returned")
    if pool is not None:
        return await build(pool, False)
    if not isinstance(db_path, str | Path | None):
        raise InputError(f"db_path={describe_value(db_path)} is not a path; give a str or a pathlib.Path")
    settings = config.store if db_path is None else config.store.model_copy(update={"db_path": Path(db_path)})
    db = await Database.open(settings, create=create)
    try:
        return await build(db, True)
    except BaseException:
        await db.close()
        raise
