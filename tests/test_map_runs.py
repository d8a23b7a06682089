"""Runs of a map are durable: stopped, cancelled, killed, shared, they do what is left and nothing twice."""

import asyncio
import contextlib
import signal
import sqlite3
import sys
import time
from collections import Counter

import pytest
from pydantic import BaseModel
from workers import output, run, start

from mnesis import BadRequest, Corrupt, InputError, NotFound, StoreError
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.operators import LLMMap, running
from mnesis_jupyter import frames

MODEL = "offline/quote"


class Answer(BaseModel):
    n: int


def asked(llm):
    return [request.messages[-1]["content"] for request in llm.requests]


def answers(*script):
    return ScriptedProvider(script, cycle=True)


@pytest.fixture
def make(store_path):
    return lambda llm: LLMMap(model=MODEL, llm=llm, db_path=store_path)


async def begun(make, inputs, count, llm=None, **options):
    """A run that was left after so many results."""
    run = make(llm or answers("ok")).run(inputs, "{{ item }}", **options)
    results = []
    async for result in run:
        results.append(result)
        if len(results) == count:
            break
    await asyncio.sleep(0.05)  # the loop that was left is closed in the background
    return run, results


async def test_a_loop_that_is_left_can_be_gone_on_with(make):
    run, first = await begun(make, range(40), 10, concurrency=2)
    info = await make(answers("ok")).describe(run.id)
    assert (info.state, info.total, info.running) == ("stopped", 40, 0)
    assert info.done >= 10

    llm = answers("ok")
    resumed = await make(llm).resume(run.id)
    rest = [result async for result in resumed]
    assert len(llm.requests) == len(rest) == 40 - info.done
    assert not {result.index for result in rest} & {result.index for result in first}
    assert (resumed.progress.done, resumed.progress.total) == (40, 40)
    assert (await make(llm).describe(run.id)).state == "done"


async def test_stop_lets_what_is_under_way_be_finished(make):
    llm = answers(Reply("ok", delay=0.02))
    run = make(llm).run(range(100), "{{ item }}", concurrency=4)
    results = []
    async for result in run:
        results.append(result)
        run.stop()
    assert len(results) == len(llm.requests) <= 8
    assert all(result.success for result in results)
    assert (await make(llm).describe(run.id)).pending == 100 - len(results)


async def test_a_run_that_is_stopped_before_it_begins_asks_nothing(make):
    llm = answers("ok")
    run = make(llm).run([1, 2], "{{ item }}")
    run.stop()
    assert [result async for result in run] == []
    assert llm.requests == []
    assert len(await make(llm).resume_all(run.id)) == 2


async def test_a_cancelled_caller_leaves_a_run_that_can_be_resumed(make):
    llm = answers(Reply("ok", delay=0.01))
    run = make(llm).run(range(50), "{{ item }}", concurrency=2)

    async def read():
        async for _ in run:
            pass

    task = asyncio.create_task(read())
    while run.progress.done < 5:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    info = await make(llm).describe(run.id)
    assert (info.state, info.running) == ("stopped", 0)
    assert 5 <= info.done < 50
    again = answers("ok")
    results = await make(again).resume_all(run.id)
    assert len(again.requests) == 50 - info.done
    assert [result.index for result in results] == list(range(50))


async def test_resume_all_has_the_results_from_before_too_as_instances_of_the_schema(make):
    run = make(answers('{"n": 1}')).run(range(10), "{{ item }}", Answer, concurrency=1)
    async for result in run:
        if result.index == 3:
            break
    results = await make(answers('{"n": 2}')).resume_all(run.id, output_schema=Answer)
    assert [result.output for result in results[:4]] == [Answer(n=1)] * 4
    assert results[-1].output == Answer(n=2)
    stored = [result.output async for result in make(answers()).results(run.id)]
    assert stored[0] == {"n": 1}


async def test_what_is_done_is_not_asked_again_and_a_finished_run_asks_nothing(make):
    run, _ = await begun(make, range(5), 99)
    llm = answers("ok")
    assert [result async for result in await make(llm).resume(run.id)] == []
    assert llm.requests == []


async def test_failed_items_are_done_again_where_that_is_asked_for(make):
    def fails(request):
        return BadRequest("no") if request.messages[-1]["content"] in ("1", "3") else "ok"

    run, results = await begun(make, range(5), 99, llm=answers(fails))
    assert [result.success for result in sorted(results, key=lambda each: each.index)] == [True, False] * 2 + [True]
    untouched = answers("ok")
    assert len(await make(untouched).resume_all(run.id)) == 5
    assert untouched.requests == []
    llm = answers("ok")
    results = await make(llm).resume_all(run.id, retry_failed=True)
    assert sorted(asked(llm)) == ["1", "3"]
    assert all(result.success and result.error is None for result in results)
    assert results[1].attempts == 2  # the first one was billed, too
    assert (results.progress.done, results.progress.failed) == (5, 0)


async def test_a_generator_is_given_again_and_what_is_stored_is_skipped(make):
    run, _ = await begun(make, (number for number in range(60)), 10, concurrency=2)
    with pytest.raises(InputError, match="were not all stored when it ended; give them again"):
        await make(answers("ok")).resume(run.id)
    done = (await make(answers("ok")).describe(run.id)).done
    llm = answers("ok")
    results = await make(llm).resume_all(run.id, (number for number in range(60)))
    assert [result.index for result in results] == list(range(60))
    assert [result.input for result in results] == list(range(60))
    assert len(llm.requests) == 60 - done
    assert results.progress.total == 60


async def test_other_inputs_than_those_of_the_run_are_refused(make):
    run, _ = await begun(make, (number for number in range(60)), 10, concurrency=2)
    llm = answers("ok")
    resumed = await make(llm).resume(run.id, (number + 1 for number in range(60)))
    with pytest.raises(InputError, match="item 0 of the inputs is not the one that is stored"):
        async for _ in resumed:
            pass


async def test_a_list_needs_not_be_given_again(make):
    run, _ = await begun(make, ["a", "b", "c"], 1, concurrency=1)
    results = await make(answers("ok")).resume_all(run.id)
    assert [result.input for result in results] == ["a", "b", "c"]


async def test_the_settings_of_a_run_are_kept_and_keys_are_not(make, store_path):
    llm = answers(Reply("ok", delay=0.01))
    params = {"temperature": 0.5, "api_key": "sk-secret-of-mine", "extra_headers": {"x": "sk-secret-of-mine"}}
    run, _ = await begun(make, range(9), 1, llm=llm, params=params, system_prompt="Be short.", concurrency=1)
    assert llm.requests[0].params == params
    again = answers("ok")
    await make(again).resume_all(run.id)
    assert again.requests[0].params == {"temperature": 0.5}
    assert again.requests[0].messages[0] == {"role": "system", "content": "Be short."}
    for path in store_path.parent.glob(f"{store_path.name}*"):
        assert path.is_dir() or b"secret-of-mine" not in path.read_bytes()


async def test_an_id_that_is_none_and_a_schema_that_is_another_are_refused(make):
    with pytest.raises(InputError, match="is not the id of a run"):
        await make(answers()).resume("sess_1")
    run, _ = await begun(make, [1], 9)
    with pytest.raises(NotFound, match="no run 'run_0'"):
        await make(answers()).resume("run_0")
    with pytest.raises(InputError, match=r"is not the one that .* began with"):
        await make(answers()).resume(run.id, output_schema=Answer)


async def test_a_run_is_read_once(make):
    run, _ = await begun(make, [1], 9)
    with pytest.raises(InputError, match="was read already; resume"):
        async for _ in run:
            pass


async def test_a_done_item_does_not_change_and_nothing_is_deleted(make, store_path):
    await begun(make, [1], 9)
    with sqlite3.connect(store_path) as cx:
        for statement in ("UPDATE map_item SET output = '1'", "DELETE FROM map_item", "DELETE FROM map_run"):
            with pytest.raises(sqlite3.IntegrityError):
                cx.execute(statement)


async def test_a_result_is_on_disk_before_it_is_given(make, store_path):
    run = make(answers("ok")).run(range(30), "{{ item }}", concurrency=3)
    async for result in run:
        cx = sqlite3.connect(store_path)
        assert cx.execute("SELECT state FROM map_item WHERE idx = ?", (result.index,)).fetchone() == ("done",)
        cx.close()


async def test_an_item_that_cannot_be_read_back_stops_the_run_and_is_named(make, store_path):
    run, _ = await begun(make, range(6), 1, concurrency=1)
    cx = sqlite3.connect(store_path)
    cx.execute("DROP TRIGGER map_item_is_done_once")
    cx.execute("UPDATE map_item SET input = '{' WHERE idx = 5")
    cx.commit()
    with pytest.raises(Corrupt, match=r"row '5' of table 'map_item' is damaged .its input is no JSON"):
        await make(answers("ok")).resume_all(run.id)
    assert (await make(answers("ok")).describe(run.id)).state == "stopped"


async def test_a_store_that_cannot_be_written_ends_the_run_with_its_error(make, store_path):
    llm = answers(Reply("ok", delay=0.01))
    run = make(llm).run(range(50), "{{ item }}", concurrency=2)
    with pytest.raises(StoreError):
        async for _ in run:
            with sqlite3.connect(store_path) as cx:
                cx.execute(
                    "CREATE TRIGGER IF NOT EXISTS full BEFORE UPDATE ON map_item BEGIN SELECT RAISE(FAIL, 'disk'); END"
                )
    with sqlite3.connect(store_path) as cx:
        cx.execute("DROP TRIGGER full")
    assert len(await make(answers("ok")).resume_all(run.id)) == 50


# -- processes ---------------------------------------------------------------------------------------------------

WORKER = """
import asyncio, json, os, sys
from mnesis.operators import LLMMap
from mnesis.llm.scripted import Reply, ScriptedProvider

path, log, run_id, name = sys.argv[1:]

def reply(request):
    with open(log, "a") as file:
        file.write(f"{name} {request.messages[-1]['content']}\\n")
    return Reply(["answer of " + name], delay=0.1 if name == "first" else 0.01)

async def main():
    llm_map = LLMMap(model="offline/quote", llm=ScriptedProvider([reply], cycle=True), db_path=path)
    if run_id:
        run = await llm_map.resume(run_id, concurrency=4)
    else:
        run = llm_map.run([f"item {n}" for n in range(400)], "{{ item }}", concurrency=4)
    print(run.id, flush=True)
    async for result in run:
        print(result.index, flush=True)

asyncio.run(main())
"""


def calls(log):
    return [line.split(maxsplit=1) for line in log.read_text().splitlines()]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_after_kill_9_what_was_acknowledged_is_never_asked_again(tmp_path):
    path, log = tmp_path / "s.db", tmp_path / "calls"
    run_id = ""
    acknowledged: set[int] = set()
    for go in range(4):
        process = start(WORKER, path, log, run_id, f"w{go}")
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        lines = [process.stdout.readline() for _ in range(30 + 17 * go)]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=20)
        assert go or process.returncode == -signal.SIGKILL
        before = set(acknowledged)
        seen = {int(line) for line in [*lines, *rest.splitlines()] if line.strip()}  # none, where it was through
        assert not seen & before  # nothing is given twice
        asked_now = {int(item.split()[1]) for name, item in calls(log) if name == f"w{go}"}
        assert not asked_now & before
        acknowledged |= seen
    out = output(WORKER, path, log, run_id, "last", timeout=60)
    finished = {int(line) for line in out.splitlines()[1:]}
    assert not {int(item.split()[1]) for name, item in calls(log) if name == "last"} & acknowledged
    cx = sqlite3.connect(path)
    assert cx.execute("SELECT state, count(*) FROM map_item GROUP BY state").fetchall() == [("done", 400)]
    assert cx.execute("SELECT state, total FROM map_run").fetchall() == [("done", 400)]
    assert finished <= set(range(400)) - acknowledged
    twice = [item for item, count in Counter(item for _, item in calls(log)).items() if count > 1]
    assert len(twice) <= 4 * 8  # only what was under way when it was killed


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_two_processes_share_a_run_and_one_takes_over_what_the_other_dies_over(tmp_path):
    path, log = tmp_path / "s.db", tmp_path / "calls"
    first = start(WORKER, path, log, "", "first")
    assert first.stdout is not None
    run_id = first.stdout.readline().strip()
    first.stdout.readline()
    second = start(WORKER, path, log, run_id, "second")
    third = start(WORKER, path, log, run_id, "third")
    deadline = time.monotonic() + 30
    while not {"second", "third"} <= {name for name, _ in calls(log)} and time.monotonic() < deadline:
        time.sleep(0.01)
    first.kill()
    killed, _ = first.communicate(timeout=20)
    given = [killed.splitlines()]
    for process in (second, third):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        given.append(out.splitlines()[1:])
    numbers = [int(line) for lines in given for line in lines]
    assert len(numbers) == len(set(numbers))  # nothing is given twice, whoever gives it
    cx = sqlite3.connect(path)
    assert cx.execute("SELECT state, count(*) FROM map_item GROUP BY state").fetchall() == [("done", 400)]
    twice = [item for item, count in Counter(item for _, item in calls(log)).items() if count > 1]
    assert len(twice) <= 8  # what the first had taken when it died
    assert not list((tmp_path / "s.db.locks").glob("run_*"))


async def test_a_program_that_leaves_the_loop_ends_and_its_run_can_be_resumed(tmp_path):
    code = """
    import asyncio, sys
    from mnesis.operators import LLMMap
    from mnesis.llm.scripted import Reply, ScriptedProvider

    async def main():
        llm = ScriptedProvider([Reply("ok", delay=0.01)], cycle=True)
        async for result in LLMMap(model="offline/quote", llm=llm, db_path=sys.argv[1]).run(range(100), "{{ item }}"):
            break
        print("left")

    asyncio.run(main())
    """
    path = tmp_path / "s.db"
    done = run(code, path, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")
    ((run_id,),) = sqlite3.connect(path).execute("SELECT id FROM map_run").fetchall()
    llm = answers("ok")
    llm_map = LLMMap(model=MODEL, llm=llm, db_path=path)
    before = await llm_map.describe(run_id)
    assert before.state == "stopped"
    assert len(await llm_map.resume_all(run_id)) == 100
    assert len(llm.requests) == 100 - before.done


DIES = """
import asyncio, os, signal, sys
from mnesis.operators import LLMMap

class Items(list):
    def __iter__(self):
        for number in range(5_000):
            if number == 2_500:
                os.kill(os.getpid(), signal.SIGKILL)
            yield number

run = LLMMap(model="offline/quote", db_path=sys.argv[1]).run(Items(), "{{ item }}")
print(run.id, flush=True)
asyncio.run(run.__aiter__().__anext__())
"""


def written(path):
    """What there is of a run in the store, and who has a lock."""
    with contextlib.closing(sqlite3.connect(path)) as cx:
        rows = cx.execute("SELECT state, finished_at FROM map_run").fetchall()
        return rows, cx.execute("SELECT * FROM map_item").fetchall(), sorted(path.with_name("s.db.locks").iterdir())


async def states(path, run_id):
    """What is said of a run, in all places."""
    return (
        (await LLMMap(model=MODEL, db_path=path).describe(run_id)).state,
        frames.map_runs(db=path)["state"][run_id],
        frames.map_runs(db=path, state="running").index.tolist() == [run_id],
        run_id in running(path),
    )


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
async def test_a_run_whose_process_died_is_told_from_one_that_runs_and_looking_writes_nothing(tmp_path):
    path = tmp_path / "s.db"
    process = start(WORKER, path, tmp_path / "calls", "", "first")
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    process.stdout.readline()
    assert await states(path, run_id) == ("running", "running", True, True)
    process.kill()
    process.communicate(timeout=20)
    before = written(path)
    assert before[0] == [("running", None)]
    assert await states(path, run_id) == ("stopped", "stopped", False, False)
    assert written(path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
async def test_a_run_whose_process_died_before_anybody_took_an_item_is_stopped_too(tmp_path):
    done = run(DIES, tmp_path / "s.db")
    assert done.returncode == -signal.SIGKILL
    assert await states(tmp_path / "s.db", done.stdout.strip()) == ("stopped", "stopped", False, False)


async def test_a_run_that_one_of_two_leaves_goes_on_until_the_other_leaves_too(make, store_path):
    first = make(answers(Reply("ok", delay=0.01))).run(range(60), "{{ item }}", concurrency=2)
    one = aiter(first)
    await anext(one)
    second = await make(answers(Reply("ok", delay=0.01))).resume(first.id, concurrency=2)
    other = aiter(second)
    await anext(other)
    await one.aclose()
    assert await states(store_path, first.id) == ("running", "running", True, True)
    await other.aclose()
    assert await states(store_path, first.id) == ("stopped", "stopped", False, False)
    assert len(await make(answers("ok")).resume_all(first.id)) == 60
