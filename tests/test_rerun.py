"""Cells that are run again, in a real kernel: their turns are replaced in a new branch, and nothing is lost."""

import pytest
from fixtures_kernel import Kernel, kernel

from mnesis_jupyter import frames

SCRIPT = """
import mnesis_jupyter
from mnesis.llm.scripted import Reply, ScriptedProvider

replies = [{replies}]
session = mnesis_jupyter.open_session(model="test/x", llm=ScriptedProvider(replies, cycle=True), title="one")
"""


@pytest.fixture(autouse=True)
def store(store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    return store_path


def cell(run: Kernel, id: str | None, text: str, options: str = "") -> str:
    """Run a chat cell of the session "one"; all that it shows."""
    shown = run(f"%%mnesis -s one {options}\n{text}", cellId=id).displays
    return "\n".join(each["text/plain"] for each in shown)


def asked(store, session="one"):
    """What the user said in a session: of those with this title, the newest."""
    return frames.messages(session, role="user", db=store)["text"].tolist()


def test_cells_that_are_run_again_go_on_in_a_branch_that_bears_the_name(run, store):
    for id, text in (("a", "My name is Ada."), ("b", "My dog is Rex."), ("c", "What is my dog called?")):
        assert "Run again" not in cell(run, id, text)
    old = frames.sessions("one", db=store).index[0]

    told = cell(run, "c", "What is my name?")  # the newest, with another text
    assert "this branch begins before turn 2; turn 2 stay" in told.replace("stays", "stay")
    assert f"`%mnesis use {old}` goes back" in told
    assert asked(store) == ["My name is Ada.", "My dog is Rex.", "What is my name?"]
    assert asked(store, old) == ["My name is Ada.", "My dog is Rex.", "What is my dog called?"]

    assert "begins before turn 0; turns 0-2" in cell(run, "a", "My name is Bob.")  # an older one
    assert "Run again" not in cell(run, "b", "My dog is Rex.")
    assert "Bob" in cell(run, "c", "What is my name?")
    assert asked(store) == ["My name is Bob.", "My dog is Rex.", "What is my name?"]
    assert len(frames.sessions(db=store)) == 3

    run(f"%mnesis use {old}")
    assert "Rex" in cell(run, "d", "What is my dog called?")  # the name means the session that was used last
    assert asked(store, old)[-1] == "What is my dog called?"


def test_a_notebook_that_is_run_again_in_a_new_kernel_makes_one_branch(store):
    cells = {"a": "My name is Ada.", "b": "My dog is Rex.", "c": "What is my name?"}
    for _ in range(2):
        with kernel() as run:
            for id, text in cells.items():
                cell(run, id, text)
    assert len(frames.sessions(db=store)) == 2
    assert asked(store) == list(cells.values())


def test_a_turn_that_failed_or_was_stopped_is_replaced_too(run, store):
    run(SCRIPT.format(replies='Reply("word " * 500, delay=0.02), "Whole."'))
    ran = run.finish(run.send("%%mnesis -s one\nGo on.", cellId="a"), interrupt_after=3)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert "Whole." in cell(run, "a", "Go on, shortly.")
    assert frames.turns("one", db=store)["state"].tolist() == ["committed"]
    assert asked(store) == ["Go on, shortly."]


def test_a_turn_that_runs_in_the_background_is_stopped_and_replaced(run, store):
    run(SCRIPT.format(replies='Reply("word " * 500, delay=0.02), "Whole."'))
    cell(run, "a", "Go on.", "--bg")
    old = frames.sessions("one", db=store).index[0]
    assert "Whole." in cell(run, "a", "Go on, shortly.")
    assert asked(store) == ["Go on, shortly."]
    assert frames.turns(old, db=store)["state"].tolist() == ["aborted"]


def test_append_adds_a_turn_and_so_does_a_cell_without_an_id(run, store):
    cell(run, "a", "First.")
    assert "Run again" not in cell(run, "a", "Second.", "--append")
    cell(run, None, "Third.")
    cell(run, None, "Third.")
    run("%config Mnesis.rerun = 'append'")
    cell(run, "a", "Fourth.")
    assert asked(store) == ["First.", "Second.", "Third.", "Third.", "Fourth."]
    assert len(frames.sessions(db=store)) == 1
    run("%config Mnesis.rerun = 'fork'")
    cell(run, "a", "Fifth.")
    assert asked(store) == ["First.", "Second.", "Third.", "Third.", "Fifth."]


def test_a_cell_that_asks_twice_replaces_both_turns_by_both(run, store):
    run("%mnesis new one")
    for _ in range(2):
        run("%mnesis ask The first.\n%mnesis ask The second.", cellId="a")
    assert asked(store) == ["The first.", "The second."]
    assert len(frames.sessions(db=store)) == 2


def test_a_dry_run_makes_no_branch_and_says_what_would_be_replaced(run, store):
    cell(run, "a", "First.")
    assert "run for real, the cell replaces turn 0" in cell(run, "a", "First.", "--dry-run")
    assert len(frames.sessions(db=store)) == 1


def test_a_cell_with_a_mistake_makes_no_branch(run, store):
    cell(run, "a", "First.")
    for text in ("Hello {{ nobody }}.", " "):
        assert run.finish(run.send(f"%%mnesis -s one\n{text}", cellId="a")).reply["status"] == "error"
    assert len(frames.sessions(db=store)) == 1


def test_results_of_tools_are_given_again_and_plain_python_always_adds(run, store):
    call = 'Reply(tool_calls=[{"name": "look", "arguments": {}}])'
    run(SCRIPT.format(replies=f'{call}, "It is red.", "It is blue."'))
    run('look = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}')
    cell(run, "a", "Look.", "--tools look -o reply")
    for colour in ("red", "blue"):
        ran = run(f"mnesis_jupyter.submit_tool_results({{reply.tool_calls[0].tool_call_id: {colour!r}}})", cellId="b")
    assert "It is blue." in ran.text
    assert len(frames.sessions(db=store)) == 2
    run("chat = mnesis_jupyter.chat('one')\nfor text in ('x', 'y'): chat.record(text, 'ok')", cellId="c")
    run("for text in ('x', 'y'): chat.record(text, 'ok')", cellId="c")
    assert asked(store) == ["Look.", "x", "y", "x", "y"]


def test_what_was_attached_before_a_cell_goes_along_again_when_it_is_run_again(run, store, tmp_path):
    run(SCRIPT.format(replies="'ok'"))
    run("note = 'The gate is green.'\n%mnesis attach note")
    cell(run, "a", "Which colour?")
    cell(run, "b", "Thanks.")
    cell(run, "a", "Which colour is the gate?")
    assert [text.count("The gate is green.") for text in asked(store)] == [1]
    run("other = 'The door is red.'\n%mnesis attach other")
    cell(run, "a", "Which colours?")
    (text,) = asked(store)
    assert text.index("The gate is green.") < text.index("The door is red.") < text.index("Which colours?")
    cell(run, "b", "Thanks.")
    assert asked(store)[-1] == "Thanks."
