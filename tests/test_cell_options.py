"""`--attach`, `--format`, `--max-tokens`, `--temperature` and the cost of a dry run, in a real IPython shell."""

import attachments
import pandas as pd
import pytest
from pictures import png

import mnesis_jupyter
from mnesis import InputError
from mnesis.llm.scripted import ScriptedProvider
from mnesis_jupyter import frames


@pytest.fixture
def provider(notebook):
    """Answers in the current session, and keeps what it was asked."""
    provider = ScriptedProvider(["ok"], cycle=True)
    mnesis_jupyter.open_session(model="test/scripted", llm=provider)
    return provider


def reply(notebook, text, options):
    """A cell whose reply is this text."""
    mnesis_jupyter.open_session(model="test/scripted", llm=ScriptedProvider([text]))
    return notebook(f"%%mnesis {options}\nHello.").final[-1].data


def sent(provider):
    return str(provider.requests[-1].messages[-1]["content"])


# -- what is attached ---------------------------------------------------------------------------------------------


def test_a_text_file_goes_along_with_its_name_before_the_message(notebook, provider, tmp_path):
    (tmp_path / "my notes.txt").write_text("The gate is green.\n")
    notebook("%%mnesis --attach 'my notes.txt'\nWhich colour?")
    assert sent(provider).startswith("[attached: my notes.txt]\nThe gate is green.\n[end of my notes.txt]")
    assert sent(provider).endswith("Which colour?")


def test_an_image_goes_along_as_an_image(notebook, provider, tmp_path):
    (tmp_path / "cat.png").write_bytes(png(40, 30))
    notebook("%%mnesis --attach cat.png\nWhat is it?")
    assert len(frames.parts(type="media")) == 1
    assert "image_url" in sent(provider)


class _Drawn:
    def _repr_png_(self):
        return png()


class _Figure:
    def savefig(self, file, format):
        file.write(png())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a text", "[attached: it]\na text\n[end of it]"),
        (pd.DataFrame({"city": ["Oslo", "Rome"]}), "[attached: it]\ncity\nOslo\nRome\n[end of it]"),
        (b"some bytes", "[attached: it]\nsome bytes"),
        (_Drawn(), "image_url"),
        (_Figure(), "image_url"),
        (png(), "image_url"),
    ],
)
def test_a_value_of_the_notebook_goes_along_as_what_it_is(notebook, provider, value, expected):
    notebook.names["it"] = value
    notebook("%%mnesis --attach it\nWhat is it?")
    assert expected in sent(provider)


def test_several_things_go_along_and_a_path_may_be_in_a_variable(notebook, provider, tmp_path):
    (tmp_path / "a.txt").write_text("first")
    notebook.names["where"] = tmp_path / "a.txt"
    notebook.names["other"] = "second"
    notebook("%%mnesis --attach where --attach other\nCompare.")
    assert sent(provider).index("first") < sent(provider).index("second") < sent(provider).index("Compare.")


@pytest.mark.parametrize(("name", "told"), attachments.REFUSED)
def test_what_cannot_be_attached_is_told_before_anything_is_stored(notebook, tmp_path, store_path, name, told):
    attachments.put(notebook, tmp_path)
    ran = notebook.run(f"%%mnesis --attach {name}\nHello.")
    assert isinstance(ran.error, InputError)
    assert told in str(ran.error)
    assert str(ran.error).startswith(f"--attach {name}: ")
    assert not store_path.exists()


@pytest.mark.parametrize("name", ["binary.dat", "large.txt", "table"])
def test_what_is_too_large_or_no_text_goes_along_as_a_reference_to_it(notebook, provider, tmp_path, name):
    (tmp_path / "binary.dat").write_bytes(b"\x00\x01\x02\xff" * 100)
    (tmp_path / "large.txt").write_text("word " * 20_000)
    notebook.names["table"] = pd.DataFrame({"number": range(20_000)})
    notebook(f"%%mnesis --attach {name}\nWhat is it?")
    assert f"· {name} ·" in sent(provider)
    assert len(frames.attachments(type="file_ref")) == len(frames.files()) == 1


# -- how the reply is shown ---------------------------------------------------------------------------------------


def test_a_reply_can_be_shown_as_it_was_written(notebook):
    ran = reply(notebook, "**bold** <b>x</b>", "--format text")
    assert "**bold** &lt;b&gt;x&lt;/b&gt;" in ran["text/html"]
    assert "<strong>bold" not in ran["text/html"]


@pytest.mark.parametrize("text", ['{"a": [1, 2]}', 'Here it is:\n```json\n{"a": [1, 2]}\n```\n'])
def test_a_reply_can_be_shown_as_json(notebook, text):
    ran = reply(notebook, text, "--format json -o it")
    assert ran["text/plain"].startswith('{\n  "a": [\n    1,')
    assert notebook.names["it"].text == text


def test_only_the_code_of_a_reply_can_be_shown_whatever_is_in_it(notebook):
    ran = reply(notebook, "So:\n````python\nx = '```'\n````\nand\n```\ny\n```", "--format code")
    assert ran["text/plain"].startswith("x = '```'\n\ny")
    assert "So:" not in ran["text/html"]


@pytest.mark.parametrize(("format", "told"), [("json", "is not JSON"), ("code", "no code in the reply")])
def test_a_reply_that_is_not_what_was_asked_for_is_shown_and_says_so(notebook, format, told):
    ran = reply(notebook, "Just **words**.", f"--format {format}")
    assert ran["text/plain"].startswith("Just **words**.")
    assert told in ran["text/plain"]
    assert told in ran["text/html"]


def test_an_unknown_format_names_those_that_there_are(notebook):
    assert "'markdown', 'text', 'json', 'code'" in str(notebook.run("%%mnesis --format yaml\nHello.").error)


# -- what goes to the provider ------------------------------------------------------------------------------------


def test_the_length_and_the_temperature_go_to_the_provider(notebook, provider):
    notebook("%%mnesis --max-tokens 50 --temperature 0\nHello.")
    assert provider.requests[-1].params == {"max_tokens": 50, "temperature": 0.0}
    notebook("%%mnesis\nHello.")
    assert "temperature" not in provider.requests[-1].params


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--max-tokens 0", "'0' is not a whole number from 1 on"),
        ("--max-tokens many", "'many' is not a whole number"),
        ("--temperature 3", "'3' is not a number from 0 to 2"),
        ("--temperature nan", "'nan' is not a number"),
    ],
)
def test_a_number_out_of_range_is_told(notebook, option, told):
    assert told in str(notebook.run(f"%%mnesis {option}\nHello.").error)


# -- a dry run ----------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_it_would_cost(notebook, store_path, tmp_path, monkeypatch):
    monkeypatch.setenv("MNESIS_MOCK_LLM", "1")  # so that nothing warms up a provider
    (tmp_path / "a.txt").write_text("The gate is green. " * 400)
    ran = notebook("%%mnesis --dry-run -m gpt-4o --attach a.txt --max-tokens 1000\nHello.")
    assert "would cost about $0.0" in ran.text
    assert "a reply of 1,000 tokens, the most there can be, $0.0100 more" in ran.text
    assert "The gate is green." in ran.html
    assert "nothing: the model runs here" in notebook("%%mnesis --dry-run\nHello.").text
    assert not store_path.exists()
