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
    """Whether anything is compacted. If not, a window that does not fit is refused."""
    compaction_output_budget: int = Field(default=20_000, ge=0)
    """Kept free of the model's window, beside the room for a reply."""
    prune: bool = True
    """Whether old tool outputs give way to tombstones before anything is summarised."""
    prune_protect_tokens: int = Field(default=40_000, ge=0)
    """So much of the newest tool outputs stays; at most a quarter of the usable window."""
    prune_minimum_tokens: int = Field(default=20_000, ge=0)
    """Nothing is pruned where it frees less; at most an eighth of the usable window."""
    compaction_model: str | None = None
    """The model that writes summaries; `None` is the session's own."""
    level2_enabled: bool = True
    """Whether a terse summary is tried where the structured one is not usable."""
    compaction_prompt: str | None = None
    """What the summariser is asked for, instead of the built-in structured summary."""
    soft_threshold_fraction: float = Field(default=0.6, gt=0, le=1)
    """Above this share of the usable window, compaction runs in the background."""
    max_compaction_rounds: int = Field(default=10, ge=1)
    """So many summaries may a model write in one compaction; if more are needed, they are made without."""
    condensation_enabled: bool = True
    """Whether many summaries become one."""


class FileConfig(Settings):
    """How files are taken in."""

    inline_threshold: int = Field(default=10_000, ge=0)
    """A text of up to so many tokens goes along whole, anything else as a reference."""
    storage_dir: Path = Path("~/.mnesis/files")
    """Where copies of files are kept."""
    exploration_summary_model: str | None = None
    """A model that says what a text is about, beside what is found without one; `None` asks none."""


class StoreConfig(Settings):
    """Where sessions are kept."""

    db_path: Path = Path("~/.mnesis/sessions.db")
    """One SQLite file, made where it is not there; ":memory:" keeps nothing."""
    wal_mode: bool = True
    """SQLite's write-ahead log: readers and a writer do not wait for each other."""
    connection_timeout: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """Seconds to wait for somebody else's lock."""


class OperatorConfig(Settings):
    """How maps run."""

    llm_map_concurrency: int = Field(default=16, ge=1)
    """So many items of an `LLMMap` are under way at once."""
    agentic_map_concurrency: int = Field(default=4, ge=1)
    """So many agents of an `AgenticMap` are."""
    max_retries: int = Field(default=3, ge=0)
    """So often is an item asked again, after a transient error or an answer that does not fit."""
    item_timeout: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    """Seconds that one item has, with all its attempts."""


class RetryConfig(Settings):
    """How a transient provider error is tried again, with delays that double.

    A provider's own wish (`retry-after`) is obeyed up to five minutes, or `max_delay` where that is longer; beyond it
    the error is raised at once.
    """

    max_retries: int = Field(default=0, ge=0)
    """How often a request is made again."""
    base_delay: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Seconds before the first time."""
    max_delay: float = Field(default=60.0, ge=0, allow_inf_nan=False)
    """Seconds that a delay grows to."""
    jitter: bool = True
    """Whether only a random part of the delay is waited for."""


class SessionConfig(Settings):
    """How a turn runs."""

    doom_loop_threshold: int = Field(default=3, ge=2)
    """So often in a row may a model make the same call with the same arguments before it has to answer."""
    recall: Literal["auto", "off", "always"] = "auto"
    """Whether the model is offered tools that search and reread what left its window. "auto" offers them once there are
    summaries, to a model that is known to call tools.
    """
    max_tool_rounds: int = Field(default=16, ge=1)
    """So often may a model call tools before it has to answer."""
    tool_timeout: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    """Seconds that a tool has, where it brings no time of its own."""
    retry: RetryConfig = Field(default_factory=RetryConfig)


class ModelOverrides(Settings):
    """What you know better than the model map. In tokens."""

    context_limit: int | None = Field(default=None, ge=256)
    """How much the model takes, request and reply together."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    """How much of that is kept free for a reply."""


class MnesisConfig(Settings):
    """All settings of a session. Groups may be given as objects or as dicts."""

    compaction: CompactionConfig = Field(default_factory=CompactionConfig)
    file: FileConfig = Field(default_factory=FileConfig)
    store: StoreConfig = Field(default_factory=StoreConfig)
    operators: OperatorConfig = Field(default_factory=OperatorConfig)
    session: SessionConfig = Field(default_factory=SessionConfig)
    model_overrides: ModelOverrides = Field(default_factory=ModelOverrides)
