"""AgenticMap: an agent per item, in a session of its own, with tools that only read and parts it may delegate."""

import json
import sqlite3
import threading

import pytest
from pydantic import BaseModel

from mnesis import BadRequest, InputError, MnesisSession, RetryConfig, TokenUsage, function_tool
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.operators import AgenticMap

MODEL = "offline/quote"


class Count(BaseModel):
    words: int


def count_words(text: str) -> int:
    """The number of words."""
    return len(text.split())


def said_last(request):
    return request.messages[-1]


def agent(request):
    """Asks for the count of what it is given, then answers with it."""
    last = said_last(request)
    if last["role"] == "tool":
        return Reply(
            json.dumps({"words": int(last["content"])}), usage=TokenUsage(input=3, output=1, total=4), cost=0.5
        )
    call = {"name": "count_words", "arguments": {"text": last["content"]}}
    return Reply(tool_calls=[call], usage=TokenUsage(input=2, output=1, total=3), cost=0.25)


READS = function_tool(count_words, read_only=True)


@pytest.fixture
def make(store_path):
    def make(*script, **options):
        llm = ScriptedProvider(script, cycle=True)
        return AgenticMap(model=MODEL, llm=llm, db_path=store_path, retry=RetryConfig(base_delay=0), **options), llm

    return make


async def test_each_item_gets_a_session_with_tools_and_the_cost_of_all_its_rounds(make, store_path):
    async with MnesisSession.open(model=MODEL, db_path=store_path) as parent:
        agents, _ = make(agent, parent_id=parent.id)
        results = await agents.run_all(["a b", "a b c"], "{{ item }}", output_schema=Count, tools=[READS])
    assert [result.output for result in results] == [Count(words=2), Count(words=3)]
    assert [(result.tokens.total, result.cost, result.attempts) for result in results] == [(7, 0.75, 1)] * 2
    assert results[0].session_id != results[1].session_id
    session = await MnesisSession.load(results[1].session_id, db_path=store_path)
    async with session:
        assert [message.role for message in await session.messages()] == ["user", "assistant", "tool", "assistant"]
        assert (await session.verify()).ok
    cx = sqlite3.connect(store_path)
    assert set(cx.execute("SELECT parent_id FROM session WHERE agent = 'map'")) == {(parent.id,)}
    stored = dict(cx.execute("SELECT idx, session_id FROM map_item"))
    assert stored == {result.index: result.session_id for result in results}


async def test_an_agent_that_may_only_read_is_given_no_other_tool(make):
    def delete(path: str) -> None:
        """Deletes a file."""

    agents, llm = make("done")
    with pytest.raises(InputError, match="'delete' does not declare that it only reads"):
        agents.run(["x"], "{{ item }}", tools=[READS, delete])
    assert llm.requests == []
    await agents.run_all(["x"], "{{ item }}", tools=[READS, delete], read_only=False)
    assert [spec["function"]["name"] for spec in llm.requests[0].tools] == ["count_words", "delete"]


async def test_a_call_of_a_tool_that_was_not_given_runs_nothing(make):
    ran = []

    def delete(path: str) -> None:
        """Deletes a file."""
        ran.append(path)

    assert function_tool(delete).read_only is False
    agents, _ = make(Reply(tool_calls=[{"name": "delete", "arguments": {"path": "/"}}]), "I could not.")
    (result,) = await agents.run_all(["x"], "{{ item }}", tools=[READS])
    assert (result.output, ran) == ("I could not.", [])


async def test_a_tool_without_a_function_is_refused(make):
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
    with pytest.raises(InputError, match="nobody runs the calls of an agent"):
        make("x")[0].run(["x"], "{{ item }}", tools=[tool], read_only=False)


async def test_an_agent_that_is_not_done_is_told_to_go_on(make):
    agents, llm = make(Reply("half of it", finish_reason="length"), "no JSON", '{"words": 1}')
    (result,) = await agents.run_all(["x"], "{{ item }}", continuation_message="Go on now.", output_schema=Count)
    assert (result.output, result.attempts) == (Count(words=1), 3)
    assert said_last(llm.requests[1])["content"] == "Go on now."
    assert said_last(llm.requests[2])["content"].startswith("That answer cannot be used")


async def test_an_agent_has_so_many_turns(make):
    agents, llm = make(Reply("more", finish_reason="length"))
    (result,) = await agents.run_all(["x"], "{{ item }}", max_turns=3)
    assert (result.success, result.error_kind, result.attempts) == (False, "Unfinished", 3)
    assert "no answer in 3 turns" in result.error
    assert len(llm.requests) == 3


async def test_an_agent_has_so_much_time(make):
    agents, _ = make(Reply("slow", delay=30))
    (result,) = await agents.run_all(["x"], "{{ item }}", timeout=0.2)
    assert (result.success, result.error_kind) == (False, "Timeout")


async def test_what_an_agent_has_used_is_billed_where_it_fails_or_is_late_too(make):
    over = threading.Event()

    def late(text: str) -> str:
        """Waits."""
        over.wait(30)
        return text

    call = Reply(
        tool_calls=[{"name": "late", "arguments": {"text": "x"}}],
        usage=TokenUsage(input=2, output=1, total=3),
        cost=0.25,
    )
    tools = [function_tool(late, read_only=True)]
    agents, _ = make(call)
    (result,) = await agents.run_all(["x"], "{{ item }}", tools=tools, timeout=2)
    over.set()
    assert (result.error_kind, result.tokens.total, result.cost) == ("Timeout", 3, 0.25)

    agents, _ = make(call, BadRequest("no"))
    (result,) = await agents.run_all(["x"], "{{ item }}", tools=tools)
    assert (result.error_kind, result.tokens.total, result.cost) == ("BadRequest", 3, 0.25)


async def test_a_run_of_agents_is_resumed_with_the_same_tools(make):
    agents, _ = make(agent)
    run = agents.run(["a", "a b", "a b c"], "{{ item }}", output_schema=Count, tools=[READS], concurrency=1)
    async for _ in run:
        run.stop()
    done = (await agents.describe(run.id)).done
    assert done < 3
    with pytest.raises(InputError, match=r"tools=\[\] are not those that run_.* began with"):
        await agents.resume(run.id)
    results = await agents.resume_all(run.id, tools=[READS], output_schema=Count)
    assert [result.output for result in results] == [Count(words=1), Count(words=2), Count(words=3)]


# -- agents below agents -----------------------------------------------------------------------------------------

TASK = "Read chapters one and two of the book and say what they have in common"


def delegating(**arguments):
    """An agent that delegates once, and answers with whatever the tool said."""

    def reply(request):
        last = said_last(request)
        if last["role"] == "tool":
            return f"heard: {last['content']}"
        if "part of a larger task" in last["content"]:
            return "Chapter one is about rain."
        return Reply(tool_calls=[{"name": "delegate", "arguments": arguments}])

    return reply


PART = {"task": "Sum up chapter one.", "delegated_scope": "chapter one", "kept_work": "chapter two, the comparison"}


async def test_an_agent_delegates_a_part_to_an_agent_below_it(make, store_path):
    agents, _ = make(delegating(**PART))
    (result,) = await agents.run_all([TASK], "{{ item }}", max_depth=1)
    assert result.output == "heard: Chapter one is about rain."
    assert result.attempts == 2
    rows = sqlite3.connect(store_path).execute("SELECT id, parent_id FROM session ORDER BY id").fetchall()
    assert [parent for _, parent in rows] == [None, result.session_id]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"delegated_scope": ""}, "delegated_scope is empty"),
        ({"kept_work": ""}, "leaves nothing for you"),
        ({"kept_work": "Nothing."}, "leaves nothing for you"),
        ({"kept_work": "Chapter one"}, "leaves nothing for you"),
        ({"task": TASK}, "your own task again"),
        ({"task": f"Please: {TASK.upper()}!"}, "your own task again"),
        ({"task": " "}, "task is empty"),
        ({"task": 5}, "give a text"),
    ],
    ids=range(8),
)
async def test_a_task_is_not_delegated_as_a_whole(make, store_path, change, said):
    agents, _ = make(delegating(**PART | change))
    (result,) = await agents.run_all([TASK], "{{ item }}", max_depth=1)
    assert said in result.output
    assert sqlite3.connect(store_path).execute("SELECT count(*) FROM session").fetchone() == (1,)


async def test_agents_stand_below_one_another_only_so_deep(make, store_path):
    levels = iter(range(100))

    def reply(request):
        if said_last(request)["role"] == "tool":
            return "up"
        if not any(spec["function"]["name"] == "delegate" for spec in request.tools):
            return "bottom"
        level = next(levels)
        part = {"task": f"do part {level}", "delegated_scope": f"part {level}", "kept_work": "the rest"}
        return Reply(tool_calls=[{"name": "delegate", "arguments": part}])

    agents, _ = make(reply)
    (result,) = await agents.run_all([TASK], "{{ item }}", max_depth=2)
    assert result.output == "up"
    assert sqlite3.connect(store_path).execute("SELECT count(*) FROM session").fetchone() == (3,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_turns": 0}, "max_turns=0"),
        ({"max_depth": -1}, "max_depth=-1"),
        ({"max_depth": 50}, "max_depth=50.*0 to 5"),
        ({"continuation_message": None}, "continuation_message=None"),
        ({"tools": [function_tool(count_words, name="delegate", read_only=True)]}, "rename it"),
    ],
    ids=range(5),
)
def test_arguments_out_of_range_are_refused(make, options, said):
    with pytest.raises(InputError, match=said):
        make("x")[0].run(["x"], "{{ item }}", **options)


async def test_a_run_of_one_operator_is_not_resumed_by_the_other(make, store_path):
    from mnesis import LLMMap

    agents, _ = make("ok")
    results = await agents.run_all(["x"], "{{ item }}")
    with pytest.raises(InputError, match="is a run of AgenticMap"):
        await LLMMap(model=MODEL, db_path=store_path).resume(results.run_id)
