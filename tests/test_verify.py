"""The invariants as checks on the store: nothing is found in a sound one, everything that is damaged in another."""

import asyncio
import contextlib
import random
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from gated import GatedProvider
from hypothesis import given
from hypothesis import strategies as st
from small_windows import answered, chatter, settled, small

from mnesis import MnesisSession, Unavailable
from mnesis.llm.scripted import Reply, ScriptedProvider


@given(st.integers(0, 2**32))
def test_nothing_is_found_after_any_step(seed):
    async def run():
        rng = random.Random(seed)
        script: list[str | Reply] = ["fine", Reply("half a reply", then=Unavailable("gone")), "well " * 300]
        async with small(llm=ScriptedProvider(script, cycle=True)) as session:
            for turn in range(25):
                match rng.randrange(6):
                    case 0:
                        await session.compact()
                    case 1:
                        with contextlib.suppress(Unavailable):
                            await session.send(f"turn {turn}")
                    case 2:
                        await session.record(f"look {turn}", answered("so", "row\n" * rng.randint(1, 3000), f"c{turn}"))
                    case _:
                        await session.record("word " * rng.randint(1, 900), "截止 " * rng.randint(1, 300))
                report = await session.verify()
                assert report.ok, report
                await settled(session)
            report = await session.verify(deep=True)
            assert report.ok, report
            assert str(report) == f"all {report.checked} checks passed"

    asyncio.run(run())


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A store with a session of forty turns, in which nothing is found. Its id as well."""
    path = tmp_path_factory.mktemp("sound") / "sessions.db"

    async def run():
        async with small(path) as session:
            await chatter(session, 40)
            assert (await session.verify(deep=True)).ok
        return session.id

    return path, asyncio.run(run())


async def damaged(sound: tuple[Path, str], path: Path, *statements: str) -> tuple[str, ...]:
    """What is found in a session after somebody else has written into its file."""
    whole, id = sound
    shutil.copy(whole, path)
    with sqlite3.connect(path) as connection:
        dropped = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in dropped:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount, statement
        for _, sql in dropped:
            connection.execute(sql)
    async with await MnesisSession.load(id, db_path=path) as session:
        return (await session.verify(deep=True)).problems


ONE_MESSAGE = "(SELECT id FROM message WHERE seq = 5)"
ONE_SUMMARY = "(SELECT id FROM summary WHERE rowid = 1)"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM event WHERE seq = 7", "table event has .* rows are missing"),
        ("DELETE FROM view WHERE version = 4", "table view has .* rows are missing"),
        (f"DELETE FROM part WHERE message_id = {ONE_MESSAGE}", "message msg_.* tokens, its parts have 0"),
        ("UPDATE part SET tokens = tokens + 1 WHERE rowid = 3", "message msg_.* tokens, its parts have"),
        (f"UPDATE event SET payload = replace(payload, {ONE_MESSAGE}, 'msg_x')", "message msg_.* never announced"),
        ("UPDATE message SET seq = 1000 WHERE seq = 5", "table message has .* seq from 0 to 1000"),
        (f"DELETE FROM summary_source WHERE summary_id = {ONE_SUMMARY} AND idx = 0", "covered .* 0 times"),
        (f"DELETE FROM summary_source WHERE summary_id = {ONE_SUMMARY}", "summary sum_.* has no sources"),
        (f"UPDATE summary_source SET ref = 'msg_gone' WHERE summary_id = {ONE_SUMMARY} AND idx = 1", "source msg_gone"),
        (
            "INSERT INTO context_item (session_id, pos, born_view, kind, ref, tokens) "
            "SELECT session_id, 9999, 0, 'message', id, 1 FROM message WHERE seq = 2",
            "message msg_.* covered by the current window 2 times",
        ),
        ("UPDATE context_item SET died_view = 999 WHERE pos = (SELECT max(pos) FROM context_item)", "0 times"),
        ("UPDATE summary SET text = ' ' WHERE rowid = 1", "summary sum_.* has no text"),
        ("UPDATE summary SET message_count = 3 WHERE rowid = 1", "stands for 3 messages, its sources are"),
        ("UPDATE summary SET depth = 7 WHERE rowid = 1", "has depth 7, its sources say 0"),
        ("UPDATE summary SET tokens = 100000 WHERE rowid = 1", "it is not smaller"),
        ("UPDATE turn SET window_tokens = 1 WHERE idx = 3", "turn turn_.* window has 1 tokens"),
        ("UPDATE turn SET request_hash = 'other' WHERE idx = 3", "window of turn 3 is rebuilt with the hash"),
        ("UPDATE part SET text = text || '!' WHERE rowid = 1", "window of turn 0 is rebuilt with the hash"),
        ("UPDATE part SET data = '{' WHERE type = 'tool' AND rowid < 5", "row 'part_.*' of table 'part' is damaged"),
        ("UPDATE part SET text = CAST(x'ff' AS TEXT) WHERE rowid = 1", "row .* is damaged"),
    ],
)
async def test_damage_is_found_and_the_row_is_named(statement, found, sound, store_path):
    problems = await damaged(sound, store_path, statement)
    assert any(re.search(found, problem) for problem in problems), problems


async def test_a_guard_that_was_taken_away_is_found(store_path):
    async with small(store_path) as session:
        await session.record("hello", "hi")
        with sqlite3.connect(store_path) as connection:
            connection.execute("DROP TRIGGER message_stays")
        assert (await session.verify()).problems == ("trigger message_stays is missing: rows may have been changed",)


async def test_an_open_turn_is_a_problem_only_where_nobody_works_on_it(store_path):
    provider = GatedProvider(["at last"])
    async with small(store_path, llm=provider) as session:
        sending = asyncio.create_task(session.send("hello"))
        await provider.asked.wait()
        assert (await session.verify()).ok
        async with await MnesisSession.load(session.id, db_path=store_path) as other:
            assert (await other.verify()).ok
        provider.let_all()
        await sending
        assert (await session.verify()).ok
        with sqlite3.connect(store_path) as connection:
            names = [row[1] for row in connection.execute("PRAGMA table_info(turn)")]
            copied = {"id": "'turn_left'", "idx": "1", "state": "'open'"}
            columns = ", ".join(copied.get(name, name) for name in names)
            connection.execute(f"INSERT INTO turn ({', '.join(names)}) SELECT {columns} FROM turn")
        assert "turn turn_left (index 1) is open, and nobody is working on it" in (await session.verify()).problems


async def test_a_shallow_check_rebuilds_the_newest_windows_only(store_path):
    async with small(store_path) as session:
        await chatter(session, 60)
        shallow, deep = await session.verify(), await session.verify(deep=True)
        assert deep.checked - shallow.checked == 60 - 50 + 1


async def test_a_turn_that_begins_during_a_verification_is_no_problem(store_path):
    session = await MnesisSession.create(model="offline/quote", db_path=store_path)
    for number in range(30):
        await session.send(f"Message {number}.")
    for _ in range(5):
        report, _ = await asyncio.gather(session.verify(), session.send("And on."))
        assert report.ok, str(report)
    await session.close()
