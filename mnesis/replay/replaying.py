"""From one session to its replay: a new session, and what each turn would have sent in it."""

from collections.abc import Sequence
from pathlib import Path

from mnesis import opening
from mnesis.engine import Engine, Providers
from mnesis.intake import text_of
from mnesis.llm.base import Provider
from mnesis.models.config import MnesisConfig
from mnesis.models.replay import Replay
from mnesis.opening import Setting
from mnesis.replay.meter import Meter
from mnesis.replay.needles import Needles
from mnesis.replay.rerun import Rerun
from mnesis.replay.script import Script
from mnesis.store import Database


async def replay(
    original: Engine,
    *,
    config: MnesisConfig | None,
    model: str | None,
    llm: Provider | None,
    needles: Sequence[str],
    title: str | None,
    db_path: str | Path | None,
    pool: Database | None,
) -> Replay:
    """Replay a session. Documented at `MnesisSession.replay`."""
    row = original.ledger.row
    config = original.config if config is None else opening.checked(config)
    here = db_path is None and pool is None
    name = row.model if model is None else text_of(model, "model")
    found = Providers.of(llm or (original.providers.passed if model is None else None), name, config)
    meter = Meter(found.answers, found.summarises, config.compaction.compaction_model or name)
    script = await Script.of(original.ledger)
    followed = Needles.of(needles, script.messages)
    engine = await opening.create(
        Setting(config, db_path, original.db if here else pool, meter, script.clock),
        name,
        row.system_prompt,
        row.agent,
        parent_id=row.id if here else None,
        title=title if title is not None else f"{row.title or row.id}, replayed",
    )
    try:
        rerun = Rerun(engine.ledger, engine.room, engine.lock, meter, engine.tasks.drain, followed)
        return await rerun.run(script, row.id)
    finally:
        await engine.close()
