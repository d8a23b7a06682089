"""Tool calls come in fragments, cut anywhere, and servers differ in how they tell them apart."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from openai_server import Answer, OpenAIServer
from test_litellm_provider import CLAUDE, MODEL, TOOL, provider_for, request_for

from mnesis.llm.base import Finish, ToolCallChunk
from mnesis.llm.reply import ReplyBuilder
from mnesis.models.message import ToolPart

pytestmark = pytest.mark.xdist_group("litellm")

CALLS = [
    {"id": "call_a", "name": "add", "arguments": '{"q": "é中🙂\\n\\"", "n": [1, -2.5e3, null]}'},
    {"id": "call_b", "name": "sub", "arguments": '{"ok": true}'},
]
TWO = Answer(tool_calls=CALLS, finish_reason="tool_calls")


async def calls_of(server: OpenAIServer, answer: Answer, model: str = MODEL) -> tuple[ToolPart, ...]:
    server.answers.append(answer)
    builder = ReplyBuilder()
    async for chunk in provider_for(server, model).stream(request_for(model, tools=(TOOL,))):
        builder.take(chunk)
    assert builder.finished(model).reason == "tool_calls"
    return builder.calls


def parts(*calls: Mapping[str, str]) -> tuple[ToolPart, ...]:
    return tuple(
        ToolPart(tool_name=each["name"], tool_call_id=each["id"], input=json.loads(each["arguments"])) for each in calls
    )


def fragments(index: int, *pieces: str, **head: str) -> list[dict[str, Any]]:
    """Deltas of one call: its head with the first piece of its arguments, then the other pieces."""
    first = {"name": head.pop("name"), "arguments": pieces[0]} if "name" in head else {"arguments": pieces[0]}
    calls = [{"index": index, "type": "function", **head, "function": first}]
    calls += [{"index": index, "function": {"arguments": piece}} for piece in pieces[1:]]
    return [{"tool_calls": [call]} for call in calls]


# -- cut anywhere ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_two_calls_are_whole_character_by_character_and_byte_by_byte(openai_server, model):
    for answer in (TWO, Answer(tool_calls=CALLS, finish_reason="tool_calls", bytewise=True)):
        assert await calls_of(openai_server, answer, model) == parts(*CALLS)


@pytest.mark.slow
@pytest.mark.parametrize("model", [MODEL, CLAUDE])
async def test_two_calls_are_whole_wherever_the_stream_is_cut_in_two(openai_server, model):
    calls = [{"id": "a", "name": "add", "arguments": '{"é":3}'}, {"id": "b", "name": "sub", "arguments": "{}"}]
    if model == CLAUDE:
        answer = Answer(tool_calls=calls, finish_reason="tool_calls")
    else:
        deltas = fragments(0, '{"é"', ":3}", id="a", name="add") + fragments(1, "{}", id="b", name="sub")
        answer = Answer(deltas=deltas, finish_reason="tool_calls")
    for split in range(1, await _length(answer, model)):
        assert await calls_of(openai_server, replace(answer, split=split), model) == parts(*calls), split


async def _length(answer: Answer, model: str) -> int:
    """How long the stream of an answer is, in bytes."""
    path = "/v1/messages" if model == CLAUDE else "/v1/chat/completions"
    body = {"model": model.partition("/")[2], "stream": True, "stream_options": {"include_usage": True}}
    async with OpenAIServer(answer) as server, aiohttp.ClientSession() as http:
        response = await http.post(server.anthropic_url + path, json=body)
        return len(await response.read())


async def test_arguments_are_whole_wherever_they_are_cut_in_two(openai_server):
    arguments = CALLS[0]["arguments"]
    for cut in range(len(arguments) + 1):
        deltas = fragments(0, arguments[:cut], arguments[cut:], id="call_a", name="add")
        answer = Answer(deltas=deltas, finish_reason="tool_calls")
        assert await calls_of(openai_server, answer) == parts(CALLS[0]), cut


async def test_fragments_of_parallel_calls_may_alternate(openai_server):
    one, two = (
        fragments(index, *call["arguments"], id=call["id"], name=call["name"]) for index, call in enumerate(CALLS)
    )
    mixed = [delta for pair in zip(one, two, strict=False) for delta in pair] + one[len(two) :]
    assert await calls_of(openai_server, Answer(deltas=mixed, finish_reason="tool_calls")) == parts(*CALLS)


def test_a_character_that_the_stream_tore_apart_is_joined():
    builder = ReplyBuilder()
    builder.take(ToolCallChunk(0, "call_a", "add", '{"q": "\ud83d'))
    builder.take(ToolCallChunk(0, arguments='\ude42"}'))
    assert builder.calls[0].input == {"q": "🙂"}


@pytest.mark.parametrize(
    "text", ["{", "[1]", '"text"', "null", '{"a": NaN}', '{"a": "\\ud83d"}', "[" * 100_000, "1" * 5_000, '{"a": 1}{"b"']
)
def test_arguments_that_are_no_object_are_kept_as_they_came(text):
    builder = ReplyBuilder()
    builder.take(ToolCallChunk(0, "call_a", "add", text))
    builder.take(Finish("tool_calls"))
    assert builder.calls == (ToolPart(tool_name="add", tool_call_id="call_a", input={"_unparsed": text}),)


# -- as servers tell them ----------------------------------------------------------------------------------------


async def test_a_call_without_arguments_is_a_call(openai_server):
    answer = Answer(deltas=fragments(0, "", id="call_a", name="now"), finish_reason="tool_calls")
    assert await calls_of(openai_server, answer) == (ToolPart(tool_name="now", tool_call_id="call_a"),)


async def test_id_and_name_may_come_with_every_fragment(openai_server):
    deltas = [
        {
            "tool_calls": [
                {"index": 0, "id": "call_a", "type": "function", "function": {"name": "add", "arguments": each}}
            ]
        }
        for each in '{"a": 1}'
    ]
    (call,) = await calls_of(openai_server, Answer(deltas=deltas, finish_reason="tool_calls"))
    assert (call.tool_name, call.tool_call_id, call.input) == ("add", "call_a", {"a": 1})


async def test_the_name_may_come_after_the_id(openai_server):
    deltas = fragments(0, "", id="call_a") + fragments(0, '{"a": 1}', name="add")
    (call,) = await calls_of(openai_server, Answer(deltas=deltas, finish_reason="tool_calls"))
    assert (call.tool_name, call.tool_call_id, call.input) == ("add", "call_a", {"a": 1})


async def test_a_call_without_an_id_gets_one_of_its_own(openai_server):
    deltas = fragments(0, '{"a"', ": 1}", name="add") + fragments(1, "{}", name="sub")
    calls = await calls_of(openai_server, Answer(deltas=deltas, finish_reason="tool_calls"))
    assert [(call.tool_name, call.input) for call in calls] == [("add", {"a": 1}), ("sub", {})]
    assert len({call.tool_call_id for call in calls}) == 2
    assert all(call.tool_call_id.startswith("call_") for call in calls)


async def test_calls_with_one_index_for_all_are_told_apart_by_their_ids(openai_server):
    deltas = [
        delta
        for call in CALLS
        for delta in fragments(0, call["arguments"][:3], call["arguments"][3:], id=call["id"], name=call["name"])
    ]
    assert await calls_of(openai_server, Answer(deltas=deltas, finish_reason="tool_calls")) == parts(*CALLS)
