"""The whole grammar of `%%mnesis` and `%mnesis`: each subcommand and each option is there, explained and completed."""

import argparse

import pytest
from IPython.core.completer import provisionalcompleter

from mnesis_jupyter import cell, frames, map_cell
from mnesis_jupyter.commands import COMMANDS

CELL_OPTIONS = """--session --model --system --out --tools --attach --bg --dry-run --raw --format --max-tokens
    --temperature --append""".split()
MAP_OPTIONS = "--out --bg --schema --model --system --concurrency --limit --retries --resume --retry-failed".split()
SUBCOMMANDS = """new use sessions load rename close delete ask context budget history messages summaries events compact
    grep expand describe diff why verify fork branches ui export config model doctor debug help""".split()

PARSERS = {"%%mnesis": cell.parser(), "%%mnesis map": map_cell.parser()} | {
    f"%mnesis {name}": each.parser() for name, each in COMMANDS.items()
}
NAMED = {"session", "other", "model", "id", "summary", "file", "db", "attach", "out", "tools", "subcommand"} | {
    *("inputs", "schema", "resume"),
}
"""What arguments are called whose values can be completed; others are free words and numbers, or have choices."""


@pytest.fixture
def notebook(notebook, tmp_path):
    (tmp_path / "notes.txt").write_text("Read me.", encoding="utf-8")
    notebook("%mnesis new chat --window 1500\nnotes = ['Read me.']")
    return notebook


def offered(notebook, text):
    """What a front end is offered at the end of a text: the whole line with each."""
    with provisionalcompleter():
        return [text[: each.start] + each.text for each in notebook.shell.Completer.completions(text, len(text))]


def arguments(parser):
    return [each for each in parser._actions if each.dest != "help"]  # noqa: SLF001  # argparse has no public list


def lines_before(line, parser):
    """Each argument, and the line up to where its value stands."""
    filled = line
    for each in arguments(parser):
        if each.option_strings:
            for option in each.option_strings:
                yield each, f"{line} {option} "
        else:
            yield each, f"{filled} "
            filled += " 0"


def test_all_that_should_be_there_is_there():
    assert set(SUBCOMMANDS) <= set(COMMANDS)
    for line, wanted in {"%%mnesis": CELL_OPTIONS, "%%mnesis map": MAP_OPTIONS}.items():
        assert set(wanted) <= {name for each in arguments(PARSERS[line]) for name in each.option_strings}


@pytest.mark.parametrize("line", PARSERS)
def test_it_explains_itself_and_completes(notebook, line):
    parser = PARSERS[line]
    shown = notebook(f"{line} --help\nHello." if line.startswith("%%") else f"{line} --help").text
    if not line.startswith("%%"):
        assert line in offered(notebook, line[:-1])
        assert notebook(line.replace("%mnesis", "%mnesis help")).text == shown == notebook(f"{line}?").text
    told = " ".join(shown.split())
    assert " ".join((parser.description or "").split()) in told
    for each in arguments(parser):
        assert each.help
        assert each.help is not argparse.SUPPRESS
        assert " ".join(each.help.replace("%%", "%").split()) in told
        for option in each.option_strings:
            assert option in told
            assert f"{line} {option}" in offered(notebook, f"{line} {option[: max(1, len(option) - 1)]}")


@pytest.mark.slow
@pytest.mark.parametrize("line", PARSERS)
def test_what_an_argument_names_is_offered(notebook, line):
    for number in range(6):
        notebook(f"%%mnesis\nThis is number {number}. " + "word " * 150)
    notebook("%mnesis compact --wait")
    notebook("def look(): 'Look.'")
    notebook("%%mnesis map notes --limit 1\n{{ item }}")
    assert len(frames.summaries()) > 0
    for each, before in lines_before(line, PARSERS[line]):
        values = offered(notebook, before)
        if each.choices:
            assert values == [f"{before}{choice}" for choice in each.choices]
        elif each.dest in NAMED:
            assert values
            assert all(value.startswith(before) for value in values)
