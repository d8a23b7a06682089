"""Real litellm against a real server on this machine: every way a reply can go, and what we make of it."""

import asyncio
import email.utils
import logging
import re
import subprocess
import sys
import textwrap
import time
import traceback

import pytest
from openai_server import Answer, OpenAIServer, overflow, refuse, usage, wrong_key
from steps import lines_of

from mnesis.errors import (
    Authentication,
    BadRequest,
    ContextOverflow,
    InputError,
    LLMError,
    RateLimit,
    Timeout,
    Unavailable,
)
from mnesis.llm.base import Chunk, Finish, ReasoningChunk, Request, TextChunk, ToolCallChunk
from mnesis.llm.litellm import LiteLLMProvider
from mnesis.llm.redact import redact, redact_secrets
from mnesis.models.message import TokenUsage

pytestmark = pytest.mark.xdist_group("litellm")  # It takes seconds to import: once, in one process.

KEY = "sk-proj-canary4f9a8b7c6d5e"
ODD_KEY = "zebra/canary4f9a8b7c6d5e"
MODEL = "openai/gpt-4o"
CLAUDE = "anthropic/claude-sonnet-4-5"
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module", autouse=True)
def litellm_is_warm():
    async def first_reply():
        async with OpenAIServer() as server:
            await answer(LiteLLMProvider(api_base=server.url, api_key=KEY))

    LiteLLMProvider().warm()
    asyncio.run(first_reply())


def provider_for(server: OpenAIServer, model: str = MODEL, **settings) -> LiteLLMProvider:
    base = server.anthropic_url if model == CLAUDE else server.url
    settings = {"api_key": KEY, "timeout": 20, "idle_timeout": 10, **settings}
    return LiteLLMProvider(api_base=base, **settings)


def request_for(model: str = MODEL, **settings) -> Request:
    return Request(model, [{"role": "user", "content": "hi"}], **settings)


async def answer(provider: LiteLLMProvider, model: str = MODEL, **settings) -> list[Chunk]:
    return [chunk async for chunk in provider.stream(request_for(model, **settings))]


async def failure(provider: LiteLLMProvider, model: str = MODEL, seen: list[Chunk] | None = None) -> LLMError:
    """The error of a reply, checked to be fit to be shown; `seen` gets the pieces before it."""
    pieces: list[Chunk] = [] if seen is None else seen

    async def read() -> None:
        async for chunk in provider.stream(request_for(model)):
            pieces.append(chunk)

    with pytest.raises(LLMError) as caught:
        await read()
    error = caught.value
    assert_without_key(error)
    assert model in str(error)
    assert "; " in str(error), "what to do is missing"
    assert "\n" not in str(error)
    assert error.model == model
    return error


def assert_without_key(error: BaseException) -> None:
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    texts, rest = ["".join(shown.format())], [error]
    while rest:
        one = rest.pop()
        texts += [str(one), repr(one), repr(one.args), repr(vars(one))]
        rest += [other for other in (one.__cause__, one.__context__) if other is not None]
    # The test's own frames hold the key in their locals: only what comes after them is ours.
    texts[0] = re.sub(r'File "[^"]*test_litellm_provider\.py"(?:.|\n)*?(?=\n  File|\n\S|\Z)', "", texts[0])
    assert_no_key_in("\n".join(texts))


def assert_no_key_in(text: str) -> None:
    for part in ("canary", KEY[:6], KEY[-4:], ODD_KEY[:5]):
        assert part not in text, text


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


# -- replies -----------------------------------------------------------------------------------------------------


async def test_a_reply_arrives_in_pieces_with_its_usage_and_cost(openai_server):
    openai_server.answers = [Answer("Hello there, Alice.", usage=usage(1000, 500, cached=400))]
    *pieces, finish = await answer(provider_for(openai_server))
    assert pieces == [TextChunk("Hello "), TextChunk("there, "), TextChunk("Alice.")]
    assert isinstance(finish, Finish)
    assert finish.reason == "stop"
    assert finish.usage == TokenUsage(input=1000, output=500, cache_read=400, total=1500)
    assert finish.cost == pytest.approx(600 * 2.5e-6 + 400 * 1.25e-6 + 500 * 1e-5)


async def test_usage_that_was_not_reported_is_not_invented(openai_server):
    openai_server.answers = [Answer("Hello.")]
    assert (await answer(provider_for(openai_server)))[-1] == Finish("stop", None, None)


async def test_the_price_of_an_unknown_model_is_unknown(openai_server):
    finish = (await answer(provider_for(openai_server), "openai/no-such-model"))[-1]
    assert isinstance(finish, Finish)
    assert finish.usage == TokenUsage(input=10, output=5, total=15)
    assert finish.cost is None


async def test_the_first_piece_does_not_wait_for_the_last(openai_server):
    openai_server.answers = [Answer("one two three four", delay=0.1)]
    arrivals = [time.monotonic()]
    async for _ in provider_for(openai_server).stream(request_for()):
        arrivals.append(time.monotonic())
    assert arrivals[1] - arrivals[0] < 0.7 * (arrivals[-1] - arrivals[0])


async def test_reasoning_is_kept_apart(openai_server):
    openai_server.answers = [Answer("42", reasoning="think hard")]
    chunks = await answer(provider_for(openai_server))
    assert chunks == [ReasoningChunk("think "), ReasoningChunk("hard"), TextChunk("42"), Finish("stop")]


@pytest.mark.parametrize("said", ["tool_calls", "stop"])
async def test_tool_calls_are_whole_after_any_split(openai_server, said):
    calls = [
        {"id": "call_a", "name": "add", "arguments": '{"a": 1, "text": "é 中 🙂"}'},
        {"id": "call_b", "name": "sub", "arguments": "{}"},
    ]
    openai_server.answers = [Answer(tool_calls=calls, finish_reason=said, bytewise=True)]
    *chunks, finish = await answer(provider_for(openai_server), tools=(TOOL,))
    assert all(isinstance(chunk, ToolCallChunk) for chunk in chunks)
    for index, call in enumerate(calls):
        own = [chunk for chunk in chunks if isinstance(chunk, ToolCallChunk) and chunk.index == index]
        assert [(chunk.id, chunk.name) for chunk in own if chunk.id or chunk.name] == [(call["id"], call["name"])]
        assert "".join(chunk.arguments for chunk in own) == call["arguments"]
    assert finish == Finish("tool_calls")
    assert openai_server.requests[0].body["tools"] == [TOOL]


@pytest.mark.parametrize("text", ["é 中 🙂 ok", "<|endoftext|> \\u0000 <s>", "data: [DONE]\n\n", "  spaces  kept \n"])
async def test_any_text_comes_through_unchanged_byte_by_byte(openai_server, text):
    openai_server.answers = [Answer(text, bytewise=True)]
    assert text_of(await answer(provider_for(openai_server))) == text


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_other_ends_are_named(openai_server, reason):
    openai_server.answers = [Answer("cut", finish_reason=reason)]
    assert await answer(provider_for(openai_server)) == [TextChunk("cut"), Finish(reason)]


async def test_an_empty_reply_is_a_finish_alone(openai_server):
    openai_server.answers = [Answer("")]
    assert await answer(provider_for(openai_server)) == [Finish("stop")]


async def test_the_request_is_sent_as_it_is(openai_server):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "é <|endoftext|>"}]
    request = Request(MODEL, messages, ids=("system", "msg_1"), params={"temperature": 0.5, "max_tokens": 7})
    provider = provider_for(openai_server, temperature=0.1, seed=3)
    assert [chunk async for chunk in provider.stream(request)]
    (received,) = openai_server.requests
    assert received.headers["Authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": "gpt-4o",
        "messages": messages,
        "temperature": 0.5,
        "seed": 3,
        "max_tokens": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_the_key_comes_from_the_environment(openai_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert await answer(provider_for(openai_server, api_key=None))
    assert openai_server.requests[0].headers["Authorization"] == f"Bearer {KEY}"


async def test_anthropic_replies_through_the_same_door(openai_server):
    openai_server.answers = [
        Answer("Hello there.", usage=usage(100, 5, cached=40)),
        Answer("a", finish_reason="length"),
    ]
    *pieces, finish = await answer(provider_for(openai_server, CLAUDE), CLAUDE)
    assert text_of(pieces) == "Hello there."
    assert isinstance(finish, Finish)
    assert finish.usage == TokenUsage(input=100, output=5, cache_read=40, total=105)
    (_, cut) = await answer(provider_for(openai_server, CLAUDE), CLAUDE)
    assert isinstance(cut, Finish)
    assert cut.reason == "length"


# -- replies that break off --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@pytest.mark.parametrize("text", ["", "one two"])
@pytest.mark.parametrize("fault", ["eof", "reset", "cut"])
async def test_a_stream_that_stops_is_not_a_reply(openai_server, model, text, fault):
    openai_server.answers = [Answer(text, fault=fault)]
    seen: list[Chunk] = []
    error = await failure(provider_for(openai_server, model), model, seen)
    assert isinstance(error, Unavailable)
    assert error.transient
    assert text_of(seen) == text
    assert not any(isinstance(chunk, Finish) for chunk in seen)


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@pytest.mark.parametrize("fault", ["malformed", "stream_error"])
async def test_garbage_in_the_stream_is_a_broken_reply(openai_server, model, fault):
    openai_server.answers = [Answer("one two", fault=fault)]
    seen: list[Chunk] = []
    assert isinstance(await failure(provider_for(openai_server, model), model, seen), Unavailable)
    assert text_of(seen) == "one two"


async def test_a_server_that_says_nothing_times_out(openai_server):
    openai_server.answers = [Answer(fault="hang")]
    start = time.monotonic()
    error = await failure(provider_for(openai_server, timeout=0.3, idle_timeout=0.1))
    assert isinstance(error, Timeout)
    assert time.monotonic() - start > 0.25
    assert "nothing for 0.3 s" in str(error)
    await asyncio.wait_for(openai_server.requests[0].disconnected.wait(), 5)


async def test_a_reply_that_falls_silent_times_out(openai_server):
    openai_server.answers = [Answer("one two", fault="hang")]
    seen: list[Chunk] = []
    error = await failure(provider_for(openai_server, timeout=5, idle_timeout=0.2), seen=seen)
    assert isinstance(error, Timeout)
    assert "nothing for 0.2 s" in str(error)
    assert text_of(seen) == "one two"
    await asyncio.wait_for(openai_server.requests[0].disconnected.wait(), 5)


async def test_a_whole_reply_counts_although_the_server_never_hangs_up(openai_server):
    openai_server.answers = [Answer("one two", fault="linger")]
    chunks = await answer(provider_for(openai_server, idle_timeout=0.3))
    assert chunks == [TextChunk("one "), TextChunk("two"), Finish("stop")]


async def test_a_slow_reply_is_not_a_silent_one(openai_server):
    openai_server.answers = [Answer(["word "] * 12, delay=0.1)]
    assert text_of(await answer(provider_for(openai_server, timeout=1, idle_timeout=1))) == "word " * 12


async def test_a_slow_reader_does_not_time_out(openai_server):
    openai_server.answers = [Answer("one two three")]
    seen = []
    async for chunk in provider_for(openai_server, idle_timeout=0.3).stream(request_for()):
        await asyncio.sleep(0.4)
        seen.append(chunk)
    assert text_of(seen) == "one two three"


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, Authentication),
        (403, Authentication),
        (404, BadRequest),
        (408, Timeout),
        (422, BadRequest),
        (429, RateLimit),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
    ],
)
@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_a_status_becomes_one_of_our_errors_at_once(openai_server, model, status, kind):
    openai_server.answers = [refuse(status, "the reason given")]
    error = await failure(provider_for(openai_server, model), model)
    assert type(error) is kind
    assert "the reason given" in str(error)
    assert str(status) in str(error)
    assert "the reason given" in str(error.__cause__)
    assert len(openai_server.requests) == 1, "litellm or the SDK retried"


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_a_rate_limit_says_when_to_come_back(openai_server, model):
    openai_server.answers = [refuse(429, "slow down", retry_after=7.5)]
    assert (await failure(provider_for(openai_server, model), model)).retry_after == 7.5


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5, 1.5),
        ({"retry-after": email.utils.formatdate(time.time() + 3600, usegmt=True)}, 3000, 3600),
        ({"retry-after": email.utils.formatdate(0, usegmt=True)}, 0, 0),
    ],
)
async def test_retry_after_comes_in_three_forms(openai_server, headers, low, high):
    openai_server.answers = [Answer(status=429, body={"error": {"message": "slow down"}}, headers=headers)]
    after = (await failure(provider_for(openai_server))).retry_after
    assert after is not None
    assert low <= after <= high


@pytest.mark.parametrize("value", ["soon", "nan", ""])
async def test_a_retry_after_that_means_nothing_is_ignored(openai_server, value):
    openai_server.answers = [Answer(status=503, body={}, headers={"retry-after": value})]
    assert (await failure(provider_for(openai_server))).retry_after is None


async def test_a_window_that_is_too_large_is_an_overflow(openai_server):
    openai_server.answers = [overflow(limit=8192)]
    error = await failure(provider_for(openai_server))
    assert type(error) is ContextOverflow
    assert "maximum context length is 8192 tokens" in str(error)


async def test_an_error_body_that_is_not_json_is_shown_short(openai_server):
    openai_server.answers = [Answer(status=502, body="<html>" + "x" * 5000)]
    assert len(str(await failure(provider_for(openai_server)))) < 600


async def test_a_server_that_is_not_there_is_unavailable():
    provider = LiteLLMProvider(api_base="http://127.0.0.1:9/v1", api_key=KEY)
    error = await failure(provider)
    assert isinstance(error, Unavailable)
    assert "api_base" in str(error)


@pytest.mark.parametrize(
    ("model", "variable"),
    [(MODEL, "OPENAI_API_KEY"), (CLAUDE, "ANTHROPIC_API_KEY"), ("gemini/gemini-2.5-pro", "GEMINI_API_KEY")],
)
async def test_a_missing_key_names_the_variable_to_set(model, variable):
    error = await failure(LiteLLMProvider(timeout=2), model)
    assert type(error) is Authentication
    assert f"set {variable}" in str(error) or f"or {variable}" in str(error)
    assert "Traceback" not in str(error)


@pytest.mark.parametrize("model", ["gpt-99-nope", "nosuch/model", "", "///", "x" * 5000, "a\nb"])
async def test_a_model_that_cannot_exist_is_refused_with_the_form_to_use(model):
    with pytest.raises(BadRequest, match="provider/model, for example openai/gpt-4o") as caught:
        await answer(LiteLLMProvider(api_key=KEY), model)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", ["timeout", "idle_timeout"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_timeout_must_be_positive(setting, value):
    with pytest.raises(InputError, match=f"{setting}="):
        LiteLLMProvider(**{setting: value})


# -- leaving -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_cancelling_the_reader_closes_the_connection(openai_server, model):
    openai_server.answers = [Answer("one two", fault="hang")]
    seen: list[Chunk] = []

    async def read() -> None:
        async for chunk in provider_for(openai_server, model, idle_timeout=30).stream(request_for(model)):
            seen.append(chunk)

    task = asyncio.create_task(read())
    while len(seen) < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(openai_server.requests[0].disconnected.wait(), 5)


async def test_cancelling_before_the_first_byte_closes_the_connection(openai_server):
    openai_server.answers = [Answer(fault="hang")]
    task = asyncio.create_task(answer(provider_for(openai_server, timeout=30)))
    while not openai_server.requests:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(openai_server.requests[0].disconnected.wait(), 5)


async def test_leaving_early_closes_the_connection(openai_server):
    openai_server.answers = [Answer(["word "] * 10_000, delay=0.01)]
    stream = provider_for(openai_server).stream(request_for())
    await anext(stream)
    await stream.aclose()
    await asyncio.wait_for(openai_server.requests[0].disconnected.wait(), 5)


async def test_replies_at_once_do_not_mix(openai_server):
    openai_server.answers = [Answer([f"<{n}>"] * 20, delay=0.005) for n in range(8)]
    provider = provider_for(openai_server)
    texts = [text_of(chunks) for chunks in await asyncio.gather(*(answer(provider) for _ in range(8)))]
    assert sorted(texts) == [f"<{n}>" * 20 for n in range(8)]


def test_one_provider_serves_one_event_loop_after_another():
    async def reply() -> str:
        async with OpenAIServer() as server:
            return text_of(await answer(provider_for(server)))

    assert [asyncio.run(reply()) for _ in range(3)] == ["Hello from the test server."] * 3


# -- keys, logs, output ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, ODD_KEY])
@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_a_refused_key_is_not_shown_not_even_in_part(openai_server, key, model, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    openai_server.answers = [
        wrong_key(key),
        refuse(401, f"Incorrect API key provided: {key}"),
        refuse(400, f"header Authorization: Bearer {key} is odd"),
        refuse(500, f"cut {key[:12]}"),
        Answer(status=401, body={"detail": f"x-api-key={key}"}),
        Answer("one", fault="reset"),
        Answer("one", fault="malformed"),
        Answer("one"),
    ]
    provider = provider_for(openai_server, model, api_key=key)
    for expected in (Authentication, Authentication, BadRequest, Unavailable, Authentication, Unavailable):
        assert type(await failure(provider, model)) is expected
    assert type(await failure(provider, model)) is Unavailable
    await answer(provider, model)
    await asyncio.sleep(0.1)  # litellm logs in tasks of its own.
    assert_no_key_in(repr(provider) + str(provider))
    assert_no_key_in("\n".join(f"{record.getMessage()} {record.exc_text} {record.args}" for record in caplog.records))
    assert_no_key_in("".join(capfd.readouterr()))


async def test_a_key_of_the_environment_is_not_shown_either(openai_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", ODD_KEY)
    openai_server.answers = [wrong_key(ODD_KEY), refuse(500, f"key {ODD_KEY}")]
    for _ in range(2):
        await failure(provider_for(openai_server, api_key=None))


async def test_a_key_in_a_header_is_not_shown_either(openai_server):
    openai_server.answers = [refuse(401, f"no account for {ODD_KEY}")]
    headers = {"Authorization": f"Bearer {ODD_KEY}"}
    error = await failure(provider_for(openai_server, extra_headers=headers, max_tokens=4096))
    assert "no account for" in str(error)
    assert openai_server.requests[0].headers["Authorization"] == f"Bearer {ODD_KEY}"


async def test_nothing_is_printed(openai_server, capfd):
    openai_server.answers = [Answer("fine"), refuse(500, "down"), refuse(400, "no"), Answer("x", fault="reset")]
    provider = provider_for(openai_server)
    await answer(provider)
    for model in (MODEL, MODEL, MODEL, "nosuch/model"):
        with pytest.raises(LLMError):
            await answer(provider, model)
    await asyncio.sleep(0.1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "Incorrect API key provided: sk-ab***yz. See https://x.y",
            "Incorrect API key provided: [redacted] See https://x.y",
        ),
        ("Authorization: Bearer abc.def-123", "Authorization: [redacted]"),
        ("AIzaSyA1234567890 gsk_abcdef123 hf_abcdef", "[redacted] [redacted] [redacted]"),
        ("https://g.co/v1/m:stream?key=abcdef&alt=sse", "https://g.co/v1/m:stream?key=[redacted]&alt=sse"),
        ("you gave my-own***************cret", "you gave [redacted]"),
        ("my-own-se…", "[redacted]"),
        ("pin 1234, not 12345", "pin [redacted], not 12345"),
        ("The model `gpt-9` has a **bold** risk-free token-limit of 8192", None),
    ],
)
def test_redact_takes_keys_and_leaves_the_rest(text, shown):
    assert redact(text, ["my-own-secret", "1234"]) == (shown or text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("it ends on …8Vb3Nc6Yh4.", "it ends on …[redacted]"),
        ("<b>Lm2Rw5</b> was given", "<b>[redacted]</b> was given"),
        ("https://h/?key=zebra%2FQx7Kd9Lm2Rw5&alt=sse, tried 3 times", "https://h/?key=[redacted] tried 3 times"),
        ("zebra/Qx*****", "[redacted]"),
        ("a zebra of 6 characters, a canary, Qx7Kd", None),
        ("x" * 200_000 + " Qx7Kd9", "x" * 200_000 + " [redacted]"),
    ],
)
def test_of_a_known_key_no_piece_is_left(text, shown):
    assert redact(text, ["zebra/Qx7Kd9Lm2canary8Vb3Nc6Yh4", "Lm2Rw5Tz8"]) == (shown or text)


def test_a_long_text_takes_no_more_steps_of_ours_to_redact_than_a_short_one(monkeypatch):
    monkeypatch.setenv("ODD_API_KEY", ODD_KEY)

    redact("one two")  # what is compiled once is compiled now
    assert lines_of(lambda: redact("one two " * 10_000)) == lines_of(lambda: redact("one two"))


def test_switches_and_paths_in_the_environment_are_no_keys(monkeypatch, tmp_path):
    monkeypatch.setenv("CSRF_TOKEN", "on")
    monkeypatch.setenv("SSL_KEY", str(tmp_path / "certs" / "key.pem"))
    monkeypatch.setenv("SLASHED_KEY", "/Qx7Kd9Lm2Rw5/8Vb3Nc6Yh4")
    text = f"it went on in {tmp_path}/notes.txt with "
    assert redact(f"{text}Lm2Rw5/8Vb") == f"{text}[redacted]"
    assert redact_secrets(f"{text}/Qx7Kd9Lm2Rw5/8Vb3Nc6Yh4") == f"{text}[redacted]"
    monkeypatch.setenv("LONG_KEY", "x8" * 5_000)
    monkeypatch.delenv("SLASHED_KEY")
    assert redact(str(tmp_path / "certs" / "key.pem")) == str(tmp_path / "certs" / "key.pem")


def test_a_piece_of_a_key_may_begin_with_a_quote():
    assert redact("it was 'aB3dE and more", ["Zx9'aB3dE"]) == "it was [redacted] and more"


# -- the import --------------------------------------------------------------------------------------------------


def test_litellm_is_not_imported_before_it_is_needed():
    code = "import sys, mnesis.llm.litellm as m; p = m.LiteLLMProvider(); print('litellm' in sys.modules)"
    assert run(code).stdout == "False\n"


def test_a_process_can_end_while_litellm_is_being_imported():
    code = """
        import time, mnesis.llm.litellm as m
        provider = m.LiteLLMProvider()
        provider.warm(); provider.warm()
        time.sleep(0.5)
        """
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_the_event_loop_runs_while_litellm_is_being_imported():
    code = """
        import asyncio, sys, mnesis.llm.litellm as m
        from mnesis.llm.base import Request

        async def main():
            ticks = 0
            async def tick():
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1
            ticking = asyncio.create_task(tick())
            try:
                await anext(m.LiteLLMProvider().stream(Request("nosuch/model", [])))
            except Exception as error:
                print(type(error).__name__, ticks > 50, "litellm" in sys.modules)

        asyncio.run(main())
        """
    done = run(code)
    assert (done.stdout, done.stderr) == ("BadRequest True True\n", "")


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
