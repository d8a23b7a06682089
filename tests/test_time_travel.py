"""Past windows, what changed between them, and how each item came to where it is. Invariant 13."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_windows import SMALL, chatter, settled, small

from mnesis import CompactionConfig, InputError, MnesisConfig, MnesisSession, NotFound, Unavailable
from mnesis.llm.scripted import Reply, ScriptedProvider


@given(st.integers(0, 2**32))
def test_invariant_13_any_past_window_is_rebuilt_as_it_was_before_it_was_compacted(seed):
    async def run():
        async with small() as session:
            seen = []
            rng = random.Random(seed)
            for turn in range(20):
                window = await session.preview(f"turn {turn}")
                result = await session.record(f"turn {turn}", f"reply {turn} " * rng.choice([1, 40, 300]))
                assert result.turn == turn
                if not result.compaction_triggered:
                    seen.append((turn, window.request_hash))
                await settled(session)
            for turn, sent in seen:
                window = await session.context(turn)
                assert (window.turn, window.request_hash) == (turn, sent)

    asyncio.run(run())


async def windows(session: MnesisSession, a: int, b: int):
    return await session.context(a), await session.context(b)


@given(st.integers(0, 2**32), st.data())
def test_a_diff_accounts_for_every_item_of_both_windows(seed, data):
    async def run():
        async with small() as session:
            await chatter(session, 25, seed)
            summaries = {summary.id for summary in await session.summaries()}
            for _ in range(5):
                a, b = data.draw(st.integers(0, 24)), data.draw(st.integers(0, 24))
                before, after = await windows(session, a, b)
                diff = await session.diff(a, b)
                assert (diff.a, diff.b, diff.tokens_before, diff.tokens_after) == (a, b, before.size, after.size)
                assert sum(change.tokens_before for change in diff.changes) == before.size
                assert sum(change.tokens_after for change in diff.changes) == after.size
                old, new = ([(item.id, item.text) for item in window.items] for window in (before, after))
                for change in diff.changes:
                    assert change.cause
                    stands = [id for id, _ in new].count(change.id)
                    match change.change:
                        case "unchanged":
                            assert any(item in new for item in old if item[0] == change.id)
                        case "summarised":
                            assert change.into in summaries & {id for id, _ in new}
                            assert stands == 0
                        case "removed":
                            assert a > b or change.kind == "summary"
                        case "added":
                            assert stands
                        case "pruned":
                            assert a < b
                            assert change.tokens_after < change.tokens_before
                        case "restored":
                            assert a > b
                if a < b:
                    assert not [change for change in diff.changes if change.change == "removed"]

    asyncio.run(run())


async def test_a_diff_says_what_was_added_and_what_was_summarised_into_which():
    async with small() as session:
        await chatter(session, 30)
        diff = await session.diff(2, 29)
        first = (await session.messages())[0]
        (change,) = [change for change in diff.changes if change.id == first.id]
        assert change.change == "summarised"
        assert change.into == (await session.context(29)).items[1].id
        assert change.into in str(diff)
        assert str(diff).startswith("window of turn 2 -> turn 29: ")
        back = await session.diff(29, 2)
        assert [each.change for each in back.changes if each.id == first.id] == ["restored"]


async def test_without_a_second_turn_a_diff_goes_to_the_next_window():
    async with small() as session:
        await chatter(session, 12)
        diff = await session.diff(3)
        last, following = await session.diff(3, 11), await session.context(compact=False)
        assert (diff.a, diff.b, diff.tokens_after) == (3, None, following.size)
        assert str(diff).startswith("window of turn 3 -> next window: ")
        came = {change.id for change in diff.changes} - {change.id for change in last.changes}
        reply = (await session.messages())[-1]
        assert reply.id in came  # said in answer to the window of turn 11


async def test_the_next_window_is_shown_without_a_compaction_also_where_it_does_not_fit(tmp_path):
    config = MnesisConfig(compaction=CompactionConfig(auto=False), model_overrides=SMALL.model_overrides)
    path = tmp_path / "s.db"
    async with MnesisSession.open(model="offline/quote", db_path=path, config=config) as session:
        for turn in range(30):
            await session.record(f"Number {turn}. " + "It is said again. " * 60, "Noted.")
    async with await MnesisSession.load(session.id, config=SMALL, db_path=path) as again:
        events = len(await again.events())
        window = await again.context(compact=False)
        assert window.size > window.budget
        assert (await again.diff(0)).tokens_after == window.size
        assert len(await again.events()) == events
        assert await again.summaries() == []
        now = await again.context()  # this one may be sent
        assert now.size <= now.budget
        assert await again.context(compact=False) == now


async def test_a_window_does_not_differ_from_itself():
    async with small() as session:
        await chatter(session, 10)
        assert {change.change for change in (await session.diff(9, 9)).changes} == {"unchanged"}


async def test_another_system_prompt_of_a_turn_is_a_change():
    async with small(llm=ScriptedProvider(["ok"], cycle=True)) as session:
        await session.send("one")
        await session.send("two", system_prompt="Be brief.")
        (change,) = [change for change in (await session.diff(0, 1)).changes if change.kind == "system"]
        assert change.change == "changed"


@pytest.mark.parametrize("turn", [-1, 3, 10**30])
async def test_turns_that_are_not_there_are_not_found(turn):
    async with small() as session:
        await chatter(session, 3)
        for ask in (session.context, lambda turn: session.diff(0, turn), lambda turn: session.diff(turn, 0)):
            with pytest.raises(NotFound, match=str(turn)):
                await ask(turn)


@pytest.mark.parametrize("turn", ["1", None, 1.0, True])
async def test_what_is_no_turn_is_refused(turn):
    async with small() as session:
        await chatter(session, 3)
        with pytest.raises(InputError, match="turn="):
            await session.diff(turn, 0)
        if turn is not None:  # there it is the next window
            for ask in (session.context(turn), session.diff(0, turn)):
                with pytest.raises(InputError, match="turn="):
                    await ask


# -- why ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32))
def test_every_message_says_where_it_is_and_how_it_came_there(seed):
    async def run():
        async with small() as session:
            await chatter(session, 25, seed)
            window = {item.message_id or item.id for item in (await session.context()).items}
            made = {summary.id: summary for summary in await session.summaries()}
            for message in await session.messages():
                lineage = await session.why(message.id)
                into = [id for step in lineage.steps for id in made if f"into {id}" in step.words]
                if lineage.state == "covered":
                    assert lineage.covered_by == into[-1]
                    assert lineage.covered_by in window
                    ref = message.id
                    for id in into:
                        assert ref in {source.id for source in made[id].sources}
                        ref = id
                else:
                    assert message.id in window
                    assert not into
                views = [step.view or 0 for step in lineage.steps]
                assert views == sorted(views)
                assert message.id in str(lineage)

    asyncio.run(run())


async def test_a_pruned_output_says_when_it_was_pruned():
    async with small() as session:
        await chatter(session, 40)
        lineages = [
            await session.why(id)
            for message in await session.messages()
            for id, part in zip(message.part_ids, message.parts, strict=True)
            if part.type == "tool"
        ]
        pruned = [each for each in lineages if any(step.cause == "pruned" for step in each.steps)]
        assert pruned
        assert all(step.turn is not None for each in pruned for step in each.steps)
        assert {each.state for each in pruned} <= {"pruned", "covered"}


async def test_a_partial_reply_says_that_it_is_never_sent(store_path):
    script = [Reply("half", then=Unavailable("gone"))]
    async with small(store_path, llm=ScriptedProvider(script)) as session:
        with pytest.raises(Unavailable):
            await session.send("hello")
        asked, partial = await session.messages()
        assert (await session.why(partial.id)).state == "partial"
        assert (await session.why(asked.id)).state == "verbatim"
        assert "never sent" in (await session.describe(partial.id)).sentence
