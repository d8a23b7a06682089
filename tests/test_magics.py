"""`%%mnesis` and `%mnesis` in a real IPython shell."""

import os
import re
import signal
import subprocess
import sys
import threading

import pytest
from notebook_shell import opened

import mnesis_jupyter
from mnesis import (
    Authentication,
    InputError,
    NotFound,
    Unavailable,
)
from mnesis.llm.base import ModelLimits
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis_jupyter import frames


def script(*replies, **options):
    """A session of the kernel that answers from a list."""
    return mnesis_jupyter.open_session(model="test/scripted", llm=ScriptedProvider(replies, **options))


def shown(ran):
    """The error as the notebook shows it, without colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", ran.stdout)


# -- a chat cell --------------------------------------------------------------------------------------------------


def test_a_message_is_answered_and_remembered(notebook):
    notebook("%%mnesis\nMy name is Ada.")
    ran = notebook("%%mnesis\nWhat is my name?")
    assert "My name is Ada." in ran.html
    assert "My name is Ada." in ran.text
    assert frames.turns()["state"].tolist() == ["committed", "committed"]


def test_the_first_cell_says_once_which_model_answers_and_how_to_choose_another(notebook):
    first, second = notebook("%%mnesis\nHello."), notebook("%%mnesis\nHello.")
    assert "no key, no network" in first.final[0].data["text/plain"]
    assert "%mnesis new -m anthropic/" in first.text
    assert "%mnesis new" not in second.text


def test_a_key_in_the_environment_is_mentioned_by_provider_and_neither_used_nor_shown(notebook, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    ran = notebook("%%mnesis\nHello.")
    assert "OPENAI_API_KEY is set: `%mnesis new -m openai/" in ran.text.replace("`OPENAI_API_KEY`", "OPENAI_API_KEY")
    assert "sk-very-secret" not in ran.text + ran.html
    assert frames.turns()["model"].tolist() == ["offline/quote"]


def test_the_result_is_in_the_underscore_and_in_the_named_variable_and_is_shown_once(notebook):
    script("Hello there.")
    ran = notebook("%%mnesis -o reply\nHello.")
    reply = notebook.names["reply"]
    assert isinstance(reply, mnesis_jupyter.ChatResult)
    assert ran.result is reply
    assert notebook("_.text").result == "Hello there."
    assert str(reply) == reply.text == reply.result.text == "Hello there."
    assert reply.result.tokens.output > 0
    assert ran.text.count("Hello there.") == 1
    assert "Hello there." in notebook("reply").html


def test_a_reply_ends_as_html_and_text_in_one_output_without_a_widget(notebook):
    script("**Hello** <script>alert(1)</script>")
    ran = notebook("%%mnesis\nHello.")
    *_, output = ran.final
    assert set(output.data) == {"text/html", "text/plain"}
    assert "<strong>Hello</strong>" in output.data["text/html"]
    assert "<script" not in output.data["text/html"]


def test_a_reply_is_shown_while_it_is_written_but_not_for_each_word(notebook):
    script(Reply("word " * 200, delay=0.005))
    ran = notebook("%%mnesis\nGo on.")
    versions = [output for output in ran.outputs if "word" in output.data["text/plain"]]
    assert 3 <= len(versions) <= 1 + 15 * 4
    assert "writing" in versions[0].data["text/plain"]
    assert "writing" not in versions[-1].data["text/plain"]


def test_without_streaming_a_cell_makes_one_single_display(notebook):
    notebook("%config Mnesis.stream = False")
    script(Reply("word " * 50, delay=0.002), cycle=True)
    notebook("%%mnesis\nGo on.")
    (output,) = notebook("%%mnesis\nGo on.").outputs
    assert not output.transient


def test_names_of_the_notebook_are_put_in_unless_the_cell_is_raw(notebook):
    provider = ScriptedProvider(["ok"], cycle=True)
    mnesis_jupyter.open_session(model="test/scripted", llm=provider)
    notebook.names["topic"] = {"with": "context managers"}
    notebook('%%mnesis\nTell me about {{ topic["with"] }} and {braces}.')
    notebook("%%mnesis --raw\nTell me about {{ topic }}.")
    said = [request.messages[-1]["content"] for request in provider.requests]
    assert said == ["Tell me about context managers and {braces}.", "Tell me about {{ topic }}."]


def test_a_cell_names_its_session_and_a_new_title_begins_one(notebook):
    notebook("%%mnesis -s first\nMy name is Ada.")
    notebook("%%mnesis -s 'the second'\nMy name is Bob.")
    ran = notebook("%%mnesis -s first\nWhat is my name?")
    assert "Ada" in ran.text
    assert "Bob" not in ran.text
    assert sorted(frames.sessions()["title"]) == ["first", "the second"]


def test_a_cell_may_name_a_session_by_its_id_also_after_the_extension_was_reloaded(notebook):
    notebook("%%mnesis\nMy name is Ada.")
    (id,) = frames.sessions().index
    notebook("%reload_ext mnesis_jupyter")
    assert "Ada" in notebook(f"%%mnesis -s {id}\nWhat is my name?").text
    assert len(frames.sessions()) == 1


def test_a_system_prompt_belongs_to_a_new_session_else_to_the_turn(notebook):
    provider = ScriptedProvider(["ok"], cycle=True)
    notebook("%%mnesis --system 'You are terse.'\nHello.")
    assert frames.sessions()["system_prompt"].tolist() == ["You are terse."]
    mnesis_jupyter.open_session(model="test/scripted", llm=provider)
    notebook("%%mnesis --system 'Only now.'\nHello.")
    notebook("%%mnesis\nHello.")
    assert [request.messages[0]["content"] for request in provider.requests] == [
        "Only now.",
        "You are a helpful assistant.",
    ]


def test_a_dry_run_shows_the_window_and_stores_nothing(notebook):
    notebook("%%mnesis\nMy name is Ada.")
    before = len(frames.events())
    ran = notebook("%%mnesis --dry-run\nWhat is my name?")
    assert "nothing was sent, nothing stored" in ran.text
    assert "What is my name?" in ran.html
    assert "would stay free" in ran.text
    assert ran.result is None
    assert len(frames.events()) == before


def test_a_dry_run_before_the_first_session_begins_none(notebook, store_path):
    ran = notebook("%%mnesis --dry-run --system ''\nHello.")
    assert "Hello." in ran.html
    assert not store_path.exists()


# -- what goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "error", "told"),
    [
        ("%%mnesis\n   \n", InputError, "says nothing"),
        ("%%mnesis --sesion x\nHello.", InputError, "did you mean '--session'"),
        ("%%mnesis -s 'open\nHello.", InputError, "quotation mark"),
        ("%%mnesis -o 2x\nHello.", InputError, "not a name for a variable"),
        ("%%mnesis\nHello {{ nobody }}.", InputError, "no name 'nobody'"),
        ("%%mnesis -s sess_01ARZ3NDEKTSV4RRFFQ69G5FAV\nHello.", NotFound, "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("%%mnesis\nlone \udcff", InputError, "surrogate"),
        ("%mnesis contxt", InputError, "did you mean 'context'"),
        ("%mnesis frobnicate", InputError, "%mnesis help"),
        ("%mnesis help contxt", InputError, "did you mean 'context'"),
        ("%mnesis new --windw 3", InputError, "did you mean '--window'"),
        ("%mnesis new --window many", InputError, "invalid int value: 'many'"),
        ("%mnesis new --window 3", ValueError, "context_limit=3"),
        ("%mnesis use", InputError, "required: session"),
        ("%mnesis use nobody", NotFound, "nobody"),
        ("%mnesis load nobody", NotFound, "nobody"),
        ("%mnesis context", InputError, "there is no session yet"),
        ("%mnesis budget", InputError, "there is no session yet"),
        ("%mnesis messages", InputError, "there is no session yet"),
        ("%mnesis events", InputError, "there is no session yet"),
        ("%mnesis close", InputError, "there is no session yet"),
        ("%mnesis sessions -n 0", InputError, "1 or more"),
        ("%mnesis use {{ nobody }}", InputError, "no name 'nobody'"),
    ],
)
def test_a_mistake_fails_the_cell_with_one_line_that_says_what_to_do(notebook, cell, error, told):
    ran = notebook.run(cell)
    assert isinstance(ran.error, error)
    lines = shown(ran).strip().splitlines()
    assert told in lines[0]
    assert len(lines) <= 2
    assert lines[0].startswith(type(ran.error).__name__)
    assert "Traceback" in notebook("%mnesis debug").text


def test_before_anything_failed_there_is_nothing_to_debug(notebook):
    assert "No magic of mnesis has failed" in notebook("%mnesis debug").text


def test_a_session_keeps_its_model(notebook):
    notebook("%%mnesis\nHello.")
    ran = notebook.run("%%mnesis -m other/model\nHello.")
    assert isinstance(ran.error, InputError)
    assert "%mnesis new -m other/model" in shown(ran)


def test_a_message_past_the_window_is_kept_whole_and_sent_as_an_excerpt(notebook):
    notebook("%mnesis new --window 1000")
    notebook("%%mnesis\nThe gate is green. " + "word " * 1000 + "Which colour has the gate?")
    assert frames.messages()["tokens"].iloc[0] > 1000
    assert "excerpt: The gate is green" in notebook("%mnesis context 0").text


def test_a_reply_that_fills_the_window_is_still_shown(notebook):
    script("word " * 200, limits=ModelLimits(context=300, output=50))
    ran = notebook("%%mnesis\nHello.")
    assert "word word" in ran.text


def test_a_provider_that_fails_in_the_middle_leaves_its_partial_text_and_the_error(notebook):
    script(Reply("Half of the", then=Unavailable("the provider is down; try again later")), "Whole.")
    ran = notebook.run("%%mnesis\nHello.")
    assert isinstance(ran.error, Unavailable)
    assert "the provider is down" in shown(ran)
    assert "Half of the" in ran.html
    assert "partial" in ran.text
    assert frames.turns()["state"].tolist() == ["failed"]
    assert "Whole." in notebook("%%mnesis\nHello again.").text


def test_a_provider_that_fails_at_once_has_no_reply_and_names_the_error(notebook):
    script(Authentication("the key is wrong; set another"))
    ran = notebook.run("%%mnesis\nHello.")
    assert isinstance(ran.error, Authentication)
    assert "offline/quote" in shown(ran)


def test_an_interrupt_stops_the_reply_and_the_turn_is_stored_as_aborted(notebook):
    notebook("%%mnesis\nHello.")  # what is imported with the first reply is there
    notebook("%mnesis new")
    heard = threading.Event()

    class Heard(ScriptedProvider):
        async def stream(self, request):
            async for piece in super().stream(request):
                yield piece
                heard.set()

    llm = Heard([Reply("one two three four five six " * 100, delay=0.05), "Whole."])
    mnesis_jupyter.open_session(model="test/scripted", llm=llm)

    def interrupt():
        heard.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    ran = notebook.run("%%mnesis\nCount.")
    assert isinstance(ran.error, KeyboardInterrupt)
    assert "was stopped" in shown(ran)
    assert "stopped: kept as partial" in ran.text
    assert frames.turns()["state"].tolist()[-1] == "aborted"
    partial = frames.messages(role="assistant")["text"].iloc[-1]
    assert partial.startswith("one ")
    assert partial.strip() in ran.text
    assert "Whole." in notebook("%%mnesis\nHello again.").text


@pytest.mark.slow
@pytest.mark.xdist_group("litellm")
def test_a_model_without_its_key_says_so_and_the_next_cell_works(notebook):
    ran = notebook.run("%%mnesis -m openai/gpt-4o\nHello.")
    assert isinstance(ran.error, Authentication)
    assert "OPENAI_API_KEY" in shown(ran)
    notebook("%mnesis new")
    notebook("%%mnesis\nHello.")


# -- subcommands --------------------------------------------------------------------------------------------------


def test_new_begins_a_session_with_a_title_a_system_prompt_and_a_small_window(notebook):
    ran = notebook('%mnesis new "A title" --system "" --window 8000')
    assert "A title" in ran.text
    assert frames.sessions()[["title", "system_prompt"]].to_numpy().tolist() == [["A title", ""]]
    assert re.search(r"/ [34],\d{3} tokens", notebook("%mnesis budget").text)


def test_use_goes_back_to_a_session_by_title_or_id(notebook):
    notebook("%%mnesis -s one\nMy name is Ada.")
    notebook("%%mnesis -s two\nMy name is Bob.")
    assert "1 turn so far" in notebook("%mnesis use one").text
    assert "Ada" in notebook("%%mnesis\nWhat is my name?").text
    notebook.names["id"] = frames.sessions("two").index[0]
    notebook("%mnesis use {{ id }}")
    assert "Bob" in notebook("%%mnesis\nWhat is my name?").text


@pytest.mark.parametrize(
    "line",
    [
        "context -s {id}",
        "budget {id}",
        "history {id}",
        "messages {id}",
        "events {id}",
        "summaries {id}",
        "verify {id}",
        "grep Ada -s {id}",
        "describe {id} -s {id}",
        "branches {id}",
        "branches two {id}",
        "compact {id}",
        "rename other -s {id}",
        "export report.html {id}",
        "ui {id}",
        "delete {id}",
        "delete {id} --yes",
        "close {id}",
    ],
)
def test_a_command_for_another_session_of_the_store_leaves_the_current_one_current(
    notebook, line, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    notebook("%%mnesis -s same\nMy name is Ada.")
    (id,) = frames.sessions().index
    notebook("%%mnesis -s two\nMy name is Bob.")
    notebook("%reload_ext mnesis_jupyter")
    notebook("%mnesis use two")
    notebook(f"%mnesis {line.format(id=id)}")
    assert re.search(r"current +two ", notebook("%mnesis sessions").text)
    assert "Bob" in notebook("%%mnesis\nWhat is my name?").text


def test_looking_at_an_older_session_does_not_change_what_their_title_means(notebook):
    notebook("%%mnesis -s one\nMy name is Ada.")
    (id,) = frames.sessions().index
    notebook("%mnesis fork 0")
    notebook("%%mnesis\nMy name is Bob.")
    notebook("%reload_ext mnesis_jupyter")
    assert "Bob" not in notebook(f"%mnesis context -s {id}").text
    assert "Bob" in notebook("%mnesis context -s one").text


def test_a_closed_session_can_be_used_again_but_is_not_current(notebook):
    notebook("%%mnesis -s one\nMy name is Ada.")
    assert "Closed" in notebook("%mnesis close").text
    assert isinstance(notebook.run("%mnesis context").error, InputError)
    notebook("%mnesis use one")
    assert "Ada" in notebook("%%mnesis\nWhat is my name?").text


def test_load_takes_a_session_from_another_store(notebook, tmp_path):
    notebook(f"%config Mnesis.db = {str(tmp_path / 'other.db')!r}")
    notebook("%%mnesis -s elsewhere\nMy name is Ada.")
    notebook(f"%config Mnesis.db = {str(tmp_path / 'sessions.db')!r}")
    notebook("%%mnesis -s here\nMy name is Bob.")
    notebook(f"%mnesis load elsewhere --db '{tmp_path / 'other.db'}'")
    assert "Ada" in notebook("%%mnesis\nWhat is my name?").text


def test_sessions_lists_what_is_there_and_an_empty_store_is_no_error(notebook):
    assert "Nothing is in it yet" in notebook("%mnesis sessions").html
    notebook("%%mnesis -s one\nHello.")
    ran = notebook("%mnesis sessions")
    assert "one" in ran.text
    assert "current" in ran.text


def test_context_shows_the_next_window_and_that_of_a_past_turn(notebook):
    notebook("%%mnesis\nMy name is Ada.")
    notebook("%%mnesis\nWhat is my name?")
    assert "What is my name?" in notebook("%mnesis context").html
    past = notebook("%mnesis context 0").html
    assert "My name is Ada." in past
    assert "What is my name?" not in past
    assert isinstance(notebook.run("%mnesis context 7").error, NotFound)


def test_messages_and_events_list_the_newest(notebook):
    for number in range(4):
        notebook(f"%%mnesis\nThis is number {number}.")
    assert "number 0" in notebook("%mnesis messages").text
    last = notebook("%mnesis messages -n 2").text
    assert "number 3" in last
    assert "number 2" not in last
    assert "turn.committed" in notebook("%mnesis events").text


def test_help_names_every_subcommand_and_each_explains_itself(notebook):
    from mnesis_jupyter.commands import COMMANDS

    listed = notebook("%mnesis").text
    documented = notebook.shell.find_line_magic("mnesis").__doc__
    for name in COMMANDS:
        assert f"%mnesis {name}" in listed
        assert name in documented
        assert notebook(f"%mnesis {name} -h").text == notebook(f"%mnesis help {name}").text
        assert f"usage: %mnesis {name}" in notebook(f"%mnesis {name} --help").text
    assert "--dry-run" in notebook("%%mnesis -h\nHello.").text
    assert notebook("%mnesis --help").text == notebook("%mnesis help").text == listed


# -- the extension ------------------------------------------------------------------------------------------------


def test_settings_are_listed_and_a_model_set_there_is_the_model_of_new_sessions(notebook):
    for name in ("stream", "model", "db"):
        assert f"Mnesis.{name}" in notebook("%config Mnesis").stdout
    notebook('%config Mnesis.model = "offline/other"')
    notebook("%%mnesis\nHello.")
    assert frames.sessions()["model"].tolist() == ["offline/other"]


def test_the_environment_sets_the_model_and_a_single_display(store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    monkeypatch.setenv("MNESIS_MODEL", "offline/other")
    monkeypatch.setenv("MNESIS_STREAM", "0")
    with opened() as notebook:
        notebook("%%mnesis\nHello.")
        assert len(notebook("%%mnesis\nHello.").outputs) == 1
        assert frames.sessions()["model"].tolist() == ["offline/other"]


def test_unloading_takes_the_magics_back_and_closes_the_sessions(notebook):
    session = mnesis_jupyter.open_session(title="one")
    notebook("%unload_ext mnesis_jupyter")
    assert notebook.shell.find_line_magic("mnesis") is None
    assert notebook.shell.find_cell_magic("mnesis") is None
    assert "closed" in repr(session)
    assert frames.events(session)["event"].tolist() == ["session.created", "session.closed"]
    notebook("%load_ext mnesis_jupyter")
    notebook("%mnesis use one")


def test_loading_the_extension_imports_neither_pandas_nor_the_engine():
    code = (
        "import sys, mnesis_jupyter.magics, mnesis_jupyter.current, mnesis_jupyter.completion;"
        "mnesis_jupyter.current.CURRENT.settings.model;"
        "print({'pandas', 'mnesis.session', 'litellm'} & sys.modules.keys())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert ended.stdout.strip() == "set()"


async def test_a_session_of_ones_own_can_be_made_current(notebook, tmp_path):
    from mnesis import MnesisSession

    async with MnesisSession.open(model="offline/quote", db_path=tmp_path / "own.db") as session:
        await session.send("My name is Ada.")
        mnesis_jupyter.use(session)
        assert "Ada" in notebook("%%mnesis\nWhat is my name?").text
        assert "Ada" in (await session.send("Say again: what is my name?")).text
        assert frames.turns(session)["state"].tolist() == ["committed"] * 3


async def test_a_session_in_memory_cannot_be_shared_with_the_magics(notebook):
    from mnesis import MnesisSession

    async with MnesisSession.open(model="offline/quote", db_path=":memory:") as session:
        with pytest.raises(InputError, match="open_session"):
            mnesis_jupyter.use(session)


def test_use_from_python_takes_a_title_and_names_what_is_not_there(notebook):
    session = mnesis_jupyter.open_session(title="one")
    mnesis_jupyter.open_session(title="two")
    assert mnesis_jupyter.use("one") is session
    with pytest.raises(NotFound, match="nobody"):
        mnesis_jupyter.use("nobody")


def test_without_the_extra_loading_says_in_one_sentence_what_to_install():
    code = (
        "import sys; sys.modules.update(nh3=None, anywidget=None)\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "ran = InteractiveShell.instance().run_cell('%load_ext mnesis_jupyter')\n"
        "sys.exit(0 if ran.success else 3)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 3
    [said] = (ended.stdout + ended.stderr).splitlines()
    assert said.startswith("UsageError: mnesis_jupyter needs anywidget, nh3")
    assert '%pip install "mnesis[jupyter]"' in said


def test_use_opens_a_stored_session_with_the_provider_that_is_given(notebook):
    mnesis_jupyter.open_session(model="test/scripted", llm=ScriptedProvider(["ok"]), title="one")
    notebook("%reload_ext mnesis_jupyter")
    mnesis_jupyter.use("one", llm=ScriptedProvider(["Mine."]))
    assert "Mine." in notebook("%%mnesis\nHello.").text
