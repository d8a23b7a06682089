"""The inspector in a real JupyterLab: what people see, touch and read aloud. Pictures go to build/screenshots."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest
from lab import SHOTS, Lab, Open, lab
from small_windows import SMALL, answered, settled
from test_html import PAYLOADS

from mnesis import FileRefPart, MnesisSession, TextPart, ToolPart, ToolStatus, Unavailable
from mnesis.llm.scripted import ScriptedProvider
from mnesis_jupyter import frames

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("lab")]

TURNS = 90
LOAD = '%load_ext mnesis_jupyter\nimport mnesis_jupyter\n%mnesis use "heron migration"'
SLOW = """
from mnesis.llm.scripted import Reply, ScriptedProvider
words = [Reply("The audit table is touched by a trigger. " * 20, delay=0.02)]
session = mnesis_jupyter.open_session(model="test/slow", llm=ScriptedProvider(words, cycle=True), title="slow")
"""


async def _talk(path: Path) -> None:
    rng = random.Random(3)
    async with MnesisSession.open(
        model="offline/quote", db_path=path, config=SMALL, title="heron migration"
    ) as session:
        for turn in range(TURNS):
            reply = f"Reply {turn}: migration 14 disables trigger {turn} on the audit table. " * rng.choice([1, 2, 6])
            output = f"trigger_{turn} on audit\n" * rng.choice([2, 20, 60])
            parts = answered(reply, output, f"c{turn}", name="run_sql", q="select tgname") if turn % 3 == 0 else reply
            await session.record(
                f"Question {turn}: why does the dry run touch table {turn}? " * rng.choice([1, 3]), parts
            )
            await settled(session)


async def _attack(path: Path) -> None:
    """Every payload through each place that text comes from."""
    payloads = [each.encode("utf-8", "replace").decode() for each in PAYLOADS]
    groups = [payloads[at : at + 8] for at in range(0, len(payloads), 8)]
    titles = " ".join(payloads)
    broken = ScriptedProvider([Unavailable("\n".join(group)) for group in groups])
    async with MnesisSession.open(model="test/x", db_path=path, title=titles, llm=broken) as session:
        for at, group in enumerate(groups):
            text = "\n".join(group)
            tool = ToolPart(tool_name=group[0][:60], tool_call_id=f"c{at}", input={text: text}, output=text)
            file = FileRefPart(file_id=f"file_{at}", path=text, size=1, tokens=1, summary=text)
            done = tool.model_copy(update={"status": ToolStatus.COMPLETED})
            await session.record([TextPart(text=text), file], [TextPart(text=text), done])
            with pytest.raises(Unavailable):
                await session.send(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("lab")
    asyncio.run(_talk(folder / "sessions.db"))
    return folder


@pytest.fixture(scope="module")
def jupyter(folder):
    with lab(folder, MNESIS_DB=str(folder / "sessions.db")) as running:
        yield running


def shown(jupyter: Lab, notebook: Open, count: int = 1) -> None:
    """Run a notebook, and wait for its widgets."""
    notebook.run_all()
    notebook.page.wait_for_function(
        f"() => document.querySelectorAll('.mnesis[data-ready]').length >= {count}", timeout=30_000
    )
    notebook.page.wait_for_timeout(500)
    assert notebook.errors == []


def travel(page, turn: int) -> None:
    """Move the slider of the last inspector, and wait for the window of that turn."""
    slider = page.locator(".mn-travel input[type=range]").last
    slider.evaluate("(e, turn) => { e.value = turn; e.dispatchEvent(new Event('input', {bubbles: true})); }", turn)
    page.wait_for_function(
        """turn => {
            const root = [...document.querySelectorAll('.mnesis')].at(-1), begin = `turn ${turn} `;
            return root.querySelector('.mn-where').textContent.startsWith(begin)
                && root.querySelector('section[aria-label^=Context] .mn-note').textContent.startsWith(begin);
        }""",
        arg=turn,
    )
    page.wait_for_timeout(300)


def aside(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run async work in a thread of its own: Playwright has a loop of its own in this one."""
    with ThreadPoolExecutor() as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


# -- how it looks -----------------------------------------------------------------------------------------------------

EACH = """from mnesis_jupyter.widgets import Budget, Context, Summaries, Timeline
for make in (Budget, Summaries, Timeline, Context):
    display(make())"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_widget_is_drawn_readable_and_named(jupyter, dark):
    jupyter.write("each.ipynb", LOAD, EACH, "%mnesis ui")
    with jupyter.open("each.ipynb", dark=dark, width=1480, height=2400) as notebook:
        shown(jupyter, notebook, 5)
        page = notebook.page
        theme = "dark" if dark else "light"
        for at, name in enumerate(("budget", "summaries", "timeline", "context", "inspector")):
            page.locator(".mnesis").nth(at).scroll_into_view_if_needed()
            page.locator(".mnesis").nth(at).screenshot(path=notebook.shot(f"{name}-{theme}"))
        travel(page, 40)
        page.locator(".mnesis").nth(4).locator(".mn-row").nth(1).click()
        page.wait_for_timeout(600)
        page.locator(".mnesis").nth(4).screenshot(path=notebook.shot(f"travel-{theme}"))
        assert page.evaluate(_CONTRAST) == []
        assert page.evaluate(_NAMES) == []
        assert not page.locator(".mnesis-copy, [class^=mnesis-copy-]").first.is_visible()
    assert jupyter.foreign == []


# Text with less contrast than WCAG AA asks for, among all that is visible.
_CONTRAST = """() => {
    const parse = text => {
        const c = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
        c.fillStyle = text; c.fillRect(0, 0, 1, 1);
        return [...c.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = node => {
        for (; node; node = node.parentElement) {
            const color = parse(getComputedStyle(node).backgroundColor);
            if (color[3] > 250) return color;
        }
        return [255, 255, 255, 255];
    };
    const bad = new Set();
    for (const root of document.querySelectorAll('.mnesis')) {
        const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        for (let text; (text = walk.nextNode()); ) {
            const node = text.parentElement;
            const unseen = node.closest('svg, style, option, :disabled, .mn-sr, .mn-tip') || !node.checkVisibility();
            if (!text.data.trim() || unseen) continue;
            const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (ratio < 4.5) bad.add(`${node.className || node.tagName}: ${text.data} ${ratio.toFixed(2)}`);
        }
        const rootGround = light(ground(root));
        for (const text of root.querySelectorAll('svg text:not(.mn-nodetext):not(.mn-glyph)')) {
            const a = light(parse(getComputedStyle(text).fill));
            const ratio = (Math.max(a, rootGround) + 0.05) / (Math.min(a, rootGround) + 0.05);
            if (ratio < 4.5) bad.add(`svg ${text.textContent} ${ratio.toFixed(2)}`);
        }
    }
    return [...bad];
}"""

# Controls that a screen reader could not name.
_NAMES = """() => [...document.querySelectorAll('.mnesis :is(button, input, select, [tabindex], [role=slider])')]
    .filter(e => e.checkVisibility() && !(e.getAttribute('aria-label') || e.textContent.trim()))
    .map(e => e.outerHTML)"""


def test_it_fits_into_four_hundred_pixels(jupyter):
    jupyter.write("narrow.ipynb", LOAD, "%mnesis ui")
    with jupyter.open("narrow.ipynb", height=2400) as notebook:
        shown(jupyter, notebook)
        root = notebook.page.locator(".mnesis")
        root.evaluate("e => { e.style.width = '400px'; }")
        notebook.page.wait_for_timeout(500)
        notebook.shot("narrow")
        assert root.bounding_box()["width"] == 400
        wide = root.evaluate(
            """root => [...root.querySelectorAll('*')]
                .filter(e => e.checkVisibility() && !e.closest('svg, .mn-scroll, .mn-sr'))
                .filter(e => e.getBoundingClientRect().right > root.getBoundingClientRect().right + 1)
                .map(e => e.className)"""
        )
        assert wide == []


def test_a_session_with_nothing_in_it_says_so(jupyter):
    jupyter.write("empty.ipynb", "%load_ext mnesis_jupyter", "%mnesis new nothing", "%mnesis ui")
    with jupyter.open("empty.ipynb") as notebook:
        shown(jupyter, notebook)
        notebook.shot("empty")
        assert "nothing was said yet" in notebook.page.locator(".mnesis").inner_text()


# -- time travel ------------------------------------------------------------------------------------------------------


def test_the_slider_shows_the_window_that_the_engine_rebuilds(jupyter, folder):
    jupyter.write("travel.ipynb", LOAD, "%mnesis ui")
    turns = [0, TURNS - 1, *random.Random(11).sample(range(1, TURNS - 1), 8)]

    async def windows():
        async with await MnesisSession.load(session_id, db_path=folder / "sessions.db") as session:
            return [await session.context(turn) for turn in turns]

    session_id = str(frames.find_session("heron migration", folder / "sessions.db"))
    with jupyter.open("travel.ipynb") as notebook:
        shown(jupyter, notebook)
        page = notebook.page
        for turn, window in zip(turns, aside(windows), strict=True):
            travel(page, turn)
            total = page.locator(".mn-total").inner_text()
            assert total.startswith(f"{window.size:,} / {window.budget:,} tokens")
            rows = page.evaluate(
                "() => [...document.querySelectorAll('.mn-row')].map(row => [row.querySelector('.mn-kind').textContent,"
                " Number(row.querySelector('.mn-num').firstChild.textContent.replaceAll(',', ''))])"
            )
            expected = [[item.kind, item.tokens] for item in window.items]
            assert rows == expected[: len(rows)]
            assert len(rows) >= min(len(expected), 15)
        travel(page, 3)
        page.get_by_role("button", name="Play turn by turn").click()
        page.wait_for_function("() => document.querySelector('.mn-where').textContent.startsWith('turn 6 ')")


def test_the_difference_to_the_turn_before_is_listed(jupyter):
    jupyter.write("diff.ipynb", LOAD, "%mnesis ui --turn 40")
    with jupyter.open("diff.ipynb") as notebook:
        shown(jupyter, notebook)
        notebook.page.get_by_role("button", name="± diff").click()
        notebook.page.wait_for_selector(".mn-row.mn-added")
        notebook.shot("diff")
        assert "turn 39 → 40" in notebook.page.locator("section[aria-label^=Context] .mn-note").inner_text()


# -- live -------------------------------------------------------------------------------------------------------------


def test_it_follows_a_reply_while_the_cell_still_runs(jupyter):
    jupyter.write("live.ipynb", "%load_ext mnesis_jupyter\nimport mnesis_jupyter" + SLOW, "%mnesis ui")
    with jupyter.open("live.ipynb") as notebook:
        shown(jupyter, notebook)
        page = notebook.page
        notebook.add_and_run("%%mnesis\nWhy does the dry run touch the audit table?")
        page.wait_for_selector(".mn-pending")
        seen = set()
        for _ in range(8):
            assert "[*]" in page.locator(".jp-InputPrompt").last.inner_text()
            seen.add(page.locator(".mn-pending .mn-num").inner_text())
            page.wait_for_timeout(130)
        assert len(seen) >= 5
        assert page.locator(".mn-state").inner_text() == "answering"
        notebook.shot("streaming")
        notebook.settle()
        page.wait_for_function("() => document.querySelector('.mn-state').textContent === 'idle'")
        assert page.locator(".mn-pending").count() == 0
        assert "after 1 turn" in page.locator(".mn-where").inner_text()
        assert page.locator(".mn-row").count() == 3


def test_background_compaction_is_seen_between_cells(jupyter):
    begin = LOAD + "\nfrom mnesis_jupyter.state import state\nfork = None"
    make = (
        "session = mnesis_jupyter.open_session(model='offline/quote', title='later')\n"
        "for turn in range(12):\n    state().bridge.call(session.record, f'Question {turn}', 'An answer. ' * 40)"
    )
    jupyter.write("later.ipynb", begin, make, "%mnesis ui")
    with jupyter.open("later.ipynb") as notebook:
        shown(jupyter, notebook)
        page = notebook.page
        assert "no summaries" in page.locator(".mnesis").inner_text()
        wait = "import asyncio\nasync def later():\n    await asyncio.sleep(1)\n    await session.compact()\n"
        notebook.add_and_run(wait + "state().bridge.start(later)")
        notebook.settle()
        page.wait_for_function("() => /1 summary in this window/.test(document.querySelector('.mnesis').textContent)")


# -- by keyboard ------------------------------------------------------------------------------------------------------


def test_everything_is_done_by_keyboard_alone(jupyter):
    jupyter.write("keys.ipynb", LOAD, "%mnesis ui")
    with jupyter.open("keys.ipynb") as notebook:
        shown(jupyter, notebook)
        page = notebook.page

        def focus(selector: str) -> None:
            page.locator(".mn-travel button").first.evaluate("e => e.focus()")
            for _ in range(40):
                if page.evaluate("s => document.activeElement?.matches(s)", selector):
                    return
                page.keyboard.press("Tab")
            raise AssertionError(f"Tab does not reach {selector}")

        focus(".mn-travel input")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        page.wait_for_function(f"() => document.querySelector('.mn-where').textContent.startsWith('turn {TURNS - 2} ')")
        focus(".mn-mapaxis")
        page.keyboard.press("Shift+ArrowLeft")
        page.wait_for_function(
            f"() => document.querySelector('.mn-where').textContent.startsWith('turn {TURNS - 12} ')"
        )
        page.keyboard.press("Home")
        page.wait_for_function("() => document.querySelector('.mn-where').textContent.startsWith('turn 0 ')")
        page.keyboard.press("End")
        page.wait_for_function("() => document.querySelector('.mn-where').textContent.startsWith('next request')")
        assert page.locator(".mn-mapaxis").get_attribute("aria-valuetext")
        focus(".mn-list")
        page.keyboard.press("d")  # twice deletes a cell, elsewhere
        page.keyboard.press("d")
        assert page.locator(".jp-Cell").count() == 2
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_selector(".mn-detail .mn-text")
        assert "summary" in page.locator(".mn-detail").inner_text()
        page.keyboard.press("Escape")
        page.wait_for_selector(".mn-detail", state="hidden")
        page.get_by_role("button", name="as a tree").focus()
        page.keyboard.press("Enter")
        focus(".mn-tree")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(300)
        assert page.locator(".mn-branch[aria-level='2']").count() > 0
        page.keyboard.press("Enter")
        page.wait_for_selector(".mn-pinned .mn-text, .mn-detail .mn-text")
        focus(".mn-lanes")
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('.mn-where').textContent.startsWith('turn ')")
        notebook.shot("keyboard")


# -- where it cannot live ---------------------------------------------------------------------------------------------


def test_it_survives_being_saved_closed_and_reopened_trusted_and_untrusted_and_exported(jupyter, folder):
    path = jupyter.write("keep.ipynb", LOAD, "%mnesis ui", "%%mnesis\nOne more question.")
    with jupyter.open("keep.ipynb") as notebook:
        shown(jupyter, notebook)
        notebook.page.wait_for_timeout(500)
        notebook.save()
    saved = nbformat.read(path, as_version=4)
    assert "widgets" not in saved.metadata
    copy = saved.cells[1].outputs[1].data["text/html"]
    assert "after 91 turns" in copy.replace(",", "")  # as it was after the last cell, not after its own

    with jupyter.open("keep.ipynb", ready=False) as notebook:  # trusted: this server signed it
        stale = notebook.page.get_by_text("a static copy").first
        stale.wait_for()
        assert stale.is_visible()
        notebook.shot("reopened-trusted", ".jp-Notebook")

    strange = folder / "strange.ipynb"
    strange.write_text(json.dumps({**json.loads(path.read_text()), "metadata": saved.metadata | {"from": "elsewhere"}}))
    with jupyter.open("strange.ipynb", ready=False) as notebook:
        notebook.page.get_by_text("a static copy").first.wait_for()
        text = notebook.page.locator(".jp-Notebook").inner_text()
        assert "Context, as it is sent" in text
        assert "model not found" not in text
        notebook.shot("reopened-untrusted", ".jp-Notebook")

    page_path = folder / "keep.html"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(path), "--output", str(page_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for width in (400, 1280):
        with jupyter.page(width=width) as page:
            page.context.set_offline(True)
            page.goto(page_path.as_uri(), wait_until="commit")
            page.get_by_text("a static copy").first.wait_for()
            assert "Context, as it is sent" in page.locator("body").inner_text()
            cut = "tables => tables.filter(e => e.scrollWidth > e.parentElement.clientWidth).map(e => e.innerText)"
            assert page.locator("table").count() >= 3
            assert page.locator("table").evaluate_all(cut) == []
            page.screenshot(path=SHOTS / f"exported-{width}.png", full_page=True)
    assert jupyter.foreign == []


# -- everything shown is data -----------------------------------------------------------------------------------------

_FORBIDDEN = """selector => {
    const tags = 'script, img, iframe, object, embed, form, base, meta, link, video, audio, math, animate';
    const acts = a => a.name.startsWith('on') || (/javascript:|data:/i.test(a.value) && a.name !== 'title');
    return [...document.querySelectorAll(selector)].flatMap(root => [...root.querySelectorAll('*')])
        .filter(e => e.matches(tags + ', [src], [href]') || [...e.attributes].some(acts))
        .map(e => e.outerHTML.slice(0, 200));
}"""


def test_nothing_that_a_model_a_tool_or_a_file_says_runs_or_is_fetched(jupyter, folder):
    aside(lambda: _attack(folder / "attack.db"))
    session_id = frames.sessions(db=folder / "attack.db").index[0]
    report = folder / "attack.html"
    begin = (
        f"%load_ext mnesis_jupyter\n%config Mnesis.db = {str(folder / 'attack.db')!r}\nimport mnesis_jupyter\n"
        f"from mnesis_jupyter.state import state\n"
        f"from mnesis.llm.scripted import ScriptedProvider\n"
        f"state().load({session_id!r}, llm=ScriptedProvider([]))\n"
        f"%mnesis export {report}"
    )
    path = jupyter.write("attack.ipynb", begin, EACH, "%mnesis ui")
    dialogs: list[str] = []

    def refuse(dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    def watch(page) -> None:
        page.on("dialog", refuse)
        page.on("request", lambda request: jupyter.requests.append(request.url))

    with jupyter.page(width=1480, height=2000) as page:
        watch(page)
        notebook = jupyter.opened(page, "attack.ipynb")
        shown(jupyter, notebook, 5)
        ui = page.locator(".mnesis").last
        opened = 0
        for row in range(ui.locator(".mn-row").count()):
            line = ui.locator(".mn-row").nth(row)
            line.wait_for()  # a forced click does not wait for a row that is being drawn
            line.click(force=True)
            ui.locator(".mn-detail .mn-text").wait_for()
            ui.get_by_role("button", name="Close").click()
            opened += 1
        assert opened >= 15
        ui.locator(".mn-lanes").hover(position={"x": 300, "y": 30})
        ui.get_by_role("button", name="by time").click()
        travel_last = ui.locator(".mn-travel button").first
        travel_last.click()
        page.wait_for_timeout(500)
        notebook.shot("attack")
        assert page.evaluate(_FORBIDDEN, ".mnesis") == []
        notebook.save()
    with jupyter.page() as page:
        watch(page)
        jupyter.opened(page, "attack.ipynb", ready=False)
        page.get_by_text("a static copy").first.wait_for()
        assert page.evaluate(_FORBIDDEN, "[class^=mnesis-copy-]") == []
    exported = folder / "attack-export.html"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(path), "--output", str(exported)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for file in (exported, report):
        with jupyter.page() as page:
            page.on("dialog", refuse)
            evil: list[str] = []
            page.on("request", lambda request, evil=evil: evil.append(request.url))
            page.goto(file.as_uri(), wait_until="commit")
            page.wait_for_timeout(1500)
            assert [url for url in evil if "evil" in url or url.startswith("file:///etc")] == []
            assert page.evaluate(_FORBIDDEN, "section, [class^=mnesis-copy-]") == []
    assert dialogs == []
    assert [url for url in jupyter.requests if "evil" in url] == []
    assert jupyter.foreign == []
