"""A turn in the background in a real JupyterLab: seen, stopped, saved and read again. Pictures: build/screenshots."""

import nbformat
import pytest
from lab import lab

from mnesis_jupyter import frames

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("lab")]

SLOW = """
import mnesis_jupyter
from mnesis.llm.scripted import Reply, ScriptedProvider
text = "**Migration 14** touches the audit table, by `trigger_14`. " * 40
session = mnesis_jupyter.open_session(
    model="test/slow", llm=ScriptedProvider([Reply(text, delay=0.05)], cycle=True), title="slow"
)"""


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    with lab(folder, MNESIS_DB=str(folder / "sessions.db")) as running:
        yield running


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_stop_is_pressed_by_keyboard_or_mouse_and_the_saved_notebook_reads_well(jupyter, dark):
    name = f"background-{dark}.ipynb"
    path = jupyter.write(name, "%load_ext mnesis_jupyter", SLOW, "%%mnesis --bg -o reply\nWhat does it touch?")
    with jupyter.open(name, dark=dark, height=900) as notebook:
        notebook.run_all()
        page = notebook.page
        page.wait_for_function("() => document.querySelectorAll('.mn-reply strong').length > 2", timeout=30_000)
        assert "writing in the background" in page.locator(".mn-replybar [role=status]").inner_text()
        assert "tokens" in page.locator(".mn-replybar").inner_text()
        notebook.shot(f"background-writing-{'dark' if dark else 'light'}")
        button = page.get_by_role("button", name="Stop this reply")
        if dark:
            button.focus()
            page.keyboard.press("Enter")
        else:
            button.click()
        page.wait_for_function(
            "() => document.querySelector('.mn-replybar [role=status]').textContent === 'stopped'", timeout=15_000
        )
        assert not button.is_visible()
        assert "stopped: kept as partial" in page.locator(".mn-reply").inner_text()
        notebook.shot(f"background-stopped-{'dark' if dark else 'light'}")
        notebook.add_and_run("'the next cell'")
        page.wait_for_function("() => document.body.innerText.includes('the next cell')")
        notebook.settle()
        page.wait_for_timeout(500)
        notebook.save()
        assert notebook.errors == []
    turns = frames.turns("slow", db=jupyter.folder / "sessions.db")
    assert turns["state"].iloc[-1] == "aborted"
    *_, copy = nbformat.read(path, as_version=4).cells[2].outputs
    assert "<strong>Migration 14</strong>" in copy["data"]["text/html"]
    assert "stopped: kept as partial" in copy["data"]["text/plain"]
    with jupyter.open(name, ready=False, dark=dark, height=900) as again:
        again.page.wait_for_selector("text=stopped: kept as partial", timeout=30_000)
