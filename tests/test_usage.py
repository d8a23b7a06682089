"""What a turn cost: as the provider reported it, and never a number that nobody knows."""

import sqlite3

import pytest
from openai_server import Answer, OpenAIServer, usage

from mnesis import MnesisConfig, MnesisSession
from mnesis.llm.base import Request
from mnesis.llm.litellm import LiteLLMProvider
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.message import TokenUsage
from mnesis.tokens import counter_for

pytestmark = pytest.mark.xdist_group("litellm")


def open_session(server: OpenAIServer, path, model: str = "openai/gpt-4o"):
    config = MnesisConfig(model_overrides={"context_limit": 8_000})
    provider = LiteLLMProvider(api_base=server.url, api_key="any")
    return MnesisSession.open(model=model, db_path=path, llm=provider, config=config)


async def test_usage_and_cost_are_those_of_the_report(openai_server, store_path):
    openai_server.answers = [
        Answer("one", usage=usage(100, 20)),
        Answer("two", usage=usage(200, 40, cached=64)),
    ]
    async with open_session(openai_server, store_path) as session:
        first, second = await session.send("a"), await session.send("b")
        assert session.token_usage == first.tokens + second.tokens
    assert first.tokens == TokenUsage(input=100, output=20, total=120)
    assert second.tokens == TokenUsage(input=200, output=40, cache_read=64, total=240)
    assert first.cost == pytest.approx(100 * 2.5e-6 + 20 * 1e-5)
    assert second.cost == pytest.approx(136 * 2.5e-6 + 64 * 1.25e-6 + 40 * 1e-5)


async def test_the_cost_of_a_model_that_nobody_knows_is_unknown_and_its_usage_is_not(openai_server, store_path):
    openai_server.answers = [Answer("one", usage=usage(100, 20))]
    async with open_session(openai_server, store_path, "openai/a-model-of-ones-own") as session:
        result = await session.send("a")
    assert (result.tokens.input, result.cost) == (100, None)
    with sqlite3.connect(store_path) as connection:
        assert connection.execute("SELECT input_tokens, cost FROM turn").fetchall() == [(100, None)]


async def test_a_reply_without_usage_has_no_cost(openai_server, store_path):
    openai_server.answers = [Answer("one")]
    async with open_session(openai_server, store_path) as session:
        result = await session.send("a")
    assert result.tokens.input > 0
    assert result.tokens.output > 0
    assert result.cost is None


async def test_counted_usage_stays_marked_as_counted(store_path):
    counted = TokenUsage(input=10, output=5, counted=True)
    async with MnesisSession.open(model="offline/quote", db_path=store_path) as session:
        await session.record("a", "b", tokens=TokenUsage(input=20, output=5))
        assert not session.token_usage.counted
        await session.record("c", "d", tokens=counted)
        assert session.token_usage.counted
    async with await MnesisSession.load(session.id, db_path=store_path) as again:
        assert again.token_usage == TokenUsage(input=30, output=10, total=40, counted=True)
        told = [record.payload.model_dump().get("tokens") for record in await again.events()]
    assert [tokens["counted"] for tokens in told if isinstance(tokens, dict)] == [False, True]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_a_sum_is_counted_where_a_part_of_it_is(first, second):
    assert (TokenUsage(counted=first) + TokenUsage(counted=second)).counted == (first or second)


@pytest.mark.parametrize("tools", [False, True])
async def test_the_budget_is_corrected_by_what_one_request_took_never_by_the_sum_of_several(tools):
    def look() -> str:
        """Look."""
        return "nothing there"

    def reported(request: Request) -> TokenUsage:
        """What the provider counts: a quarter more than its window is estimated at here."""
        window = sum(counter.count(str(message)) for message in request.messages)
        return TokenUsage(input=window * 5 // 4, output=5)

    def chat(request: Request) -> Reply:
        calls = [{"name": "look"}] if tools and request.messages[-1]["role"] == "user" else []
        return Reply("Hm.", tool_calls=calls, usage=reported(request))

    model = "anthropic/claude-sonnet-4-5"
    counter = counter_for(model)
    llm = ScriptedProvider([chat], cycle=True)
    async with await MnesisSession.create(model=model, db_path=":memory:", llm=llm) as session:
        before = (await session.context()).budget
        await session.send("Have a look at the shelf by the window. " * 40, tools=[look])
        after = (await session.context()).budget
    assert after == before if tools else after < before
