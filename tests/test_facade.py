"""`mnesis_jupyter.chat`: a session for cells of plain Python."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest

import mnesis_jupyter
from mnesis import InputError, MnesisSession, NotFound, SessionClosed, TextDelta, TurnComplete
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis_jupyter import frames


@pytest.fixture
def notebook(notebook):
    notebook("import mnesis_jupyter")
    return notebook


def test_a_chat_answers_remembers_and_shows_its_window(notebook):
    notebook("chat = mnesis_jupyter.chat('one')\nchat.send('My name is Ada.')")
    assert "Ada" in notebook("chat.send('What is my name?').text").result
    assert "My name is Ada." in notebook("chat.context().to_openai()").result[1]["content"]
    assert len(notebook("chat.history()").result) == 2
    assert notebook("repr(chat)").result == "<Chat one with offline/quote, 2 turns>"


def test_it_is_the_session_of_chat_cells_too_and_is_found_again_by_its_title(notebook):
    notebook("chat = mnesis_jupyter.chat('one')\nchat.send('My name is Ada.')")
    assert "Ada" in notebook("%%mnesis\nWhat is my name?").text
    notebook("%reload_ext mnesis_jupyter")
    assert "Ada" in notebook("mnesis_jupyter.chat('one').send('Once more: what is my name?').text").result
    assert len(frames.sessions()) == 1


def test_each_method_has_a_twin_to_be_awaited_on_the_kernels_own_loop(notebook):
    notebook("chat = mnesis_jupyter.chat()\nawait chat.asend('My name is Ada.')")
    assert "Ada" in notebook("(await chat.asend('What is my name?')).text").result
    assert notebook("(await chat.acontext()).size > 0 and chat.context().size > 0").result
    twins = {
        name for name, _ in inspect.getmembers(mnesis_jupyter.Chat, inspect.isfunction) if not name.startswith("_")
    }
    waiting = {name for name in twins if f"a{name}" in twins}
    assert twins == waiting | {f"a{name}" for name in waiting} | {"stream", "history", "close", "fork", "rename"}
    assert {"send", "record", "context", "grep", "expand", "compact"} <= waiting


def test_threads_share_a_chat_and_each_turn_is_whole(notebook, store_path):
    with ThreadPoolExecutor(8) as threads:
        chats = list(threads.map(lambda _: mnesis_jupyter.chat(), range(8)))
        list(threads.map(lambda number: chats[0].send(f"This is number {number}."), range(8)))
    assert len({chat.id for chat in chats}) == 8
    roles = frames.messages(chats[0].session)["role"].tolist()
    assert roles == ["user", "assistant"] * 8


def test_threads_that_load_one_session_get_the_same(notebook):
    mnesis_jupyter.chat("one").close()
    with ThreadPoolExecutor(8) as threads:
        sessions = list(threads.map(lambda _: mnesis_jupyter.chat("one").session, range(8)))
    assert len(set(map(id, sessions))) == 1


def test_a_reply_can_be_followed_as_it_is_written_and_left_early(notebook):
    chat = mnesis_jupyter.chat(model="test/scripted", llm=ScriptedProvider(["one two", Reply("a b c d", delay=0.05)]))
    *deltas, last = chat.stream("Count.")
    assert all(isinstance(event, TextDelta) for event in deltas)
    assert isinstance(last, TurnComplete)
    for _ in chat.stream("Count on."):
        break
    assert frames.turns()["state"].tolist() == ["committed", "aborted"]


async def test_cancelling_a_twin_stops_its_turn(notebook):
    llm = ScriptedProvider([Reply("a b c d", delay=60)])
    chat = mnesis_jupyter.chat(model="test/scripted", llm=llm)
    turn = asyncio.create_task(chat.asend("Count."))
    while not llm.requests:
        await asyncio.sleep(0.02)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    while frames.turns()["state"].tolist() == ["open"]:
        await asyncio.sleep(0.02)
    assert frames.turns()["state"].tolist() == ["aborted"]


async def test_a_session_of_ones_own_becomes_a_chat(notebook, tmp_path):
    async with MnesisSession.open(model="offline/quote", db_path=tmp_path / "own.db") as session:
        await session.send("My name is Ada.")
        assert "Ada" in mnesis_jupyter.chat(session).send("What is my name?").text


def test_a_chat_has_branches_and_gets_another_name_as_by_the_magics(notebook):
    chat = mnesis_jupyter.chat("one")
    for text in ("My name is Ada.", "My name is Bob."):
        chat.send(text)
    branch = chat.fork(0)
    assert "Ada" in branch.send("What is my name?").text
    assert [(each.title, each.turns, each.is_this) for each in branch.branches()] == [
        ("one", 2, False),
        ("one", 2, True),
    ]
    assert mnesis_jupyter.chat("one").id == branch.id  # the title means the one that was current last
    chat.rename("the first")
    assert mnesis_jupyter.chat("the first").id == chat.id
    assert "2 turns so far" in notebook("%mnesis use 'the first'").text


def test_what_a_session_cannot_take_any_more_is_told(notebook):
    chat = mnesis_jupyter.chat("one", system_prompt="You are terse.")
    assert chat.session.system_prompt == "You are terse."
    for session in ("one", chat.session):
        with pytest.raises(InputError, match="keeps its model"):
            mnesis_jupyter.chat(session, model="other/model")
    with pytest.raises(InputError, match="system_prompt: session 'one' is there already"):
        mnesis_jupyter.chat("one", system_prompt="You are verbose.")
    with pytest.raises(NotFound, match="sess_nobody"):
        mnesis_jupyter.chat("sess_nobody")
    chat.close()
    with pytest.raises(SessionClosed):
        chat.send("Hello.")
