"""The contract of a session: DESIGN section 2."""

import asyncio
import logging
import re
import sqlite3
from pathlib import Path

import pytest
from gated import GatedProvider
from workers import run

from mnesis import (
    BadRequest,
    Database,
    InputError,
    MnesisConfig,
    MnesisEvent,
    MnesisSession,
    NotFound,
    ReasoningPart,
    SessionClosed,
    SessionNotFoundError,
    StoreConfig,
    StoreError,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolPart,
    ToolStatus,
    TurnComplete,
    Unavailable,
)
from mnesis.events.bus import MnesisEvent as FromTheBus
from mnesis.events.payloads import MessageCreatedPayload, Payload, SessionClosedPayload, TurnCommittedPayload
from mnesis.llm.base import ModelLimits
from mnesis.llm.scripted import Reply, ScriptedProvider


def create(path: Path, script=("hi",), **options):
    options.setdefault("llm", ScriptedProvider(list(script), cycle=True))
    return MnesisSession.create(model="offline/quote", db_path=path, **options)


def rows(path: Path, sql: str, *parameters: object) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        return connection.execute(sql, parameters).fetchall()


def hashes(path: Path) -> list[str]:
    return [stored for (stored,) in rows(path, "SELECT request_hash FROM turn ORDER BY idx")]


# -- quick start -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["offline/quote", "anthropic/claude-opus-4-6", "openai/gpt-4o"])
async def test_a_quick_start_remembers_a_name_and_a_number_also_after_a_resume(model, store_path, monkeypatch):
    if model != "offline/quote":
        monkeypatch.setenv("MNESIS_MOCK_LLM", "1")
    async with MnesisSession.open(model=model, db_path=store_path) as session:
        await session.send("My name is Alice.")
        assert "Alice" in (await session.send("What's my name?")).text
        await session.send("The secret code is 42.")
        assert "42" in (await session.send("What was the secret code?")).text
        assert session.model == model
    async with await MnesisSession.load(session.id, db_path=store_path) as resumed:
        assert resumed.model == model
        assert "Alice" in (await resumed.send("What's my name?")).text
        assert "42" in (await resumed.send("What was the secret code?")).text


async def test_a_summary_of_the_mock_keeps_to_its_limit_in_tokens_of_the_named_model(store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_MOCK_LLM", "1")
    config = MnesisConfig(model_overrides={"context_limit": 3_000, "max_output_tokens": 500})
    async with MnesisSession.open(model="anthropic/claude-opus-4-6", config=config, db_path=store_path) as session:
        for day in range(8):
            await session.record(
                f"Day {day}: {day + 3} degrees, wind {day} m/s. All instruments are fine. " * 3, "Noted."
            )
        await session.compact()
        levels = [summary.level for summary in await session.summaries()]
    assert levels
    assert set(levels) == {1}


async def test_the_default_store_is_in_the_home_directory(home):
    async with MnesisSession.open(model="offline/quote") as session:
        await session.send("hello")
    assert (home / ".mnesis" / "sessions.db").is_file()
    async with await MnesisSession.load(session.id) as resumed:
        assert len(await resumed.messages()) == 2


SCRIPT = """
    import asyncio, logging, sys
    from mnesis import MnesisSession

    def bad(event, payload):
        raise RuntimeError("a handler's own fault")

    async def main():
        async with MnesisSession.open(model="offline/quote", db_path=sys.argv[1]) as session:
            if sys.argv[2] == "bad":
                session.subscribe("message.created", bad)
            await session.send("My name is Alice.")

    asyncio.run(main())
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    handlers = [h for logger in loggers for h in logger.handlers if not isinstance(h, logging.NullHandler)]
    assert not handlers, handlers
"""


def test_a_script_writes_nothing_to_its_terminal_and_sets_up_no_logging(tmp_path):
    done = run(SCRIPT, tmp_path / "s.db", "good")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_handlers_error_is_not_printed_where_nobody_set_up_logging(tmp_path):
    done = run(SCRIPT, tmp_path / "s.db", "bad")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- beginnings and ends -----------------------------------------------------------------------------------------


async def test_open_closes_the_session_also_where_its_block_fails(store_path):
    with pytest.raises(ZeroDivisionError):
        async with MnesisSession.open(model="offline/quote", db_path=store_path) as session:
            raise ZeroDivisionError
    with pytest.raises(SessionClosed):
        await session.send("hello")


async def test_create_gives_a_session_that_is_its_own_context_manager(store_path):
    session = await create(store_path, title="a name", agent="tester")
    async with session as entered:
        assert entered is session
        assert re.fullmatch(r"sess_[0-9A-Z]{26}", session.id)
        assert session.title == "a name"
        assert not session.compaction_in_progress
    loaded = await MnesisSession.load(session.id, db_path=store_path)
    assert loaded.title == "a name"
    await loaded.close()


async def test_closing_twice_is_as_good_as_once(store_path):
    session = await create(store_path)
    await session.close()
    await session.close()
    assert rows(store_path, "SELECT count(*) FROM event WHERE type = 'session.closed'") == [(1,)]


async def test_whatever_asks_the_store_says_that_the_session_is_closed(store_path):
    session = await create(store_path)
    await session.send("hello")
    await session.close()
    calls = {
        "send": lambda: session.send("x"),
        "stream": lambda: anext(session.stream("x")),
        "record": lambda: session.record("x", "y"),
        "messages": session.messages,
        "conversation_messages": session.conversation_messages,
        "context": session.context,
        "context_for_next_turn": session.context_for_next_turn,
        "events": session.events,
    }
    for name, call in calls.items():
        with pytest.raises(SessionClosed, match=session.id):
            await call()
        assert name
    assert len(session.history()) == 1
    assert session.token_usage.input > 0


async def test_a_parent_that_is_not_there_is_refused_and_nothing_is_stored(store_path):
    with pytest.raises(NotFound, match=r"sess_missing.*parent_id"):
        await create(store_path, parent_id="sess_missing")
    assert rows(store_path, "SELECT count(*) FROM session") == [(0,)]
    parent = await create(store_path)
    child = await create(store_path, parent_id=parent.id)
    assert rows(store_path, "SELECT parent_id FROM session WHERE id = ?", child.id) == [(parent.id,)]
    await child.close()
    await parent.close()


async def test_a_pool_is_shared_by_sessions_and_closed_by_none_of_them(store_path):
    pool = await Database.open(StoreConfig(db_path=store_path))
    sessions = [await create(store_path, pool=pool) for _ in range(3)]
    await asyncio.gather(*(session.send(f"hello {n}") for n, session in enumerate(sessions)))
    await sessions[0].close()
    await sessions[1].send("still open")
    loaded = await MnesisSession.load(sessions[0].id, pool=pool)
    assert (await loaded.messages())[0].text == "hello 0"
    for session in (*sessions, loaded):
        await session.close()
    await pool.close()
    late = MnesisSession.load(sessions[0].id, pool=pool)
    with pytest.raises(StoreError, match="closed"):
        await late


async def test_a_store_in_memory_holds_a_conversation():
    pool = await Database.open(StoreConfig(db_path=":memory:"))
    session = await MnesisSession.create(model="offline/quote", pool=pool, llm=ScriptedProvider(["a", "b"]))
    await session.send("one")
    again = await MnesisSession.load(session.id, pool=pool, llm=ScriptedProvider(["c"]))
    await again.send("two")
    assert [message.text for message in await session.messages()] == ["one", "a", "two", "c"]
    await pool.close()


async def test_a_session_that_is_loaded_during_a_turn_leaves_that_turn_alone(store_path):
    """Invariant 10: only the turns of the dead are aborted. Also in a store in memory, which has no lock file."""
    for path in (store_path, Path(":memory:")):
        pool = await Database.open(StoreConfig(db_path=path, connection_timeout=20))
        provider = GatedProvider(["the whole reply"])
        session = await MnesisSession.create(model="offline/quote", pool=pool, llm=provider)
        turn = asyncio.create_task(session.send("hello"))
        await provider.asked.wait()
        other = await MnesisSession.load(session.id, pool=pool, llm=ScriptedProvider(["second"]))
        next_turn = asyncio.create_task(other.send("and I"))
        await asyncio.sleep(0.05)
        assert not next_turn.done()
        provider.let_all()
        assert (await turn).text == "the whole reply"
        assert (await next_turn).turn == 1
        assert [message.text for message in await other.messages()] == ["hello", "the whole reply", "and I", "second"]
        await session.close()
        await other.close()
        await pool.close()


async def test_an_unknown_session_is_not_found_by_name(store_path):
    await (await create(store_path)).close()
    with pytest.raises(SessionNotFoundError, match=r"sess_01X.*sessions\.db") as caught:
        await MnesisSession.load("sess_01X", db_path=store_path)
    assert (caught.value.kind, caught.value.id) == ("session", "sess_01X")


async def test_a_store_that_is_not_there_is_named_and_not_made(store_path):
    with pytest.raises(NotFound, match=rf"^there is no store '{re.escape(str(store_path))}': .*check db_path$"):
        await MnesisSession.load("sess_01X", db_path=store_path)
    assert not store_path.exists()


# -- what comes back after load ----------------------------------------------------------------------------------


async def test_everything_is_as_it_was_after_load(store_path):
    script = [Reply("one", usage=TokenUsage(input=10, output=2, cache_read=4, total=12), cost=0.25), "two"]
    session = await create(store_path, script=script, config=MnesisConfig(compaction={"compaction_output_budget": 77}))
    await session.send("first")
    await session.send("second", system_prompt="Be brief.")
    await session.record("third", [TextPart(text="three"), ReasoningPart(text="hm")], tokens=TokenUsage(input=5))
    calls = [ToolPart(tool_name="f", tool_call_id="1", input={"a": [1]}, output="ok", status=ToolStatus.COMPLETED)]
    await session.record("fourth", calls)
    before = (
        session.token_usage,
        session.history(),
        await session.context(),
        await session.messages(),
        await session.conversation_messages(),
        await session.context_for_next_turn(),
        [await session.context(turn) for turn in range(4)],
        session.config,
        session.system_prompt,
    )
    events = await session.events()
    await session.close()
    loaded = await MnesisSession.load(session.id, db_path=store_path, llm=ScriptedProvider(["five"]))
    after = (
        loaded.token_usage,
        loaded.history(),
        await loaded.context(),
        await loaded.messages(),
        await loaded.conversation_messages(),
        await loaded.context_for_next_turn(),
        [await loaded.context(turn) for turn in range(4)],
        loaded.config,
        loaded.system_prompt,
    )
    assert after == before
    assert (await loaded.events())[: len(events)] == events
    result = await loaded.send("fifth")
    assert result.turn == 4
    assert [snapshot.turn_index for snapshot in loaded.history()] == [0, 1, 2, 3, 4]
    assert loaded.token_usage == before[0] + result.tokens
    await loaded.close()


async def test_a_config_given_to_load_is_the_one_in_force(store_path):
    session = await create(store_path, config=MnesisConfig(model_overrides={"context_limit": 4_000}))
    limit = (await session.context()).limits.context_limit
    await session.close()
    loaded = await MnesisSession.load(
        session.id, MnesisConfig(model_overrides={"context_limit": 8_000}), db_path=store_path
    )
    assert (limit, (await loaded.context()).limits.context_limit) == (4_000, 8_000)
    await loaded.close()


# -- turns -------------------------------------------------------------------------------------------------------


async def test_the_result_of_a_turn_names_what_was_stored(store_path):
    session = await create(store_path, script=[Reply("Hello there.", usage=TokenUsage(input=9, output=3), cost=0.5)])
    result = await session.send("hello")
    user, assistant = await session.messages()
    assert (result.text, str(result), result.finish_reason) == ("Hello there.", "Hello there.", "stop")
    assert (result.user_message_id, result.message_id) == (user.id, assistant.id)
    assert (result.turn, result.model, result.cost) == (0, "offline/quote", 0.5)
    assert result.tokens == TokenUsage(input=9, output=3)
    assert result.tokens.effective_total() == 12
    assert (result.compaction_triggered, result.compaction_result, result.doom_loop_detected) == (False, None, False)
    assert (user.role, user.text, user.seq, user.turn) == ("user", "hello", 0, 0)
    assert (assistant.role, assistant.text, assistant.seq, assistant.turn) == ("assistant", "Hello there.", 1, 0)
    await session.close()


async def test_usage_is_the_providers_where_it_reports_any_and_counted_otherwise(store_path):
    script = [Reply("one", usage=TokenUsage(input=1_000, output=7, cache_read=900)), "two words"]
    session = await create(store_path, script=script)
    reported = await session.send("first")
    counted = await session.send("second")
    assert reported.tokens == TokenUsage(input=1_000, output=7, cache_read=900)
    window, after = await session.context(1), await session.context()
    assert counted.tokens.input == window.size
    assert counted.tokens.output == after.size - window.size
    assert counted.tokens.total == after.size
    assert reported.cost is None
    assert counted.cost is None
    assert session.token_usage == reported.tokens + counted.tokens
    await session.close()


async def test_a_recorded_turn_is_stored_as_given(store_path):
    async with await create(store_path) as session:
        usage = TokenUsage(input=3, output=4, total=7)
        result = await session.record("Q", "A", tokens=usage, finish_reason="length")
        user, assistant = await session.messages()
        assert (result.user_message_id, result.assistant_message_id) == (user.id, assistant.id)
        assert (result.tokens, result.turn, result.compaction_triggered) == (usage, 0, False)
        assert session.token_usage == usage
        (row,) = rows(store_path, "SELECT state, recorded, finish_reason, cost FROM turn")
        assert row == ("committed", 1, "length", None)
        counted = await session.record("Q2", "A2")
        window, after = await session.context(1), await session.context()
        assert (counted.tokens.input, counted.tokens.output) == (window.size, after.size - window.size)


async def test_messages_may_be_parts_or_dicts(store_path):
    async with await create(store_path) as session:
        await session.send([TextPart(text="one"), {"type": "text", "text": "two"}])
        (user, _) = await session.messages()
        assert user.parts == (TextPart(text="one"), TextPart(text="two"))
        assert user.text == "one\n\ntwo"


async def test_the_provider_gets_the_window_and_the_parameters(store_path):
    provider = ScriptedProvider(["A1", "A2"])
    async with await create(store_path, llm=provider, system_prompt="Be kind.") as session:
        await session.send("Q1")
        await session.send("Q2", params={"temperature": 0.5})
        assert provider.requests[1].messages == [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Q1"},
            {"role": "assistant", "content": "A1"},
            {"role": "user", "content": "Q2"},
        ]
        assert provider.requests[1].messages == (await session.context(1)).to_openai()
        assert provider.requests[1].params == {"temperature": 0.5}
        assert provider.requests[0].params == {}


async def test_what_caused_a_turn_is_kept_with_it(store_path):
    async with await create(store_path) as session:
        await session.send("hello", origin="cell 7")
    assert rows(store_path, "SELECT origin FROM turn") == [("cell 7",)]


async def test_reasoning_is_kept_and_not_sent_back(store_path):
    provider = ScriptedProvider([Reply("yes", reasoning="secretly thinking"), "no"])
    async with await create(store_path, llm=provider) as session:
        await session.send("one")
        await session.send("two")
        assert (await session.messages())[1].parts == (ReasoningPart(text="secretly thinking"), TextPart(text="yes"))
        assert "secretly" not in str(provider.requests[1].messages)


async def test_a_tool_call_of_the_model_is_stored_as_a_pending_part(store_path):
    call = {"name": "look", "arguments": {"where": "here"}, "id": "c1"}
    async with await create(store_path, script=[Reply("let me see", tool_calls=[call])]) as session:
        assert (await session.send("one")).finish_reason == "tool_calls"
        _, answer = await session.messages()
        assert answer.parts[1] == ToolPart(tool_name="look", tool_call_id="c1", input={"where": "here"})


async def test_an_empty_reply_is_a_reply(store_path):
    async with await create(store_path, script=["", "then more"]) as session:
        assert (await session.send("one")).text == ""
        assert (await session.send("two")).text == "then more"
        assert len(session.history()) == 2
        assert len(await session.messages()) == 4


# -- system prompts ----------------------------------------------------------------------------------------------


async def test_an_empty_system_prompt_sends_none(store_path):
    provider = ScriptedProvider(["a", "b"])
    session = await create(store_path, llm=provider, system_prompt="")
    await session.send("one")
    await session.close()
    loaded = await MnesisSession.load(session.id, db_path=store_path, llm=provider)
    await loaded.send("two")
    assert loaded.system_prompt == ""
    assert all(message["role"] != "system" for request in provider.requests for message in request.messages)
    assert loaded.history()[0].context_tokens.system_prompt == 0
    assert (await loaded.context()).to_anthropic()["system"] == ""
    await loaded.close()


async def test_a_system_prompt_for_one_turn_is_sent_once_and_rebuilt_for_its_turn(store_path):
    """Invariant 13."""
    provider = ScriptedProvider(["a", "b", "c", "d"])
    session = await create(store_path, llm=provider, system_prompt="Always.")
    await session.send("one")
    await session.send("two", system_prompt="Only now.")
    await session.send("three", system_prompt="")
    await session.send("four")
    prompts = [
        next((message["content"] for message in request.messages if message["role"] == "system"), None)
        for request in provider.requests
    ]
    assert prompts == ["Always.", "Only now.", None, "Always."]
    await session.close()
    loaded = await MnesisSession.load(session.id, db_path=store_path)
    for turn, request in enumerate(provider.requests):
        assert (await loaded.context(turn)).to_openai() == request.messages
    assert [(await loaded.context(turn)).request_hash for turn in range(4)] == hashes(store_path)
    await loaded.close()


async def test_the_window_for_a_model_of_ones_own_takes_a_system_prompt(store_path):
    async with await create(store_path, system_prompt="Mine.") as session:
        await session.record("Q", "A")
        said = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
        assert await session.context_for_next_turn() == [{"role": "system", "content": "Mine."}, *said]
        assert await session.context_for_next_turn("Yours.") == [{"role": "system", "content": "Yours."}, *said]
        assert await session.context_for_next_turn("") == said


# -- windows -----------------------------------------------------------------------------------------------------


async def test_the_hash_of_every_past_window_is_the_one_stored_when_it_was_sent(store_path):
    """Invariant 13, for sent, recorded and failed turns, before and after load."""
    script = ["a", Unavailable("down"), Reply("b", tool_calls=[{"name": "f", "arguments": {}}]), "c"]
    session = await create(store_path, script=script)
    await session.send("one")
    with pytest.raises(Unavailable):
        await session.send("two")
    await session.send("three")
    await session.record("four", [ToolPart(tool_name="f", tool_call_id="1", status=ToolStatus.ERROR)])
    await session.send("five")
    for view in (session, await MnesisSession.load(session.id, db_path=store_path)):
        windows = [await view.context(turn) for turn in range(5)]
        assert [window.request_hash for window in windows] == hashes(store_path)
        assert [window.breakdown() for window in windows] == [turn.context_tokens for turn in view.history()]
        assert [window.turn for window in windows] == list(range(5))
        assert [window.items[-1].text for window in windows] == ["one", "two", "three", "four", "five"]
        await view.close()
    assert len(set(hashes(store_path))) == 5


async def test_a_past_window_is_rebuilt_also_where_it_would_not_fit_today(store_path):
    """Invariant 13: what fits now has no say in what was sent then."""
    session = await create(store_path)
    await session.send("word " * 2_000)
    before = (await session.context(0)).to_openai()
    await session.close()
    small = MnesisConfig(model_overrides={"context_limit": 1_000})
    async with await MnesisSession.load(session.id, small, db_path=store_path) as loaded:
        window = await loaded.context(0)
        assert window.to_openai() == before
        assert [window.request_hash] == hashes(store_path)


@pytest.mark.parametrize("turn", [1, 7, -1])
async def test_the_window_of_a_turn_that_is_not_there_is_not_found(turn, store_path):
    async with await create(store_path) as session:
        await session.send("hello")
        with pytest.raises(NotFound, match=rf"turn '{turn}'.*has 1 turns"):
            await session.context(turn)


async def test_history_measures_the_window_of_each_turn(store_path):
    """Invariant 17."""
    async with await create(store_path) as session:
        assert session.history() == []
        await session.send("one")
        called = ToolPart(tool_name="f", tool_call_id="1", output="result", status=ToolStatus.COMPLETED)
        await session.record("two", [called])
        await session.send("three")
        first, second, third = (snapshot.context_tokens for snapshot in session.history())
        assert first.system_prompt == second.system_prompt == third.system_prompt > 0
        assert 0 < first.messages < second.messages < third.messages
        assert (first.tool_outputs, second.tool_outputs) == (0, 0)
        assert third.tool_outputs > 0
        for tokens in (first, second, third):
            assert tokens.total == tokens.system_prompt + tokens.summary + tokens.messages + tokens.tool_outputs
        assert [snapshot.turn_index for snapshot in session.history()] == [0, 1, 2]
        assert not any(snapshot.compaction_triggered for snapshot in session.history())


# -- events ------------------------------------------------------------------------------------------------------


def test_an_event_has_one_name_wherever_it_is_imported_from():
    assert FromTheBus is MnesisEvent
    assert MnesisEvent("message.created") is MnesisEvent.MESSAGE_CREATED


async def test_handlers_hear_what_they_asked_for_in_order(store_path):
    session = await create(store_path, script=["a reply"])
    everything, created, committed = [], [], []

    async def slow(event, payload):
        await asyncio.sleep(0)
        created.append(payload)

    session.subscribe(None, lambda event, payload: everything.append(event.value))
    session.subscribe(MnesisEvent.MESSAGE_CREATED, slow)
    session.subscribe("turn.committed", lambda event, payload: committed.append(payload))
    result = await session.send("hello")
    assert everything == ["message.created", "message.created", "turn.committed"]
    assert all(isinstance(payload, MessageCreatedPayload) for payload in created)
    assert [(payload.role, payload.message_id) for payload in created] == [
        ("user", result.user_message_id),
        ("assistant", result.message_id),
    ]
    (payload,) = committed
    assert isinstance(payload, TurnCommittedPayload)
    assert (payload.session_id, payload.tokens, payload.finish_reason) == (session.id, result.tokens, "stop")
    await session.close()
    assert everything[-1] == "session.closed"


async def test_an_event_is_on_disk_when_a_handler_hears_of_it(store_path):
    session = await create(store_path)
    seen = []

    def look(event, payload):
        seen.append(rows(store_path, "SELECT count(*) FROM event WHERE type = ?", event.value)[0][0])

    session.subscribe("turn.committed", look)
    await session.send("one")
    await session.send("two")
    assert seen == [1, 2]
    await session.close()


async def test_a_handler_that_raises_is_logged_and_the_turn_goes_on(store_path, caplog):
    session = await create(store_path, script=["a reply"])
    heard = []

    def broken(event, payload):
        raise ZeroDivisionError("a handler's own fault")

    async def broken_later(event, payload):
        await asyncio.sleep(0)
        raise KeyError("another")

    session.subscribe(None, broken)
    session.subscribe(None, broken_later)
    session.subscribe(None, lambda event, payload: heard.append(event))
    with caplog.at_level(logging.ERROR, logger="mnesis"):
        assert (await session.send("hello")).text == "a reply"
    assert len(heard) == 3
    assert "message.created" in caplog.text
    assert "a handler's own fault" in caplog.text
    assert "another" in caplog.text
    assert rows(store_path, "SELECT state FROM turn") == [("committed",)]
    await session.close()


async def test_a_handler_hears_nothing_after_it_unsubscribed(store_path):
    session = await create(store_path)
    heard = []
    unsubscribe = session.subscribe("turn.committed", lambda event, payload: heard.append(payload.turn))
    await session.send("one")
    unsubscribe()
    unsubscribe()
    await session.send("two")
    assert heard == [0]
    await session.close()


async def test_an_event_that_does_not_exist_cannot_be_subscribed_to(store_path):
    async with await create(store_path) as session:
        with pytest.raises(ValueError, match=r"no\.such"):
            session.subscribe("no.such", print)


async def test_the_stored_events_tell_the_whole_story(store_path):
    session = await create(store_path, script=["a", "b"], agent="tester")
    await session.send("one")
    await session.record("two", "three")
    await session.close()
    loaded = await MnesisSession.load(session.id, db_path=store_path)
    events = await loaded.events()
    turn = ["message.created", "message.created", "turn.committed"]
    assert [event.event.value for event in events] == ["session.created", *turn, *turn, "session.closed"]
    assert [event.seq for event in events] == list(range(len(events)))
    assert [event.turn for event in events] == [None, 0, 0, 0, 1, 1, 1, None]
    assert isinstance(events[-1].payload, SessionClosedPayload)
    assert events[0].payload.model_dump()["agent"] == "tester"
    await loaded.close()


async def test_the_order_of_a_session_is_its_sequence_whatever_the_clock_says(store_path):
    async with await create(store_path, script=[str(n) for n in range(5)]) as session:
        for turn in range(5):
            await session.send(f"question {turn}")
        messages = await session.messages()
    with sqlite3.connect(store_path) as connection:
        connection.execute("DROP TRIGGER message_stays")
        connection.execute("UPDATE message SET created_at = 1000000 - seq")
    async with await MnesisSession.load(session.id, db_path=store_path) as loaded:
        assert [message.id for message in await loaded.messages()] == [message.id for message in messages]
        assert [item.message_id for item in (await loaded.context()).items[1:]] == [message.id for message in messages]


async def test_a_stream_is_deltas_then_one_completion(store_path):
    async with await create(store_path, script=["one two three"]) as session:
        events = [event async for event in session.stream("count")]
        assert [event.type for event in events] == ["text_delta"] * 3 + ["turn_complete"]
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "one two three"
        assert isinstance(events[-1], TurnComplete)
        assert events[-1].result.text == "one two three"


async def test_a_refused_argument_changes_nothing(store_path):
    async with await create(store_path) as session:
        for wrong in ({"system_prompt": 5}, {"origin": 5}, {"params": 5}):
            (name,) = wrong
            with pytest.raises(InputError, match=f"{name}=5"):
                await session.send("hello", **wrong)
        with pytest.raises(InputError, match="tokens="):
            await session.record("a", "b", tokens={"input": 1})
        with pytest.raises(InputError, match="finish_reason=None"):
            await session.record("a", "b", finish_reason=None)
        assert await session.messages() == []
        assert session.history() == []


async def test_a_session_can_be_read_where_its_model_is_not_here_any_more(store_path, tmp_path):
    model = f"local/{tmp_path / 'gone.gguf'}"
    with pytest.raises(BadRequest, match=r"gone\.gguf"):
        await MnesisSession.create(model=model, db_path=store_path)
    async with await MnesisSession.create(model=model, db_path=store_path, llm=ScriptedProvider(["Hello."])) as session:
        await session.send("Hi.")
    async with await MnesisSession.load(session.id, db_path=store_path) as again:
        assert [message.text for message in await again.messages()] == ["Hi.", "Hello."]
        assert (await again.verify(deep=True)).ok
        with pytest.raises(BadRequest, match=r"gone\.gguf"):
            await again.send("Are you there?")


async def test_the_output_that_settings_allow_is_what_the_provider_is_asked_for():
    llm = ScriptedProvider(["One.", "Two."])
    config = MnesisConfig(model_overrides={"max_output_tokens": 300})
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:", llm=llm, config=config) as session:
        await session.send("Hi.")
        await session.send("Hi.", params={"max_tokens": 20})
    assert [request.params for request in llm.requests] == [{"max_tokens": 300}, {"max_tokens": 20}]


async def test_reading_a_session_whose_model_is_not_here_leaves_its_window_as_it_is(store_path, tmp_path):
    model, llm = f"local/{tmp_path / 'gone.gguf'}", ScriptedProvider(["Noted. " * 200], cycle=True)
    large = ScriptedProvider(["Noted. " * 2_000], cycle=True, limits=ModelLimits(200_000, 4_096))
    async with await MnesisSession.create(model=model, db_path=store_path, llm=large) as session:
        for number in range(8):
            await session.send(f"Part {number}. " * 400)
        before = await session.context()
    assert before.size > 40_000
    async with await MnesisSession.load(session.id, db_path=store_path) as again:
        assert (await again.context()).request_hash == before.request_hash
        await again.context_for_next_turn()
        with pytest.raises(BadRequest, match="is not here"):
            await again.compact()
        assert await again.summaries() == []
    assert llm.requests == []


async def test_closing_goes_on_where_its_caller_is_cancelled(store_path):
    provider = GatedProvider(["one two three"])
    session = await MnesisSession.create(model="offline/quote", db_path=store_path, llm=provider)
    turn = asyncio.create_task(session.send("Count."))
    await provider.asked.wait()
    closing = asyncio.create_task(session.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    again = asyncio.create_task(session.close())
    await asyncio.sleep(0.01)
    assert not again.done(), "a second close waits for the first"
    provider.let(10)
    await again
    assert (await turn).text == "one two three"


async def test_a_store_that_is_locked_after_a_turn_does_not_make_the_turn_fail(store_path):
    """Else its caller would send it again."""
    config = MnesisConfig(model_overrides={"context_limit": 2_000}, store=StoreConfig(connection_timeout=0.2))
    session = await MnesisSession.create(model="offline/quote", db_path=store_path, config=config)
    other = sqlite3.connect(store_path, isolation_level=None)

    def lock(event: MnesisEvent, payload: Payload) -> None:
        other.execute("BEGIN IMMEDIATE")

    session.subscribe("turn.committed", lock)
    result = await session.send("This is the one message, and it fills what there is. " * 30)
    assert result.text
    other.execute("ROLLBACK")
    other.close()
    assert len(await session.conversation_messages()) == 2
    await session.close()
