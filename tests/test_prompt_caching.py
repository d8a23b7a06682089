"""What the providers that want to be told are told to keep, seen in the requests as they arrive."""

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from openai_server import Answer, OpenAIServer, overloaded, refuse, usage

from mnesis import CompactionConfig, MnesisConfig, MnesisSession
from mnesis.errors import RateLimit, Unavailable
from mnesis.llm.base import Finish, Request
from mnesis.llm.caching import marked, takes_marks
from mnesis.llm.litellm import LiteLLMProvider
from mnesis.models.message import TokenUsage

pytestmark = pytest.mark.xdist_group("litellm")

CLAUDE = "anthropic/claude-sonnet-4-5"
MARK = {"type": "ephemeral"}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
SYSTEM = "Be brief.\n\n[summary sum_1 of turn 0]\n\n[summary sum_2 of turn 1]"
ENDS = (9, 35, 61)
CALL = {"id": "call_a", "type": "function", "function": {"name": "add", "arguments": "{}"}}
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": "second"},
]
ROUND: list[dict[str, Any]] = [
    {"role": "assistant", "content": None, "tool_calls": [CALL, CALL | {"id": "call_b"}]},
    {"role": "tool", "tool_call_id": "call_a", "content": "1"},
    {"role": "tool", "tool_call_id": "call_b", "content": "2"},
]


def provider_for(server: OpenAIServer, model: str = CLAUDE, **settings) -> LiteLLMProvider:
    base = server.anthropic_url if model == CLAUDE else server.url
    return LiteLLMProvider(**{"api_base": base, "api_key": "any", "timeout": 20, **settings})


async def body_of(server: OpenAIServer, request: Request, **settings) -> Any:
    """The request as it arrives."""
    assert [chunk async for chunk in provider_for(server, request.model, **settings).stream(request)]
    return server.requests[-1].body


def marks_in(value: Any, path: str = "") -> Iterator[str]:
    """Where there is a mark, as a path."""
    match value:
        case dict():
            for name, each in value.items():
                if name == "cache_control":
                    assert each == MARK
                    yield path
                yield from marks_in(each, f"{path}.{name}")
        case list():
            for at, each in enumerate(value):
                yield from marks_in(each, f"{path}[{at}]")


# -- where the marks are -----------------------------------------------------------------------------------------


async def test_marks_stand_after_the_system_prompt_the_summaries_and_at_the_newest_message(openai_server):
    body = await body_of(openai_server, Request(CLAUDE, MESSAGES, system_ends=ENDS, tools=(TOOL,)))
    assert list(marks_in(body)) == [".messages[2].content[0]", ".system[0]", ".system[1]"]
    assert [part["text"] for part in body["system"]] == ["Be brief.", SYSTEM[9:]]
    assert body["messages"][2]["content"][0]["text"] == "second"


async def test_in_a_tool_round_the_last_result_is_the_fourth(openai_server):
    body = await body_of(openai_server, Request(CLAUDE, MESSAGES + ROUND, system_ends=ENDS, tools=(TOOL,)))
    assert list(marks_in(body)) == [
        ".messages[2].content[0]",
        ".messages[4].content[1]",
        ".system[0]",
        ".system[1]",
    ]
    assert body["messages"][4]["content"][1]["tool_use_id"] == "call_b"


async def test_without_summaries_the_system_prompt_is_one_part(openai_server):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    body = await body_of(openai_server, Request(CLAUDE, messages, system_ends=(9,)))
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": MARK}]


async def test_without_a_system_prompt_only_the_newest_message_is_marked(openai_server):
    body = await body_of(openai_server, Request(CLAUDE, [{"role": "user", "content": "hi"}], system_ends=()))
    assert list(marks_in(body)) == [".messages[0].content[0]"]


async def test_of_a_message_in_parts_the_last_part_is_marked(openai_server):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, image]}]
    body = await body_of(openai_server, Request(CLAUDE, messages, system_ends=()))
    assert list(marks_in(body)) == [".messages[0].content[1]"]
    assert body["messages"][0]["content"][1]["type"] == "image"


async def test_what_is_asked_once_is_not_marked(openai_server):
    assert not list(marks_in(await body_of(openai_server, Request(CLAUDE, MESSAGES))))


async def test_who_uses_litellms_own_marks_gets_no_others(openai_server):
    points = [{"location": "message", "role": "system"}]
    request = Request(CLAUDE, MESSAGES, system_ends=ENDS, params={"cache_control_injection_points": points})
    assert list(marks_in(await body_of(openai_server, request))) == [".system[0]"]


def test_marking_leaves_the_request_as_it_is() -> None:
    request = Request(CLAUDE, MESSAGES + ROUND, system_ends=ENDS)
    before = copy.deepcopy(request.messages)
    marked(request)
    assert request.messages == before


# -- who gets them -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        CLAUDE,
        "claude-sonnet-4-5",
        "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "vertex_ai/claude-sonnet-4-5",
        "openrouter/anthropic/claude-sonnet-4.5",
        "azure_ai/claude-sonnet-4-5",
    ],
)
def test_models_of_anthropic_are_marked_wherever_they_run(model: str) -> None:
    assert takes_marks(model)


@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-4o",
        "gemini/gemini-2.5-pro",
        "openrouter/openai/gpt-4o",
        "openai/claude-sonnet-4-5",  # a proxy that speaks OpenAI's format
        "bedrock/anthropic.claude-v2:1",  # caches nothing, and refuses marks
        "anthropic/claude-unheard-of",
        "claude",
        "",
    ],
)
def test_others_get_no_marks(model: str) -> None:
    assert not takes_marks(model)


async def test_openai_gets_its_messages_as_they_are(openai_server):
    body = await body_of(openai_server, Request("openai/gpt-4o", MESSAGES, system_ends=ENDS, tools=(TOOL,)))
    assert (body["messages"], body["tools"]) == (MESSAGES, [TOOL])


async def test_openrouter_gets_the_marks_in_the_parts(openai_server):
    body = await body_of(openai_server, Request("openrouter/anthropic/claude-sonnet-4.5", MESSAGES, system_ends=ENDS))
    assert list(marks_in(body)) == [
        ".messages[0].content[0]",
        ".messages[0].content[1]",
        ".messages[3].content[0]",
    ]


def test_litellm_makes_bedrocks_own_marks_of_them() -> None:
    litellm = pytest.importorskip("litellm")
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    messages = marked(Request(f"bedrock/{model}", MESSAGES + ROUND, system_ends=ENDS))
    body = litellm.AmazonConverseConfig().transform_request(
        model=model, messages=messages, optional_params={"tools": [TOOL]}, litellm_params={}, headers={}
    )
    assert [list(block) for block in body["system"]] == [["text"], ["cachePoint"]] * 2
    assert [list(block) for block in body["messages"][2]["content"]] == [["text"], ["cachePoint"]]
    assert list(body["messages"][4]["content"][-1]) == ["cachePoint"]


# -- in a session ------------------------------------------------------------------------------------------------


def text_in(body: Any) -> str:
    """What the model reads, without the marks and the cuts."""
    parts = [*body.get("system", []), *(part for message in body["messages"] for part in message["content"])]
    return "".join(part["text"] for part in parts)


async def test_from_turn_to_turn_what_was_marked_is_sent_again_first(openai_server, store_path):
    async with MnesisSession.open(model=CLAUDE, db_path=store_path, llm=provider_for(openai_server)) as session:
        for word in ("one", "two", "three"):
            await session.send(word)
            window = await session.context(turn=len(openai_server.requests) - 1)
            assert text_in(openai_server.requests[-1].body) == "".join(item.text for item in window.items)
    for before, after in itertools.pairwise(received.body for received in openai_server.requests):
        assert 2 <= len(list(marks_in(after))) <= 4
        assert text_in(after).startswith(text_in(before))
        assert after["system"] == before["system"]
        kept = after["messages"][: len(before["messages"])]
        assert [message["content"][0]["text"] for message in kept] == [
            message["content"][0]["text"] for message in before["messages"]
        ]


async def test_a_compaction_leaves_the_part_of_the_system_prompt_as_it_was(openai_server, store_path):
    config = MnesisConfig(compaction=CompactionConfig(auto=False))
    provider = provider_for(openai_server)
    async with MnesisSession.open(model=CLAUDE, db_path=store_path, llm=provider, config=config) as session:
        for number in range(4):
            await session.send(f"fact {number}: " + "words and more words " * 40)
        before = openai_server.requests[-1].body
        await session.compact()
        await session.send("and now?")
        assert (await session.verify()).ok
    *_, summarising, after = (received.body for received in openai_server.requests)
    assert "mnesis:summarise" in str(summarising["system"])
    assert not list(marks_in(summarising)), "nothing of it is ever sent again"
    assert after["system"][0] == before["system"][0]
    assert len(after["system"]) == 2
    assert after["system"][1]["text"].startswith("\n\n[summary sum_")
    assert list(marks_in(after["system"])) == ["[0]", "[1]"]


# -- what it comes to --------------------------------------------------------------------------------------------


async def test_cache_reads_and_writes_are_counted_and_priced(openai_server, store_path):
    openai_server.answers = [
        Answer("one", usage=usage(1000, 10, written=900)),
        Answer("two", usage=usage(1100, 20, cached=900, written=150)),
    ]
    async with MnesisSession.open(model=CLAUDE, db_path=store_path, llm=provider_for(openai_server)) as session:
        first, second = await session.send("a"), await session.send("b")
        total = session.token_usage
    assert first.tokens == TokenUsage(input=1000, output=10, cache_write=900, total=1010)
    assert second.tokens == TokenUsage(input=1100, output=20, cache_read=900, cache_write=150, total=1120)
    assert first.cost == pytest.approx(100 * 3e-6 + 900 * 3.75e-6 + 10 * 15e-6)
    assert second.cost == pytest.approx(50 * 3e-6 + 900 * 3e-7 + 150 * 3.75e-6 + 20 * 15e-6)
    assert total == first.tokens + second.tokens


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [(refuse(429, "rate_limit_error", retry_after=3), RateLimit), (overloaded(), Unavailable)],
)
async def test_the_refusals_of_anthropic_are_transient(openai_server, refusal, kind):
    openai_server.answers = [refusal]
    with pytest.raises(kind) as caught:
        await body_of(openai_server, Request(CLAUDE, MESSAGES))
    assert caught.value.transient


async def test_usage_is_whole_although_the_stream_tells_it_in_two_places(openai_server):
    openai_server.answers = [Answer("hi", usage=usage(500, 7, cached=100, written=300))]
    chunks = [chunk async for chunk in provider_for(openai_server).stream(Request(CLAUDE, MESSAGES))]
    assert isinstance(chunks[-1], Finish)
    assert chunks[-1].usage == TokenUsage(input=500, output=7, cache_read=100, cache_write=300, total=507)
