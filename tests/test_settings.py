"""Settings, and where each comes from, in a real IPython shell."""

import re

import pytest
from notebook_shell import opened

from mnesis import ConfigError
from mnesis_jupyter import frames


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the notebook is. No setting is made yet."""
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "notebooks")
    return tmp_path / "project"


@pytest.fixture
def notebook(folder):
    with opened() as notebook:
        yield notebook


def row(notebook, name):
    """A line of `%mnesis config`."""
    lines = notebook("%mnesis config").text.splitlines()
    return next(re.split(r" {2,}", line)[1:] for line in lines if line.startswith(f"{name} "))


def test_without_any_setting_the_defaults_hold(notebook, home):
    assert row(notebook, "model") == ["offline/quote", "default"]
    assert row(notebook, "stream") == ["true", "default"]
    assert row(notebook, "db") == [str(home / ".mnesis" / "sessions.db"), "default"]


def test_what_is_nearer_wins_and_the_listing_says_where_it_is_from(notebook, folder, home, monkeypatch):
    (home / ".mnesis").mkdir()
    (home / ".mnesis" / "config.toml").write_text('model = "offline/home"\nrows = 3\n')
    assert row(notebook, "model") == ["offline/home", str(home / ".mnesis" / "config.toml")]

    (folder / "pyproject.toml").write_text('[tool.mnesis]\nmodel = "offline/project"\n')
    notebook("%reload_ext mnesis_jupyter")
    assert row(notebook, "model") == ["offline/project", str(folder / "pyproject.toml")]
    assert row(notebook, "rows") == ["3", str(home / ".mnesis" / "config.toml")]

    monkeypatch.setenv("MNESIS_MODEL", "offline/environment")
    notebook("%reload_ext mnesis_jupyter")
    assert row(notebook, "model") == ["offline/environment", "MNESIS_MODEL"]

    notebook('%config Mnesis.model = "offline/cell"')
    assert row(notebook, "model") == ["offline/cell", "%config"]

    notebook("%%mnesis -m offline/flag\nHello.")
    notebook("%%mnesis -s other\nHello.")
    assert frames.sessions()["model"].tolist() == ["offline/flag", "offline/cell"]


def test_a_pyproject_without_our_table_does_not_hide_that_of_a_folder_above(notebook, folder):
    (folder / "notebooks" / "pyproject.toml").write_text("[tool.other]\nmodel = 3\n")
    (folder / "pyproject.toml").write_text("[tool.mnesis]\nstream = false\n")
    assert row(notebook, "stream") == ["false", str(folder / "pyproject.toml")]
    assert len([out for out in notebook("%%mnesis\nHello.").outputs if out.transient]) == 0


def test_a_path_in_a_file_is_meant_from_that_file(notebook, folder):
    (folder / "pyproject.toml").write_text('[tool.mnesis]\ndb = "data/sessions.db"\n')
    (folder / "data").mkdir()
    notebook("%%mnesis\nHello.")
    assert (folder / "data" / "sessions.db").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stream = 'maybe'", "stream = 'maybe' is not allowed; give true or false"),
        ("rows = 0", "rows = 0 is not allowed; give a whole number from 1 on"),
        ("rows = true", "rows = True is not allowed; give a whole number from 1 on"),
        ("model = 3", "model = 3 is not allowed; give a model string in quotes"),
        ("modle = 'x'", "there is no setting 'modle'; did you mean 'model'"),
        ("unlike = 1", "there is no setting 'unlike'; these are: model, db, stream, rows"),
        ("model = ", "cannot be read as TOML"),
    ],
)
def test_a_wrong_value_in_a_file_is_one_sentence_that_names_it(notebook, folder, text, told):
    (folder / "pyproject.toml").write_text(f"[tool.mnesis]\n{text}\n")
    ran = notebook.run("%%mnesis\nHello.")
    assert isinstance(ran.error, ConfigError)
    assert str(ran.error).startswith(str(folder / "pyproject.toml"))
    assert told in str(ran.error)
    assert ran.stdout.count("\n") == 1
    assert not ran.outputs


def test_a_wrong_value_in_the_environment_names_the_variable(notebook, monkeypatch):
    monkeypatch.setenv("MNESIS_STREAM", "maybe")
    ran = notebook.run("%%mnesis\nHello.")
    assert isinstance(ran.error, ConfigError)
    assert "MNESIS_STREAM='maybe' is not allowed; give true or false" in str(ran.error)


def test_a_table_that_is_none_is_told(notebook, folder):
    (folder / "pyproject.toml").write_text("[tool]\nmnesis = 3\n")
    assert "write [tool.mnesis]" in str(notebook.run("%mnesis config").error)
