"""The same conversation under another memory."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_windows import answered, chatter
from summarisers import Model, config, create, fill, needle, said, settled, talk

from mnesis import (
    BadRequest,
    CompactionConfig,
    ContextOverflow,
    MediaPart,
    MnesisConfig,
    MnesisSession,
    NotFound,
    TextPart,
    Timeout,
    TokenUsage,
    Unavailable,
)
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis_jupyter import frames

ID = re.compile(r"\b(?:sess|sum|msg|part)_[0-9A-HJKMNP-TV-Z]{26}\b")
LARGE = MnesisConfig(model_overrides={"context_limit": 200_000})


def short() -> Model:
    """Its summaries are so short that ids, which are random and weigh a token more or less, decide nothing."""
    return Model(summarise="They talked about shelves.")


def alike(window):
    """What a window sends, whatever its ids are."""
    return [(item.kind, item.turn, ID.sub("ID", item.text), item.tool_call_id) for item in window.items]


async def windows(session, count):
    return [alike(await session.context(turn=turn)) for turn in range(count)]


async def conversation(session):
    """The log, without its ids."""
    return [
        (message.role, message.turn, message.parts, message.partial, message.created_at)
        for message in await session.messages()
        if not message.is_summary
    ]


async def loaded(replay, session):
    return await MnesisSession.load(replay.session_id, db_path=session.db_path)


# -- the same again ----------------------------------------------------------------------------------------------


async def test_under_the_same_settings_each_turn_sends_the_same_window(store_path):
    async with await create(store_path, short(), window=9_000) as session:
        await fill(session, 20, 400)
        replay = await session.replay()
        assert replay.compactions >= 2
        async with await loaded(replay, session) as again:
            assert await windows(again, 20) == await windows(session, 20)
            assert await conversation(again) == await conversation(session)
            assert (await again.verify(deep=True)).ok
        assert [turn.compactions > 0 for turn in replay.turns] == [
            turn.compaction_triggered for turn in session.history()
        ]


async def test_until_something_is_compacted_the_hashes_are_those_of_the_original(store_path):
    async with await create(store_path, Model()) as session:
        await fill(session, 8)
        replay = await session.replay(config=LARGE)
        async with await loaded(replay, session) as again:
            for turn in range(8):
                assert (await again.context(turn=turn)).request_hash == (await session.context(turn=turn)).request_hash
        assert [turn.window.total for turn in replay.turns] == [turn.context_tokens.total for turn in session.history()]


async def test_the_original_is_left_as_it_was(store_path):
    async with await create(store_path, Model()) as session:
        await fill(session, 30)
        before = (await session.messages(), await session.events(), await session.context(), session.history())
        await session.replay(config=config(3_000))
        assert before == (await session.messages(), await session.events(), await session.context(), session.history())
        assert (await session.verify(deep=True)).ok


async def test_a_replay_comes_out_the_same_each_time(store_path):
    async with await create(store_path, short(), window=100_000) as session:
        await fill(session, 20, 400)
        first, second = [await session.replay(config=config(9_000)) for _ in range(2)]
        async with await loaded(first, session) as one, await loaded(second, session) as other:
            assert await windows(one, 20) == await windows(other, 20)
        assert [turn.compactions for turn in first.turns] == [turn.compactions for turn in second.turns]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    turns=st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900), st.booleans()), min_size=1, max_size=25),
    window=st.sampled_from([2_000, 4_000, 16_000]),
)
async def test_any_conversation_under_any_budget_is_whole_and_keeps_to_it(turns, window):
    folder = tempfile.TemporaryDirectory()
    with folder:
        async with await create(Path(folder.name) / "a.db", Model()) as session:
            for number, (asked, replied, tool) in enumerate(turns):
                reply = talk(number, replied)
                await session.record(talk(number, asked), answered(reply, reply, f"c{number}") if tool else reply)
                await settled(session)
            replay = await session.replay(config=config(window))
            assert replay.largest <= replay.budget
            assert len(replay.turns) == len(turns)
            async with await loaded(replay, session) as again:
                assert await conversation(again) == await conversation(session)
                report = await again.verify(deep=True)
                assert report.ok, report.problems


# -- what there is in a conversation ------------------------------------------------------------------------------


async def test_calls_of_tools_are_requests_of_their_own_and_no_tool_runs_again(store_path):
    ran = []

    def look(where: str) -> str:
        """Look somewhere."""
        ran.append(where)
        return f"nothing at {where} " * 50

    script = [Reply(tool_calls=[{"name": "look", "arguments": {"where": place}}]) for place in ("shelf", "desk")]
    llm = ScriptedProvider([*script, "Nowhere.", "You are welcome."])
    async with await create(store_path, llm) as session:
        result = await session.send("Where is it?", tools=[look])
        await session.send("Thanks.")
        replay = await session.replay()
        assert ran == ["shelf", "desk"]
        assert [turn.requests for turn in replay.turns] == [3, 1]
        assert replay.turns[0].tokens.input == result.tokens.input
        assert replay.turns[0].tokens.output == result.tokens.output
        async with await loaded(replay, session) as again:
            assert await windows(again, 2) == await windows(session, 2)
            assert (await again.verify(deep=True)).ok


async def test_calls_that_the_caller_answers_are_replayed_as_they_were(store_path):
    tool = {"type": "function", "function": {"name": "ask", "description": "", "parameters": {"type": "object"}}}
    call = Reply(tool_calls=[{"name": "ask", "arguments": {}}])
    llm = ScriptedProvider([call, "Done.", call, "As you like."])
    async with await create(store_path, llm) as session:
        await session.send("Begin.", tools=[tool])
        await session.submit_tool_results({"call_1": "yes"}, tools=[tool])
        await session.send("Again.", tools=[tool])
        await session.send("Never mind.")
        replay = await session.replay()
        async with await loaded(replay, session) as again:
            assert await conversation(again) == await conversation(session)
            assert await windows(again, 4) == await windows(session, 4)
            assert (await again.verify(deep=True)).ok


async def test_a_failed_turn_fails_again_with_its_partial_reply_and_its_error(store_path):
    llm = ScriptedProvider([Reply("It begins", then=Timeout("no token in 60 s")), Unavailable("down"), "At last."])
    async with await create(store_path, llm) as session:
        with pytest.raises(Timeout):
            await session.send("One.")
        with pytest.raises(Unavailable):
            await session.send("Two.")
        await session.send("Three.")
        replay = await session.replay()
        async with await loaded(replay, session) as again:
            assert await conversation(again) == await conversation(session)
            told = [each.payload for each in await again.events() if each.event == "turn.failed"]
            assert [(each.error_kind, each.error) for each in told] == [
                ("Timeout", "no token in 60 s"),
                ("Unavailable", "down"),
            ]
            assert await windows(again, 3) == await windows(session, 3)


async def test_media_are_sent_again_as_they_were(store_path):
    image = MediaPart.from_url(
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    async with await create(store_path, Model()) as session:
        await session.send([TextPart(text="What is this?"), image])
        await session.send("And this?")
        replay = await session.replay()
        async with await loaded(replay, session) as again:
            assert (await again.context(turn=1)).to_openai() == (await session.context(turn=1)).to_openai()
            assert replay.turns[1].window == session.history()[1].context_tokens


async def test_an_imported_conversation_in_which_the_assistant_speaks_first_is_replayed(store_path):
    messages = [
        {"role": "system", "content": "You are a librarian."},
        {"role": "assistant", "content": "Good morning."},
        {"role": "user", "content": "Where is the atlas?"},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "On shelf 7."},
    ]
    async with await MnesisSession.from_messages(messages, model="offline/quote", db_path=store_path) as session:
        replay = await session.replay()
        assert [turn.requests for turn in replay.turns] == [0, 1, 1]
        async with await loaded(replay, session) as again:
            assert await again.export("openai") == await session.export("openai") == messages
            assert (await again.verify(deep=True)).ok


async def test_a_message_larger_than_the_new_window_stands_in_it_as_an_excerpt(store_path):
    async with await create(store_path, Model(), window=100_000) as session:
        await session.send(talk(1, 20_000))
        replay = await session.replay(config=config(4_000))
        assert replay.largest <= replay.budget
        async with await loaded(replay, session) as again:
            assert (await again.messages())[0].text == (await session.messages())[0].text
            assert (await again.why((await said(again))[0])).state == "excerpt"


async def test_a_session_without_turns_has_an_empty_replay():
    async with await create(":memory:", Model()) as session:
        replay = await session.replay()
        assert (replay.turns, replay.cost, replay.largest, replay.cached) == ((), 0, 0, 0.0)


async def test_where_nothing_may_be_compacted_the_replay_ends_at_the_turn_that_does_not_fit(store_path):
    async with await create(store_path, Model()) as session:
        await fill(session, 30)
        with pytest.raises(ContextOverflow) as caught:
            await session.replay(config=config(4_000, auto=False), title="cut")
        assert "of the replay" in caught.value.__notes__[0]
        assert (await session.verify()).ok


# -- what is compared --------------------------------------------------------------------------------------------


async def test_a_smaller_budget_has_smaller_windows_more_compactions_and_keeps_less(store_path):
    async with await create(store_path, Model(), window=100_000) as session:
        await fill(session, 40)
        wanted = [needle(number) for number in range(0, 40, 4)]
        small, large = [await session.replay(config=config(each), needles=wanted) for each in (4_000, 50_000)]
    assert small.largest < large.largest
    assert small.compactions > large.compactions == 0
    assert set(large.evidence) == {"verbatim"}
    assert small.evidence.count("verbatim") < 10
    assert small.summaries.requests > 0
    assert small.summaries.tokens.input > small.summaries.tokens.output > 0
    assert large.summaries.requests == 0


async def test_where_a_text_is_follows_it_from_the_window_into_a_summary_or_out_of_it(store_path):
    def keep(order):
        return f"What is known: {needle(1)}."

    async with await create(store_path, Model(summarise=keep)) as session:
        await fill(session, 30)
        message = (await said(session))[0]
        replay = await session.replay(needles=[needle(1), needle(2), needle(29).upper(), message])
    assert replay.turns[0].evidence == ("unsaid", "unsaid", "unsaid", "verbatim")
    assert replay.turns[2].evidence == ("verbatim", "verbatim", "unsaid", "verbatim")
    assert replay.found() == {
        needle(1): "summary",
        needle(2): "recall",
        needle(29).upper(): "verbatim",
        message: "recall",
    }


async def test_the_cache_holds_what_two_requests_begin_with(store_path):
    async with await create(store_path, Model(), window=100_000) as session:
        await fill(session, 12)
        replay = await session.replay(config=LARGE)
    first, *others = replay.turns
    assert first.tokens.cache_read == 0
    for before, after in zip(replay.turns, others, strict=False):
        assert after.tokens.cache_read == before.window.total
    assert 0.5 < replay.cached < 1


async def test_a_compaction_breaks_the_cache(store_path):
    async with await create(store_path, Model()) as session:
        await fill(session, 40)
        replay = await session.replay()
    for before, after in zip(replay.turns, replay.turns[1:], strict=False):
        kept = after.tokens.cache_read == before.window.total
        assert kept == (before.compactions == 0)


async def test_the_cost_is_by_the_list_price_of_the_model_whose_prices_are_asked_for(store_path):
    async with await create(store_path, Model(), window=100_000) as session:
        await fill(session, 5)
        settings = MnesisConfig(compaction=CompactionConfig(compaction_model="offline/quote"))
        replay = await session.replay(model="openai/gpt-4o", llm=Model(), config=settings)
        assert replay.cost is not None
        assert replay.cost > 0
        assert replay.model == "openai/gpt-4o"


async def test_what_a_provider_reports_of_summaries_is_what_they_took(store_path):
    usage = TokenUsage(input=500, output=50)
    llm = Model(summarise=Reply("They talked.", usage=usage, cost=0.25))
    async with await create(store_path, llm) as session:
        await fill(session, 40)
        replay = await session.replay()
    assert replay.summaries.requests >= 2
    assert replay.summaries.cost == 0.25 * replay.summaries.requests
    assert replay.summaries.tokens.input == 500 * replay.summaries.requests


async def test_a_failing_summariser_is_waited_for_as_long_as_the_conversation_took(store_path):
    async with await create(store_path, Model()) as session:
        await fill(session, 40)
        replay = await session.replay(llm=Model(summarise=Unavailable("down")))
        assert {turn.level for turn in replay.turns} == {None, 3}
        assert replay.largest <= replay.budget
        async with await loaded(replay, session) as again:
            assert {each.level for each in await again.summaries()} == {3}
            assert (await again.verify(deep=True)).ok


# -- where it goes ------------------------------------------------------------------------------------------------


async def test_a_replay_can_go_to_a_store_of_its_own_and_be_replayed_again(store_path, tmp_path):
    async with await create(store_path, Model(), title="talk") as session:
        await fill(session, 10)
        replay = await session.replay(db_path=tmp_path / "other.db", title="again")
        async with await MnesisSession.load(replay.session_id, db_path=tmp_path / "other.db", llm=Model()) as again:
            assert again.title == replay.title == "again"
            assert (await again.replay()).turns == replay.turns
            assert (await again.send("Go on.")).turn == 10


async def test_a_replay_of_a_session_in_memory_stays_in_its_memory():
    async with await create(":memory:", Model(), title="talk") as session:
        await fill(session, 10)
        replay = await session.replay()
        assert replay.title == "talk, replayed"
        assert replay.source_id == session.id
        assert (await session.send("It goes on.")).turn == 10


async def test_chatter_in_many_scripts_is_replayed_with_its_tools(store_path):
    async with await create(store_path, Model(), window=16_000) as session:
        said = await chatter(session, 40)
        replay = await session.replay(config=config(6_000), needles=said)
        async with await loaded(replay, session) as again:
            assert await conversation(again) == await conversation(session)
            assert (await again.verify(deep=True)).ok
            for text, where in replay.found().items():
                assert where != "unsaid"
                assert (await again.grep(text)).matches


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"needles": ["never said"]}, "stands nowhere"),
        ({"needles": "one text"}, "not a list"),
        ({"config": {}}, "MnesisConfig"),
        ({"model": 3}, "model"),
        ({"title": 3}, "title"),
        ({"db_path": 3}, "db_path"),
    ],
)
async def test_what_cannot_be_replayed_so_is_refused_before_anything_is_stored(options, words, store_path):
    async with await create(store_path, Model()) as session:
        await session.send("Hello.")
        with pytest.raises(ValueError, match=words):
            await session.replay(**options)
        assert len(frames.sessions(db=store_path)) == 1


async def test_a_message_of_another_session_is_no_needle(store_path):
    async with await create(store_path, Model()) as session, await create(store_path, Model()) as other:
        await session.send("Hello.")
        await other.send("Hello.")
        with pytest.raises(NotFound):
            await session.replay(needles=[(await said(other))[0]])


async def test_a_model_that_is_not_here_is_said_before_anything_is_stored(store_path):
    async with await create(store_path, Model()) as session:
        await session.send("Hello.")
        with pytest.raises(BadRequest, match="local/nothing"):
            await session.replay(model="local/nothing")
