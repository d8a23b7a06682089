"""A real HTTP server on 127.0.0.1 that speaks OpenAI's chat completions (and Anthropic's messages), faults included.

    async with OpenAIServer(Answer("Hello there."), refuse(429, "slow down", retry_after=2)) as server:
        provider = LiteLLMProvider(api_base=server.url, api_key="any")
        …
    server.requests[0].body["messages"]

Each request takes the next answer; once there is none left, `server.default`. The formats:
https://platform.openai.com/docs/api-reference/chat/streaming, https://docs.anthropic.com/en/docs/build-with-claude/streaming.
"""

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import web
from anthropic_stream import anthropic_events

type Fault = Literal["hang", "reset", "cut", "eof", "malformed", "stream_error", "linger"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request gets.

    A `text` is streamed word by word, a sequence of texts piece by piece, `delay` seconds before each. `usage` is
    OpenAI's usage object (`None`: not reported). `tool_calls` are `{"id", "name", "arguments": JSON text}`, streamed
    one character at a time; `deltas` are further ones as OpenAI's format has them, whatever is in them. With `bytewise`
    the stream itself is written one byte at a time, with `split` in two, so many bytes first. `signature` and
    `redacted` are what Anthropic seals its reasoning with. `fault` happens after the pieces, instead of the ending:

    - "hang": no further byte, ever (with no pieces: no byte at all)
    - "reset": the connection is reset (RST); "cut": it is closed in the middle of the HTTP body
    - "eof": the HTTP body ends properly, without finish reason and without `[DONE]`
    - "linger": a whole reply, after which the connection stays open (OpenAI's format only)
    - "malformed": a chunk that is not JSON; "stream_error": an error object as a chunk

    With a `status` other than 200, `body` is the reply as JSON.
    """

    text: str | Sequence[str] = ""
    reasoning: str | Sequence[str] = ""
    tool_calls: Sequence[Mapping[str, str]] = ()
    usage: Mapping[str, Any] | None = None
    finish_reason: str = "stop"
    delay: float = 0.0
    fault: Fault | None = None
    deltas: Sequence[Mapping[str, Any]] = ()
    bytewise: bool = False
    split: int | None = None
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    signature: str = ""
    redacted: str = ""


def usage(prompt: int, completion: int, *, cached: int = 0, written: int = 0) -> dict[str, Any]:
    """OpenAI's usage object, in tokens. `written` to the cache: only Anthropic's format tells it."""
    details = {"cached_tokens": cached, "audio_tokens": 0}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": details | ({"cache_creation_tokens": written} if written else {}),
    }


def refuse(
    status: int, message: str, *, code: str | None = None, type: str = "api_error", retry_after: float | None = None
) -> Answer:
    """An error reply in OpenAI's form."""
    body = {"error": {"message": message, "type": type, "param": None, "code": code}}
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return Answer(status=status, body=body, headers=headers)


def wrong_key(key: str) -> Answer:
    """OpenAI's 401, which shows the beginning and the end of the key it was given."""
    shown = f"{key[:8]}{'*' * 24}{key[-4:]}"
    message = (
        f"Incorrect API key provided: {shown}. "
        "You can find your API key at https://platform.openai.com/account/api-keys."
    )
    return refuse(401, message, code="invalid_api_key", type="invalid_request_error")


def overloaded() -> Answer:
    """Anthropic's 529."""
    error = {"type": "overloaded_error", "message": "Overloaded"}
    return Answer(status=529, body={"type": "error", "error": error})


def overflow(limit: int = 8192, tokens: int = 9001) -> Answer:
    """OpenAI's 400 for a window that is too large."""
    message = (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages."
    )
    return refuse(400, message, code="context_length_exceeded", type="invalid_request_error")


@dataclass(slots=True)
class Received:
    """A request as it arrived. `disconnected` is set once the client has left before the reply was whole."""

    path: str
    headers: Mapping[str, str]
    body: Any
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)


class OpenAIServer:
    """The server, running inside `async with`. `url` is the `api_base` of an OpenAI client."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.default = Answer("Hello from the test server.", usage=usage(10, 5))
        self.requests: list[Received] = []
        self.url = ""
        self._port = 0

    @property
    def anthropic_url(self) -> str:
        """The `api_base` of an Anthropic client."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**28)
        app.router.add_post("/v1/chat/completions", self._handle)
        app.router.add_post("/v1/messages", self._handle)
        # With `handler_cancellation` the handler is cancelled when the client goes away: that is how we know.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"{self.anthropic_url}/v1"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        received = Received(request.path, dict(request.headers), await request.json())
        self.requests.append(received)
        answer = self.answers.pop(0) if self.answers else self.default
        try:
            return await self._reply(request, received.body, answer)
        except (asyncio.CancelledError, ConnectionError):
            received.disconnected.set()
            raise

    async def _reply(self, request: web.Request, body: Any, answer: Answer) -> web.StreamResponse:
        if answer.status != 200:
            return web.json_response(answer.body, status=answer.status, headers=answer.headers)
        if not body.get("stream"):
            return web.json_response(_whole(body, answer))
        if answer.fault == "hang" and not (answer.text or answer.reasoning):
            await asyncio.Event().wait()
        response = web.StreamResponse(headers={"content-type": "text/event-stream", **answer.headers})
        await response.prepare(request)
        events = anthropic_events if request.path == "/v1/messages" else _openai_events
        if answer.split is not None:
            whole = b"".join(events(body, answer))
            await response.write(whole[: answer.split])
            await asyncio.sleep(0.001)  # The client reads the first part by itself.
            await response.write(whole[answer.split :])
            await response.write_eof()
            return response
        async for event in _paced(events(body, answer), answer.delay):
            step = 1 if answer.bytewise else len(event)
            for start in range(0, len(event), step):
                await response.write(event[start : start + step])
        match answer.fault:
            case "hang" | "linger":
                await asyncio.Event().wait()
            case "reset" | "cut":
                await asyncio.sleep(0.05)  # Let the client read the pieces: a reset throws away what it has not read.
                _drop(request, reset=answer.fault == "reset")
            case _:
                await response.write_eof()
        return response


def _drop(request: web.Request, *, reset: bool) -> None:
    transport = request.transport
    assert transport is not None
    if reset:
        linger = struct.pack("ii", 1, 0)  # On, for 0 seconds: close sends RST.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


async def _paced(events: Iterator[bytes], delay: float) -> AsyncIterator[bytes]:
    for event in events:
        await asyncio.sleep(delay)
        yield event


def _words(text: str | Sequence[str]) -> Sequence[str]:
    return re.findall(r"\S+\s*|\s+", text) if isinstance(text, str) else text


def _text(text: str | Sequence[str]) -> str:
    return "".join(_words(text))


# -- OpenAI ------------------------------------------------------------------------------------------------------


def _openai_events(body: Any, answer: Answer) -> Iterator[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": body["model"]}
    with_usage = (body.get("stream_options") or {}).get("include_usage", False)

    def event(delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _data({**head, "choices": [choice], **({"usage": None} if with_usage else {})})

    yield event({"role": "assistant", "content": ""})
    for piece in _words(answer.reasoning):
        yield event({"reasoning_content": piece})
    for piece in _words(answer.text):
        yield event({"content": piece})
    for index, call in enumerate(answer.tool_calls):
        function = {"name": call["name"], "arguments": ""}
        yield event({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]})
    for index, call in enumerate(answer.tool_calls):
        for character in call["arguments"]:
            yield event({"tool_calls": [{"index": index, "function": {"arguments": character}}]})
    for delta in answer.deltas:
        yield event(delta)
    if answer.fault == "malformed":
        yield b'data: {"id": "chatcmpl-1", "choices": [{"ind\n\n'
    elif answer.fault == "stream_error":
        error = {"message": "The server had an error processing your request.", "type": "server_error", "code": None}
        yield _data({"error": error})
    if answer.fault in (None, "linger"):
        yield event({}, answer.finish_reason)
    if answer.fault is None:
        if with_usage and answer.usage is not None:
            yield _data({**head, "choices": [], "usage": answer.usage})
        yield b"data: [DONE]\n\n"


def _whole(body: Any, answer: Answer) -> dict[str, Any]:
    calls = [
        {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for call in answer.tool_calls
    ]
    message = {"role": "assistant", "content": _text(answer.text), **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": body["model"]}
    return {**head, "choices": [choice], "usage": answer.usage}


def _data(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
