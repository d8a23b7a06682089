"""Reasoning is kept as it came, and goes back only to who wants it, with the tool calls of the same turn."""

from dataclasses import replace
from typing import Any

import pytest
from openai_server import Answer, OpenAIServer, usage

from mnesis import MnesisSession
from mnesis.llm.base import Finish, ReasoningChunk, Request, TextChunk
from mnesis.llm.litellm import LiteLLMProvider
from mnesis.llm.reply import ReplyBuilder, thoughts_of
from mnesis.models.message import Part, ReasoningPart, TextPart, ToolPart

pytestmark = pytest.mark.xdist_group("litellm")

CLAUDE = "anthropic/claude-sonnet-4-5"
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CALLS = [{"id": "toolu_a", "name": "add", "arguments": '{"a": 1}'}, {"id": "toolu_b", "name": "add", "arguments": "{}"}]
SIGNED = ReasoningPart(text="I have to add, é.", data={"type": "thinking", "signature": "c2lnbmVk=="})
SEALED = ReasoningPart(text="", data={"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"})
CALLING = Answer(
    "Let me add.",
    reasoning=SIGNED.text,
    signature="c2lnbmVk==",
    redacted="ZW5jcnlwdGVk",
    tool_calls=CALLS,
    finish_reason="tool_calls",
    usage=usage(50, 20),
)


def provider_for(server: OpenAIServer, model: str = CLAUDE) -> LiteLLMProvider:
    return LiteLLMProvider(api_base=server.anthropic_url if model == CLAUDE else server.url, api_key="any", timeout=20)


async def first_round(server: OpenAIServer, model: str = CLAUDE, params: Any = THINKING) -> tuple[Part, ...]:
    """What the model says before its tools have answered."""
    builder = ReplyBuilder()
    request = Request(model, [{"role": "user", "content": "hi"}], tools=(TOOL,), params=params)
    async for chunk in provider_for(server, model).stream(request):
        builder.take(chunk)
    return builder.take_all()


async def second_body(server: OpenAIServer, said: tuple[Part, ...], model: str = CLAUDE, params: Any = THINKING) -> Any:
    """The next request of the turn, as it arrives."""
    calls = [part.tool_call_id for part in said if isinstance(part, ToolPart)]
    function = {"name": "add", "arguments": "{}"}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "before"},
        {"role": "assistant", "content": "an older turn", "tool_calls": [_call("toolu_old", function)]},
        {"role": "tool", "tool_call_id": "toolu_old", "content": "1"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "Let me add.",
            "tool_calls": [_call(id, function) for id in calls],
        },
        *({"role": "tool", "tool_call_id": id, "content": "1"} for id in calls),
    ]
    part_ids = [f"part_{index}" for index in range(len(said))]
    ids = ("msg_1", "part_old", "part_old", "msg_2", part_ids[-1], *calls)
    thoughts = thoughts_of(said, part_ids)
    request = Request(model, messages, ids, tools=(TOOL,), thoughts=thoughts, params=params)
    assert [chunk async for chunk in provider_for(server, model).stream(request)]
    return server.requests[-1].body


def _call(id: str, function: dict[str, str]) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": function}


# -- as it comes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bytewise", [False, True])
async def test_blocks_of_reasoning_are_parts_with_what_seals_them(openai_server, bytewise):
    openai_server.answers = [replace(CALLING, bytewise=bytewise)]
    said = await first_round(openai_server)
    assert said[:3] == (SIGNED, SEALED, TextPart(text="Let me add."))
    assert [part.tool_call_id for part in said[3:] if isinstance(part, ToolPart)] == ["toolu_a", "toolu_b"]


async def test_reasoning_that_is_not_shown_is_kept_by_its_signature(openai_server):
    openai_server.answers = [Answer("42", signature="c2lnbmVk==")]
    said = await first_round(openai_server)
    assert said == (ReasoningPart(text="", data={"type": "thinking", "signature": "c2lnbmVk=="}), TextPart(text="42"))


def test_reasoning_without_an_end_is_a_part_too():
    builder = ReplyBuilder()
    for chunk in (
        ReasoningChunk("one "),
        ReasoningChunk("two", {"signature": "x"}),
        TextChunk("said"),
        ReasoningChunk("three"),
        Finish("stop"),
    ):
        builder.take(chunk)
    assert builder.parts() == (
        ReasoningPart(text="one two", data={"signature": "x"}),
        ReasoningPart(text="three"),
        TextPart(text="said"),
    )


# -- back to who wants it ----------------------------------------------------------------------------------------


async def test_anthropic_gets_its_blocks_back_unchanged_and_first(openai_server):
    openai_server.answers = [CALLING]
    body = await second_body(openai_server, await first_round(openai_server))
    older, newest = (message["content"] for message in body["messages"] if message["role"] == "assistant")
    assert [block["type"] for block in older] == ["text", "tool_use"]
    assert newest[:2] == [{**(SIGNED.data or {}), "thinking": SIGNED.text}, SEALED.data]
    assert [block["type"] for block in newest[2:]] == ["text", "tool_use", "tool_use"]
    assert body["thinking"] == THINKING["thinking"]


@pytest.mark.parametrize("model", ["deepseek/deepseek-reasoner", "moonshot/kimi-k2-thinking"])
async def test_deepseek_and_moonshot_get_the_text_back(openai_server, model):
    openai_server.answers = [
        Answer(reasoning="I have to add.", tool_calls=CALLS, finish_reason="tool_calls"),
    ]
    said = await first_round(openai_server, model, {})
    assert said[0] == ReasoningPart(text="I have to add.")
    body = await second_body(openai_server, said, model, {})
    assert body["messages"][4]["reasoning_content"] == "I have to add."


async def test_others_get_nothing_back(openai_server):
    openai_server.answers = [Answer(reasoning="I have to add.", tool_calls=CALLS, finish_reason="tool_calls")]
    model = "openai/gpt-4o"
    said = await first_round(openai_server, model, {})
    body = await second_body(openai_server, said, model, {})
    assert "I have to add" not in str(body)
    assert set(body["messages"][4]) == {"role", "content", "tool_calls"}


def test_reasoning_without_a_tool_call_goes_nowhere():
    assert thoughts_of((SIGNED, TextPart(text="42")), ["p1", "p2"]) == {}
    assert thoughts_of((ToolPart(tool_name="add", tool_call_id="a"),), ["p1"]) == {}


# -- in a session ------------------------------------------------------------------------------------------------


async def test_a_session_keeps_reasoning_with_its_seal_and_does_not_send_it_in_later_turns(openai_server, store_path):
    openai_server.answers = [Answer("42", reasoning="think hard", signature="c2lnbmVk==", usage=usage(10, 5))]
    provider = provider_for(openai_server)
    async with MnesisSession.open(model=CLAUDE, db_path=store_path, llm=provider) as session:
        first = await session.send("what?", params=THINKING)
        await session.send("and?", params=THINKING)
    assert first.text == "42"
    async with await MnesisSession.load(session.id, db_path=store_path, llm=provider) as again:
        reply = (await again.messages())[1]
        assert (await again.verify(deep=True)).ok
    assert reply.parts == (
        ReasoningPart(text="think hard", data={"type": "thinking", "signature": "c2lnbmVk=="}),
        TextPart(text="42"),
    )
    assert reply.part_tokens[0] == 0
    assert "think" not in str(openai_server.requests[1].body["messages"])


@pytest.mark.parametrize("id", ["toolu_a", "functions.add:0"])
async def test_the_tool_rounds_of_a_turn_give_the_blocks_back_whatever_the_ids_of_the_calls(openai_server, id):
    def add() -> int:
        """Add."""
        return 3

    called = Answer(
        reasoning=SIGNED.text,
        signature="c2lnbmVk==",
        tool_calls=[{"id": id, "name": "add", "arguments": "{}"}],
        finish_reason="tool_calls",
    )
    openai_server.answers = [called, called, Answer("3, twice."), Answer("Yes.")]
    async with MnesisSession.open(model=CLAUDE, db_path=":memory:", llm=provider_for(openai_server)) as session:
        assert (await session.send("Add twice.", tools=[add], params=THINKING)).text == "3, twice."
        await session.send("Really?", params=THINKING)
    *_, third, fourth = (
        [message["content"] for message in request.body["messages"] if message["role"] == "assistant"]
        for request in openai_server.requests
    )
    assert [[block["type"] for block in content] for content in third] == [["thinking", "tool_use"]] * 2
    assert "thinking" not in str(fourth)
