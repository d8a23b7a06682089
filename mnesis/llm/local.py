"""`local/…`: any GGUF file, run in this process by llama.cpp (the package `xllamacpp`, extra `local`).

A reply runs in a thread of its own, for which the engine lets go of the GIL. Only while a model is loaded it does not
(0.3 s for 100 MB), which is why the file is read into the page cache before.
"""

import asyncio
import atexit
import contextvars
import importlib.util
import json
import re
import secrets
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mnesis.errors import BadRequest, ContextOverflow, InputError, LLMError, Unavailable, describe_value
from mnesis.llm.base import Chunk, Finish, ModelLimits, ReasoningChunk, Request, TextChunk, ToolCallChunk
from mnesis.llm.reply import well_formed
from mnesis.local import Header, find, read_header
from mnesis.models.message import TokenUsage
from mnesis.progress import track

__all__ = ["LocalProvider"]

_LARGEST_CONTEXT = 32_768
"""Taken of a longer context, in tokens, if not told otherwise: its memory is set aside at once."""
_LARGEST_OUTPUT = 4_096


class LocalProvider:
    """Answers `local/<name or path of a GGUF file>` in this process. A model is loaded once per process, by the first
    reply, and freed with the last provider that used it; sessions that share it take turns.

    `threads`: two are faster than one only where two cores are idle. `context` is the window to set aside memory for,
    in tokens: by default the model's own, at most 32,768. `params` are sampling settings for every request; the
    request's own win. Money is not known here but for one thing: nobody bills for a reply, so its cost is 0.0.
    """

    def __init__(self, *, threads: int = 1, context: int | None = None, **params: Any) -> None:
        for name, value, least in (("threads", threads, 1), ("context", context, 256)):
            if value is not None and not (isinstance(value, int) and value >= least):
                raise InputError(f"{name}={describe_value(value)} is not usable; give an integer of at least {least}")
        self._threads, self._context, self._params = threads, context, params
        self._engines: dict[Header, _Engine] = {}

    def __repr__(self) -> str:
        return f"LocalProvider(threads={self._threads})"

    def check(self, model: str) -> Header:
        """What the model's file says. Raises `BadRequest` where it is not there or damaged, or the extra is missing."""
        header = read_header(find(model))
        if importlib.util.find_spec("xllamacpp") is None:
            raise BadRequest(
                f'model {describe_value(model)}: local models need an extra; pip install "mnesis[local]"', model=model
            )
        return header

    def limits(self, model: str) -> ModelLimits:
        """The limits that the file names. Its weights are not loaded."""
        return self._limits(read_header(find(model)))

    def _limits(self, header: Header) -> ModelLimits:
        context = min(header.context_length, self._context or _LARGEST_CONTEXT)
        return ModelLimits(context, min(_LARGEST_OUTPUT, context // 4), tools=header.takes_tools)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """The reply, token by token. Closing the iterator, or cancelling its task, stops the model."""
        header = self.check(request.model)
        limits = self._limits(header)
        if request.tools and not limits.tools:
            raise BadRequest(
                f"{request.model} cannot call tools: the chat template in its file has no place for them; send without "
                'tools (SessionConfig(recall="off")), or take a model whose template has one',
                model=request.model,
            )
        reply = _Reply(request, self._settings(request, limits))
        engine = self._engine(header, limits.context)
        run = contextvars.copy_context().run  # so that whoever watches for progress sees the model being loaded
        threading.Thread(target=run, args=(engine.answer, reply), name="mnesis-local").start()
        try:
            async for chunk in reply.chunks():
                yield chunk
        finally:
            reply.cancelled = True

    def _settings(self, request: Request, limits: ModelLimits) -> dict[str, Any]:
        return {
            "max_tokens": limits.output,  # llama.cpp's own default is the rest of the context
            **self._params,
            **request.params,
            **({"tools": list(request.tools)} if request.tools else {}),
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # a sign of life after each batch of the prompt: the chance to stop it
        }

    def _engine(self, header: Header, context: int) -> "_Engine":
        if header not in self._engines:
            self._engines[header] = _shared(header, self._threads, context)
        return self._engines[header]


# -- the thread's side -------------------------------------------------------------------------------------------


class _Engine:
    """A model that is loaded once it is asked. It gives one reply at a time: two at once would halve the window."""

    def __init__(self, header: Header, threads: int, context: int) -> None:
        self._header, self._threads, self._context = header, threads, context
        self._turn = threading.Lock()
        self._server: Any = None
        self._control = re.compile("(?!)")

    def answer(self, reply: "_Reply") -> None:
        """Run the whole of a reply, in a thread of its own: wait for the turn, load, generate."""
        try:
            while not self._turn.acquire(timeout=0.05):
                if reply.is_unwanted():
                    return
            try:
                if self._server is None:
                    self._server = self._load(reply.is_unwanted)
                if not reply.is_unwanted():
                    self._server.handle_chat_completions(self._body(reply), reply.take)
            finally:
                self._turn.release()
        except LLMError as error:
            reply.put(error)
        except Exception as error:  # noqa: BLE001  # the edge of a thread: whoever waits is told
            reply.put(_refusal(reply.model, str(error)))
        finally:
            reply.put(None)

    def _body(self, reply: "_Reply") -> bytes:
        """The request as JSON. What looks like a control token in a message is text, not the end of a turn: llama.cpp
        takes it for one wherever it stands, so an invisible character goes into it."""
        messages = json.dumps(reply.request.messages, ensure_ascii=False)
        messages = self._control.sub(lambda token: token[0][0] + _ZERO_WIDTH_SPACE + token[0][1:], messages)
        settings = json.dumps(reply.settings, ensure_ascii=False)
        return well_formed(f'{settings[:-1]}, "messages": {messages}}}').encode()

    def _load(self, stop: Callable[[], bool]) -> Any:
        try:
            import xllamacpp
        except ImportError as error:
            raise BadRequest(f'xllamacpp is broken ({error}); pip install --force-reinstall "mnesis[local]"') from error
        _read_through(self._header.path, stop)
        self._control = _control_tokens(self._header)
        if stop():
            return None
        params = xllamacpp.CommonParams()
        params.model.path = str(self._header.path)
        params.n_ctx, params.n_parallel = self._context, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.n_batch = params.n_ubatch = _BATCH
        params.cache_ram_mib = _CACHE
        params.warmup = False
        params.verbosity = -1
        # It cannot be told not to listen on a port of 127.0.0.1; without this key it answers there to nothing.
        params.api_keys, params.ui, params.n_threads_http = [secrets.token_urlsafe(32)], False, 1
        params.endpoint_metrics = True
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise BadRequest(
                f"llama.cpp cannot load {self._header.path}: the file is damaged or of a kind that it does not know, "
                f"or memory is short for {self._context:,} tokens of context (LocalProvider(context=…) sets them)"
            ) from error
        # Its thread begins to work after this returns. To free it before that waits for ever, and holds the GIL.
        server.handle_metrics()
        return server

    def free(self) -> None:
        """Let go of the model, and of llama.cpp's threads with it."""
        with self._turn:
            self._server = None


_BATCH = 128
"""Tokens of a prompt between two chances to stop. On a CPU larger batches are no faster."""
_CACHE = 512
"""MiB for the state of other prompts (other sessions', the summariser's), which then need not be read again."""


_engines: "weakref.WeakValueDictionary[tuple[Header, int, int], _Engine]" = weakref.WeakValueDictionary()
_engines_lock = threading.Lock()


def _shared(header: Header, threads: int, context: int) -> _Engine:
    """The one of this process. A file that was replaced has another header, and so another engine."""
    with _engines_lock:
        key = (header, threads, context)
        if (engine := _engines.get(key)) is None:
            engine = _engines[key] = _Engine(header, threads, context)
        return engine


@atexit.register
def _free_all() -> None:
    """Before the interpreter ends: llama.cpp's own threads must not outlive it. Ours were waited for already."""
    for engine in list(_engines.values()):
        engine.free()


_ZERO_WIDTH_SPACE = "\u200b"
_CONTROL = 3
"""The type of tokens like `<|im_end|>`, in `tokenizer.ggml.token_type`."""


def _control_tokens(header: Header) -> re.Pattern[str]:
    """What has to be broken up. Tokens without a bracket are left out: they could be words, or JSON's own."""
    types = header.array("tokenizer.ggml.token_type") if "tokenizer.ggml.token_type" in header.arrays else []
    tokens = header.array("tokenizer.ggml.tokens") if types else []
    control = [token for token, type in zip(tokens, types, strict=False) if type == _CONTROL]
    return re.compile("|".join(re.escape(token) for token in control if token[:1] in ("<", "[")) or "(?!)")


def _read_through(path: Path, stop: Callable[[], bool]) -> None:
    buffer = bytearray(1 << 22)
    with path.open("rb", buffering=0) as file, track(f"loading {path.stem}", path.stat().st_size, "B") as progress:
        while (count := file.readinto(buffer)) and not stop():
            progress.advance(count)


# -- between the threads -----------------------------------------------------------------------------------------


class _Reply:
    """One reply on its way from the engine's thread to the event loop that asked for it."""

    def __init__(self, request: Request, settings: Mapping[str, Any]) -> None:
        self.model, self.request, self.settings = request.model, request, settings
        self.cancelled = False
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[dict[str, Any] | LLMError | None] = asyncio.Queue()

    def is_unwanted(self) -> bool:
        """Whether nobody waits for it any more; at the interpreter's end nobody does."""
        return self.cancelled or not threading.main_thread().is_alive()

    def take(self, data: bytes) -> bool:
        """A piece from the engine. Returns whether it shall stop."""
        self.put(json.loads(data))
        return self.is_unwanted()

    def put(self, item: dict[str, Any] | LLMError | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError:  # the loop is closed
            self.cancelled = True

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """The reply as the protocol wants it. Raises what went wrong."""
        reason: str | None = None
        usage: TokenUsage | None = None
        while (item := await self._queue.get()) is not None:
            if isinstance(item, LLMError):
                raise item
            if error := item.get("error"):
                raise _refusal(self.model, str(error.get("message")), error)
            usage = _usage(item) or usage
            for choice in item.get("choices", ())[:1]:
                reason = choice.get("finish_reason") or reason
                for chunk in _pieces(choice.get("delta") or {}):
                    yield chunk
        if reason:
            yield Finish(reason, usage, cost=0.0)


def _pieces(delta: Mapping[str, Any]) -> Iterator[Chunk]:
    if reasoning := delta.get("reasoning_content"):
        yield ReasoningChunk(reasoning)
    if text := delta.get("content"):
        yield TextChunk(text)
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or {}
        yield ToolCallChunk(call["index"], call.get("id"), function.get("name"), function.get("arguments") or "")


def _usage(item: Mapping[str, Any]) -> TokenUsage | None:
    if not (usage := item.get("usage")):
        return None
    return TokenUsage(
        input=usage["prompt_tokens"],
        output=usage["completion_tokens"],
        cache_read=(usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
        total=usage["total_tokens"],
    )


def _refusal(model: str, said: str, error: Mapping[str, Any] | None = None) -> LLMError:
    """Our error for one of llama.cpp's."""
    error = error or {}
    if error.get("type") == "exceed_context_size_error":
        return ContextOverflow(
            f"{model} takes {error.get('n_ctx'):,} tokens and this request has {error.get('n_prompt_tokens'):,}; send "
            "less, or set model_overrides={'context_limit': …} so that the session compacts in time",
            model=model,
        )
    if error.get("code", 400) >= 500:
        return Unavailable(f"{model} failed ({said}); send it again", model=model)
    return BadRequest(f"{model} refuses this request ({said}); change it as it says", model=model)
