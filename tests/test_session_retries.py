"""A session tries again as its settings say, tells of it, and is not kept from closing by it."""

import asyncio
import sqlite3
import time

import pytest
from openai_server import Answer, OpenAIServer, refuse, usage

from mnesis import MnesisConfig, MnesisEvent, MnesisSession, TextDelta, TurnComplete
from mnesis.errors import Authentication, RateLimit, Unavailable
from mnesis.events.payloads import LlmRetryPayload
from mnesis.llm.litellm import LiteLLMProvider
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.config import RetryConfig, SessionConfig
from mnesis.models.message import ReasoningPart, ToolPart

pytestmark = pytest.mark.xdist_group("litellm")

MODEL, CLAUDE = "openai/gpt-4o", "anthropic/claude-sonnet-4-5"


def settings(**retry) -> MnesisConfig:
    return MnesisConfig(session=SessionConfig(retry=RetryConfig(**{"max_retries": 3, "base_delay": 0.01, **retry})))


def provider_for(server: OpenAIServer, model: str = MODEL) -> LiteLLMProvider:
    base = server.anthropic_url if model == CLAUDE else server.url
    return LiteLLMProvider(api_base=base, api_key="any", timeout=20, idle_timeout=10)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def retries_of(session: MnesisSession) -> list[LlmRetryPayload]:
    """The retries that are stored."""
    return [record.payload for record in await session.events() if isinstance(record.payload, LlmRetryPayload)]


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_retries_are_stored_and_told_and_the_turn_is_like_any_other(openai_server, store_path, model):
    openai_server.answers = [
        refuse(429, "slow down", retry_after=0.1),
        refuse(503, "overloaded"),
        Answer("fine", usage=usage(10, 5)),
    ]
    told = []
    provider = provider_for(openai_server, model)
    async with MnesisSession.open(model=model, db_path=store_path, llm=provider, config=settings()) as session:
        session.subscribe(MnesisEvent.LLM_RETRY, lambda _, payload: told.append(payload))
        result = await session.send("hi")
        stored = await retries_of(session)
        assert (await session.verify()).ok
        assert [message.text for message in await session.messages()] == ["hi", "fine"]
    assert (result.text, result.tokens.input) == ("fine", 10)
    assert told == stored
    assert [(each.attempt, each.max_retries, each.error_kind) for each in stored] == [
        (1, 3, "RateLimit"),
        (2, 3, "Unavailable"),
    ]
    assert stored[0].delay >= 0.1
    assert "slow down" in stored[0].error
    bodies = [request.body for request in openai_server.requests]
    assert bodies == [bodies[0]] * 3


async def test_when_all_attempts_fail_the_turn_fails_with_the_last_error(openai_server, store_path):
    openai_server.answers = [refuse(503, f"down {n}") for n in range(3)]
    provider = provider_for(openai_server)
    async with MnesisSession.open(
        model=MODEL, db_path=store_path, llm=provider, config=settings(max_retries=2)
    ) as session:
        with pytest.raises(Unavailable, match="down 2"):
            await session.send("hi")
        assert [each.attempt for each in await retries_of(session)] == [1, 2]
        assert [record.event.value for record in await session.events()][-1] == "turn.failed"


@pytest.mark.parametrize(
    ("answer", "kind"), [(refuse(401, "no"), Authentication), (Answer("one two", fault="reset"), Unavailable)]
)
async def test_what_is_final_or_has_been_shown_is_not_tried_again(openai_server, store_path, answer, kind):
    openai_server.answers = [answer]
    provider = provider_for(openai_server)
    async with MnesisSession.open(model=MODEL, db_path=store_path, llm=provider, config=settings()) as session:
        with pytest.raises(kind):
            await session.send("hi")
        assert await retries_of(session) == []
    assert len(openai_server.requests) == 1


async def test_each_request_of_a_tool_loop_is_tried_again_and_the_tools_are_not(openai_server, store_path):
    calls = [{"id": "call_a", "name": "add", "arguments": '{"a": 1, "b": 2}'}]
    openai_server.answers = [
        refuse(503, "down"),
        Answer(tool_calls=calls, finish_reason="tool_calls"),
        refuse(503, "down"),
        refuse(503, "down"),
        Answer("It is 3."),
    ]
    ran = []

    def counting(a: int, b: int) -> int:
        """Add two numbers."""
        ran.append((a, b))
        return a + b

    counting.__name__ = "add"
    provider = provider_for(openai_server)
    async with MnesisSession.open(model=MODEL, db_path=store_path, llm=provider, config=settings()) as session:
        assert (await session.send("1 + 2?", tools=[counting])).text == "It is 3."
        assert [each.attempt for each in await retries_of(session)] == [1, 1, 2]
    assert ran == [(1, 2)]


async def test_the_stream_of_a_retried_turn_shows_the_reply_once(store_path):
    provider = ScriptedProvider([Unavailable("down"), Reply(broken=True), "all of it"])
    async with MnesisSession.open(model=MODEL, db_path=store_path, llm=provider, config=settings()) as session:
        events = [event async for event in session.stream("hi")]
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["all ", "of ", "it"]
    assert isinstance(events[-1], TurnComplete)


# -- waiting ------------------------------------------------------------------------------------------------------


async def _waiting(session: MnesisSession) -> asyncio.Task:
    """A turn in the delay before its second attempt."""
    told = asyncio.Event()
    session.subscribe(MnesisEvent.LLM_RETRY, lambda *_: told.set())
    turn = asyncio.create_task(session.send("hi"))
    await asyncio.wait_for(told.wait(), 10)
    return turn


async def test_closing_ends_a_delay_at_once_with_the_error_that_was(store_path):
    provider = ScriptedProvider([RateLimit("slow down", retry_after=200), "never"])
    config = settings(base_delay=60, jitter=False)
    session = await MnesisSession.create(model=MODEL, db_path=store_path, llm=provider, config=config)
    turn = await _waiting(session)
    start = time.monotonic()
    await session.close()
    assert time.monotonic() - start < 5
    with pytest.raises(RateLimit, match="slow down"):
        await turn
    assert len(provider.requests) == 1
    with sqlite3.connect(store_path) as connection:
        assert connection.execute("SELECT state, error_kind FROM turn").fetchall() == [("failed", "RateLimit")]


async def test_cancelling_ends_a_delay_too_and_the_next_turn_works(store_path):
    provider = ScriptedProvider([Unavailable("down"), "fine"])
    config = settings(base_delay=60, jitter=False)
    async with MnesisSession.open(model=MODEL, db_path=store_path, llm=provider, config=config) as session:
        turn = await _waiting(session)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert (await session.send("again")).text == "fine"
        assert [record.event.value for record in await session.events()].count("turn.aborted") == 1


# -- reasoning in a tool loop ------------------------------------------------------------------------------------


async def test_signed_reasoning_goes_back_with_the_calls_of_its_turn_and_no_further(openai_server, store_path):
    calls = [{"id": "toolu_a", "name": "add", "arguments": '{"a": 1, "b": 2}'}]
    openai_server.answers = [
        Answer(reasoning="I have to add.", signature="c2lnbmVk==", tool_calls=calls, finish_reason="tool_calls"),
        Answer("It is 3.", reasoning="Done.", signature="ZG9uZQ=="),
        Answer("Yes."),
    ]
    params = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}
    provider = provider_for(openai_server, CLAUDE)
    async with MnesisSession.open(model=CLAUDE, db_path=store_path, llm=provider) as session:
        await session.send("1 + 2?", tools=[add], params=params)
        await session.send("sure?", tools=[add], params=params)
        said = [part for message in await session.messages() for part in message.parts]
        assert (await session.verify(deep=True)).ok
    first, second, third = (request.body["messages"] for request in openai_server.requests)
    block = {"type": "thinking", "thinking": "I have to add.", "signature": "c2lnbmVk=="}
    assert [message["content"][0] for message in second if message["role"] == "assistant"] == [block]
    assert "I have to add." not in str(first)
    assert "I have to add." not in str(third)
    seal = {"type": "thinking", "signature": "c2lnbmVk=="}
    thought = next(part for part in said if isinstance(part, ReasoningPart))
    assert thought == ReasoningPart(text="I have to add.", data=seal)
    assert any(isinstance(part, ToolPart) for part in said)
