"""Settings: the defaults of DESIGN section 2, and what is refused."""

import re
from pathlib import Path

import pytest

from mnesis import (
    CompactionConfig,
    ConfigError,
    FileConfig,
    MnesisConfig,
    MnesisError,
    OperatorConfig,
    SessionConfig,
    StoreConfig,
)
from mnesis.models.config import RetryConfig
from mnesis.models.config import SessionConfig as FromModels


def build(kind, **settings):
    return kind(**settings)


def test_the_defaults_are_those_of_the_design():
    config = MnesisConfig()
    assert config.compaction.model_dump() == {
        "auto": True,
        "compaction_output_budget": 20_000,
        "prune": True,
        "prune_protect_tokens": 40_000,
        "prune_minimum_tokens": 20_000,
        "compaction_model": None,
        "level2_enabled": True,
        "compaction_prompt": None,
        "soft_threshold_fraction": 0.6,
        "max_compaction_rounds": 10,
        "condensation_enabled": True,
    }
    assert config.file == FileConfig(
        inline_threshold=10_000, storage_dir="~/.mnesis/files", exploration_summary_model=None
    )
    assert config.store == StoreConfig(db_path="~/.mnesis/sessions.db", wal_mode=True, connection_timeout=30.0)
    assert config.operators == OperatorConfig(llm_map_concurrency=16, agentic_map_concurrency=4, max_retries=3)
    retry = RetryConfig(max_retries=0, base_delay=1.0, max_delay=60.0, jitter=True)
    assert config.session == SessionConfig(doom_loop_threshold=3, retry=retry)
    assert config.model_overrides.model_dump() == {"context_limit": None, "max_output_tokens": None}
    assert FromModels is SessionConfig


def test_groups_may_be_objects_or_dicts():
    by_dict = MnesisConfig(compaction={"auto": False}, session={"retry": {"max_retries": 2}})
    by_object = MnesisConfig(
        compaction=CompactionConfig(auto=False), session=SessionConfig(retry=RetryConfig(max_retries=2))
    )
    assert by_dict == by_object
    assert MnesisConfig(store={"db_path": "x.db"}).store.db_path == Path("x.db")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CompactionConfig(soft_threshold_fraction=1.5), "CompactionConfig.soft_threshold_fraction=1.5"),
        (lambda: CompactionConfig(soft_threshold_fraction=0), "CompactionConfig.soft_threshold_fraction=0"),
        (lambda: CompactionConfig(compaction_output_budget=-1), "CompactionConfig.compaction_output_budget=-1"),
        (lambda: CompactionConfig(max_compaction_rounds=0), "CompactionConfig.max_compaction_rounds=0"),
        (lambda: FileConfig(inline_threshold=-5), "FileConfig.inline_threshold=-5"),
        (lambda: StoreConfig(connection_timeout=0), "StoreConfig.connection_timeout=0"),
        (lambda: StoreConfig(connection_timeout=float("nan")), "StoreConfig.connection_timeout=nan"),
        (lambda: StoreConfig(connection_timeout="soon"), "StoreConfig.connection_timeout='soon'"),
        (lambda: OperatorConfig(llm_map_concurrency=0), "OperatorConfig.llm_map_concurrency=0"),
        (lambda: SessionConfig(doom_loop_threshold=1), "SessionConfig.doom_loop_threshold=1"),
        (lambda: RetryConfig(base_delay=-0.1), "RetryConfig.base_delay=-0.1"),
        (lambda: MnesisConfig(compaction={"auto": "perhaps"}), "CompactionConfig.auto='perhaps'"),
        (lambda: MnesisConfig(model_overrides={"context_limit": 0}), "ModelOverrides.context_limit=0"),
        (lambda: MnesisConfig(model_overrides={"max_output_tokens": 0}), "ModelOverrides.max_output_tokens=0"),
        (lambda: MnesisConfig(session={"retry": {"max_retries": -1}}), "RetryConfig.max_retries=-1"),
        (lambda: MnesisConfig(store="here"), "MnesisConfig.store='here'"),
    ],
    ids=range(16),
)
def test_a_value_out_of_range_is_refused_with_its_name_the_value_and_what_is_allowed(make, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        make()
    assert "allowed is" in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, MnesisError)


@pytest.mark.parametrize(
    ("make", "field", "known"),
    [
        (lambda: build(MnesisConfig, compact={}), "MnesisConfig.compact", "compaction"),
        (lambda: build(CompactionConfig, Auto=True), "CompactionConfig.Auto", "auto"),
        (lambda: MnesisConfig(store={"path": "x"}), "StoreConfig.path", "db_path"),
        (lambda: MnesisConfig(model_overrides={"context": 1_000}), "ModelOverrides.context", "context_limit"),
        (lambda: MnesisConfig(session={"retry": {"retries": 1}}), "RetryConfig.retries", "max_retries"),
    ],
    ids=range(5),
)
def test_an_unknown_key_is_refused_with_the_keys_there_are(make, field, known):
    with pytest.raises(ConfigError, match=rf"{re.escape(field)} is not known.*\b{known}\b"):
        make()


def test_a_path_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"StoreConfig\.db_path=5.*not a valid path"):
        StoreConfig(db_path=5)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError, match=r"auto.*; .*prune"):
        CompactionConfig(auto="perhaps", prune="perhaps")


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        MnesisConfig().store.wal_mode = False  # type: ignore[misc]
