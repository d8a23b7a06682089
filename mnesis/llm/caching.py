"""Tells the providers that want to be told which part of a prompt to keep (Anthropic's models, wherever they run).

Others (OpenAI, DeepSeek, Gemini) find the common beginning of two prompts by themselves, and get no marks. The format:
https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching; litellm turns it into the one of Bedrock.
"""

from typing import Any

from mnesis.llm.base import Request
from mnesis.llm.catalog import caches_prompts, provider_of

_MARK = {"cache_control": {"type": "ephemeral"}}
_PROVIDERS = {
    "anthropic",
    "azure_ai",
    "bedrock",
    "bedrock_converse",
    "openrouter",
    "vertex_ai",
    "vertex_ai-anthropic_models",
}


def takes_marks(model: str) -> bool:
    """Whether marks in the messages are understood on the way to this model, and by the model."""
    return "claude" in model.lower() and provider_of(model) in _PROVIDERS and caches_prompts(model) is True


def marked(request: Request) -> list[dict[str, Any]]:
    """The messages with marks where the next request is likely to begin alike; at most the four that are allowed.

    After the system prompt (the tools, which come before it, included), after the summaries, at the newest user
    message, and in a tool round at its last result. The text stays the same.
    """
    if request.system_ends is None or not takes_marks(request.model):
        return request.messages
    messages = list(request.messages)
    if messages and messages[0]["role"] == "system":
        messages[0] = _parted(messages[0], request.system_ends)
    newest = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=None)
    last = len(messages) - 1 if messages and messages[-1]["role"] == "tool" else None
    for at in (newest, last):
        if at is not None:
            messages[at] = _marked(messages[at])
    return messages


def _parted(message: dict[str, Any], ends: tuple[int, ...]) -> dict[str, Any]:
    """The system message in two parts, the second of which comes and goes with the summaries."""
    text = message["content"]
    first = ends[0] if ends else len(text)
    parts = [part for part in (text[:first], text[first:]) if part]
    return {**message, "content": [{"type": "text", "text": part, **_MARK} for part in parts]}


def _marked(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if message["role"] == "tool" or isinstance(content, str):
        return {**message, **_MARK}
    *parts, last = content
    return {**message, "content": [*parts, {**last, **_MARK}]}
