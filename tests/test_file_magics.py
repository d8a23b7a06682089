"""`%mnesis attach` and `files`, and what becomes of them in the next turn, in a real IPython shell."""

import attachments
import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from pictures import png

import mnesis_jupyter
from mnesis import BadRequest, FileConfig, InputError, MnesisConfig, NotFound
from mnesis.llm.scripted import ScriptedProvider
from mnesis_jupyter import frames
from mnesis_jupyter.widgets import Budget


@pytest.fixture
def config(tmp_path):
    return MnesisConfig(file=FileConfig(inline_threshold=60, storage_dir=tmp_path / "copies"))


@pytest.fixture
def provider(notebook, config):
    """Answers in the current session, and keeps what it was asked."""
    provider = ScriptedProvider(["ok"], cycle=True)
    mnesis_jupyter.open_session(model="test/scripted", llm=provider, config=config, title="one")
    return provider


@pytest.fixture
def towns(tmp_path):
    path = tmp_path / "towns.csv"
    path.write_text("town,rain\n" + "Bergen,2495\n" * 300)
    return path


def sent(provider):
    return str(provider.requests[-1].messages[-1]["content"])


def lines(ran):
    return ran.text.splitlines()


# -- attach -------------------------------------------------------------------------------------------------------


def test_a_large_file_goes_along_with_the_next_turn_as_a_reference_and_with_no_other(notebook, provider, towns):
    ran = notebook("%mnesis attach towns.csv")
    assert "▤ towns.csv · text/csv · 3,610 bytes · " in ran.text
    assert "as a reference to it, " in ran.text
    assert "It goes along with the next turn of “one”" in ran.text
    assert "town" in ran.text
    assert "<details" in ran.html
    assert not provider.requests
    notebook("%%mnesis\nWhere does it rain?")
    (file,) = frames.files("one").index.get_level_values("file_id")
    assert file in sent(provider)
    assert sent(provider).endswith("Where does it rain?")
    notebook("%mnesis ask And when")
    assert sent(provider) == "And when"


def test_the_tokens_that_it_tells_are_those_of_the_window(notebook, provider, towns):
    told = notebook("%mnesis attach towns.csv").text
    notebook("%%mnesis\nWhat is it?")
    window = frames.context("one")
    (tokens,) = window.loc[window["kind"] == "file", "tokens"]
    assert f"as a reference to it, {tokens:,} tokens in the window" in told


def test_texts_tables_and_pictures_go_along_as_what_they_are(notebook, provider, tmp_path):
    (tmp_path / "cat.png").write_bytes(png(40, 30))
    notebook.names["note"] = "The gate is green."
    notebook.names["table"] = pd.DataFrame({"town": ["Oslo"] * 200})
    assert "▤ note · text · in whole, " in notebook("%mnesis attach note").text
    assert "image/png · in whole, " in notebook("%mnesis attach cat.png").text
    assert "▤ table · " in (told := notebook("%mnesis attach table").text)
    assert "as a reference to it" in told
    notebook("%%mnesis --attach note\nCompare.")
    assert frames.parts("one", role="user")["type"].tolist() == ["text", "media", "file_ref", "text", "text"]
    assert frames.files("one")["kept"].tolist() == [True]


def test_a_copy_is_kept_where_it_is_asked_for(notebook, provider, towns):
    notebook("%mnesis attach towns.csv --copy")
    assert frames.files("one")["kept"].tolist() == [True]


def test_what_waits_can_be_taken_back(notebook, provider, towns):
    notebook("%mnesis attach towns.csv")
    assert "1 would have" in notebook("%mnesis attach --clear").text
    notebook("%%mnesis\nHello.")
    assert sent(provider) == "Hello."
    assert "it was never sent" in notebook(f"%mnesis describe {frames.files().index[0][1]}").text


def test_each_session_has_its_own(notebook, provider, towns):
    notebook("%mnesis attach towns.csv")
    notebook("%%mnesis -s other -m offline/quote\nHello.")
    assert frames.attachments("other").empty
    notebook("%%mnesis -s one\nHello.")
    assert len(frames.attachments("one")) == 1


def test_a_dry_run_shows_it_and_it_still_waits(notebook, provider, towns):
    notebook("%mnesis attach towns.csv")
    assert "towns.csv" in notebook("%%mnesis --dry-run\nWhat is it?").text
    notebook("%%mnesis\nWhat is it?")
    assert len(frames.attachments("one")) == 1


def test_a_turn_that_fails_leaves_it_to_the_next(notebook, config, towns):
    provider = ScriptedProvider([BadRequest("no"), "ok"])
    mnesis_jupyter.open_session(model="test/scripted", llm=provider, config=config, title="one")
    notebook("%mnesis attach towns.csv")
    assert isinstance(notebook.run("%%mnesis\nWhat is it?").error, BadRequest)
    notebook("%%mnesis\nWhat is it?")
    assert "towns.csv" in sent(provider)
    assert "goes along" not in notebook("%mnesis files").text


def test_a_turn_in_the_background_takes_it_along(notebook, provider, towns):
    notebook("%mnesis attach towns.csv")
    notebook("%%mnesis --bg -o turn\nWhat is it?").result.result(20)
    assert "towns.csv" in sent(provider)
    notebook("%%mnesis\nAnd now?")
    assert sent(provider) == "And now?"


@pytest.mark.parametrize(("line", "told"), [*attachments.REFUSED, ("", "name a file, or a variable")])
def test_what_cannot_be_attached_is_told_and_does_not_wait(notebook, provider, tmp_path, line, told):
    attachments.put(notebook, tmp_path)
    ran = notebook.run(f"%mnesis attach {line}")
    assert isinstance(ran.error, InputError)
    assert told in str(ran.error)
    assert str(ran.error).startswith("%mnesis attach")
    notebook("%%mnesis\nHello.")
    assert sent(provider) == "Hello."


def test_without_a_session_it_says_how_to_begin_one(notebook, towns):
    assert "no session yet" in str(notebook.run("%mnesis attach towns.csv").error)
    assert isinstance(notebook.run("%mnesis files nobody").error, NotFound)


# -- files --------------------------------------------------------------------------------------------------------


def test_files_are_listed_with_what_became_of_them_on_disk(notebook, provider, towns, tmp_path):
    other, third = tmp_path / "other.csv", tmp_path / "third.csv"
    other.write_text(towns.read_text())
    third.write_text(towns.read_text())
    for name in ("towns.csv", "other.csv", "third.csv"):
        notebook(f"%mnesis attach {name}")
    ran = notebook("%mnesis files")
    assert ran.text.count("goes along with the next turn") == 3
    notebook("%%mnesis\nCompare.")
    other.write_text("town\n")
    third.unlink()
    ran = notebook("%mnesis files")
    assert lines(ran)[0] == "Files of “one” · 3"
    assert lines(ran)[1].startswith("▤ towns.csv · text/csv · 3,610 bytes · ")
    assert "it is as it was when it was attached" in lines(ran)[2]
    assert "▤ other.csv · ≠ changed since" in ran.text
    assert "it had 3,610 bytes and has 5" in ran.text
    assert "▤ third.csv · ✗ not there any more" in ran.text
    assert "there is no file" in lines(ran)[6]
    for told in ("≠ changed since", "✗ not there any more", "it had 3,610 bytes and has 5"):
        assert told in ran.html
    assert "Nothing is in it yet." in notebook("%mnesis new two\n%mnesis files").text
    assert "other.csv" not in notebook("%mnesis files one -n 1").text


def test_nothing_in_a_name_or_in_a_file_is_markup(notebook, provider, tmp_path):
    (tmp_path / "<b>x<b>\u202e.csv").write_text("<script>a</script>,b\n" + "<img src=x>,\u202e2\n" * 300)
    notebook.names["it"] = tmp_path / "<b>x<b>\u202e.csv"
    shown = [notebook("%mnesis attach it"), notebook("%mnesis files")]
    for ran in shown:
        for markup in ("<b>", "<script", "<img", "\u202e"):
            assert markup not in ran.html
        assert "&lt;b&gt;x" in ran.html
        assert "\u202e" not in ran.text


def test_a_fork_lists_the_files_of_its_past(notebook, provider, towns):
    notebook("%mnesis attach towns.csv")
    notebook("%%mnesis\nWhat is it?")
    notebook("%mnesis attach towns.csv")
    notebook("%mnesis fork 0 --title two")
    assert lines(notebook("%mnesis files"))[0] == "Files of “two” · 1"


def test_paths_and_names_are_completed(notebook, towns):
    notebook.names["towns_table"] = 1
    with provisionalcompleter():
        found = {each.text for each in notebook.shell.Completer.completions("%mnesis attach tow", 18)}
    assert {"towns.csv", "towns_table"} <= found


# -- the window ---------------------------------------------------------------------------------------------------


def test_the_share_of_files_in_the_budget_is_that_of_the_reference(front, notebook, provider, towns):
    notebook("%mnesis attach towns.csv")
    notebook("%%mnesis\nWhat is it?")
    chat = mnesis_jupyter.chat("one")
    (tokens,) = (item.tokens for item in chat.context().items if item.kind == "file")
    (row,) = (line for line in lines(notebook("%mnesis budget")) if line.startswith("files "))
    assert row.split()[1] == f"{tokens:,}"
    widget = Budget(chat.session)
    assert front.ask(widget, "facts", turn=None)["kinds"]["file"] == tokens
    assert f"files <strong>{tokens:,}</strong>" in widget.static_html()


# -- from plain cells ---------------------------------------------------------------------------------------------


def test_a_chat_attaches_and_lists_waiting_or_awaited(notebook, provider, towns):
    notebook("import mnesis_jupyter\nchat = mnesis_jupyter.chat('one')")
    notebook("chat.send([chat.attach('towns.csv')])")
    notebook("await chat.asend([await chat.aattach('towns.csv', name='again', keep='copy')])")
    assert [file.name for file in notebook("chat.files()").result] == ["towns.csv", "again"]
    assert notebook("await chat.afiles()").result == notebook("chat.files()").result
    towns.unlink()
    first, again = notebook("chat.files()").result
    notebook.names["first"], notebook.names["again"] = first, again
    assert notebook("chat.file_state(first.id).status").result == "missing"
    assert notebook("(await chat.afile_state(again.id)).status").result == "same"
