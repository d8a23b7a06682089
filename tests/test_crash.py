"""kill -9, between and inside turns. Invariant 10: a turn is all or nothing.

A worker process forks a child for every round (so that importing is paid once). The child writes to the store and says
on a pipe which turns it was told are done; then it is killed, and this process looks at what is left.
"""

import asyncio
import contextlib
import os
import sqlite3
import sys

import pytest
from workers import DEADLY, run

from mnesis import MnesisSession
from mnesis.llm.scripted import ScriptedProvider

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL")

CHILD = """
import asyncio, gc, os, random, select, signal, sqlite3, sys, tempfile, time

from mnesis import Database, MnesisSession, StoreConfig
from mnesis.llm.scripted import Reply, ScriptedProvider

async def warm_up():
    "Token encodings are built, models compiled: what each child would do again."
    with tempfile.TemporaryDirectory() as folder:
        pool = await Database.open(StoreConfig(db_path=folder + "/s.db"))
        session = await MnesisSession.create(model="offline/quote", pool=pool, llm=ScriptedProvider(["hi"]))
        await session.send("hello")
        await MnesisSession.load(session.id, pool=pool)
        await pool.close()

asyncio.run(warm_up())
gc.freeze()

def answer(request):
    return "answer to " + request.messages[-1]["content"].splitlines()[-1]

async def talk(path, session_id, acknowledge):
    llm = ScriptedProvider([answer], cycle=True)
    session = await MnesisSession.load(session_id, db_path=path, llm=llm)
    while True:
        if random.random() < 0.3:
            n = len(session.history())
            result = await session.record(f"question {n}", f"answer to question {n}")
        else:
            result = await session.send(f"question {len(session.history())}")
        acknowledge(result.turn)

def forked(work):
    "Runs work(acknowledge) in a child; returns its pid and the pipe that its acknowledgements come through."
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    os.close(reading)
    try:
        work(lambda turn: os.write(writing, f"{turn}\\n".encode()))
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        os._exit(3)

def acknowledged(reading):
    with os.fdopen(reading) as pipe:
        return pipe.read().split()
"""

KILL_AT_RANDOM = (
    CHILD
    + """
path, session_id, rounds, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
random.seed(seed)
for _ in range(rounds):
    pid, reading = forked(lambda acknowledge: asyncio.run(talk(path, session_id, acknowledge)))
    if random.random() < 0.7:
        select.select([reading], [], [], 5)  # it is in the middle of its work
        time.sleep(random.uniform(0, 0.05))
    else:
        time.sleep(random.uniform(0.005, 0.12))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    print(" ".join(acknowledged(reading)))
"""
)

KILL_AT_STATEMENT = (
    CHILD
    + DEADLY
    + """
path, session_id, statements = sys.argv[1], sys.argv[2], range(int(sys.argv[3]), int(sys.argv[4]))
async def one_of_each(acknowledge):
    session = await MnesisSession.load(session_id, db_path=path, llm=ScriptedProvider([answer], cycle=True))
    n = len(session.history())
    acknowledge((await session.send(f"question {n}")).turn)
    acknowledge((await session.record(f"question {n + 1}", f"answer to question {n + 1}")).turn)
    await session.close()

def work(count, acknowledge):
    deadly(count)
    asyncio.run(one_of_each(acknowledge))
    os._exit(0)

for count in statements:
    pid, reading = forked(lambda acknowledge: work(count, acknowledge))
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, status
    print(" ".join(acknowledged(reading)), flush=True)
    if not os.WIFSIGNALED(status):
        print("through", count)
        break
"""
)


def query(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def a_session(path) -> str:
    async def make():
        async with MnesisSession.open(model="offline/quote", db_path=path, llm=ScriptedProvider(["hi"])) as session:
            await session.send("hello")
            return str(session.id)

    session_id: str = asyncio.run(make())
    return session_id


def assert_whole(path, session_id, acknowledged, kills):
    """What is left of a session whose process was killed `kills` times."""

    async def look():
        llm = ScriptedProvider(["fine again"])
        async with await MnesisSession.load(session_id, db_path=path, llm=llm) as session:
            messages = await session.messages()
            assert [message.seq for message in messages] == list(range(len(messages)))
            states = [state for (state,) in query(path, "SELECT state FROM turn ORDER BY idx")]
            assert set(states) <= {"committed", "aborted"}
            assert states.count("aborted") <= kills
            said: dict = {}
            for message in messages:
                said.setdefault(message.turn, []).append(message)
            assert list(said) == list(range(len(states)))
            for turn, state in enumerate(states):
                roles = [message.role for message in said[turn]]
                assert roles == (["user", "assistant"] if state == "committed" else ["user"])
                if turn and state == "committed":
                    assert said[turn][1].text == f"answer to {said[turn][0].text}" == f"answer to question {turn}"
            assert all(states[turn] == "committed" for turn in acknowledged)
            assert len(acknowledged) == len(set(acknowledged))
            assert [turn.turn_index for turn in session.history()] == list(range(len(states)))
            for turn in range(len(states)):
                window = await session.context(turn)
                assert (window.request_hash,) in query(path, f"SELECT request_hash FROM turn WHERE idx = {turn}")
            assert (await session.send("and now?")).text == "fine again"
            return states

    states = asyncio.run(look())
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    return states


def test_killed_at_random_moments(store_path, rounds=30):
    session_id = a_session(store_path)
    seed = int.from_bytes(os.urandom(4))
    done = run(KILL_AT_RANDOM, store_path, session_id, rounds, seed, timeout=20 + rounds)
    assert done.returncode == 0, done.stderr
    acknowledged = [int(turn) for turn in done.stdout.split()]
    assert "Traceback" not in done.stderr, done.stderr
    states = assert_whole(store_path, session_id, acknowledged, rounds)
    assert len(states) > rounds / 3, f"seed {seed}: the children were killed before they did anything ({acknowledged})"


@pytest.mark.slow
def test_killed_at_random_moments_many_times(store_path):
    test_killed_at_random_moments(store_path, rounds=200)


def test_killed_before_each_single_statement(store_path):
    """Every statement of a load, a sent turn, a recorded turn and a close is the last one once."""
    session_id = a_session(store_path)
    done = run(KILL_AT_STATEMENT, store_path, session_id, 0, 500, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    *lines, last = done.stdout.splitlines()
    assert last.startswith("through")
    statements = int(last.split()[1])
    assert statements > 40
    acknowledged = [int(turn) for line in lines for turn in line.split()]
    states = assert_whole(store_path, session_id, acknowledged, statements)
    assert "aborted" in states


def test_killed_while_the_store_is_created(tmp_path):
    """Whatever is left of a file that was being created, the next process can use it."""
    code = (
        KILL_AT_STATEMENT.replace("one_of_each(acknowledge))", "create(acknowledge))")
        .replace(
            "async def one_of_each",
            """
async def create(acknowledge):
    global path
    path = sys.argv[1] + str(current)
    session = await MnesisSession.create(model="offline/quote", db_path=path, llm=ScriptedProvider(["hi"]))
    await session.send("hello")
    await session.close()
    acknowledge(0)

async def one_of_each""",
        )
        .replace("    deadly(count)", "    global current\n    current = count\n    deadly(count)")
    )
    done = run(code, tmp_path / "s.db.", "none", 0, 500, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "through" in done.stdout
    paths = sorted(path for path in tmp_path.glob("s.db.*") if path.suffix[1:].isdigit())
    assert len(paths) > 20

    async def use(path):
        async with MnesisSession.open(model="offline/quote", db_path=path, llm=ScriptedProvider(["ok"])) as session:
            assert (await session.send("hello")).text == "ok"

    async def use_all():
        for path in paths:
            await use(path)
            assert query(path, "PRAGMA integrity_check") == [("ok",)]

    asyncio.run(use_all())
