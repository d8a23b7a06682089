"""Limits and prices from the model map that the installed litellm carries."""

import subprocess
import sys
import textwrap
import warnings
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnesis.llm.base import ModelLimits
from mnesis.llm.catalog import (
    UnknownModelWarning,
    caches_prompts,
    calls_tools,
    cost_of,
    limits_for,
    price_for,
    reasons,
    takes,
)
from mnesis.models.message import TokenUsage


def test_a_known_model_has_the_limits_of_the_map() -> None:
    assert limits_for("gpt-4o") == ModelLimits(context=128_000, output=16_384, tools=True, schemas=True)


@pytest.mark.parametrize(
    ("spelling", "model"),
    [
        ("openai/gpt-4o", "gpt-4o"),
        ("openrouter/openai/gpt-4o:free", "gpt-4o"),
        ("gpt-4o-2099-01-01", "gpt-4o"),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "ft:gpt-4o-mini-2024-07-18"),
        ("anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
        ("openrouter/anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("openrouter/mistralai/mistral-large-latest", "mistral/mistral-large-latest"),
        ("ollama/llama3.1:8b", "ollama/llama3.1"),
    ],
)
def test_other_spellings_of_a_model_find_it(spelling: str, model: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert limits_for(spelling) == limits_for(model)


def test_an_unknown_model_is_one_warning_that_says_what_is_assumed_and_how_to_set_it() -> None:
    with pytest.warns(UnknownModelWarning) as caught:
        limits = limits_for("azure/my-deployment")
    assert limits == ModelLimits(context=32_768, output=4_096, known=False)
    (warning,) = caught
    for part in ("'azure/my-deployment'", "32,768", 'MnesisConfig(model_overrides={"context_limit": '):
        assert part in str(warning.message)
    assert warning.filename == __file__


def test_an_unknown_model_warns_once_in_a_process_however_often_it_is_used() -> None:
    def use(model: str) -> None:
        for _ in range(3):
            with warnings.catch_warnings():  # as every session does, which makes Python forget its own "once"
                limits_for(model)

    with warnings.catch_warnings(record=True, action="always") as caught:
        use("azure/used-often")
        use("azure/another-one")
    assert len(caught) == 2


def test_a_warning_that_was_swallowed_comes_the_next_time() -> None:
    with warnings.catch_warnings(action="ignore"):
        limits_for("azure/first-swallowed")
    with pytest.warns(UnknownModelWarning):
        limits_for("azure/first-swallowed")


def test_a_warning_that_was_made_an_error_comes_the_next_time() -> None:
    for _ in range(2):
        with warnings.catch_warnings(action="error"), pytest.raises(UnknownModelWarning):
            limits_for("azure/an-error")


@pytest.mark.parametrize(
    ("ask", "yes", "no", "unknown"),
    [
        (partial(takes, kind="image"), "openrouter/openai/gpt-4o", "azure/o1-mini", "azure/my-deployment"),
        (calls_tools, "openai/gpt-4o", "deepseek/deepseek-reasoner", "offline/quote"),
        (caches_prompts, "openrouter/anthropic/claude-sonnet-4.5", "azure/o3-pro", ""),
        (reasons, "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash-image", "ollama/llama3.1"),
    ],
)
def test_what_a_model_can_do_is_known_or_unknown(ask, yes, no, unknown) -> None:
    assert ask(yes) is True
    assert ask(no) is False
    assert ask(unknown) is None


def test_the_maps_own_documentation_entry_is_no_model() -> None:
    with pytest.warns(UnknownModelWarning):
        assert not limits_for("sample_spec").known


@given(st.text() | st.from_regex(r"[a-z:@.-]{0,8}(/[a-z:@.-]{0,8}){0,3}", fullmatch=True))
@settings(deadline=None)
def test_any_string_has_limits_that_make_sense(model: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownModelWarning)
        limits = limits_for(model)
    assert 0 < limits.output <= limits.context


def test_a_known_model_has_a_price() -> None:
    price = price_for("openai/gpt-4o")
    assert price == price_for("gpt-4o")
    assert price
    assert 0 < price.cache_read < price.input < price.output
    assert price.cache_write == price.input, "where the map prices no cache writes they cost what input costs"


@pytest.mark.parametrize("model", ["azure/my-deployment", "offline/demo", "ollama/gpt-4o", "gpt-4o:free", ""])
def test_an_unknown_price_is_none_and_never_zero(model: str) -> None:
    assert price_for(model) is None
    assert cost_of(model, TokenUsage(input=1000, output=1000)) is None


@pytest.mark.parametrize("model", ["ollama/llama3.1", "ollama_chat/llama3.1", "lemonade/gpt-oss-20b-mxfp4-GGUF"])
def test_a_model_on_ones_own_machine_costs_nothing(model: str) -> None:
    assert cost_of(model, TokenUsage(input=1000, output=1000)) == 0.0


@pytest.mark.parametrize(
    "model",
    [
        "gigachat/GigaChat-2-Max",  # 0 in the map, and it is not free
        "gemini/gemini-exp-1206",  # 0 in the map; of the same name without its provider too
        "azure_ai/model_router",  # 0 for output only
        "perplexity/sonar-pro",  # each search costs, too
        "dashscope/qwen-plus-2025-07-28",  # in steps that it alone has; its namesake has one price
        "openai/some-local-server",
    ],
)
def test_a_price_that_the_map_does_not_really_know_is_none(model: str) -> None:
    assert cost_of(model, TokenUsage(input=1000, output=1000)) is None


@pytest.mark.parametrize("model", ["gemini/gemini-2.5-pro", "gpt-5.4"])
def test_a_long_prompt_costs_what_long_prompts_cost(model: str) -> None:
    usual, long = price_for(model, 100_000), price_for(model, 300_000)
    assert usual
    assert long
    assert (long.input, long.cache_read) == pytest.approx((2 * usual.input, 2 * usual.cache_read))
    assert long.output == pytest.approx(1.5 * usual.output)
    assert cost_of(model, TokenUsage(input=300_000, output=10, cache_read=200_000)) == pytest.approx(
        100_000 * long.input + 200_000 * long.cache_read + 10 * long.output
    )


def test_cached_tokens_are_part_of_the_input_and_cost_their_own_price() -> None:
    model = "anthropic/claude-sonnet-4-5"
    price = price_for(model)
    assert price
    cost = cost_of(model, TokenUsage(input=1000, output=10, cache_read=600, cache_write=300))
    expected = 100 * price.input + 600 * price.cache_read + 300 * price.cache_write + 10 * price.output
    assert cost == pytest.approx(expected)


def test_more_cached_tokens_than_input_never_make_a_negative_cost() -> None:
    cost = cost_of("gpt-4o", TokenUsage(input=0, cache_read=10_000))
    assert cost is not None
    assert cost > 0


def test_looking_up_a_model_does_not_import_litellm() -> None:
    script = """
        import sys
        from mnesis.llm.catalog import limits_for, price_for

        assert limits_for("gpt-4o").known and price_for("gpt-4o")
        assert "litellm" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=30)
