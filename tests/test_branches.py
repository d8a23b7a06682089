"""Forks: sessions that share a past, and go their own ways from there."""

import asyncio
import sqlite3
import statistics

import pytest
from click.testing import CliRunner
from small_windows import all_matches, answered
from steps import Steps
from summarisers import Model, config, covered, create, fill, needle, said, settled, talk
from workers import output

from mnesis import (
    Database,
    InputError,
    MnesisConfig,
    MnesisSession,
    NotFound,
    StoreConfig,
    Unavailable,
)
from mnesis.cli import main
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis_jupyter import frames


async def whole(*sessions):
    for session in sessions:
        report = await session.verify(deep=True)
        assert report.ok, report


@pytest.fixture
async def long(store_path):
    """Forty turns in a window of 4,000 tokens, compacted many times."""
    async with await create(store_path, Model(), window=4_000) as session:
        await fill(session, 40)
        assert len(await session.summaries()) > 9
        yield session


async def test_a_fork_shares_the_past_up_to_a_turn_and_both_go_on_by_themselves(store_path):
    llm = ScriptedProvider(["one", "two", "three", "fork", "four"])
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, llm=llm) as session:
        for text in "abc":
            await session.send(text)
        async with await session.fork(turn=1, title="another way") as fork:
            assert (fork.title, fork.model, fork.system_prompt) == ("another way", session.model, session.system_prompt)
            assert [message.text for message in await fork.messages()] == ["a", "one", "b", "two"]
            result = await fork.send("d")
            assert (result.turn, result.text) == (2, "fork")
            await session.send("e")
            assert [message.text for message in await fork.messages()] == ["a", "one", "b", "two", "d", "fork"]
            assert [message.seq for message in await fork.messages()] == list(range(6))
            assert [m.text for m in await session.messages()] == ["a", "one", "b", "two", "c", "three", "e", "four"]
            assert [turn.turn_index for turn in fork.history()] == [0, 1, 2]
            assert (await fork.export())[1:] == [
                {"role": role, "content": text}
                for role, text in zip(["user", "assistant"] * 3, ["a", "one", "b", "two", "d", "fork"], strict=True)
            ]
            await whole(session, fork)


@pytest.mark.parametrize("turn", [-1, 0, 7, 20, 38])
async def test_the_same_message_makes_the_same_request_after_a_fork(long, turn):
    """Invariants 12 and 13."""
    async with await long.fork(turn) as fork:
        sent = await long.context(turn + 1)
        assert (await fork.preview(talk(turn + 1))).request_hash == sent.request_hash
        assert (await fork.send(talk(turn + 1))).turn == turn + 1
        await settled(fork)
        assert (await fork.context(turn + 1)).request_hash == sent.request_hash
        for past in range(turn + 1):
            assert (await fork.context(past)).items == (await long.context(past)).items
        await whole(fork)


async def test_the_history_of_a_fork_is_that_of_its_past_before_its_first_turn(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        for number in range(5):
            await session.record(f"question {number}", f"answer {number}")
        async with await session.fork(turn=2) as fork:
            assert fork.history() == session.history()[:3]


async def test_a_fork_of_all_turns_has_the_current_window(long):
    await long.compact()
    async with await long.fork() as fork:
        assert await fork.context() == await long.context()
        assert fork.history() == long.history()
        assert await fork.summaries() == await long.summaries()
        with pytest.raises(NotFound, match="turn '40'"):
            await fork.context(40)


async def test_a_fork_that_is_loaded_is_what_it_was(long):
    async with await long.fork(25) as fork:
        await fill(fork, 6, start=500)
        before = await fork.messages(), fork.history(), await fork.summaries(), await fork.context(), fork.token_usage
    async with await MnesisSession.load(fork.id, db_path=long.db_path, llm=Model()) as loaded:
        assert before == (
            *(await loaded.messages(), loaded.history(), await loaded.summaries(), await loaded.context()),
            loaded.token_usage,
        )
        await fill(loaded, 3, start=700)
        await whole(loaded, long)


async def test_usage_and_cost_of_a_fork_are_its_own(store_path):
    llm = ScriptedProvider(["one", "two", "three"])
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, llm=llm) as session:
        await session.send("a")
        async with await session.fork() as fork:
            assert fork.token_usage.effective_total() == 0
            result = await fork.send("b")
            assert fork.token_usage == result.tokens
            await whole(fork)


async def test_compactions_in_a_fork_leave_the_other_as_it_is(long):
    before = await long.context()
    async with await long.fork(20) as fork:
        inherited = [summary.id for summary in await fork.summaries()]
        assert inherited == [each.id for each in await long.summaries()][: len(inherited)]
        await fill(fork, 20, start=900)
        await fork.compact()
        mine = [summary.id for summary in await fork.summaries()]
        assert mine[: len(inherited)] == inherited
        assert len(mine) > len(inherited) + 3
        assert not set(mine[len(inherited) :]) & {summary.id for summary in await long.summaries()}
        assert await covered(fork) == dict.fromkeys(await said(fork), 1)
        assert await long.context() == before
        await fill(long, 10, start=2_000)
        assert await covered(long) == dict.fromkeys(await said(long), 1)
        await whole(long, fork)


async def test_what_was_said_is_found_in_the_shared_past_and_in_ones_own_turns_only(long):
    async with await long.fork(20) as fork:
        await fill(fork, 15, start=900)
        for number in (0, 11, 20, 900, 914):
            (found,) = [m for m in await all_matches(fork, needle(number)) if m.kind == "message"]
            assert found.turn == (number if number < 900 else number - 900 + 21)
            assert needle(number) in (await fork.expand(found.id)).text
            assert (await fork.describe(found.id)).turn == found.turn
            assert (await fork.why(found.id)).steps
        for number in (21, 39):
            assert not (await fork.grep(needle(number))).matches
            (match,) = [each for each in (await long.grep(needle(number))).matches if each.kind == "message"]
            for ask in (fork.describe, fork.expand, fork.why):
                with pytest.raises(NotFound, match=match.id):
                    await ask(match.id)
        assert not (await long.grep(needle(905))).matches
        every = [str(match.message_id) for match in await all_matches(fork, "needle", role="user", limit=7)]
        assert sorted(every) == [each.id for each in await fork.messages() if each.role == "user"]
        regex = await all_matches(fork, r"needle-0000[0-5]", regex=True, role="user", limit=2)
        assert [match.turn for match in regex] == [5, 4, 3, 2, 1, 0]


async def test_a_search_under_a_summary_of_the_shared_past_finds_its_sources(long):
    async with await long.fork(30) as fork:
        await fill(fork, 12, start=900)
        first = (await fork.summaries())[0]
        found = await all_matches(fork, "needle", summary_id=first.id, role="user")
        assert {match.turn for match in found} == set(range(first.first_turn, first.last_turn + 1))
        later = (await long.summaries())[-1]
        with pytest.raises(NotFound, match=later.id):
            await fork.grep("needle", summary_id=later.id)


async def test_what_changed_between_the_windows_of_a_shared_and_an_own_turn_is_told(long):
    async with await long.fork(20) as fork:
        await fill(fork, 8, start=900)
        difference = await fork.diff(19, 26)
        assert difference.tokens_after == (await fork.context(26)).size
        gone = [change for change in difference.changes if change.change == "summarised"]
        assert gone
        assert {change.into for change in gone} <= {summary.id for summary in await fork.summaries()}


async def test_events_and_summaries_of_a_fork_are_those_of_its_past_and_its_own(long):
    async with await long.fork(20) as fork:
        events = await fork.events()
        assert [event.seq for event in events] == list(range(len(events)))
        assert events[:-1] == (await long.events())[: len(events) - 1]
        created = events[-1]
        assert (created.event, created.session_id) == ("session.created", fork.id)
        assert (created.payload.forked_from, created.payload.forked_turn) == (long.id, 20)
        assert (await fork.describe(created.id)).kind == "event"
        assert long.id in (await fork.describe(fork.id)).sentence
        with pytest.raises(NotFound):
            await long.describe(created.id)


async def test_forks_of_forks_see_the_whole_line(store_path):
    async with await create(store_path, Model(), window=4_000) as session:
        await fill(session, 12)
        line = [session]
        for generation in range(1, 5):
            fork = await line[-1].fork(turn=len(line[-1].history()) - 3)
            await fill(fork, 6, start=1_000 * generation)
            line.append(fork)
        youngest = line[-1]
        texts = [message.text for message in await youngest.messages() if message.role == "user"]
        assert texts == [
            talk(number)
            for number in [
                *range(10),
                *(1_000 * generation + number for generation in (1, 2, 3) for number in range(4)),
                *range(4_000, 4_006),
            ]
        ]
        far = await youngest.fork(turn=3)
        assert (await far.preview(talk(4))).request_hash == (await session.context(4)).request_hash
        await fill(far, 6, start=9_000)
        await whole(*line, far)
        for fork in [*line[1:], far]:
            await fork.close()


async def test_forking_again_and_again_at_one_turn_makes_no_longer_line(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        await session.record("a", "b")
        again = session
        for number in range(20):
            again = await again.fork(turn=0)
            await again.record(f"try {number}", "no")
        with sqlite3.connect(store_path) as store:
            longest = "SELECT max(n) FROM (SELECT count(*) AS n FROM lineage GROUP BY session_id)"
            assert store.execute(longest).fetchone() == (2,)
        await whole(again)


async def test_pruned_outputs_and_excerpts_are_pruned_in_a_fork_and_only_there_afterwards(store_path):
    async with await create(
        store_path, Model(), window=16_000, prune_protect_tokens=500, prune_minimum_tokens=100
    ) as session:
        for number in range(6):
            await session.record(f"Look at {number}.", answered("Seen.", f"row {number}\n" * 150, f"c{number}"))
        await session.record("A giant: " + "word " * 30_000, "Too long.")
        await settled(session)  # a compaction in the background would come between the two windows
        async with await session.fork(turn=3) as before, await session.fork() as now:
            assert (await now.context()).request_hash == (await session.context()).request_hash
            await session.compact()
            await before.compact()
            await now.compact()
            await whole(session, before, now)
            for turn in range(4):
                assert (await before.context(turn)).items == (await session.context(turn)).items


async def test_a_fork_waits_for_the_results_that_its_original_waits_for(store_path):
    schema = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    call = {"name": "look", "arguments": {}, "id": "c1"}
    llm = ScriptedProvider([Reply(tool_calls=[call]), "It is blue.", "It is red."])
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, llm=llm) as session:
        waiting = await session.send("Look.", tools=[schema])
        assert waiting.finish_reason == "tool_calls"
        async with await session.fork() as fork:
            assert (await fork.submit_tool_results({"c1": "blue"})).text == "It is blue."
            assert (await session.submit_tool_results({"c1": "red"})).text == "It is red."
            assert [message.role for message in await fork.messages()] == ["user", "assistant", "tool", "assistant"]
            await whole(session, fork)


async def test_a_turn_that_is_running_can_be_forked_before_but_not_after(store_path):
    gate = asyncio.Event()

    model = Model()
    async with await create(store_path, model) as session:
        await session.send("a")
        begun = asyncio.Event()

        async def stuck(request):
            begun.set()
            await gate.wait()
            async for chunk in ScriptedProvider(["late"]).stream(request):
                yield chunk

        model.stream = stuck  # type: ignore[method-assign]
        turn = asyncio.create_task(session.send("b"))
        await begun.wait()
        with pytest.raises(InputError, match=r"turn=1 is not finished.*turn=0"):
            await session.fork(turn=1)
        async with await session.fork() as fork:
            assert [message.text for message in await fork.messages()] == ["a", "Noted."]
        gate.set()
        await turn
        await whole(session)


async def test_a_failed_turn_can_be_forked_after(store_path):
    llm = ScriptedProvider(["one", Reply("half", then=Unavailable("gone")), "fine"])
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, llm=llm) as session:
        await session.send("a")
        with pytest.raises(Unavailable):
            await session.send("b")
        async with await session.fork() as fork:
            assert [message.partial for message in await fork.messages()] == [False, False, False, True]
            await fork.send("c")
            await whole(session, fork)


@pytest.mark.parametrize("turn", [True, 1.0, "1", -2])
async def test_a_turn_that_is_no_index_is_refused(store_path, turn):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        with pytest.raises(InputError, match="turn="):
            await session.fork(turn)


@pytest.mark.parametrize("turn", [1, 10**30])
async def test_a_turn_that_is_not_there_is_told_and_nothing_is_stored(store_path, turn):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        await session.record("a", "b")
        with pytest.raises(NotFound, match=f"no turn '{turn}'.* has 1 turns"):
            await session.fork(turn)
        with sqlite3.connect(store_path) as store:
            assert store.execute("SELECT count(*) FROM session").fetchone() == (1,)


async def test_a_fork_may_have_another_model_prompt_and_settings(store_path):
    settings = MnesisConfig(model_overrides={"context_limit": 9_000})
    mine, theirs = ScriptedProvider(["one"]), ScriptedProvider(["two"])
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, llm=mine) as session:
        await session.send("a")
        async with await session.fork(
            model="test/other", system_prompt="Be brief.", config=settings, llm=theirs
        ) as fork:
            assert (fork.model, fork.system_prompt, fork.config) == ("test/other", "Be brief.", settings)
            await fork.send("b")
            assert theirs.requests[0].messages[0]["content"] == "Be brief."
            assert (await fork.context(0)).items == (await session.context(0)).items
            await whole(fork)
        async with await MnesisSession.load(fork.id, db_path=store_path, llm=theirs) as loaded:
            assert (await loaded.context(0)).items == (await session.context(0)).items
            assert loaded.config == settings


async def test_a_fork_outlives_its_original(store_path):
    session = await MnesisSession.create(model="offline/quote", db_path=store_path)
    await session.record("a", "b")
    fork = await session.fork()
    await session.close()
    await fork.record("c", "d")
    await whole(fork)
    await fork.close()


async def test_a_session_in_memory_can_be_forked():
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:") as session:
        await session.record("a", "b")
        async with await session.fork() as fork:
            await fork.record("c", "d")
            await whole(session, fork)


async def test_a_turn_with_the_key_of_a_shared_one_is_not_stored_again(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        first = await session.record("a", "b", key="k")
        async with await session.fork() as fork:
            assert (await fork.record("a", "b", key="k")).turn == first.turn
            assert len(await fork.messages()) == 2


async def test_two_processes_fork_one_session_while_it_goes_on(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        await session.record("a", "b")
        code = """
        import asyncio, sys
        from mnesis import MnesisSession
        async def main():
            async with await MnesisSession.load(sys.argv[1], db_path=sys.argv[2]) as session:
                for number in range(4):
                    async with await session.fork() as fork:
                        await fork.record(f"mine {number}", "yes")
                        report = await fork.verify()
                        assert report.ok, report
        asyncio.run(main())
        """
        others = [asyncio.to_thread(output, code, session.id, store_path, timeout=60) for _ in range(2)]
        both = asyncio.gather(*others)
        number = 0
        while not both.done():
            await session.record(f"turn {number}", "on")
            number += 1
            await asyncio.sleep(0.1)
        await both
        await whole(session)


async def test_a_store_made_before_there_were_forks_can_be_forked(store_path):
    from mnesis.store.migrations import APPLICATION_ID, MIGRATIONS
    from mnesis.store.search import register

    async with await create(store_path, Model(), window=4_000) as session:
        await fill(session, 20)
        hashes = [(await session.context(turn)).request_hash for turn in range(20)]
    old = store_path.with_name("old.db")
    before = next(index for index, script in enumerate(MIGRATIONS) if "CREATE TABLE lineage" in script)
    with sqlite3.connect(old, isolation_level=None) as copy:
        register(copy)
        for script in MIGRATIONS[:before]:
            copy.executescript(script)
        copy.execute("ATTACH ? AS new", (str(store_path),))
        tables = "session tool_set turn message part view context_item event summary summary_source tombstone".split()
        for table in [*tables, "search_session", "search_word"]:
            columns = ", ".join(row[1] for row in copy.execute(f"PRAGMA main.table_info({table})"))
            copy.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM new.{table}")
        copy.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        copy.execute(f"PRAGMA user_version = {before}")
    async with await MnesisSession.load(session.id, db_path=old, llm=Model()) as loaded:
        assert [(await loaded.context(turn)).request_hash for turn in range(20)] == hashes
        async with await loaded.fork(9) as fork:
            assert (await fork.preview(talk(10))).request_hash == hashes[10]
            await whole(loaded, fork)


KILLED = """
import asyncio, os, signal, sqlite3, sys
from mnesis import MnesisSession
connect = sqlite3.connect
left = -1

def tick(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def opened(*arguments, **options):
    connection = connect(*arguments, **options)
    connection.set_trace_callback(tick)
    return connection

async def main(count):
    global left
    session = await MnesisSession.load(sys.argv[1], db_path=sys.argv[2])
    sqlite3.connect = opened
    left = count
    fork = await session.fork(turn=1)
    await fork.close()
    await session.close()

for count in range(1, 500):
    pid = os.fork()
    if not pid:
        asyncio.run(main(count))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        assert os.waitstatus_to_exitcode(status) == 0
        print(count)
        break
"""


@pytest.mark.slow
async def test_a_fork_is_there_as_a_whole_or_not_at_all_wherever_its_process_is_killed(store_path):
    """Invariant 10. Every statement of a fork is the last one once."""
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        for text in "abc":
            await session.record(text, text)
    statements = int(await asyncio.to_thread(output, KILLED, session.id, store_path, timeout=120))
    assert statements > 15
    with sqlite3.connect(store_path) as store:
        forks = [id for (id,) in store.execute("SELECT id FROM session WHERE forked_turn = 1")]
    assert 1 <= len(forks) < statements
    for id in forks:
        async with await MnesisSession.load(id, db_path=store_path) as fork:
            assert [message.text for message in await fork.messages()] == ["a", "a", "b", "b"]
            await whole(fork)


@pytest.mark.parametrize("turns", [300, pytest.param(2_000, marks=pytest.mark.slow)])
async def test_forking_costs_no_more_steps_after_thousands_of_turns_than_after_a_hundred(store_path, turns):
    db = await Database.open(StoreConfig(db_path=store_path))
    settings = config(4_000)
    async with await MnesisSession.create(model="offline/quote", pool=db, config=settings) as session:
        costs: dict[int, list[int]] = {100: [], turns: []}
        steps = await Steps.of(db)
        for number in range(turns):
            await session.record(f"Visitor {number} weighed it. " * 9, f"He put {number} back on the shelf. " * 9)
            await settled(session)
            for at, taken in costs.items():
                if at - 20 <= number < at:
                    before = steps.taken
                    await (await session.fork()).close()
                    await (await session.fork(turn=number - 5)).close()
                    taken.append(steps.taken - before)
    await db.close()
    early, late = (statistics.median(taken) for taken in costs.values())
    assert late <= 1.3 * early, f"{early:.0f} hundred steps for two forks at first, {late:.0f} at the end"


async def test_a_closed_session_is_not_forked(store_path):
    session = await MnesisSession.create(model="offline/quote", db_path=store_path)
    await session.close()
    with pytest.raises(Exception, match="is closed"):
        await session.fork()


async def test_the_tree_of_forks_is_told_from_any_of_them(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, title="trunk") as trunk:
        for text in "abc":
            await trunk.record(text, text)
        left = await trunk.fork(0, title="left")
        twig = await left.fork(title="twig")
        right = await trunk.fork(-1, title="right")
        await right.record("d", "d")
        alone = await MnesisSession.create(model="offline/quote", db_path=store_path, title="alone")
        tree = await twig.branches()
        assert [(each.title, each.depth, each.turns, each.forked_turn) for each in tree] == [
            ("trunk", 0, 3, None),
            ("left", 1, 1, 0),
            ("twig", 2, 1, 0),
            ("right", 1, 1, -1),
        ]
        assert [each.forked_from for each in tree] == [None, trunk.id, left.id, trunk.id]
        assert [each.title for each in tree if each.is_this] == ["twig"]
        assert str(tree[2]) == "    * twig: 1 turns, forked after turn 0"
        assert [each.id for each in await trunk.branches()] == [each.id for each in tree]
        assert [each.title for each in await alone.branches()] == ["alone"]
        for session in (left, twig, right, alone):
            await session.close()


async def test_a_session_is_renamed_and_its_older_titles_stay_in_its_events(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, title="first") as session:
        fork = await session.fork(title="its own")
        await session.rename("second")
        await session.rename("third «3»")
        assert session.title == "third «3»"
        renamed = [event.payload.model_dump() for event in await session.events() if event.event == "session.updated"]
        assert [(each["before"], each["after"]) for each in renamed] == [("first", "second"), ("second", "third «3»")]
        await fork.close()
        await whole(session)
    async with await MnesisSession.load(session.id, db_path=store_path) as loaded:
        assert loaded.title == "third «3»"
        assert [each.title for each in await loaded.branches()] == ["third «3»", "its own"]
    assert frames.find_session("first", store_path) is None
    assert frames.find_session("third «3»", store_path) == session.id
    assert set(frames.sessions(db=store_path)["title"]) == {"third «3»", "its own"}
    told = (await asyncio.to_thread(CliRunner().invoke, main, ["sessions", "--db", str(store_path)])).stdout
    assert "third «3»" in told
    assert f"fork of {session.id}" in told


@pytest.mark.parametrize("title", ["", " ", None, 3])
async def test_a_title_that_says_nothing_is_refused(store_path, title):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, title="first") as session:
        with pytest.raises(InputError, match="title="):
            await session.rename(title)
        assert session.title == "first"
