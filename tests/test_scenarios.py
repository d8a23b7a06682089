"""Each way a turn can go, through real litellm: what the session raises, stores, sends next, and shows."""

import asyncio
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from openai_server import Answer, OpenAIServer, overflow, overloaded, refuse, usage, wrong_key

from mnesis import MnesisSession, TextDelta
from mnesis.errors import (
    Authentication,
    BadRequest,
    ContextOverflow,
    LLMError,
    MnesisError,
    RateLimit,
    Timeout,
    Unavailable,
)
from mnesis.llm.litellm import LiteLLMProvider
from mnesis.models.message import Message, Part, ReasoningPart, TextPart, TokenUsage, ToolPart

pytestmark = pytest.mark.xdist_group("litellm")

MODEL = "openai/gpt-4o"
CLAUDE = "anthropic/claude-sonnet-4-5"
KEY = "sk-proj-canary4f9a8b7c6d5e"
CALLS = [{"id": "call_a", "name": "add", "arguments": '{"a": 1}'}, {"id": "call_b", "name": "add", "arguments": "{}"}]


@dataclass
class Went:
    """How a turn went, and what came of it."""

    session: MnesisSession
    shown: str = ""
    error: BaseException | None = None
    log: list[Message] = field(default_factory=list)
    row: tuple[Any, ...] = ()
    happened: list[str] = field(default_factory=list)

    @property
    def reply(self) -> tuple[Part, ...]:
        """The parts of the reply, whole or partial."""
        return self.log[1].parts if len(self.log) > 1 else ()


def provider_for(server: OpenAIServer, model: str = MODEL, **settings: Any) -> LiteLLMProvider:
    base = server.anthropic_url if model == CLAUDE else server.url
    return LiteLLMProvider(api_base=base, **{"api_key": KEY, "timeout": 20, "idle_timeout": 10, **settings})


async def go(
    server: OpenAIServer, path: Path, answer: Answer, *, model: str = MODEL, stop_after: str = "", **settings: Any
) -> Went:
    """One turn with this answer, cancelled once `stop_after` has been shown; then one more, which has to work.

    Checks what holds however it went: the question is kept, what is shown is what is stored, nothing partial is sent.
    """
    server.answers = [answer, Answer("and on", usage=usage(10, 5))]
    provider = provider_for(server, model, **settings)
    session = await MnesisSession.create(model=model, db_path=path, llm=provider)
    went = Went(session)

    async def turn() -> None:
        async for event in session.stream("the question"):
            if isinstance(event, TextDelta):
                went.shown += event.text
                if stop_after and went.shown.endswith(stop_after):
                    task.cancel()

    task = asyncio.create_task(turn())
    try:
        await task
    except (MnesisError, asyncio.CancelledError) as error:
        went.error = error
    went.log = await session.messages()
    went.happened = [record.event.value for record in await session.events()]
    await _holds(went, server)
    await session.close()
    with sqlite3.connect(path) as connection:
        columns = "state, error_kind, finish_reason, input_tokens, cost"
        went.row = connection.execute(f"SELECT {columns} FROM turn WHERE idx = 0").fetchone()
    return went


async def _holds(went: Went, server: OpenAIServer) -> None:
    asked, *replies = went.log
    assert asked.text == "the question"
    assert "".join(reply.text for reply in replies) == went.shown
    assert all(reply.partial == (went.error is not None) for reply in replies)
    before = len(server.requests)
    result = await went.session.send("go on")
    assert result.text == "and on"
    assert len(server.requests) == before + 1
    sent = str(server.requests[-1].body["messages"])
    assert "the question" in sent
    if went.error is not None and went.shown:
        assert went.shown not in sent, "what is partial is never sent"
    assert (await went.session.verify(deep=True)).ok


# -- replies -----------------------------------------------------------------------------------------------------


async def test_a_plain_reply(openai_server, store_path):
    went = await go(openai_server, store_path, Answer("Hello there.", usage=usage(100, 10)))
    assert went.shown == "Hello there."
    assert went.row[:4] == ("committed", None, "stop", 100)
    assert went.row[4] == pytest.approx(100 * 2.5e-6 + 10 * 1e-5)
    assert went.happened[-1] == "turn.committed"


@pytest.mark.parametrize(("reason", "model"), [("length", MODEL), ("length", CLAUDE), ("content_filter", MODEL)])
async def test_a_reply_that_was_ended_is_kept_with_the_reason(openai_server, store_path, reason, model):
    went = await go(openai_server, store_path, Answer("It was a dark", finish_reason=reason), model=model)
    assert (went.error, went.shown) == (None, "It was a dark")
    assert went.row[:3] == ("committed", None, reason)


@pytest.mark.parametrize("reason", ["stop", "content_filter", "length"])
async def test_an_empty_reply_is_a_turn_of_its_own(openai_server, store_path, reason):
    went = await go(openai_server, store_path, Answer("", finish_reason=reason))
    assert (went.error, went.shown, went.reply) == (None, "", ())
    assert went.row[:3] == ("committed", None, reason)


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_reasoning_is_stored_and_neither_shown_nor_sent(openai_server, store_path, model):
    went = await go(openai_server, store_path, Answer("42", reasoning="think hard", signature="c2ln"), model=model)
    data = {"type": "thinking", "signature": "c2ln"} if model == CLAUDE else None
    assert went.shown == "42"
    assert went.reply == (ReasoningPart(text="think hard", data=data), TextPart(text="42"))
    assert "think" not in str(openai_server.requests[-1].body["messages"])


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_calls_of_tools_that_nobody_offered_wait_for_their_results(openai_server, store_path, model):
    answer = Answer("Let me see.", tool_calls=CALLS, finish_reason="tool_calls", bytewise=True)
    went = await go(openai_server, store_path, answer, model=model)
    assert went.reply == (
        TextPart(text="Let me see."),
        ToolPart(tool_name="add", tool_call_id="call_a", input={"a": 1}),
        ToolPart(tool_name="add", tool_call_id="call_b"),
    )
    assert went.row[:3] == ("committed", None, "tool_calls")


async def test_usage_that_nobody_reported_is_counted_and_costs_nobody_knows_what(openai_server, store_path):
    went = await go(openai_server, store_path, Answer("Hello there."))
    state, _, _, tokens, cost = went.row
    assert (state, cost) == ("committed", None)
    assert tokens > 0
    assert went.session.token_usage.input == tokens + 10


# -- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuse(429, "slow down", retry_after=7), RateLimit),
        (refuse(500, "oops"), Unavailable),
        (overloaded(), Unavailable),
        (refuse(400, "no such parameter"), BadRequest),
        (overflow(), ContextOverflow),
        (wrong_key(KEY), Authentication),
        (refuse(401, f"Incorrect API key provided: {KEY}"), Authentication),
    ],
)
async def test_a_refusal_fails_the_turn_and_the_next_one_works(openai_server, store_path, model, answer, kind):
    went = await go(openai_server, store_path, answer, model=model)
    assert type(went.error) is kind
    assert (went.shown, went.reply) == ("", ())
    assert went.row == ("failed", kind.__name__, None, None, None)
    assert went.happened[-1] == "turn.failed"
    assert b"canary" not in store_path.read_bytes()


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@pytest.mark.parametrize("fault", ["reset", "cut", "eof", "malformed", "stream_error"])
async def test_what_breaks_off_is_kept_as_partial_and_not_sent(openai_server, store_path, model, fault):
    went = await go(openai_server, store_path, Answer("one two", fault=fault), model=model)
    assert isinstance(went.error, Unavailable)
    assert went.error.transient
    assert went.reply == (TextPart(text="one two"),)
    assert went.row[:3] == ("failed", "Unavailable", None)
    assert len(openai_server.requests) == 2, "it was not asked again"


@pytest.mark.parametrize(("text", "partial"), [("", ()), ("one two", (TextPart(text="one two"),))])
async def test_a_server_that_hangs_is_given_up(openai_server, store_path, text, partial):
    went = await go(openai_server, store_path, Answer(text, fault="hang"), timeout=0.5, idle_timeout=0.3)
    assert isinstance(went.error, Timeout)
    assert went.reply == partial
    assert went.row[:2] == ("failed", "Timeout")
    await asyncio.wait_for(openai_server.requests[0].disconnected.wait(), 5)


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_a_cancelled_turn_is_aborted_and_its_connection_closed(openai_server, store_path, model):
    answer = Answer("one two", fault="hang")
    went = await go(openai_server, store_path, answer, model=model, stop_after="two", idle_timeout=30)
    assert isinstance(went.error, asyncio.CancelledError)
    assert went.reply == (TextPart(text="one two"),)
    assert went.row == ("aborted", None, None, None, None)
    assert went.happened[-1] == "turn.aborted"
    await asyncio.wait_for(openai_server.requests[0].disconnected.wait(), 5)


async def test_tool_calls_that_break_off_are_kept_as_partial(openai_server, store_path):
    answer = Answer("Let me see.", tool_calls=CALLS, fault="reset")
    went = await go(openai_server, store_path, answer)
    assert isinstance(went.error, LLMError)
    assert [type(part) for part in went.reply] == [TextPart, ToolPart, ToolPart]
    assert "call_a" not in str(openai_server.requests[-1].body["messages"])


async def test_the_usage_of_a_session_is_that_of_its_whole_replies(openai_server, store_path):
    went = await go(openai_server, store_path, Answer("one two", usage=usage(500, 2), fault="reset"))
    assert went.session.token_usage == TokenUsage(input=10, output=5, total=15)
