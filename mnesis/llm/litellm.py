"""Every model that litellm knows, behind the provider protocol.

litellm takes seconds to import, prints, and reports a stream that merely stopped as finished. All of that ends here:
it is imported in a background thread, silenced, and asked whether the provider really said that the reply is whole.
"""

import asyncio
import email.utils
import importlib
import json
import logging
import math
import os
import re
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from mnesis.errors import (
    Authentication,
    BadRequest,
    ContextOverflow,
    InputError,
    LLMError,
    RateLimit,
    Timeout,
    Unavailable,
    describe_value,
)
from mnesis.llm.base import Chunk, Finish, ModelLimits, Request, TextChunk, ToolCallChunk
from mnesis.llm.caching import marked
from mnesis.llm.redact import RedactedCause, RedactingFilter, redact
from mnesis.llm.thoughts import chunks_in, with_thoughts
from mnesis.models.message import TokenUsage

__all__ = ["LiteLLMProvider"]


class LiteLLMProvider:
    """Answers through `litellm.acompletion`; the model string is litellm's (`provider/model`).

    `timeout` is the wait in seconds for the first piece of the reply, `idle_timeout` between two pieces. `params` are
    litellm's further parameters, for every request; the request's own win. A key that is not passed comes from the
    environment. Nothing is retried here. Importing litellm starts with the first reply, or with `warm()`.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        api_base: str | None = None,
        timeout: float = 600.0,
        idle_timeout: float = 120.0,
        **params: Any,
    ) -> None:
        for name, seconds in (("timeout", timeout), ("idle_timeout", idle_timeout)):
            if not seconds > 0:
                raise InputError(f"{name}={describe_value(seconds)} is not usable; give seconds above 0")
        connection = {"api_key": api_key, "api_base": api_base}
        self._timeout, self._idle_timeout = timeout, idle_timeout
        self._params = params | {name: value for name, value in connection.items() if value is not None}

    def __repr__(self) -> str:
        return f"LiteLLMProvider(timeout={self._timeout:g}, idle_timeout={self._idle_timeout:g})"

    def warm(self) -> None:
        """Start importing litellm in the background. Any number of times, from any thread."""
        _litellm.start()

    def limits(self, model: str) -> ModelLimits:
        """The limits in litellm's local model map, read without importing litellm."""
        from mnesis.llm.catalog import limits_for

        return limits_for(model)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """The reply as it arrives. Closing the iterator, or cancelling its task, closes the connection."""
        litellm = await _litellm.ready(request.model)
        _logged.learn(self._secrets(request))
        reply = await self._within(self._timeout, litellm, request, litellm.acompletion(**self._arguments(request)))
        limit = self._timeout
        reason: str | None = None
        usage: Any = None
        tools = _ToolCalls()
        try:
            while (chunk := await self._next(reply, limit, litellm, request)) is not None:
                usage = getattr(chunk, "usage", None) or usage
                for choice in chunk.choices[:1]:
                    reason = choice.finish_reason or reason
                    for piece in _pieces(choice.delta, tools):
                        limit = self._idle_timeout
                        yield piece
        finally:
            await reply.aclose()
        if not _is_whole(reply):
            raise Unavailable(
                f"the reply of {request.model} broke off: the stream ended without a finish reason; send it again",
                model=request.model,
            )
        if reason == "stop" and tools:
            reason = "tool_calls"  # Several OpenAI-compatible servers say "stop" after a tool call.
        yield _finish(request.model, reason or "stop", usage if _usage_was_reported(reply) else None)

    async def _next(self, reply: Any, limit: float, litellm: Any, request: Request) -> Any:
        whole = _is_whole(reply)
        try:
            return await self._within(
                min(limit, _USAGE_TIMEOUT) if whole else limit, litellm, request, anext(reply, None)
            )
        except LLMError:
            if whole:
                return None  # Only the usage is missing.
            raise

    def _arguments(self, request: Request) -> dict[str, Any]:
        params = {**self._params, **request.params}
        messages = request.messages if _OWN_MARKS & params.keys() else marked(request)
        return {
            "timeout": self._timeout,
            **params,
            "model": request.model,
            "messages": with_thoughts(messages, request),
            "tools": list(request.tools) or None,
            "stream": True,
            "stream_options": {"include_usage": True},  # litellm drops it for providers that do not know it.
            "num_retries": 0,
            "max_retries": 0,
        }

    def _secrets(self, request: Request) -> list[str]:
        given = [value for name, value in (self._params | dict(request.params)).items() if _SECRET_PARAM.search(name)]
        values = [one for value in given for one in (value.values() if isinstance(value, Mapping) else (value,))]
        return [word for value in values for word in str(value).split()]  # A header may be "Bearer" and the key.

    async def _within[T](self, limit: float, litellm: Any, request: Request, answer: Awaitable[T]) -> T:
        failure: LLMError
        try:
            async with asyncio.timeout(limit):
                return await answer
        except TimeoutError:
            failure = Timeout(
                f"{request.model} sent nothing for {limit:g} s; send it again, or give the provider a longer "
                f"{'timeout' if limit == self._timeout else 'idle_timeout'}",
                model=request.model,
            )
        except Exception as error:  # noqa: BLE001  # litellm raises whatever its parsers and clients raise.
            failure = _translate(litellm, error, request.model, self._secrets(request))
        # Raised outside the handler: the original exception, which holds the key in its request and its frames,
        # would otherwise stay reachable as `__context__`.
        raise failure


_USAGE_TIMEOUT = 10.0  # Seconds to wait for the usage, once the reply itself is whole.
_OWN_MARKS = {"cache_control", "cache_control_injection_points"}  # litellm's own ways to say what to cache.
_SECRET_PARAM = re.compile(r"(key|key_id|token|secret|password|credentials|headers)$")


class _ToolCalls:
    """Numbers the calls of a reply and gives each its id and name once, as `ToolCallChunk` wants them.

    Servers that speak OpenAI's format differ: some send both with every fragment, the name after the id, no id, or the
    same index for every call.
    """

    def __init__(self) -> None:
        self._calls: list[dict[str, str]] = []
        self._at: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def chunk(self, call: Any) -> ToolCallChunk:
        number = self._number(call.index or 0, call)
        known = self._calls[number]
        told = {"id": call.id or "", "name": call.function.name or ""}
        if not known:
            told["id"] = told["id"] or f"call_{uuid.uuid4().hex[:24]}"
        new = {field: value for field, value in told.items() if value and field not in known}
        known |= new
        return ToolCallChunk(number, new.get("id"), new.get("name"), call.function.arguments or "")

    def _number(self, index: int, call: Any) -> int:
        at = self._at.get(index)
        if at is None or (call.id and call.function.name and call.id != self._calls[at]["id"]):
            at = self._at[index] = len(self._calls)
            self._calls.append({})
        return at


def _pieces(delta: Any, tools: _ToolCalls) -> Iterator[Chunk]:
    yield from chunks_in(delta)
    if delta.content:
        yield TextChunk(delta.content)
    for call in delta.tool_calls or ():
        yield tools.chunk(call)


def _is_whole(reply: Any) -> bool:
    # litellm ends every stream with a made-up "stop". These two are set only by what the provider sent; which one
    # depends on the provider's chunk format (litellm_core_utils/streaming_handler.py, `_dispatch_provider_chunk`).
    return bool(reply.received_finish_reason or reply.intermittent_finish_reason)


def _usage_was_reported(reply: Any) -> bool:
    # Where the provider reports no usage, litellm counts with its own tokenizer and reports that as usage.
    return any(getattr(chunk, "usage", None) for chunk in reply.chunks)


def _finish(model: str, reason: str, usage: Any) -> Finish:
    if usage is None:
        return Finish(reason)
    from mnesis.llm.catalog import cost_of

    details = getattr(usage, "prompt_tokens_details", None)
    tokens = TokenUsage(
        input=usage.prompt_tokens or 0,
        output=usage.completion_tokens or 0,
        cache_read=getattr(details, "cached_tokens", None) or getattr(usage, "cache_read_input_tokens", None) or 0,
        cache_write=getattr(details, "cache_creation_tokens", None)
        or getattr(usage, "cache_creation_input_tokens", None)
        or 0,
        total=usage.total_tokens or 0,
    )
    return Finish(reason, tokens, cost_of(model, tokens))


# -- what went wrong ---------------------------------------------------------------------------------------------


def _translate(litellm: Any, error: Exception, model: str, secrets: list[str]) -> LLMError:
    """Our error for one of litellm's, with a cause that holds no key."""
    error = getattr(error, "original_exception", None) or error  # What `MidStreamFallbackError` wraps.
    status, said = _status(litellm, error), getattr(error, "message", None) or str(error)
    if _NO_PROVIDER in said:
        return BadRequest(
            f"{describe_value(redact(model, secrets))} names no provider that litellm knows; "
            "give the model as provider/model, for example openai/gpt-4o or anthropic/claude-sonnet-4-5",
            model=model,
        )
    kind = _kind(litellm, error, status, said)
    what = f"{model} {_WHAT[kind]} ({f'{status}: ' if status else ''}{_reason(said)})"
    after = _retry_after(error)
    advice = _advice(litellm, kind, model, status, after)
    failure = kind(f"{redact(what, secrets)}; {advice}", model=model, retry_after=after)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    failure.__cause__ = RedactedCause(redact(f"{name}: {error}", secrets))
    return failure


_WHAT: Mapping[type[LLMError], str] = {
    Authentication: "got no API key that it accepts",
    RateLimit: "takes no more requests for now",
    Timeout: "did not answer in time",
    ContextOverflow: "has a smaller window than this request needs",
    BadRequest: "refuses this request",
    Unavailable: "gave no whole reply",
}

_OVERFLOW = re.compile(r"context_length_exceeded|maximum context length|prompt is too long", re.IGNORECASE)
_KEY_MISSING = re.compile(r"missing credentials|missing .{0,20}api[_ ]key", re.IGNORECASE)
_NO_PROVIDER = "LLM Provider NOT provided"


def _kind(litellm: Any, error: Exception, status: int | None, said: str) -> type[LLMError]:
    if isinstance(error, litellm.ContextWindowExceededError) or _OVERFLOW.search(said):
        return ContextOverflow
    if isinstance(error, litellm.Timeout | TimeoutError) or status == 408:
        return Timeout
    if status in (401, 403) or _KEY_MISSING.search(said):
        return Authentication
    if status == 429:
        return RateLimit
    if status is not None and 400 <= status < 500:
        return BadRequest
    return Unavailable


def _advice(litellm: Any, kind: type[LLMError], model: str, status: int | None, after: float | None) -> str:
    if kind is Authentication:
        return f"set {_key_names(litellm, model)} in the environment, or pass api_key= to LiteLLMProvider"
    if kind is RateLimit:
        wait = "wait" if after is None else f"wait {math.ceil(after):,} s"
        return f"{wait} and send it again, or check the quota of your account"
    if kind is Timeout:
        return "send it again, or give the provider a longer timeout"
    if kind is ContextOverflow:
        return "set model_overrides={'context_limit': …} to what the model really takes, or send less"
    if kind is Unavailable:
        return "send it again later, and check the network and the api_base"
    if status == 404:
        return "check the model's name, and that your account may use it"
    return "change the request as the provider says"


def _key_names(litellm: Any, model: str) -> str:
    """The environment variables that litellm reads the key of this model from."""
    try:
        missing = litellm.validate_environment(model)["missing_keys"]
        names = [name for name in missing if "KEY" in name] or missing
        both = " or " if all(name.endswith("_API_KEY") for name in names) else " and "
        return both.join(names) or f"{litellm.get_llm_provider(model)[1].upper()}_API_KEY to a valid key"
    except Exception:  # noqa: BLE001  # litellm's look-up fails for models it does not know; the advice must not hide the error.
        return "the provider's API key"


def _status(litellm: Any, error: Exception) -> int | None:
    if isinstance(error, litellm.APIConnectionError):
        return None  # There was no answer; the 500 it carries is litellm's.
    status = getattr(error, "status_code", None)
    return int(status) if isinstance(status, int) or (isinstance(status, str) and status.isdigit()) else None


_NOISE = re.compile(r"^(?:[\w.]*(?:Error|Exception|Timeout)\s*[:-]\s*)+|(?: ssl:)?<[^<>]* object at 0x\w+>")


def _reason(said: str, limit: int = 300) -> str:
    """The provider's own words out of litellm's: without class names, JSON around them, and line ends."""
    if (start := said.find("{")) >= 0:
        try:
            body, _ = json.JSONDecoder().raw_decode(said[start:])
            inner = body.get("error", body)
            said = inner if isinstance(inner, str) else inner["message"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass  # Not a JSON error body: the text as it is.
    said = str(said).partition("Traceback (most recent call last)")[0]
    said = _NOISE.sub("", said)
    text = " ".join(said.split()).rstrip(".")
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _retry_after(error: Exception) -> float | None:
    """Seconds, from `retry-after-ms` or `retry-after` (RFC 9110: seconds or a date)."""
    response = getattr(error, "response", None)
    for headers in (getattr(error, "litellm_response_headers", None), getattr(response, "headers", None)):
        if not headers:
            continue
        try:
            if milliseconds := headers.get("retry-after-ms"):
                seconds = float(milliseconds) / 1000
            elif not (value := headers.get("retry-after")):
                continue
            elif (date := email.utils.parsedate_tz(value)) is not None:
                seconds = email.utils.mktime_tz(date) - time.time()
            else:
                seconds = float(value)
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


# -- the import --------------------------------------------------------------------------------------------------


class _Import:
    """litellm, imported once for the process, in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._module: Future[Any] | None = None

    def start(self) -> Future[Any]:
        """Start importing, unless that has been done. A failed import is tried again."""
        with self._lock:
            if self._module is None or (self._module.done() and self._module.exception()):
                self._module = Future()
                # Not a pool's thread: the process must be able to end while this one is still importing.
                threading.Thread(target=self._run, args=(self._module,), name="import-litellm", daemon=True).start()
            return self._module

    async def ready(self, model: str) -> Any:
        """The module. The event loop runs on meanwhile; cancelling the wait leaves the import alone."""
        try:
            return await asyncio.shield(asyncio.wrap_future(self.start()))
        except Exception as error:
            raise BadRequest(
                f"{model} needs litellm, which cannot be imported ({error}); "
                "reinstall it: pip install 'litellm>=1.100,!=1.106.*'",
                model=model,
            ) from error

    def _run(self, module: Future[Any]) -> None:
        try:
            module.set_result(_import_quietly())
        except BaseException as error:  # noqa: BLE001  # The thread's edge: whoever waits for the module gets it.
            module.set_exception(error)


_litellm = _Import()

_logged = RedactingFilter()
_TALKATIVE = "openai._base_client httpx httpcore.connection httpcore.http11 httpcore.http2 LiteLLM asyncio".split()
"""Loggers that tell headers, addresses and errors as they are."""


def _import_quietly() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # Else the import downloads the price map.
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True  # Else it prints advice to stdout with every error.
    litellm.disable_hf_tokenizer_download = True
    # Both load the rest of themselves on first use: here, in this thread, rather than on the event loop.
    _ = litellm.acompletion
    importlib.import_module("openai.resources")
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_logged)
    if "LITELLM_LOG" not in os.environ:
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
            logger = logging.getLogger(name)
            for handler in tuple(logger.handlers):
                logger.removeHandler(handler)  # They write to stdout and stderr; at DEBUG, requests with their keys.
            logger.addHandler(logging.NullHandler())
            logger.setLevel(logging.WARNING)
    return litellm
