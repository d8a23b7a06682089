"""Maps on a cluster: the work on Dask's workers, the store here. Real processes, one of which is killed."""

import json
import os
import signal
import sqlite3
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from mnesis import Authentication, BadRequest, InputError, MnesisSession, function_tool
from mnesis.llm.base import Finish, ModelLimits, TextChunk, ToolCallChunk
from mnesis.operators import AgenticMap, LLMMap

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")]


class Size(BaseModel):
    size: Literal["small", "large"]


class Logging:
    """Answers on a worker, and says so in a file: which process, which item."""

    def __init__(self, log, delay=0.02):
        self.log, self.delay = str(log), delay

    def limits(self, model):
        return ModelLimits(context=100_000, output=1_000)

    async def stream(self, request):
        import asyncio

        item = request.messages[-1]["content"]
        with Path(self.log).open("a") as file:
            file.write(f"{os.getpid()} {item}\n")
        await asyncio.sleep(self.delay)
        if item == "refused":
            raise BadRequest("no")
        if item == "key":
            raise Authentication("set a key", model="m")
        yield TextChunk('{"size": "small"}')
        yield Finish("stop")


def calls(log):
    return [tuple(line.split(maxsplit=1)) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


async def test_two_processes_answer_the_items_of_one_run(client, store_path, tmp_path):
    log = tmp_path / "calls"
    llm_map = LLMMap(model="m", llm=Logging(log), db_path=store_path)
    items = [f"item {n}" for n in range(60)]
    results = await llm_map.run_all([*items, "refused"], "{{ item }}", Size, executor="dask", concurrency=8)
    assert [result.output for result in results[:60]] == [Size(size="small")] * 60
    assert (results[60].success, results[60].error_kind, results[60].error) == (False, "BadRequest", "no")
    processes = {pid for pid, _ in calls(log)}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes
    assert Counter(item for _, item in calls(log)) == Counter([*items, "refused"])


async def test_items_of_a_worker_that_is_killed_are_done_by_another_and_none_twice(client, store_path, tmp_path):
    log = tmp_path / "calls"
    llm_map = LLMMap(model="m", llm=Logging(log, delay=0.05), db_path=store_path)
    run = llm_map.run([f"item {n}" for n in range(80)], "{{ item }}", Size, executor=client, concurrency=8)
    given, killed = [], ""
    acknowledged = set()
    async for result in run:
        given.append(result.index)
        if len(given) == 20:
            killed = calls(log)[-1][0]
            os.kill(int(killed), signal.SIGKILL)
            acknowledged = set(given)
            before = len(calls(log))
    assert sorted(given) == list(range(80))
    assert run.progress.failed == 0
    again = {int(item.split()[1]) for _, item in calls(log)[before:]}
    assert not again & acknowledged
    cx = sqlite3.connect(store_path)
    assert cx.execute("SELECT state, count(*) FROM map_item GROUP BY state").fetchall() == [("done", 80)]


async def test_a_refused_key_on_a_worker_stops_the_run(client, store_path, tmp_path):
    llm_map = LLMMap(model="m", llm=Logging(tmp_path / "calls"), db_path=store_path)
    with pytest.raises(Authentication, match="set a key"):
        await llm_map.run_all(["key"], "{{ item }}", executor=client)


async def test_a_provider_that_cannot_be_sent_is_refused(client, store_path):
    class Stuck:
        def __reduce__(self):
            raise TypeError("it holds a socket")

        def limits(self, model):
            return ModelLimits(context=1, output=1)

        async def stream(self, request):
            yield Finish("stop")

    with pytest.raises(InputError, match=r"cannot be sent to other machines .it holds a socket"):
        LLMMap(model="m", llm=Stuck(), db_path=store_path).run(["x"], "{{ item }}", executor=client)


def test_what_is_no_executor_is_refused(store_path):
    with pytest.raises(InputError, match="executor='ray' is not known"):
        LLMMap(model="offline/quote", db_path=store_path).run(["x"], "{{ item }}", executor="ray")


# -- agents -----------------------------------------------------------------------------------------------------------


class Caller(Logging):
    """Asks for one call of `where`, then answers with its result; says in a file which process, which item."""

    async def stream(self, request):
        import asyncio

        item, last = request.messages[1]["content"], request.messages[-1]
        with Path(self.log).open("a") as file:
            file.write(f"{os.getpid()} {item}/{last['role']}\n")
        await asyncio.sleep(self.delay)
        if last["role"] == "tool":
            yield TextChunk(last["content"])
            yield Finish("stop")
        else:
            yield ToolCallChunk(0, "call_1", "where", json.dumps({"item": item}))
            yield Finish("tool_calls")


def where_tool():
    def where(item: str) -> str:
        """The process that this is called in."""
        import os

        return f"{item} in {os.getpid()}"

    return function_tool(where, read_only=True)


async def test_requests_and_tools_of_agents_run_on_the_workers_and_their_sessions_are_here(
    client, store_path, tmp_path
):
    log = tmp_path / "calls"
    agents = AgenticMap(model="m", llm=Caller(log), db_path=store_path)
    items = [f"item {n}" for n in range(20)]
    results = await agents.run_all(items, "{{ item }}", tools=[where_tool()], executor="dask", concurrency=8)
    assert [result.output.split(" in ")[0] for result in results] == items
    processes = {result.output.split(" in ")[1] for result in results} | {pid for pid, _ in calls(log)}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes
    assert results[3].session_id
    async with await MnesisSession.load(results[3].session_id, db_path=store_path) as session:
        assert [message.role for message in await session.messages()] == ["user", "assistant", "tool", "assistant"]
        assert (await session.verify()).ok


async def test_no_item_of_agents_is_done_twice_where_a_worker_is_killed(client, store_path, tmp_path):
    log = tmp_path / "calls"
    agents = AgenticMap(model="m", llm=Caller(log, delay=0.1), db_path=store_path)
    items = [f"item {n}" for n in range(40)]
    run = agents.run(items, "{{ item }}", tools=[where_tool()], executor=client, concurrency=8)
    given, killed = [], ""
    async for result in run:
        given.append(result.index)
        if len(given) == 10:
            killed = calls(log)[-1][0]
            os.kill(int(killed), signal.SIGKILL)
    assert sorted(given) == list(range(40))
    assert run.progress.failed == 0
    twice = {said for said, count in Counter(said for _, said in calls(log)).items() if count > 1}
    under_way = [said for pid, said in calls(log) if pid == killed][-4:]  # two threads, and what they had just begun
    assert twice <= set(under_way)
    cx = sqlite3.connect(store_path)
    assert cx.execute("SELECT state, count(*) FROM map_item GROUP BY state").fetchall() == [("done", 40)]
    assert cx.execute("SELECT count(*) FROM session").fetchone() == (40,)  # no agent began anew
    assert cx.execute("SELECT count(*) FROM turn WHERE state <> 'committed'").fetchone() == (0,)


async def test_a_run_of_agents_that_was_stopped_goes_on_on_the_cluster(client, store_path, tmp_path):
    agents = AgenticMap(model="m", llm=Caller(tmp_path / "calls"), db_path=store_path)
    run = agents.run(["a", "b", "c"], "{{ item }}", tools=[where_tool()])
    run.stop()
    assert [result async for result in run] == []
    results = await agents.resume_all(run.id, tools=[where_tool()], executor=client)
    assert [result.success for result in results] == [True] * 3
    assert not any(result.output.endswith(str(os.getpid())) for result in results)


async def test_a_tool_that_cannot_be_sent_is_named_before_anything_runs(client, store_path, tmp_path):
    lock = threading.Lock()

    def guarded(item: str) -> str:
        """Holds a lock."""
        with lock:
            return item

    log = tmp_path / "calls"
    agents = AgenticMap(model="m", llm=Caller(log), db_path=store_path)
    tools = [where_tool(), function_tool(guarded, read_only=True)]
    with pytest.raises(
        InputError, match=r"tool 'guarded' cannot be sent to other machines .*lock.*; have its function"
    ):
        agents.run(["x"], "{{ item }}", tools=tools, executor=client)
    assert calls(log) == []
    assert not store_path.exists()


async def test_a_refused_key_of_an_agent_on_a_worker_stops_the_run(client, store_path, tmp_path):
    agents = AgenticMap(model="m", llm=Logging(tmp_path / "calls"), db_path=store_path)
    with pytest.raises(Authentication, match="set a key"):
        await agents.run_all(["key"], "{{ item }}", executor=client)
