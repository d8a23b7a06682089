"""`%%mnesis --bg`: turns that run on after their cell, in a real IPython shell."""

import pytest
from front_end import press
from waiting import waited

import mnesis_jupyter
from mnesis import Authentication, MnesisError
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis_jupyter import frames

SLOW = Reply("one two three four five six " * 10, delay=0.02)
COUNTED = str(SLOW.text)
ENDLESS = Reply("word " * 2_000, delay=0.02)


pytestmark = pytest.mark.usefixtures("front")


def script(*replies, **options):
    """A session of the kernel that answers from a list."""
    return mnesis_jupyter.open_session(model="test/scripted", llm=ScriptedProvider(replies), **options)


def states(front):
    """Those that the front end was told of the newest widget, in their order."""
    id = [id for id, state in front.opened.items() if "copy_id" in state][-1]
    told = [data["state"]["state"] for at, data in front.messages if at == id and "state" in data.get("state", {})]
    return list(dict.fromkeys(told))


def words(tree):
    """All text of a tree."""
    return "".join(node if isinstance(node, str) else words(node[2]) for node in tree)


def seen(front):
    """The text that the newest widget shows."""
    id = [id for id, state in front.opened.items() if "copy_id" in state][-1]
    return words(
        [data["state"]["view"] for at, data in front.messages if at == id and data.get("state", {}).get("view")][-1]
    )


# -- a turn in the background -------------------------------------------------------------------------------------


def test_the_cell_returns_at_once_and_the_handle_gives_the_reply_when_it_is_done(front, notebook):
    script(SLOW)
    ran = notebook("%%mnesis --bg -o reply\nCount.")
    reply = notebook.names["reply"]
    assert isinstance(reply, mnesis_jupyter.RunningTurn)
    assert ran.result is reply
    assert not reply.done
    waited(lambda: "one" in reply.text)
    assert reply.text != COUNTED
    assert reply.result().text == reply.text == str(reply) == COUNTED
    assert reply.done
    assert states(front) == ["streaming", "done"]
    assert COUNTED.strip() in seen(front)
    assert frames.turns()["state"].tolist() == ["committed"]


def test_the_handle_can_be_awaited_in_a_cell(notebook):
    script(SLOW)
    notebook("%%mnesis --bg -o reply\nCount.")
    assert notebook("(await reply).text").result == COUNTED


def test_other_cells_run_meanwhile_and_the_copy_is_brought_up_to_date_after_them(notebook):
    script(SLOW, "Whole.")
    copy = notebook("%%mnesis --bg -o reply\nCount.").final[-1]
    assert "brings it up to date" in copy.data["text/html"]
    assert notebook("1 + 1").result == 2
    notebook.names["reply"].result()
    fresh = notebook("1 + 1").final[-1]
    assert fresh.transient == copy.transient
    assert COUNTED.strip() in fresh.data["text/plain"]
    assert "brings it up to date" not in fresh.data["text/html"]
    assert notebook("1 + 1").outputs == []


def test_the_button_stops_the_turn_which_is_stored_as_aborted_with_its_partial_text(front, notebook):
    script(ENDLESS, "Whole.")
    notebook("%%mnesis --bg -o reply\nGo on.")
    reply = notebook.names["reply"]
    waited(lambda: "word word" in reply.text)
    press(reply.widget)
    with pytest.raises(MnesisError, match="the reply was stopped"):
        reply.result(timeout=10)
    assert states(front) == ["streaming", "aborted"]
    assert frames.turns()["state"].tolist() == ["aborted"]
    assert frames.messages().query("partial")["text"].item() == reply.text
    assert "Whole." in notebook("%%mnesis\nAnd now?").text


def test_stop_waits_until_it_is_stored_and_once_done_does_nothing(notebook):
    script(ENDLESS)
    notebook("%%mnesis --bg -o reply\nGo on.")
    waited(lambda: notebook.names["reply"].text)
    notebook("reply.stop()\nreply.stop()")
    assert notebook.names["reply"].done
    assert frames.turns()["state"].tolist() == ["aborted"]


def test_waiting_with_a_limit_says_that_the_turn_goes_on(notebook):
    script(SLOW)
    notebook("%%mnesis --bg -o reply\nCount.")
    with pytest.raises(TimeoutError, match="it goes on"):
        notebook.names["reply"].result(timeout=0.05)
    assert notebook.names["reply"].result().text == COUNTED


def test_an_error_is_shown_in_the_widget_and_raised_where_the_result_is_asked_for(front, notebook):
    script(Authentication("the key is wrong; set another"))
    notebook("%%mnesis --bg -o reply\nHello.")
    ran = notebook.run("reply.result()")
    assert isinstance(ran.error, Authentication)
    assert len(ran.stdout.strip().splitlines()) == 2
    assert states(front)[-1] == "failed"
    assert "Authentication: the key is wrong" in seen(front)
    assert "the key is wrong" in notebook("%mnesis debug").text
    assert frames.turns()["state"].tolist() == ["failed"]


def test_what_is_wrong_with_the_cell_itself_fails_the_cell(notebook, store_path):
    assert "no name 'nobody'" in str(notebook.run("%%mnesis --bg\nHello {{ nobody }}.").error)
    assert not store_path.exists()


def test_what_a_reply_says_reaches_the_front_end_as_text_only(front, notebook):
    script("<img src=x onerror=alert(1)> **bold** [a](javascript:alert(1))")
    notebook("%%mnesis --bg -o reply\nHello.")
    notebook.names["reply"].result()
    tags = set()

    def walk(tree):
        for node in tree:
            if not isinstance(node, str):
                tags.add(node[0])
                assert not [name for name in node[1] if name.startswith("on")]
                walk(node[2])

    walk([data["state"]["view"] for _, data in front.messages if data.get("state", {}).get("view")][-1])
    assert "strong" in tags
    assert not {"img", "script", "a"} & tags
    assert "<img src=x onerror=alert(1)>" in seen(front)


# -- several of them ----------------------------------------------------------------------------------------------


def test_a_cell_for_the_same_session_waits_and_says_so(notebook):
    script(Reply("one two three four", delay=0.4), "Whole.")
    notebook("%%mnesis --bg -o reply\nCount.")
    ran = notebook("%%mnesis\nAnd now?")
    assert any("the session is busy" in output.data["text/plain"] for output in ran.outputs)
    assert "Whole." in ran.text
    assert "busy" not in ran.text
    assert notebook.names["reply"].done
    assert frames.messages()["role"].tolist() == ["user", "assistant"] * 2


def test_turns_of_one_session_run_one_after_the_other_those_of_two_at_once(front, notebook):
    script(SLOW, "Second.", title="one")
    notebook("%%mnesis -s one --bg -o a\nFirst?")
    notebook("%%mnesis -s one --bg -o b\nSecond?")
    notebook("%%mnesis -s two\nMy name is Ada.")
    assert [*frames.turns("two")["state"]] == ["committed"]
    assert not notebook.names["a"].done
    assert notebook.names["b"].result().text == "Second."
    assert notebook.names["a"].done
    assert [*frames.turns("one")["state"]] == ["committed"] * 2


def test_a_turn_that_still_waits_can_be_stopped_and_leaves_nothing(notebook):
    script(ENDLESS)
    notebook("%%mnesis --bg -o a\nFirst?")
    waited(lambda: notebook.names["a"].text)
    notebook("%%mnesis --bg -o b\nSecond?")
    notebook.names["b"].stop()
    notebook.names["a"].stop()
    assert frames.messages(role="user")["text"].tolist() == ["First?"]


def test_tools_run_in_the_background_too(front, notebook):
    notebook("def add(a: int, b: int) -> int:\n    'Add two numbers.'\n    return a + b")
    provider = ScriptedProvider([Reply(tool_calls=[{"name": "add", "arguments": {"a": 1, "b": 2}}]), "It is 3."])
    mnesis_jupyter.open_session(model="test/scripted", llm=provider)
    notebook("%%mnesis --bg --tools add -o reply\nAdd 1 and 2.")
    assert notebook.names["reply"].result().text == "It is 3."
    assert "add" in seen(front)


# -- the end of the kernel ----------------------------------------------------------------------------------------


def test_unloading_stops_what_runs_and_keeps_what_there_is_of_it(notebook):
    session = script(ENDLESS)
    notebook("%%mnesis --bg -o reply\nGo on.")
    waited(lambda: "word word" in notebook.names["reply"].text)
    notebook("%unload_ext mnesis_jupyter")
    assert frames.turns(session)["state"].tolist() == ["aborted"]
    assert frames.messages(session).query("partial")["text"].item().startswith("word word")
    notebook("%load_ext mnesis_jupyter")
