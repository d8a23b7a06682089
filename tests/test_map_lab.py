"""A map in the background in a real JupyterLab: seen, stopped, saved and read again. Pictures: build/screenshots."""

import nbformat
import pytest
from lab import lab

from mnesis_jupyter import frames

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("lab")]

SLOW = """
import mnesis_jupyter, pandas
from mnesis import BadRequest
from mnesis.llm.scripted import Reply, ScriptedProvider

def answer(request):
    said = request.messages[-1]["content"]
    number = int(said.split()[-1])
    if number % 9 == 2:
        raise BadRequest(f"the provider refused item {number} <img src=x onerror=alert(1)>")
    return Reply(f"{number} is a number", delay=0.1)

df = pandas.DataFrame({"n": range(400)})
llm = ScriptedProvider([answer], cycle=True)"""
MAP = 'job = df.mnesis.llm_map("Say {{ item.n }}", llm=llm, concurrency=8, background=True)'


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    with lab(folder, MNESIS_DB=str(folder / "sessions.db")) as running:
        yield running


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_stop_is_pressed_by_keyboard_or_mouse_and_the_saved_notebook_reads_well(jupyter, dark):
    name, theme = f"map-{dark}.ipynb", "dark" if dark else "light"
    path = jupyter.write(name, "%load_ext mnesis_jupyter", SLOW, MAP)
    with jupyter.open(name, dark=dark, height=900) as notebook:
        notebook.run_all()
        page = notebook.page
        page.wait_for_function("() => document.querySelectorAll('.mn-failures li').length === 5", timeout=30_000)
        status, facts = page.locator(".mn-replybar [role=status]"), page.locator(".mn-counts")
        assert "running in the background" in status.inner_text()
        assert "items/s" in facts.inner_text()
        assert "to go" in facts.inner_text()
        bar = page.get_by_role("progressbar", name="Items")
        assert "/ 400 items" in (bar.get_attribute("aria-valuetext") or "")
        assert page.locator(".mn-map img").count() == 0
        notebook.shot(f"map-running-{theme}")
        button = page.get_by_role("button", name="Stop this map")
        if dark:
            button.focus()
            page.keyboard.press("Enter")
        else:
            button.click()
        page.wait_for_function(
            "() => document.querySelector('.mn-replybar [role=status]').textContent === 'stopped'", timeout=15_000
        )
        assert page.locator(".mn-stop:visible").count() == 0
        if dark:  # the notebook does not hear the next key
            assert page.evaluate("() => document.activeElement.closest('.mnesis') !== null")
        assert "--resume run_" in page.locator(".mn-map").inner_text()
        notebook.shot(f"map-stopped-{theme}")
        notebook.add_and_run("'the next cell'")
        page.wait_for_function("() => document.body.innerText.includes('the next cell')")
        notebook.settle()
        page.wait_for_selector(".mn-map", state="detached", timeout=15_000)
        page.wait_for_selector("text=does what is left", timeout=15_000)
        notebook.shot(f"map-static-{theme}", ".jp-CodeCell:nth-of-type(3)")
        notebook.save()
        assert notebook.errors == []
    runs = frames.map_runs(db=jupyter.folder / "sessions.db")
    assert runs["state"].iloc[-1] == "stopped"
    assert 0 < runs["done"].iloc[-1] < 400
    saved = nbformat.read(path, as_version=4)
    assert "widgets" not in saved.metadata
    outputs = saved.cells[2].outputs
    assert not any("application/vnd.jupyter.widget-view+json" in output["data"] for output in outputs)
    assert runs.index[-1] in outputs[-1]["data"]["text/html"]
    assert "&lt;img" in outputs[-1]["data"]["text/html"]
    with jupyter.open(name, ready=False, dark=dark, height=900) as again:
        again.page.wait_for_selector("text=does what is left", timeout=30_000)
        assert again.page.get_by_text("model not found").count() == 0
    assert jupyter.foreign == []
