"""The frames and the inspector's reading of a fork: the past that it shares, and its own turns, as one."""

import pytest
from small_windows import answered
from summarisers import Model, create, fill, settled

from mnesis_jupyter import frames
from mnesis_jupyter.frames import inspection
from mnesis_jupyter.widgets.log import Log


@pytest.fixture
async def pair(store_path):
    """A session of thirty turns, and a fork of it at turn 15 that has had twelve turns of its own."""
    options = {"prune_protect_tokens": 400, "prune_minimum_tokens": 100}
    async with await create(store_path, Model(), window=6_000, **options) as session:
        for number in range(6):
            await session.record(f"Look at {number}.", answered("Seen.", f"row {number}\n" * 60, "c1"))
            await settled(session)
        await fill(session, 24)
        async with await session.fork(15) as fork:
            await fork.record("Look again.", answered("Seen.", "row 99\n" * 60, "c1"))
            await fill(fork, 11, start=900)
            yield session, fork


async def test_frames_of_a_fork_show_its_whole_past(pair):
    session, fork = pair
    assert frames.turns(fork).index.get_level_values("turn").tolist() == list(range(28))
    log = await fork.messages()
    said = [message for message in log if not message.is_summary]
    assert frames.messages(fork)["message_id"].tolist() == [message.id for message in said]
    assert set(frames.messages(fork).index.get_level_values("session_id")) == {session.id, fork.id}
    assert len(frames.parts(fork)) == sum(len(message.parts) for message in said)
    calls = frames.tool_calls(fork)
    assert calls["output"].str.strip().str[-2:].tolist() == [" 0", " 1", " 2", " 3", " 4", " 5", "99"]
    assert frames.summaries(fork).index.get_level_values("summary_id").tolist() == [
        summary.id for summary in await fork.summaries()
    ]
    assert frames.summaries(fork)["in_window"].tolist() == [each.in_window for each in await fork.summaries()]
    assert len(frames.sources(fork)) == sum(len(each.sources) for each in await fork.summaries())
    assert frames.events(fork)["event_id"].tolist() == [event.id for event in await fork.events()]


@pytest.mark.parametrize("turn", [None, 0, 7, 15, 16, 27])
async def test_the_window_of_a_fork_is_that_of_the_engine(pair, turn):
    _, fork = pair
    window = await fork.context(turn)
    frame = frames.context(fork, turn)
    assert frame["id"].tolist() == [item.id for item in window.items]
    assert frame["tokens"].tolist() == [item.tokens for item in window.items]


async def test_how_the_window_of_a_fork_grew_adds_up(pair):
    session, fork = pair
    for each in (session, fork):
        changes = frames.context_changes(each)
        now = await each.context()
        assert changes["tokens"].sum() == now.size - now.items[0].tokens
        part = frames.context_changes(each, 10, 20)
        before, after = await each.context(10), await each.context(20)
        assert part["tokens"].sum() == after.size - before.size


async def test_frames_of_all_sessions_have_each_row_once(pair):
    session, fork = pair
    db = session.db_path
    assert len(frames.turns(db=db)) == 30 + 12
    own = [message for message in await fork.messages() if message.session_id == fork.id and not message.is_summary]
    assert len(frames.messages(db=db)) == len(frames.messages(session)) + len(own)
    assert frames.messages(db=db).index.is_unique
    assert frames.context_changes(db=db).index.is_unique
    every = {summary.id for each in pair for summary in await each.summaries()}
    assert sorted(frames.summaries(db=db).index.get_level_values("summary_id")) == sorted(every)
    assert len(frames.tool_calls(db=db)) == 7


async def test_what_was_billed_is_counted_where_it_was(pair):
    session, fork = pair
    db = session.db_path
    listed = frames.sessions(db=db)
    assert listed.loc[fork.id, "turns"] == 28
    assert listed.loc[fork.id, "input_tokens"] == fork.token_usage.input
    used = frames.usage(by="session_id", db=db)["total_tokens"]
    assert used[session.id] == session.token_usage.total
    assert frames.usage(fork, by="session_id")["total_tokens"].tolist() == [fork.token_usage.total]


async def test_the_inspector_reads_the_whole_past_of_a_fork(pair):
    _, fork = pair
    log = Log(fork.db_path, fork.id)
    log.read()
    assert [turn.turn for turn in log.turns] == list(range(28))
    assert [turn.shared for turn in log.turns] == [1] * 16 + [0] * 12
    assert [each.id for each in log.summaries] == [each.id for each in await fork.summaries()]
    for turn in (3, 15, 20):
        standing = {each.id for each in log.standing(log.turns[turn].view)}
        sent = await fork.context(turn)
        assert standing == {item.id for item in sent.items if item.kind == "summary"}
        rows = inspection.window(fork.db_path, fork.id, turn)
        assert [row.id for row in rows] == [item.id for item in sent.items]
