"""`%mnesis ask`, `history`, `model` and `doctor`, in a real IPython shell."""

import re

import pytest
from gguf_files import MODEL, tiny

import mnesis_jupyter
from mnesis import InputError
from mnesis.llm.scripted import ScriptedProvider
from mnesis_jupyter import frames


def row(ran, name):
    """A line of a listing."""
    return next(line for line in ran.text.splitlines() if line.startswith(name))


def test_a_question_in_one_line_is_taken_as_it_is(notebook):
    provider = ScriptedProvider(["ok"], cycle=True)
    mnesis_jupyter.open_session(model="test/scripted", llm=provider)
    notebook.names["who"] = "{{ nobody }}"
    assert "ok" in notebook("""%mnesis ask What's Ada's "name", {{ who }}?""").text
    assert provider.requests[-1].messages[-1]["content"] == """What's Ada's "name", {{ nobody }}?"""
    assert isinstance(notebook.run("%mnesis ask").error, InputError)
    assert "usage: %mnesis ask" in notebook("%mnesis ask --help").text


def test_a_question_in_a_line_holds_as_many_rows_of_a_dataframe_as_a_cell_does(notebook):
    provider = ScriptedProvider(["ok"], cycle=True)
    mnesis_jupyter.open_session(model="test/scripted", llm=provider)
    notebook("import pandas as pd\nframe = pd.DataFrame({'n': range(9)})\n%config Mnesis.rows = 2")
    notebook("%mnesis ask {{ frame }}")
    notebook("%%mnesis\n{{ frame }}")
    line, cell = (request.messages[-1]["content"] for request in provider.requests)
    assert line == cell == "n\n0\n1\n(the first 2 of 9 rows x 1 columns)"


@pytest.mark.parametrize(
    ("cell", "asked"),
    [
        ("%mnesis ask Why?", "Why?"),
        ("%mnesis ask What is it??", "What is it??"),
        ("%mnesis ask What's this?", "What's this?"),
        ("x = 1\nif x:\n    %mnesis ask Is (a) so?\n", "Is (a) so?"),
        ("mnesis ask Why?", "Why?"),
        ("  mnesis ask What's this??\n", "What's this??"),
        ("mnesis ask Why so.", "Why so."),
    ],
)
def test_a_question_mark_at_the_end_of_a_line_is_part_of_the_question(notebook, cell, asked):
    provider = ScriptedProvider(["ok"], cycle=True)
    mnesis_jupyter.open_session(model="test/scripted", llm=provider)
    assert "ok" in notebook(cell).text
    assert provider.requests[-1].messages[-1]["content"] == asked


def test_a_search_may_end_on_a_question_mark_and_so_may_a_title(notebook):
    notebook("%%mnesis -s Who?\nWhere is the gate?")
    assert "Where is the gate?" in notebook("%mnesis grep the gate?").text
    assert "1 turn so far" in notebook("%mnesis use Who?").text


def test_a_question_mark_behind_a_name_is_help_and_elsewhere_what_it_was(notebook):
    assert notebook("%mnesis grep?").text == notebook("%mnesis help grep").text
    assert isinstance(notebook.run("%mnesis grip?").error, InputError)
    read = notebook.shell.transform_cell
    assert read("%mnesis?") == "get_ipython().run_line_magic('pinfo', '%mnesis')\n"
    assert read("%mnesis??") == "get_ipython().run_line_magic('pinfo2', '%mnesis')\n"
    assert read("name?") == "get_ipython().run_line_magic('pinfo', 'name')\n"
    assert read("mnesis?") == "get_ipython().run_line_magic('pinfo', 'mnesis')\n"
    help_for_why = "get_ipython().run_line_magic('pinfo', 'Why')\n"
    assert read("x = 1\nmnesis ask Why?") == f"x = 1\n{help_for_why}"  # where automagic has no say either
    notebook("mnesis = 1")
    assert read("mnesis ask Why?") == help_for_why
    notebook("del mnesis")
    notebook("%automagic off")
    assert read("mnesis ask Why?") == help_for_why
    notebook("%automagic on")
    notebook('text = """\n%mnesis ask Why?\n"""')
    assert notebook.names["text"] == "\n%mnesis ask Why?\n"
    notebook("%unload_ext mnesis_jupyter")
    assert read("%mnesis ask Why?") == "get_ipython().run_line_magic('pinfo', 'Why')\n"


@pytest.mark.slow
def test_a_cell_of_five_megabytes_is_kept_whole_and_sent_as_an_excerpt(notebook):
    mnesis_jupyter.open_session(model="test/scripted", llm=ScriptedProvider(["ok"]))
    text = "The gate is green. " * 260_000
    notebook(f"%%mnesis --format text\n{text}")
    assert len(frames.messages(role="user")["text"].item()) == len(text)
    assert "excerpt" in notebook("%mnesis context 0").text


def test_history_tells_the_window_of_each_turn_and_its_compaction(notebook):
    notebook('%mnesis new "A title" --window 1500')
    for number in range(6):
        notebook(f"%%mnesis\nThis is number {number}. " + "word " * 150)
    notebook("%mnesis compact --wait")
    ran = notebook("%mnesis history")
    assert "Turns (6)" in ran.text
    assert "compacted 4 messages" in ran.text
    assert "the newest 2 of 6" in notebook("%mnesis history -n 2").text


def test_model_says_which_one_answers_and_finds_others(notebook):
    assert "is not a language model" in notebook("%mnesis model").text
    assert re.search(r"gpt-4o-mini +128,000 +16,384 +0.15 +0.6 +yes +yes", notebook("%mnesis model gpt-4o-mini").text)
    assert "anthropic/claude-opus-4-6" in notebook("%mnesis model Opus").text
    assert "no model has 'gpt-99'" in str(notebook.run("%mnesis model gpt-99").error)


def test_a_local_model_is_described_by_its_file(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("MNESIS_MODELS_DIR", str(tmp_path))
    tiny(tmp_path / "tiny.gguf", MODEL)
    (tmp_path / "broken.gguf").write_bytes(b"no model")
    assert re.search(r"local/tiny +2,048 +0 +0", notebook("%mnesis model local/tiny").text)
    assert row(notebook("%mnesis model local/"), "local/broken") == "local/broken"


def test_doctor_finds_all_in_place_and_names_keys_without_their_values(notebook, store_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-value")
    ran = notebook("%mnesis doctor")
    assert "All is in place" in ran.text
    assert "OPENAI_API_KEY" in row(ran, "keys")
    assert "very-secret" not in ran.text + ran.html
    notebook("%%mnesis\nHello.")
    assert "its invariants hold" in row(notebook("%mnesis doctor"), "session")


def test_doctor_says_what_is_wrong(notebook, store_path, tmp_path, monkeypatch):
    store_path.write_text("not a store, " * 100)
    (tmp_path / "pyproject.toml").write_text("[tool.mnesis]\nrows = 0\n")
    monkeypatch.setenv("MNESIS_MOCK_LLM", "1")
    ran = notebook("%mnesis doctor")
    assert "3 things need a look" in ran.text
    assert "cannot be read as a store" in row(ran, "store")
    assert "rows = 0 is not allowed" in row(ran, "settings")
