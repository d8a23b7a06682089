"""A turn while it happens: live, left early, cancelled, broken. What was said is never lost."""

import asyncio
import contextlib
import gc
import itertools
import sqlite3

import pytest
from gated import GatedProvider
from workers import output

from mnesis import (
    Authentication,
    BadRequest,
    MnesisSession,
    RateLimit,
    TextDelta,
    TextPart,
    Timeout,
    TurnComplete,
    Unavailable,
)
from mnesis.llm.base import TextChunk
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.message import StreamEvent


def create(path, llm):
    return MnesisSession.create(model="offline/quote", db_path=path, llm=llm)


def states(path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM turn ORDER BY idx")]


async def texts(session) -> list[str]:
    return [message.text for message in await session.messages()]


async def assert_usable(session, path):
    """The next turn works, and what is in memory is what is on disk."""
    result = await session.send("and now?")
    assert result.text == "fine again"
    assert [snapshot.turn_index for snapshot in session.history()] == list(range(result.turn + 1))
    assert (await session.context()).items[-2].text == "and now?"
    loaded = await MnesisSession.load(session.id, db_path=path)
    assert loaded.history() == session.history()
    assert loaded.token_usage == session.token_usage
    assert await loaded.context() == await session.context()
    assert "open" not in states(path)
    await loaded.close()


@contextlib.contextmanager
def locked(path):
    """Hold the store's write lock, so that whoever writes has to wait."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


# -- live --------------------------------------------------------------------------------------------------------


async def test_each_token_arrives_before_the_next_one_is_made(store_path):
    provider = GatedProvider(["one two three"])
    session = await create(store_path, provider)
    stream = session.stream("count")
    for word in ("one ", "two ", "three"):
        provider.let()
        assert await asyncio.wait_for(anext(stream), 5) == TextDelta(text=word)
        assert states(store_path) == ["open"]
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    provider.let()
    assert isinstance(await waiting, TurnComplete)
    assert states(store_path) == ["committed"]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await session.close()


async def test_a_delayed_reply_arrives_with_its_delays(store_path):
    loop = asyncio.get_running_loop()
    session = await create(store_path, ScriptedProvider([Reply("a b c d", delay=0.05)]))
    times = [loop.time() async for event in session.stream("go")]
    assert all(later - earlier >= 0.04 for earlier, later in itertools.pairwise(times[:4]))
    await session.close()


async def test_the_user_message_is_on_disk_before_the_model_is_asked(store_path):
    provider = GatedProvider(["late"])
    session = await create(store_path, provider)
    turn = asyncio.create_task(session.send("keep this"))
    await provider.asked.wait()
    assert await texts(session) == ["keep this"]
    provider.let_all()
    await turn
    await session.close()


# -- left early --------------------------------------------------------------------------------------------------


async def test_a_turn_goes_on_when_its_reader_leaves_and_close_waits_for_it(store_path):
    provider = GatedProvider(["one two three"])
    session = await create(store_path, provider)
    stream = session.stream("count")
    provider.let()
    async for event in stream:
        assert event == TextDelta(text="one ")
        break
    await stream.aclose()
    closing = asyncio.create_task(session.close())
    await asyncio.sleep(0.02)
    assert not closing.done()
    provider.let_all()
    await closing
    assert states(store_path) == ["committed"]
    async with await MnesisSession.load(session.id, db_path=store_path) as loaded:
        assert await texts(loaded) == ["count", "one two three"]


async def test_a_turn_goes_on_when_the_body_of_the_loop_fails(store_path):
    session = await create(store_path, ScriptedProvider(["one two three", "fine again"]))
    with pytest.raises(ZeroDivisionError):
        async for _ in session.stream("count"):
            raise ZeroDivisionError
    await assert_usable(session, store_path)
    assert await texts(session) == ["count", "one two three", "and now?", "fine again"]
    await session.close()


async def test_a_turn_goes_on_when_its_generator_is_forgotten(store_path):
    session = await create(store_path, ScriptedProvider([Reply("one two three", delay=0.005), "fine again"]))
    stream = session.stream("count")
    await anext(stream)
    del stream
    gc.collect()
    await assert_usable(session, store_path)
    assert states(store_path) == ["committed", "committed"]
    await session.close()


async def test_the_next_turn_waits_for_one_that_was_left(store_path):
    provider = GatedProvider(["first", "second"])
    session = await create(store_path, provider)
    provider.let()
    async for _ in session.stream("one"):
        break
    following = asyncio.create_task(session.send("two"))
    await asyncio.sleep(0.02)
    assert len(provider.requests) == 1
    provider.let_all()
    assert (await following).turn == 1
    assert [message["content"] for message in provider.requests[1].messages[1:]] == ["one", "first", "two"]
    await session.close()


async def test_a_stream_that_was_never_begun_stores_nothing(store_path):
    session = await create(store_path, ScriptedProvider(["fine again"]))
    await session.stream("never").aclose()
    await assert_usable(session, store_path)
    assert await texts(session) == ["and now?", "fine again"]
    await session.close()


# -- cancelled ---------------------------------------------------------------------------------------------------


async def cancel(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(asyncio.gather(task)), 20)


async def test_a_cancelled_turn_is_aborted_with_what_had_arrived(store_path):
    """Invariant 10; and a partial reply is never sent."""
    provider = GatedProvider(["one two three", "fine again"])
    session = await create(store_path, provider)
    seen = []

    async def read():
        async for event in session.stream("count"):
            seen.append(event)

    turn = asyncio.create_task(read())
    provider.let(2)
    while len(seen) < 2:
        await asyncio.sleep(0)
    await cancel(turn)
    assert states(store_path) == ["aborted"]
    user, partial = await session.messages()
    assert (user.text, user.partial) == ("count", False)
    assert (partial.text, partial.partial, partial.role) == ("one two ", True, "assistant")
    assert [message.text for message in await session.conversation_messages()] == ["count"]
    assert "one two" not in str(await session.context_for_next_turn())
    provider.let_all()
    await assert_usable(session, store_path)
    assert "one two" not in str(provider.requests[1].messages)
    assert (await session.events())[3].event.value == "turn.aborted"
    await session.close()


async def test_what_came_out_before_a_caller_was_cancelled_is_the_beginning_of_what_is_stored(store_path):
    seen: list[StreamEvent] = []

    class Hasty(ScriptedProvider):
        async def stream(self, request):
            yield TextChunk("one ")
            while not seen:
                await asyncio.sleep(0)
            yield TextChunk("two ")
            yield TextChunk("three")
            turn.cancel()  # its reader has not had a chance to ask for these two
            await asyncio.sleep(60)

    async def read():
        async for event in session.stream("count"):
            seen.append(event)

    session = await create(store_path, Hasty([]))
    turn = asyncio.create_task(read())
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert seen == [TextDelta(text="one ")]
    assert await texts(session) == ["count", "one two three"]
    assert states(store_path) == ["aborted"]
    await session.close()


async def test_a_reader_who_is_cancelled_at_something_else_has_left_and_the_turn_goes_on(store_path):
    session = await create(store_path, ScriptedProvider(["one two three", "fine again"]))
    reached = asyncio.Event()

    async def read():
        async with contextlib.aclosing(session.stream("count")) as events:
            async for _ in events:
                reached.set()
                await asyncio.sleep(60)

    turn = asyncio.create_task(read())
    await reached.wait()
    await cancel(turn)
    await assert_usable(session, store_path)
    assert states(store_path) == ["committed", "committed"]
    await session.close()


async def test_a_turn_that_is_cancelled_before_it_begins_leaves_nothing(store_path):
    session = await create(store_path, ScriptedProvider(["fine again"]))
    await cancel(asyncio.create_task(session.send("never")))
    assert await session.messages() == []
    await assert_usable(session, store_path)
    await session.close()


async def test_a_turn_that_is_cancelled_in_the_queue_leaves_nothing(store_path):
    provider = GatedProvider(["first", "fine again"])
    session = await create(store_path, provider)
    first = asyncio.create_task(session.send("one"))
    await provider.asked.wait()
    second = asyncio.create_task(session.send("two"))
    await asyncio.sleep(0.01)
    await cancel(second)
    provider.let_all()
    await first
    await assert_usable(session, store_path)
    assert await texts(session) == ["one", "first", "and now?", "fine again"]
    await session.close()


async def test_a_turn_that_is_cancelled_while_it_is_opened_is_absent_or_aborted(store_path):
    """Invariant 10: the write that was under way ends, and then the turn does not stay open."""
    session = await create(store_path, ScriptedProvider(["never said", "fine again"]))
    await session.context()
    with locked(store_path):
        turn = asyncio.create_task(session.send("one"))
        await asyncio.sleep(0.1)
        turn.cancel()
        await asyncio.sleep(0.05)
        assert not turn.done()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert states(store_path) == ["aborted"]
    assert await texts(session) == ["one"]
    assert len(session.history()) == 1
    await session.close()


async def test_a_turn_that_is_cancelled_while_it_is_committed_is_whole(store_path):
    """Invariant 10; and memory agrees with the disk about it."""
    provider = GatedProvider(["whole reply", "fine again"])
    session = await create(store_path, provider)
    turn = asyncio.create_task(session.send("one"))
    await provider.asked.wait()
    with locked(store_path):
        provider.let_all()
        await asyncio.sleep(0.1)
        turn.cancel()
        await asyncio.sleep(0.05)
        turn.cancel()  # twice: an impatient user
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await turn
    await assert_usable(session, store_path)
    assert states(store_path) == ["committed", "committed"]
    assert await texts(session) == ["one", "whole reply", "and now?", "fine again"]
    await session.close()


async def test_a_recorded_turn_that_is_cancelled_is_whole_or_absent(store_path):
    session = await create(store_path, ScriptedProvider(["fine again"]))
    await session.context()
    with locked(store_path):
        recording = asyncio.create_task(session.record("Q", "A"))
        await asyncio.sleep(0.1)
        recording.cancel()
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await recording
    await assert_usable(session, store_path)
    assert await texts(session) == ["Q", "A", "and now?", "fine again"]
    assert len(session.history()) == 2
    await session.close()


async def test_a_turn_may_be_cancelled_at_any_moment(store_path):
    """Invariant 10: cancelled a little later each time, until the turn is through."""
    session = await create(store_path, ScriptedProvider(["one two three"], cycle=True))
    finished = 0
    for step in range(400):
        turn = asyncio.create_task(session.send(f"question {step}"))
        await asyncio.wait([turn], timeout=step * 0.0003)
        turn.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await turn
            finished += 1
        assert "open" not in states(store_path)
        if finished >= 3:
            break
    assert finished >= 3
    messages = await session.messages()
    assert [message.seq for message in messages] == list(range(len(messages)))
    for message in messages:
        assert message.partial is (message.role == "assistant" and states(store_path)[message.turn] != "committed")
        if message.role == "assistant":
            assert "one two three".startswith(message.text)
            assert message.partial or message.text == "one two three"
    loaded = await MnesisSession.load(session.id, db_path=store_path)
    assert loaded.history() == session.history()
    assert await loaded.context() == await session.context()
    assert loaded.token_usage == session.token_usage
    await loaded.close()
    await session.close()


async def test_a_timeout_of_the_caller_aborts_the_turn(store_path):
    session = await create(store_path, ScriptedProvider([Reply(["at once ", "never"], delay=60), "fine again"]))
    await session.context()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(session.send("one"), 0.5)
    assert states(store_path) == ["aborted"]
    await assert_usable(session, store_path)
    await session.close()


@pytest.mark.parametrize("how", ["send", "left stream", "forgotten stream", "record and send"])
def test_a_program_that_ends_during_a_turn_leaves_no_turn_open(how, store_path):
    """Invariant 10: nobody calls `close`, and the program still ends, at once."""
    output(
        """
        import asyncio, sys
        from mnesis import MnesisSession
        from mnesis.llm.scripted import Reply, ScriptedProvider

        async def main(path, how):
            llm = ScriptedProvider([Reply(["some ", "text"], delay=0.2)])
            session = await MnesisSession.create(model="offline/quote", db_path=path, llm=llm)
            if how == "record and send":
                await session.record("Q", "A")
            if "send" in how:
                task = asyncio.create_task(session.send("one"))
                await asyncio.sleep(0.3)
            else:
                stream = session.stream("one")
                await anext(stream)
                if how == "left stream":
                    await stream.aclose()

        asyncio.run(main(*sys.argv[1:]))
        """,
        store_path,
        how,
        timeout=20,
    )
    assert "open" not in states(store_path)

    async def look():
        (session_id,) = sqlite3.connect(store_path).execute("SELECT id FROM session").fetchone()
        async with await MnesisSession.load(
            session_id, db_path=store_path, llm=ScriptedProvider(["fine again"])
        ) as session:
            assert "one" in await texts(session)
            await assert_usable(session, store_path)

    asyncio.run(look())


# -- broken ------------------------------------------------------------------------------------------------------


async def test_a_reply_that_breaks_off_is_partial_and_the_turn_has_failed(store_path):
    session = await create(store_path, ScriptedProvider([Reply("one two", broken=True), "fine again"]))
    seen = []
    with pytest.raises(Unavailable, match=r"broke off after 7 characters") as caught:
        async for event in session.stream("count"):
            seen.append(event)
    assert caught.value.transient
    assert [event.text for event in seen] == ["one ", "two"]
    assert states(store_path) == ["failed"]
    assert [(message.text, message.partial) for message in await session.messages()] == [
        ("count", False),
        ("one two", True),
    ]
    await assert_usable(session, store_path)
    await session.close()


ERRORS = [
    Authentication("error text 1"),
    RateLimit("error text 2", retry_after=2),
    Timeout("error text 3"),
    BadRequest("error text 4"),
    Unavailable("error text 5"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("before", ["", "some words"])
async def test_an_error_of_the_provider_is_raised_and_never_stored_as_something_said(error, before, store_path):
    """Invariant 14."""
    provider = ScriptedProvider([Reply(before, then=error), "fine again"])
    session = await create(store_path, provider)
    with pytest.raises(type(error)) as caught:
        await session.send("question")
    assert caught.value is error
    assert await texts(session) == ["question", before] if before else ["question"]
    assert str(error) not in " ".join(await texts(session))
    with contextlib.closing(sqlite3.connect(store_path)) as connection:
        assert connection.execute("SELECT state, error_kind, error FROM turn").fetchall() == [
            ("failed", type(error).__name__, str(error))
        ]
    failed = (await session.events())[-1]
    assert failed.event.value == "turn.failed"
    assert failed.payload.model_dump()["error_kind"] == type(error).__name__
    await assert_usable(session, store_path)
    sent = " ".join(message["content"] for message in provider.requests[1].messages)
    assert "question" in sent
    assert str(error) not in sent
    assert not before or before not in sent
    await session.close()


async def test_a_failed_turn_is_in_the_history_and_costs_nothing(store_path):
    session = await create(store_path, ScriptedProvider([Unavailable("gone"), "fine again"]))
    with pytest.raises(Unavailable):
        await session.send("question")
    assert len(session.history()) == 1
    assert session.token_usage.effective_total() == 0
    await assert_usable(session, store_path)
    await session.close()


async def test_whatever_else_a_provider_raises_the_turn_does_not_stay_open(store_path):
    """Invariant 10, for a provider that keeps no promises."""

    def bug(request):
        raise ZeroDivisionError("a bug in the provider")

    session = await create(store_path, ScriptedProvider([bug, "fine again"]))
    with pytest.raises(ZeroDivisionError):
        await session.send("question")
    assert states(store_path) == ["failed"]
    assert await texts(session) == ["question"]
    await assert_usable(session, store_path)
    await session.close()


@pytest.mark.parametrize(
    "call",
    [
        {"name": "", "arguments": {}},
        {"name": "f", "arguments": "[" * 100_000},
        {"name": "f", "arguments": '{"a": "\\ud800"}'},
        {"name": "f", "arguments": "not json"},
        {"name": "f", "arguments": "7"},
    ],
    ids=["no name", "deep", "surrogate", "no json", "no object"],
)
async def test_nonsense_for_a_tool_call_never_leaves_a_turn_open(call, store_path):
    """Invariant 10: such a reply is stored or refused, and what was said with it is kept."""
    session = await create(store_path, ScriptedProvider([Reply("words first", tool_calls=[call]), "fine again"]))
    with contextlib.suppress(Exception):
        await session.send("question")
    assert states(store_path)[0] in ("committed", "failed")
    assert await texts(session) == ["question", "words first"]
    await assert_usable(session, store_path)
    await session.close()


async def test_surrogates_that_a_stream_tore_apart_are_joined(store_path):
    session = await create(store_path, ScriptedProvider([Reply(["a \ud83d", "\ude00 b"]), Reply(["lone \ud83d"])]))
    assert (await session.send("smile")).text == "a 😀 b"
    assert (await session.send("again")).text == "lone \ufffd"
    assert (await session.messages())[1].parts == (TextPart(text="a 😀 b"),)
    await session.close()
