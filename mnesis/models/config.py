"""Settings. Every value out of range is refused with the field, the value and the allowed range."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mnesis.errors import ConfigError
from mnesis.models.base import Checked


class Settings(Checked):
    """A group of settings that explains what is wrong with a value."""

    error_type = ConfigError


class CompactionConfig(Settings):
    """When and how the window is compacted. Budgets in tokens."""

    auto: bool = True
    compaction_output_budget: int = Field(default=20_000, ge=0)
    prune: bool = True
    prune_protect_tokens: int = Field(default=40_000, ge=0)
    prune_minimum_tokens: int = Field(default=20_000, ge=0)
    compaction_model: str | None = None
    level2_enabled: bool = True
    compaction_prompt: str | None = None
    soft_threshold_fraction: float = Field(default=0.6, gt=0, le=1)
    max_compaction_rounds: int = Field(default=10, ge=1)
    condensation_enabled: bool = True


class FileConfig(Settings):
    """How large files are taken in. `inline_threshold` in tokens."""

    inline_threshold: int = Field(default=10_000, ge=0)
    storage_dir: Path = Path("~/.mnesis/files")
    exploration_summary_model: str | None = None


class StoreConfig(Settings):
    """Where sessions are kept. `connection_timeout` in seconds: how long to wait for somebody else's lock."""

    db_path: Path = Path("~/.mnesis/sessions.db")
    wal_mode: bool = True
    connection_timeout: float = Field(default=30.0, gt=0, allow_inf_nan=False)


class OperatorConfig(Settings):
    """How wide the parallel operators run."""

    llm_map_concurrency: int = Field(default=16, ge=1)
    agentic_map_concurrency: int = Field(default=4, ge=1)
    max_retries: int = Field(default=3, ge=0)


class RetryConfig(Settings):
    """How often a transient provider error is tried again, with delays in seconds that double up to `max_delay`.

    `jitter` waits a random part of them. A provider's own wish (`retry-after`) is obeyed up to five minutes, or
    `max_delay` where that is longer; beyond it the error is raised at once.
    """

    max_retries: int = Field(default=0, ge=0)
    base_delay: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    max_delay: float = Field(default=60.0, ge=0, allow_inf_nan=False)
    jitter: bool = True


class SessionConfig(Settings):
    """How a turn runs.

    `recall`: whether the model is offered tools that search and reread what left its window: "auto" offers them once
    there are summaries, to a model that is known to call tools. `max_tool_rounds`: so often may it call tools before it
    has to answer; `doom_loop_threshold`: so often in a row may it make the same call with the same arguments before it
    has to. `tool_timeout`: seconds that a tool has.
    """

    doom_loop_threshold: int = Field(default=3, ge=2)
    recall: Literal["auto", "off", "always"] = "auto"
    max_tool_rounds: int = Field(default=16, ge=1)
    tool_timeout: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    retry: RetryConfig = Field(default_factory=RetryConfig)


class ModelOverrides(Settings):
    """What you know better than the model map. In tokens."""

    context_limit: int | None = Field(default=None, ge=256)
    max_output_tokens: int | None = Field(default=None, ge=1)


class MnesisConfig(Settings):
    """All settings of a session. Groups may be given as objects or as dicts."""

    compaction: CompactionConfig = Field(default_factory=CompactionConfig)
    file: FileConfig = Field(default_factory=FileConfig)
    store: StoreConfig = Field(default_factory=StoreConfig)
    operators: OperatorConfig = Field(default_factory=OperatorConfig)
    session: SessionConfig = Field(default_factory=SessionConfig)
    model_overrides: ModelOverrides = Field(default_factory=ModelOverrides)
