"""What only a real kernel can show: interrupts, its end, two of them on one store, the cell that caused a turn."""

import time

import pytest
from fixtures_kernel import kernel

from mnesis_jupyter import frames

SLOW_SESSION = """
import mnesis_jupyter
from mnesis.llm.scripted import Reply, ScriptedProvider

slow = Reply("word " * 500, delay=0.02)
session = mnesis_jupyter.open_session(model="test/slow", llm=ScriptedProvider([slow, "Whole."]), title="slow")
"""

SLOW_MAP = """
import time
import mnesis_jupyter
from mnesis.llm.scripted import Reply, ScriptedProvider

asked = []

def answer(request):
    asked.append(request.messages[-1]["content"])
    return Reply("ok", delay=0.05)

llm = ScriptedProvider([answer], cycle=True)
items = [f"item {number}" for number in range(200)]
"""


@pytest.fixture(autouse=True)
def store(store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    return store_path


def test_stop_ends_the_reply_keeps_its_partial_text_and_the_next_cell_works(run, store):
    run(SLOW_SESSION)
    ran = run.finish(run.send("%%mnesis\nGo on for long."), interrupt_after=4)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert "was stopped" in ran.error
    assert "Traceback" not in ran.error
    assert "stopped: kept as partial" in ran.text
    assert "Whole." in run("%%mnesis\nAnd now?").text
    turns = frames.turns("slow", db=store)
    assert turns["state"].tolist() == ["aborted", "committed"]
    partial = frames.messages("slow", db=store).query("partial")["text"].item()
    assert 0 < partial.count("word") < 500
    assert partial.strip() in ran.text


def test_a_long_reply_is_displayed_fifteen_times_a_second_at_most(run, store):
    run(SLOW_SESSION.replace("delay=0.02", "delay=0.002"))
    began = time.monotonic()
    ran = run("%%mnesis\nGo on for long.")
    assert len(ran.displays) <= 15 * (time.monotonic() - began) + 4


def test_a_kernel_that_is_shut_down_ends_by_itself_and_closes_its_sessions(store):
    with kernel() as run:
        run("%%mnesis -s one\nMy name is Ada.")
        assert run.shut_down() == 0
    assert frames.events("one", db=store)["event"].iloc[-1] == "session.closed"


def test_a_kernel_that_is_shut_down_in_the_middle_of_a_turn_ends_too(store):
    with kernel() as run:
        run(SLOW_SESSION.replace("delay=0.02", "delay=1"))
        run(
            "from mnesis_jupyter.state import state\n"
            "stream = state().bridge.stream(session.stream, 'Go on.')\n"
            "next(stream).text"
        )
        assert run.shut_down() == 0
    assert frames.messages("slow", db=store)["text"].iloc[0] == "Go on."


def test_two_kernels_take_turns_in_one_session(run, store):
    with kernel() as second:
        run("%%mnesis -s shared\nMy name is Ada.")
        second("%%mnesis -s shared\nMy project is called Heron.")
        assert "Heron" in run("%%mnesis\nWhat is my project called?").text
        assert "Ada" in second("%%mnesis\nWhat is my name?").text
    assert frames.turns("shared", db=store)["state"].tolist() == ["committed"] * 4


def test_a_turn_remembers_the_cell_that_caused_it(run, store):
    run("%%mnesis -s one\nMy name is Ada.", cellId="a1b2c3")
    run("%%mnesis\nMy name is Ada.")
    origins = frames.turns("one", db=store)["origin"]
    assert "a1b2c3" in origins.iloc[0]
    assert origins.isna().tolist() == [False, True]


def test_reloading_the_extension_in_a_kernel_begins_anew(run, store):
    run("%%mnesis -s one\nMy name is Ada.")
    run("%reload_ext mnesis_jupyter")
    assert "Ada" in run("%%mnesis -s one\nWhat is my name?").text


def test_a_kernel_completes_in_the_cells_of_mnesis(run, store):
    run("%%mnesis -s 'the first'\nMy name is Ada.\n")
    run("topic = 1")
    for cell, expected in (
        ("%mnesis summ", "summaries"),
        ("%%mnesis -s the", '"the first"'),
        ("%%mnesis\nTell me of {{ top", "topic"),
    ):
        reply = run.client.complete(cell, len(cell), reply=True, timeout=30)["content"]
        assert reply["matches"] == [expected]
        assert cell[reply["cursor_start"] : reply["cursor_end"]] == cell.split()[-1]


def test_a_chat_in_plain_cells_waits_or_is_awaited_beside_the_kernels_own_loop_and_can_be_stopped(run, store):
    run("import asyncio, mnesis_jupyter\nchat = mnesis_jupyter.chat('one')\nchat.send('My name is Ada.')")
    run(
        "beside = asyncio.ensure_future(asyncio.sleep(0, 'went on'))\n"
        "in_a_thread = asyncio.to_thread(chat.send, 'And mine?')\n"
        "reply, _ = await asyncio.gather(chat.asend('What is my name?'), in_a_thread)\n"
        "assert 'Ada' in reply.text and await beside == 'went on'"
    )
    run(SLOW_SESSION + "chat = mnesis_jupyter.chat(session)")
    ran = run.finish(run.send("for event in chat.stream('Go on for long.'): display(event)"), interrupt_after=3)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    run("assert chat.send('And now?').text == 'Whole.'")
    assert frames.turns("slow", db=store)["state"].tolist() == ["aborted", "committed"]


def test_a_turn_in_the_background_goes_on_between_cells_and_is_waited_for_or_stopped(run, store):
    run(SLOW_SESSION.replace("delay=0.02", "delay=0.004"))
    ran = run("%%mnesis --bg -o reply\nGo on for long.")
    assert any("application/vnd.jupyter.widget-view+json" in shown for shown in ran.displays)
    run("import time\nwhile 'word word' not in reply.text: time.sleep(0.02)\nassert not reply.done")
    ran = run("assert reply.result().text.count('word') == 500")
    assert "word word" in ran.text
    run(SLOW_SESSION)
    run("%%mnesis --bg -o reply\nGo on for long.")
    ran = run.finish(run.send("from IPython.display import display\nfor _ in range(2): display(1)\nreply.result()"), 2)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    run("assert not reply.done\nreply.stop()\nassert reply.done")
    assert frames.turns(db=store)["state"].tolist() == ["committed", "aborted"]


def test_a_kernel_that_is_shut_down_stores_what_there_is_of_a_turn_in_the_background(store):
    with kernel() as run:
        run(SLOW_SESSION)
        run("%%mnesis --bg -o reply\nGo on for long.\n")
        run("import time\nwhile not reply.text: time.sleep(0.02)")
        assert run.shut_down() == 0
    assert frames.turns("slow", db=store)["state"].tolist() == ["aborted"]
    assert "word" in frames.messages("slow", db=store).query("partial")["text"].item()


def test_a_session_that_another_kernel_is_talking_to_is_waited_for_and_that_is_said(run, store):
    with kernel() as second:
        run(SLOW_SESSION.replace("delay=0.02", "delay=0.01"))
        second(
            "import mnesis_jupyter\nfrom mnesis.llm.scripted import ScriptedProvider\n"
            "mnesis_jupyter.use('slow', llm=ScriptedProvider(['Mine.']))"
        )
        run("%%mnesis --bg -o reply\nGo on for long.")
        ran = second("%%mnesis\nAnd now?")
        assert any("the session is busy" in shown["text/plain"] for shown in ran.displays)
        assert "Mine." in ran.text
    assert frames.turns("slow", db=store)["state"].tolist() == ["committed"] * 2


def test_stop_ends_a_map_which_is_gone_on_with_and_no_item_is_done_twice(run, store):
    run(SLOW_MAP)
    ran = run.finish(run.send("mnesis_jupyter.llm_map(items, '{{ item }}', llm=llm, concurrency=4)"), 4)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert "Traceback" not in ran.error
    assert "stopped" in ran.text
    (id,) = frames.map_runs(db=store, state="stopped").index
    assert f"--resume {id}" in ran.error
    done = frames.map_items(id, db=store, state="done")["input"].tolist()
    assert 0 < len(done) < 200
    run(f"asked.clear()\nout = mnesis_jupyter.llm_map(resume='{id}', llm=llm, concurrency=50)")
    run(f"assert not set(asked) & {{each.strip('\\\"') for each in {done!r}}}")
    run(f"assert len(asked) == len(set(asked)) == {200 - len(done)}")
    run("assert out['success'].all() and len(out) == 200")
    assert frames.map_runs(db=store)["done"].tolist() == [200]


def test_a_map_in_the_background_goes_on_between_cells_and_binds_its_results(run, store):
    run(SLOW_MAP)
    ran = run("%%mnesis map items -o out --bg --concurrency 4\n{{ item }}")
    assert any("application/vnd.jupyter.widget-view+json" in shown for shown in ran.displays)
    run("while 'out' not in globals(): time.sleep(0.05)")
    ran = run("assert out['success'].all() and len(out) == 200")
    run("assert mnesis_jupyter.frames.map_runs()['state'].tolist() == ['done']")


def test_a_kernel_that_is_shut_down_stops_its_map_and_one_that_is_killed_is_not_taken_for_running(store):
    begin = "job = mnesis_jupyter.llm_map(items, '{{ item }}', llm=llm, concurrency=2, background=True)"
    wait = "while job.progress.finished < 3: time.sleep(0.02)"
    with kernel() as run:
        for cell in (SLOW_MAP, begin, wait):
            run(cell)
        assert run.shut_down() == 0
    first = frames.map_runs(db=store)
    assert first["state"].tolist() == ["stopped"]
    assert first["running"].tolist() == [0]
    assert first["finished_at"].notna().all()
    with kernel() as run:
        for cell in (SLOW_MAP, begin, wait):
            run(cell)
        assert frames.map_runs(db=store)["state"].tolist() == ["stopped", "running"]
    assert frames.map_runs(db=store)["state"].tolist() == ["stopped", "stopped"]
    assert frames.map_runs(db=store, state="running").empty


@pytest.mark.slow
def test_a_session_that_another_kernel_keeps_for_too_long_is_an_error_in_one_line_and_nothing_is_stored(run, store):
    with kernel() as second:
        run(SLOW_SESSION.replace("delay=0.02", "delay=0.2"))
        run("%%mnesis --bg -o reply\nGo on for long.")
        second("%mnesis use slow")
        ran = second.finish(second.send("%%mnesis\nAnd now?"))
        assert ran.reply["ename"] == "SessionBusy"
        assert "is in a turn of another process, still after 30 s" in ran.error
        assert "run the cell again when the other notebook or program is done" in ran.error
        assert len(ran.error.splitlines()) == 2
        run("reply.stop()")
    assert frames.turns("slow", db=store)["state"].tolist() == ["aborted"]
