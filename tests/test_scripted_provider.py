"""The scripted provider does what its script says, so that other tests can rely on it."""

import asyncio
import time
from typing import Any

import pytest

from mnesis.errors import BadRequest, InputError, RateLimit, Unavailable
from mnesis.llm.base import Chunk, Finish, ModelLimits, ReasoningChunk, Request, TextChunk, ToolCallChunk
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.message import TokenUsage

REQUEST = Request("scripted", [{"role": "user", "content": "hi"}])


async def answer(provider: ScriptedProvider, request: Request = REQUEST) -> list[Chunk]:
    return [chunk async for chunk in provider.stream(request)]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


@pytest.mark.parametrize("text", ["", "one", "Hello there, Alice.", "  two\n\nlines \t", "日本語 🙂"])
async def test_a_text_comes_back_whole_and_finishes(text):
    chunks = await answer(ScriptedProvider([text]))
    assert text_of(chunks) == text
    assert chunks[-1] == Finish("stop")


async def test_a_text_arrives_word_by_word():
    chunks = await answer(ScriptedProvider(["one two three"]))
    assert chunks[:-1] == [TextChunk("one "), TextChunk("two "), TextChunk("three")]


async def test_pieces_arrive_as_given():
    chunks = await answer(ScriptedProvider([Reply(["o", "ne two", " three"], reasoning=["hm, ", "yes"])]))
    texts = [TextChunk("o"), TextChunk("ne two"), TextChunk(" three")]
    assert chunks == [ReasoningChunk("hm, "), ReasoningChunk("yes"), *texts, Finish("stop")]


async def test_usage_and_finish_reason_are_reported_only_if_given():
    usage = TokenUsage(input=5, output=2)
    provider = ScriptedProvider(["a", Reply("b", usage=usage, cost=0.1, finish_reason="length")])
    assert (await answer(provider))[-1] == Finish("stop", None, None)
    assert (await answer(provider))[-1] == Finish("length", usage, 0.1)


async def test_tool_calls_arrive_in_fragments():
    calls: list[dict[str, Any]] = [
        {"name": "add", "arguments": {"a": 1, "b": "ü"}, "id": "x"},
        {"name": "stop", "arguments": "{not json"},
    ]
    chunks = await answer(ScriptedProvider([Reply(tool_calls=calls)]))
    fragments = [chunk for chunk in chunks if isinstance(chunk, ToolCallChunk)]
    assert [(chunk.index, chunk.id, chunk.name) for chunk in fragments if chunk.id] == [
        (0, "x", "add"),
        (1, "call_2", "stop"),
    ]
    assert "".join(chunk.arguments for chunk in fragments if chunk.index == 0) == '{"a": 1, "b": "ü"}'
    assert "".join(chunk.arguments for chunk in fragments if chunk.index == 1) == "{not json"
    assert len(fragments) == 6
    assert chunks[-1] == Finish("tool_calls")


async def test_an_error_is_raised_in_its_turn():
    limited = RateLimit("slow down", retry_after=3)
    provider = ScriptedProvider([limited, "then fine"])
    with pytest.raises(RateLimit) as caught:
        await answer(provider)
    assert caught.value is limited
    assert text_of(await answer(provider)) == "then fine"


async def test_an_error_can_come_after_some_text():
    stream = ScriptedProvider([Reply("one two", then=Unavailable("gone"))]).stream(REQUEST)
    assert [await anext(stream), await anext(stream)] == [TextChunk("one "), TextChunk("two")]
    with pytest.raises(Unavailable, match="gone"):
        await anext(stream)


async def test_a_broken_reply_ends_without_finish():
    assert await answer(ScriptedProvider([Reply("one two", broken=True)])) == [TextChunk("one "), TextChunk("two")]


async def test_a_function_sees_the_request():
    def echo(request: Request) -> str:
        return f"you said {request.messages[-1]['content']}"

    def refuse(request: Request) -> BadRequest:
        return BadRequest(f"no {request.model}")

    provider = ScriptedProvider([echo, refuse])
    assert text_of(await answer(provider)) == "you said hi"
    with pytest.raises(BadRequest, match="no scripted"):
        await answer(provider)


async def test_every_request_is_kept():
    provider = ScriptedProvider(["a", BadRequest("no")])
    await answer(provider)
    second = Request("other", [])
    with pytest.raises(BadRequest):
        await answer(provider, second)
    assert provider.requests == [REQUEST, second]


async def test_a_script_that_is_used_up_says_so():
    provider = ScriptedProvider(["only one"])
    await answer(provider)
    with pytest.raises(BadRequest, match=r"the script has 1 reply and this is request number 2; add .* cycle=True"):
        await answer(provider)


async def test_a_cycle_starts_over():
    provider = ScriptedProvider(["a", "b"], cycle=True)
    assert [text_of(await answer(provider)) for _ in range(5)] == ["a", "b", "a", "b", "a"]


async def test_an_empty_cycle_says_so():
    with pytest.raises(BadRequest, match="the script has 0 replies"):
        await answer(ScriptedProvider([], cycle=True))


def test_one_text_is_not_a_script():
    with pytest.raises(InputError, match="give a list"):
        ScriptedProvider("hello")


async def test_the_delay_is_between_the_pieces():
    start = time.monotonic()
    await answer(ScriptedProvider([Reply("one two", delay=0.05)]))
    assert time.monotonic() - start >= 0.1


async def test_a_delayed_reply_can_be_cancelled():
    task = asyncio.create_task(answer(ScriptedProvider([Reply("one two", delay=60)])))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_limits_are_those_given():
    assert ScriptedProvider([], limits=ModelLimits(1_000, 100)).limits("any") == ModelLimits(1_000, 100)
