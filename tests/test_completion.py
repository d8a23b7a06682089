"""Completion of `%mnesis` and `%%mnesis`, through the completer of a real IPython shell."""

import subprocess
import sys
from types import SimpleNamespace

from IPython.core.completer import provisionalcompleter

import mnesis_jupyter
from mnesis_jupyter import frames
from mnesis_jupyter.commands import COMMANDS


def offered(notebook, text, at=None):
    """What a front end is offered at the end of a text, or after so many characters: the whole line with each."""
    at = len(text) if at is None else at
    with provisionalcompleter():
        found = list(notebook.shell.Completer.completions(text, at))
    return [text[: each.start].rpartition("\n")[2] + each.text for each in found]


def test_subcommands_are_offered_and_nothing_else(notebook):
    assert offered(notebook, "%mnesis ") == [f"%mnesis {name}" for name in COMMANDS]
    assert offered(notebook, "%mnesis sum") == ["%mnesis summaries"]
    assert offered(notebook, "x = 1\n%mnesis he") == ["%mnesis help"]
    assert offered(notebook, "%mnesis help gr") == ["%mnesis help grep"]


def test_the_options_of_a_cell_and_of_a_subcommand_are_offered(notebook):
    assert offered(notebook, "%%mnesis --s") == ["%%mnesis --session", "%%mnesis --system"]
    assert offered(notebook, "%%mnesis --dry") == ["%%mnesis --dry-run"]
    assert offered(notebook, "%mnesis new 'A title' --w") == ["%mnesis new 'A title' --window"]
    assert offered(notebook, "%mnesis grep word --role a") == ["%mnesis grep word --role assistant"]


def test_completion_in_the_middle_of_a_cell_looks_at_what_stands_before_the_cursor(notebook):
    assert offered(notebook, "%%mnesis --dry\nHello.", at=14) == ["%%mnesis --dry-run"]


def test_sessions_are_offered_by_title_in_quotes_where_needed_and_by_id(notebook):
    first = mnesis_jupyter.open_session(title="first").id
    second = mnesis_jupyter.open_session(title="the second").id
    assert offered(notebook, "%mnesis use ") == [
        f"%mnesis use {name}" for name in ('"the second"', "first", second, first)
    ]
    assert offered(notebook, "%mnesis use 'the se") == ["%mnesis use 'the second'"]
    assert offered(notebook, "%%mnesis -s fi") == ["%%mnesis -s first"]
    assert offered(notebook, "%mnesis context -s fi") == ["%mnesis context -s first"]
    notebook("%reload_ext mnesis_jupyter")
    assert offered(notebook, "%mnesis use fi") == ["%mnesis use first"]


def test_models_are_those_of_the_map_and_those_that_need_no_network(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("MNESIS_MODELS_DIR", str(tmp_path))
    (tmp_path / "tiny.gguf").touch()
    assert offered(notebook, "%%mnesis -m off") == ["%%mnesis -m offline/quote"]
    assert offered(notebook, "%mnesis new -m local/") == ["%mnesis new -m local/tiny"]
    assert "%mnesis new --model gpt-4o-mini" in offered(notebook, "%mnesis new --model gpt-4o")
    assert "%mnesis new --model anthropic/claude-opus-4-6" in offered(
        notebook, "%mnesis new --model anthropic/claude-o"
    )
    assert "%mnesis new -m text-embedding-3-small" not in offered(notebook, "%mnesis new -m text-")


def test_ids_are_those_of_the_current_session_the_newest_first(notebook):
    notebook("%%mnesis -s other\nElsewhere.")
    notebook("%%mnesis -s here\nMy name is Ada.")
    notebook("%%mnesis\nWhat is my name?")
    newest_first = frames.messages("here")["message_id"].tolist()[::-1]
    assert offered(notebook, "%mnesis why msg_") == [f"%mnesis why {id}" for id in newest_first]
    assert len(offered(notebook, "%mnesis describe ")) == 8
    assert all(line.startswith("%mnesis expand part_") for line in offered(notebook, "%mnesis expand part_"))
    assert not [line for line in offered(notebook, "%mnesis grep word --summary ") if "msg_" in line]


def test_summaries_are_offered_where_one_is_wanted(notebook):
    for number in range(6):
        notebook(f"%%mnesis\nThis is number {number}. " + "word " * 60)
    notebook("%mnesis compact")
    made = frames.summaries().index.get_level_values("summary_id")
    assert offered(notebook, "%mnesis grep word --summary ") == [f"%mnesis grep word --summary {id}" for id in made]


def test_names_of_the_notebook_are_offered_between_braces_and_only_there(notebook):
    notebook.names["topic"] = "context"
    notebook.names["page"] = SimpleNamespace(title="With", text="…")
    assert offered(notebook, "%%mnesis\nTell me about {{ to") == ["Tell me about {{ topic"]
    assert offered(notebook, "%%mnesis\n\nWhat is {{page.t") == ["What is {{page.text", "What is {{page.title"]
    assert offered(notebook, "%mnesis use {{ to") == ["%mnesis use {{ topic"]
    assert "topic" not in "".join(offered(notebook, "%%mnesis\nTell me about to"))
    assert not [line for line in offered(notebook, "%%mnesis\n{{ ") if "get_ipython" in line or line == "{{ exit"]


def test_completing_an_attribute_runs_no_code(notebook):
    notebook("class Loud:\n    @property\n    def page(self):\n        raise SystemError('it ran')\nloud = Loud()")
    assert offered(notebook, "%%mnesis\n{{ loud.p") == ["{{ loud.page"]
    assert offered(notebook, "%%mnesis\n{{ loud.page.t") == []


def test_paths_are_offered_where_a_file_is_wanted(notebook, tmp_path):
    (tmp_path / "my notes").mkdir()
    (tmp_path / "my notes" / "report.html").touch()
    (tmp_path / ".hidden").touch()
    assert offered(notebook, "%mnesis export my") == ['%mnesis export "my notes/"']
    assert offered(notebook, "%mnesis export 'my notes/r") == ["%mnesis export 'my notes/report.html'"]
    assert ".hidden" not in "".join(offered(notebook, "%mnesis load x --db "))
    assert "nowhere/report.html" not in "".join(offered(notebook, "%mnesis export nowhere/"))


def test_other_cells_are_completed_as_before_also_after_unloading(notebook):
    notebook.names["mnesis_count"] = 3
    assert offered(notebook, "mnesis_co") == ["mnesis_count"]
    notebook("%unload_ext mnesis_jupyter")
    assert "%mnesis summaries" not in offered(notebook, "%mnesis sum")


def test_a_store_that_cannot_be_read_is_no_noise_while_somebody_types(notebook, store_path, capsys):
    store_path.write_text("not a store, " * 100)
    offered(notebook, "%mnesis use fi")
    assert capsys.readouterr() == ("", "")


def test_completing_other_cells_imports_nothing_of_the_engine():
    code = (
        "import sys, mnesis_jupyter.completion as c; from IPython.core.completer import CompletionContext as C;"
        "c.complete(C('x', 'import os; x', 12, 0, None)); print({'mnesis', 'pandas'} & sys.modules.keys())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


def test_functions_of_the_notebook_are_offered_as_tools(notebook):
    notebook("def look_up(x: int) -> int:\n    'Look.'\n    return x\nlook_dict = {'type': 'function'}\nlooks = 3")
    assert offered(notebook, "%%mnesis --tools look") == ["%%mnesis --tools look_up", "%%mnesis --tools look_dict"]
    assert offered(notebook, "%%mnesis --tools look_up,look_d") == ["%%mnesis --tools look_up,look_dict"]
