"""Many at once: tasks, session objects, processes. Turns of one session are serial; a store is shared by all."""

import asyncio
import contextlib
import gc
import json
import sqlite3
import threading

import pytest
from gated import GatedProvider
from workers import output, start

from mnesis import BadRequest, Database, MnesisConfig, MnesisSession, SessionBusy, StoreConfig
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.store.database import opened


def echo(request):
    return f"answer to {request.messages[-1]['content']}"


def create(path, llm=None, **options):
    llm = llm or ScriptedProvider([echo], cycle=True)
    return MnesisSession.create(model="offline/quote", db_path=path, llm=llm, **options)


def load(id, path, llm=None, **options):
    llm = llm or ScriptedProvider([echo], cycle=True)
    return MnesisSession.load(id, db_path=path, llm=llm, **options)


def query(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def assert_alternating(session, turns):
    messages = await session.messages()
    assert [message.role for message in messages] == ["user", "assistant"] * turns
    assert [message.seq for message in messages] == list(range(2 * turns))
    assert [message.turn for message in messages] == [turn for turn in range(turns) for _ in "ua"]
    for user, assistant in zip(messages[::2], messages[1::2], strict=True):
        assert assistant.text == f"answer to {user.text}"
    return [message.text for message in messages[::2]]


async def test_twenty_sends_at_once_run_one_after_the_other_in_the_order_of_asking(store_path):
    running = 0

    class Watched(ScriptedProvider):
        async def stream(self, request):
            nonlocal running
            running += 1
            assert running == 1
            async for chunk in super().stream(request):
                yield chunk
            running -= 1

    session = await create(store_path, Watched([echo], cycle=True))
    results = await asyncio.gather(*(session.send(f"question {n}") for n in range(20)))
    assert [result.turn for result in results] == list(range(20))
    assert await assert_alternating(session, 20) == [f"question {n}" for n in range(20)]
    await session.close()


async def test_sends_streams_and_records_at_once_stay_in_order(store_path):
    session = await create(store_path)

    async def streamed(text):
        return [event async for event in session.stream(text)]

    work = []
    for n in range(4):
        work += [session.send(f"s{n}"), streamed(f"t{n}"), session.record(f"r{n}", f"answer to r{n}")]
    await asyncio.gather(*work)
    assert await assert_alternating(session, 12) == [f"{kind}{n}" for n in range(4) for kind in "str"]
    await session.close()


async def test_one_turn_that_fails_does_not_hold_up_the_others(store_path):
    def moody(request):
        asked = request.messages[-1]["content"]
        return BadRequest("no") if asked.endswith("3") else echo(request)

    session = await create(store_path, ScriptedProvider([moody], cycle=True))
    results = await asyncio.gather(*(session.send(f"question {n}") for n in range(6)), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["TurnResult"] * 3 + ["BadRequest"] + ["TurnResult"] * 2
    assert [state for (state,) in query(store_path, "SELECT state FROM turn ORDER BY idx")].count("committed") == 5
    await session.close()


@pytest.mark.parametrize("shared", [True, False], ids=["one pool", "two connections"])
async def test_two_session_objects_of_one_id_take_turns(shared, store_path):
    pool = await Database.open(StoreConfig(db_path=store_path)) if shared else None
    one = await create(store_path, pool=pool)
    two = await load(one.id, store_path, pool=pool)
    await asyncio.gather(*(session.send(f"question {n}") for n in range(6) for session in (one, two)))
    for session in (one, two):
        await assert_alternating(session, 12)
    await one.send("the last")
    assert (await one.context()).items[-1].text == "answer to the last"
    assert (await two.send("really the last")).turn == 13
    assert [turn.turn_index for turn in two.history()] == list(range(14))
    await one.close()
    await two.close()
    if pool:
        await pool.close()


async def test_a_session_that_is_busy_elsewhere_says_so_after_the_timeout(store_path):
    provider = GatedProvider(["at last"])
    config = MnesisConfig(store={"connection_timeout": 0.2})
    one = await create(store_path, provider)
    turn = asyncio.create_task(one.send("slow"))
    await provider.asked.wait()
    two = await load(one.id, store_path, config=config)
    for call in (two.send("now"), two.record("now", "then")):
        with pytest.raises(SessionBusy, match=rf"{one.id}.*0\.2 s.*connection_timeout"):
            await call
    provider.let_all()
    await turn
    assert (await two.send("now")).turn == 1
    assert [message.text for message in await two.messages()] == ["slow", "at last", "now", "answer to now"]
    await one.close()
    await two.close()


async def test_readers_do_not_wait_for_a_turn(store_path):
    provider = GatedProvider(["at last"])
    one = await create(store_path, provider)
    turn = asyncio.create_task(one.send("slow"))
    await provider.asked.wait()
    two = await load(one.id, store_path)
    assert [message.text for message in await asyncio.wait_for(two.messages(), 5)] == ["slow"]
    assert (await asyncio.wait_for(two.context(), 5)).items[-1].text == "slow"
    provider.let_all()
    await turn
    await one.close()
    await two.close()


SEND = """
    import asyncio, json, sys
    from mnesis import MnesisConfig, MnesisError, MnesisSession
    from mnesis.llm.scripted import Reply, ScriptedProvider

    def echo(request):
        return f"answer to {request.messages[-1]['content']}"

    async def main(path, session_id, name, turns, timeout, delay):
        llm = ScriptedProvider([lambda request: Reply(echo(request), delay=float(delay))], cycle=True)
        config = MnesisConfig(store={"connection_timeout": float(timeout)})
        sys.stdin.readline()  # until everybody is here
        if session_id == "new":
            session = await MnesisSession.create(model="offline/quote", db_path=path, llm=llm, config=config)
        else:
            session = await MnesisSession.load(session_id, config, db_path=path, llm=llm)
        done = []
        print("ready", flush=True)
        try:
            for turn in range(int(turns)):
                done.append((await session.send(f"{name} {turn}")).turn)
        except MnesisError as error:
            print(json.dumps({"error": type(error).__name__, "text": str(error)}))
        else:
            await session.close()
            print(json.dumps({"id": session.id, "turns": done}))

    asyncio.run(main(*sys.argv[1:]))
"""


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def finish(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == ""
    return json.loads(out.splitlines()[-1])


def test_eight_processes_begin_one_store_at_once(store_path):
    """The start-up race: everybody creates the file, switches it to WAL and migrates it."""
    processes = [start(SEND, store_path, "new", f"p{n}", 5, 30, 0) for n in range(8)]
    for process in processes:
        go(process)
    results = [finish(process) for process in processes]
    assert len({result["id"] for result in results}) == 8
    assert all(result["turns"] == list(range(5)) for result in results)
    assert query(store_path, "SELECT count(*), count(DISTINCT session_id) FROM turn WHERE state = 'committed'") == [
        (40, 8)
    ]
    assert query(store_path, "PRAGMA integrity_check") == [("ok",)]
    assert query(store_path, "PRAGMA foreign_key_check") == []


async def test_two_processes_take_turns_on_one_session(store_path):
    session = await create(store_path)
    await session.send("first of all")
    processes = [start(SEND, store_path, session.id, f"p{n}", 5, 30, 0.002) for n in range(2)]
    for process in processes:
        go(process)
    await asyncio.gather(*(asyncio.to_thread(finish, process) for process in processes))
    result = await session.send("last of all")
    assert result.turn == 11
    questions = await assert_alternating(session, 12)
    for name in ("p0", "p1"):
        assert [text for text in questions if text.startswith(name)] == [f"{name} {n}" for n in range(5)]
    assert (await session.context(11)).items[-1].text == "last of all"
    assert len((await session.context(11)).items) == 1 + 2 * 11 + 1
    assert len(session.history()) == 12
    await session.close()


async def test_a_process_that_waits_too_long_for_another_gets_session_busy(store_path):
    provider = GatedProvider(["at last"])
    session = await create(store_path, provider)
    turn = asyncio.create_task(session.send("slow"))
    await provider.asked.wait()
    process = start(SEND, store_path, session.id, "p", 1, 0.3, 0)
    go(process)
    result = await asyncio.to_thread(finish, process)
    assert result["error"] == "SessionBusy"
    assert session.id in result["text"]
    provider.let_all()
    assert (await turn).text == "at last"
    await session.close()


async def test_a_process_that_waits_gets_its_turn(store_path):
    provider = GatedProvider(["at last"])
    session = await create(store_path, provider)
    turn = asyncio.create_task(session.send("slow"))
    await provider.asked.wait()
    process = start(SEND, store_path, session.id, "p", 1, 30, 0)
    go(process)
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
    await asyncio.sleep(0.1)
    assert process.poll() is None
    provider.let_all()
    await turn
    assert (await asyncio.to_thread(finish, process))["turns"] == [1]
    assert [message.text for message in await session.messages()] == ["slow", "at last", "p 0", "answer to p 0"]
    await session.close()


async def test_closing_waits_for_a_record_that_is_under_way(store_path):
    provider = GatedProvider(["first"])
    session = await create(store_path, provider)
    turn = asyncio.create_task(session.send("one"))
    await provider.asked.wait()
    record = asyncio.create_task(session.record("two", "second"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(session.close())
    await asyncio.sleep(0)
    provider.let_all()
    await asyncio.gather(turn, record, closing)
    async with await load(session.id, store_path) as loaded:
        assert [message.text for message in await loaded.messages()] == ["one", "first", "two", "second"]


async def test_sessions_of_one_store_do_not_wait_for_each_other(store_path):
    provider = GatedProvider(["slow"])
    slow, quick = await create(store_path, provider), await create(store_path, ScriptedProvider([Reply("quick")]))
    turn = asyncio.create_task(slow.send("one"))
    await provider.asked.wait()
    assert (await asyncio.wait_for(quick.send("two"), 10)).text == "quick"
    assert not turn.done()
    provider.let_all()
    await turn
    await slow.close()
    await quick.close()


def test_a_program_may_use_a_new_event_loop_for_each_call(store_path):
    output(
        """
        import asyncio, sys
        from mnesis import MnesisSession

        async def once(path):
            async with MnesisSession.open(model="offline/quote", db_path=path) as session:
                await session.send("hello")

        for _ in range(3):
            asyncio.run(once(sys.argv[1]))
        """,
        store_path,
    )
    assert query(store_path, "SELECT count(*) FROM turn WHERE state = 'committed'") == [(3,)]


async def test_a_write_that_fails_when_its_caller_was_cancelled_says_nothing():
    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    begun, cancelled = threading.Event(), threading.Event()

    def fail(_: sqlite3.Connection) -> None:
        begun.set()
        assert cancelled.wait(10)
        raise sqlite3.OperationalError("nobody waits for this")

    async with opened(StoreConfig(db_path=":memory:"), create=True) as db:
        write = asyncio.create_task(db.write(fail))
        assert await asyncio.to_thread(begun.wait, 10)
        write.cancel()
        await asyncio.sleep(0)
        cancelled.set()
        with pytest.raises(asyncio.CancelledError):
            await write
        del write
        gc.collect()
    assert said == []


async def test_an_opening_that_is_cancelled_leaves_no_thread_behind(store_path):
    before = set(threading.enumerate())
    opening = asyncio.create_task(Database.open(StoreConfig(db_path=store_path)))
    await asyncio.sleep(0)
    assert set(threading.enumerate()) - before
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not set(threading.enumerate()) - before
