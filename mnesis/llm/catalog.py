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

_VENDORS = {"x-ai": "xai", "mistralai": "mistral", "google": "gemini", "moonshotai": "moonshot", "z-ai": "zai"}
"""How aggregators (OpenRouter) call a vendor, and how litellm calls the same one."""

_SNAPSHOT = re.compile(r"[-@](latest|\d{8}|\d{4}-\d{2}-\d{2})$")


class UnknownModelWarning(UserWarning):
    """The limits of a model are not known; a default is used."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per token, at the provider's base rate (no batch, priority or long-context tier)."""

    input: float
    output: float
    cache_read: float
    cache_write: float


def limits_for(model: str) -> ModelLimits:
    """The limits of a model, by its litellm string; a default where they are not known.

    That default is said in an `UnknownModelWarning`, once per model and process.
    """
    for name in _names(model):
        if limits := _limits(_models().get(name, {})):
            return replace(limits, tools=calls_tools(model) is True)
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


def takes_images(model: str) -> bool | None:
    """Whether a model takes images. Like the questions below: `None` where the map does not say."""
    return _says(model, "supports_vision")


def calls_tools(model: str) -> bool | None:
    """Whether a model calls tools."""
    return _says(model, "supports_function_calling")


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


def price_for(model: str) -> Price | None:
    """The price of a model, `None` where it is not known.

    Only an entry of the provider named in the string is believed: the same model costs something else elsewhere, and
    a ":free" one is not its paid namesake. Where the map gives no price for cached tokens, they cost what input costs.
    """
    provider = model.partition("/")[0] if "/" in model else ""
    for name in _names(model):
        entry = _models().get(name, {})
        same_provider = str(entry.get("litellm_provider", "")).startswith(provider)
        believed = name == model or (same_provider and not model.endswith(":free"))
        if believed and (price := _price(entry)):
            return price
    return None


def cost_of(model: str, usage: TokenUsage) -> float | None:
    """What this usage costs in US dollars, `None` where the price is not known."""
    if (price := price_for(model)) is None:
        return None
    fresh = max(0, usage.input - usage.cache_read - usage.cache_write)
    return (
        fresh * price.input
        + usage.cache_read * price.cache_read
        + usage.cache_write * price.cache_write
        + usage.output * price.output
    )


def takes(model: str, kind: MediaKind) -> bool | None:
    """Whether a model takes media of this kind, `None` where the map does not say."""
    for name in _names(model):
        entry = _models().get(name, {})
        if isinstance(told := entry.get(_FLAGS[kind]), bool):
            return told
    return None


_FLAGS: dict[MediaKind, str] = {
    "image": "supports_vision",
    "audio": "supports_audio_input",
    "video": "supports_video_input",
    "document": "supports_pdf_input",
}


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


def _price(entry: dict[str, Any]) -> Price | None:
    fresh, output = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if fresh is None or output is None:
        return None
    read, write = entry.get("cache_read_input_token_cost"), entry.get("cache_creation_input_token_cost")
    return Price(fresh, output, fresh if read is None else read, fresh if write is None else write)


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
