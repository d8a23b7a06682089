"""Limits and prices of models, from the map that the installed litellm carries, without importing litellm.

The file is `litellm/model_prices_and_context_window_backup.json`, read once per process, on first use (about 50 ms).
"""

import contextlib
import json
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from mnesis.llm.base import ModelLimits
from mnesis.models.media import MediaKind
from mnesis.models.message import TokenUsage
from mnesis.tokens.wheel import litellm_file

logger = logging.getLogger("mnesis.llm")

# Without ".py": CPython 3.12 does not take a whole file name for a prefix of itself.
_NOT_THE_CALLER = (str(Path(__file__).parents[1]), contextlib.__file__.removesuffix(".py"))
_UNKNOWN = ModelLimits(context=32_768, output=4_096, known=False)
_LOCK = threading.Lock()

_VENDORS = {
    "x-ai": "xai",
    "mistralai": "mistral",
    "google": "gemini",
    "moonshotai": "moonshot",
    "z-ai": "zai",
    "ollama_chat": "ollama",
}
"""How aggregators (OpenRouter) call a vendor, and how the map calls the same one."""

_NO_BILL = {"ollama", "lemonade"}
"""They run on one's own machine, so a price of 0 is one. Elsewhere a 0 in the map stands for what nobody looked up."""

_SNAPSHOT = re.compile(r"[-@](latest|\d{8}|\d{4}-\d{2}-\d{2})$")


class UnknownModelWarning(UserWarning):
    """The limits of a model are not known; a default is used."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per token, at the provider's usual rate (no batch, no priority)."""

    input: float
    output: float
    cache_read: float
    cache_write: float


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the map knows of a model. `None` where it does not say; `provider` as litellm calls it."""

    model: str
    provider: str | None
    context: int | None
    output: int | None
    price: Price | None
    tools: bool | None
    images: bool | None
    caching: bool | None
    reasoning: bool | None


_PLAIN = {"openai", "anthropic"}
"""The map names their models without them."""


def known_models() -> tuple[str, ...]:
    """The model strings of the map that answer in a conversation, in the order of the alphabet.

    What the map names without its provider stands there with it as well: `gpt-4o` and `openai/gpt-4o`.
    """
    return _conversing()


@cache
def _conversing() -> tuple[str, ...]:
    names = set()
    for name, entry in _models().items():
        if entry.get("mode") in ("chat", "responses"):
            provider = str(entry.get("litellm_provider", ""))
            names |= {name, f"{provider}/{name}"} if "/" not in name and provider in _PLAIN else {name}
    return tuple(sorted(names))


def model_facts(model: str) -> ModelFacts:
    """Limits, prices and abilities of a model, without a warning where they are not known."""
    limits = next((found for name in _names(model) if (found := _limits(_models().get(name, {})))), None)
    return ModelFacts(
        model=model,
        provider=provider_of(model),
        context=limits.context if limits else None,
        output=limits.output if limits else None,
        price=price_for(model),
        tools=calls_tools(model),
        images=takes(model, "image"),
        caching=caches_prompts(model),
        reasoning=reasons(model),
    )


def limits_for(model: str) -> ModelLimits:
    """The limits of a model, by its litellm string; a default where they are not known.

    That default is said in an `UnknownModelWarning`, once per model and process.
    """
    for name in _names(model):
        if limits := _limits(_models().get(name, {})):
            return replace(limits, tools=calls_tools(model) is True, schemas=keeps_to_schemas(model) is True)
    if model not in _warned:
        _warn(model)
    return _UNKNOWN


_warned: set[str] = set()


def _warn(model: str) -> None:
    text = (
        f"the limits of model {model!r} are not known, so a window of {_UNKNOWN.context:,} tokens with "
        f"{_UNKNOWN.output:,} of output is assumed; "
        'MnesisConfig(model_overrides={"context_limit": …, "max_output_tokens": …}) sets them'
    )
    # Python's own "once" forgets whenever somebody enters `catch_warnings`. And a warning that the caller's filters
    # swallow, as where `model_overrides` say the limits, has not been seen: the next one counts.
    with warnings.catch_warnings(record=True) as seen:
        warnings.warn(text, UnknownModelWarning, stacklevel=2, skip_file_prefixes=_NOT_THE_CALLER)
    for warning in seen:
        _warned.add(model)
        warnings.warn_explicit(text, UnknownModelWarning, warning.filename, warning.lineno)


def provider_of(model: str) -> str | None:
    """Who answers for a model, as litellm calls them: the first segment of the string, or what the map says."""
    provider, slash, _ = model.partition("/")
    return provider if slash else _models().get(model, {}).get("litellm_provider")


def takes(model: str, kind: MediaKind) -> bool | None:
    """Whether a model takes media of this kind. Like the questions below: `None` where the map does not say."""
    return _says(model, _MEDIA[kind])


_MEDIA: dict[MediaKind, str] = {
    "image": "supports_vision",
    "audio": "supports_audio_input",
    "video": "supports_video_input",
    "document": "supports_pdf_input",
}


def calls_tools(model: str) -> bool | None:
    """Whether a model calls tools."""
    return _says(model, "supports_function_calling")


def keeps_to_schemas(model: str) -> bool | None:
    """Whether a model keeps to a JSON Schema."""
    return _says(model, "supports_response_schema")


def caches_prompts(model: str) -> bool | None:
    """Whether the provider of a model keeps the beginning of a prompt, and charges less for it the next time."""
    return _says(model, "supports_prompt_caching")


def reasons(model: str) -> bool | None:
    """Whether a model can reason before it answers."""
    return _says(model, "supports_reasoning")


def _says(model: str, key: str) -> bool | None:
    """What the first entry that says anything about this says: the provider's own, or the model's elsewhere."""
    said = (_models().get(name, {}).get(key) for name in _names(model))
    return next((bool(value) for value in said if value is not None), None)


def price_for(model: str, input_tokens: int = 0) -> Price | None:
    """The price of a model for a request with so much input, `None` where it is not known.

    Only the entry of the provider named in the string is believed: the same model costs something else elsewhere, and
    a ":free" one is not its paid namesake. Where the map gives no price for cached tokens, they cost what input costs.
    """
    provider = model.partition("/")[0] if "/" in model else ""
    for name in _names(model):
        entry = _models().get(name, {})
        same_provider = str(entry.get("litellm_provider", "")).startswith(_VENDORS.get(provider, provider))
        if entry and (name == model or (same_provider and not model.endswith(":free"))):
            return _price(entry, input_tokens)
    return None


def cost_of(model: str, usage: TokenUsage) -> float | None:
    """What this usage costs in US dollars, `None` where the price is not known."""
    if (price := price_for(model, usage.input)) is None:
        return None
    fresh = max(0, usage.input - usage.cache_read - usage.cache_write)
    return (
        fresh * price.input
        + usage.cache_read * price.cache_read
        + usage.cache_write * price.cache_write
        + usage.output * price.output
    )


def _names(model: str) -> Iterator[str]:
    """What the map may call this model, best first: as given, without provider segments, then other spellings."""
    segments = model.split("/")
    plain = ["/".join(segments[start:]) for start in range(len(segments))]
    yield from plain
    for name in plain:
        vendor, slash, rest = name.partition("/")
        if slash and vendor in _VENDORS:
            yield f"{_VENDORS[vendor]}/{rest}"
    for name in plain:
        head, _, tag = name.rpartition(":")
        if head and tag:  # "ft:gpt-4o-mini-2024-07-18:org::id", "model:free"
            yield ":".join(name.split(":")[: 2 if name.startswith("ft:") else 1])
    for name in plain:
        if (base := _SNAPSHOT.sub("", name)) != name:
            yield base
        if "claude-" in base and "." in base:
            yield base.replace(".", "-")


def _limits(entry: dict[str, Any]) -> ModelLimits | None:
    context = _tokens(entry, "max_input_tokens") or _tokens(entry, "max_tokens")
    if not context:
        return None
    output = _tokens(entry, "max_output_tokens") or _tokens(entry, "max_tokens") or _UNKNOWN.output
    return ModelLimits(context=context, output=min(output, context))


def _tokens(entry: dict[str, Any], key: str) -> int | None:
    value = entry.get(key)
    return int(value) if isinstance(value, int | float) and value > 0 else None


def _price(entry: dict[str, Any], input_tokens: int) -> Price | None:
    tiers = [int(found[1]) for key in entry if (found := _TIER.fullmatch(key))]
    tier = max((each for each in tiers if input_tokens > each * 1000), default=None)

    def rate(name: str) -> float | None:
        long_context = entry.get(f"{name}_above_{tier}k_tokens") if tier else None
        return entry.get(name) if long_context is None else long_context

    fresh, output = rate("input_cost_per_token"), rate("output_cost_per_token")
    if fresh is None or output is None or _has_other_fees(entry):
        return None
    if not (fresh and output) and entry.get("litellm_provider") not in _NO_BILL:
        return None
    read, write = rate("cache_read_input_token_cost"), rate("cache_creation_input_token_cost")
    return Price(fresh, output, fresh if read is None else read, fresh if write is None else write)


_TIER = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")


def _has_other_fees(entry: dict[str, Any]) -> bool:
    """Whether something is billed that `TokenUsage` does not tell: requests, searches, reasoning at its own price."""
    reasoning = entry.get("output_cost_per_reasoning_token")
    searches = entry.get("litellm_provider") == "perplexity" and "search_context_cost_per_query" in entry
    return searches or "input_cost_per_request" in entry or reasoning not in (None, entry.get("output_cost_per_token"))


def _models() -> dict[str, dict[str, Any]]:
    with _LOCK:
        return _parse()


@cache
def _parse() -> dict[str, dict[str, Any]]:
    path = litellm_file("model_prices_and_context_window_backup.json")
    try:
        models: dict[str, dict[str, Any]] = json.loads(path.read_bytes()) if path else {}
    except (OSError, ValueError) as error:
        logger.warning("the model map %s is not readable (%s); reinstall litellm", path, error)
        return {}
    models.pop("sample_spec", None)
    return models
