"""From a model string to the provider that answers for it. The only place that reads `MNESIS_MOCK_LLM`."""

import os
import warnings

from mnesis.errors import BadRequest, InputError
from mnesis.llm.base import ModelLimits, Provider
from mnesis.models.config import MnesisConfig

OFFLINE_MODEL = "offline/quote"
"""Needs no key and no network; says itself that it is not a language model."""


def provider_for(model: str) -> Provider:
    """The provider of a model string. With `MNESIS_MOCK_LLM=1` every model runs on the offline one.

    Raises `BadRequest` for a local model that is not here, or cannot be run.
    """
    if not model or not model.strip():
        raise InputError(f"model={model!r} names no model; give a litellm model string, or {OFFLINE_MODEL!r}")
    if is_offline(model):
        from mnesis.llm.quote import QuoteProvider
        from mnesis.tokens import counter_for

        return QuoteProvider(counter_for(model).count)  # a summary keeps to its limit as the session counts it
    if model.startswith("local/"):
        from mnesis.llm.local import LocalProvider

        local = LocalProvider()
        local.check(model)
        return local
    from mnesis.llm.litellm import LiteLLMProvider

    provider = LiteLLMProvider()
    provider.warm()
    return provider


def provider_or_word_for(model: str) -> Provider:
    """The provider of a model string; where it cannot be had here, one that says so when it is asked."""
    try:
        return provider_for(model)
    except BadRequest as error:
        from mnesis.llm.absent import AbsentProvider

        return AbsentProvider(error)


def limits_of(provider: Provider, model: str, config: MnesisConfig) -> ModelLimits:
    """The limits of a model, without a warning where `model_overrides` set them anyway."""
    if is_offline(model) and not model.startswith("offline/"):
        from mnesis.llm.catalog import limits_for

        with warnings.catch_warnings(action="ignore"):
            limits = limits_for(model)
        return limits if limits.known else provider.limits(model)
    with warnings.catch_warnings():
        if config.model_overrides.context_limit is not None:
            warnings.simplefilter("ignore")
        return provider.limits(model)


def is_offline(model: str) -> bool:
    """Whether this model string is answered without any network."""
    return model.startswith("offline/") or os.environ.get("MNESIS_MOCK_LLM", "").lower() in ("1", "true", "yes", "on")
