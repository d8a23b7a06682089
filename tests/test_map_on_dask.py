"""A map on a cluster: items on Dask's workers, the store here. Real processes, one of which is killed."""

import os
import signal
import sqlite3
import sys
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from mnesis import Authentication, BadRequest, InputError
from mnesis.llm.base import Finish, ModelLimits, TextChunk
from mnesis.operators import LLMMap

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
