"""`./run docs --pictures`: the pictures of the documentation, taken of the real widgets in JupyterLab, light and dark.

Needs Chromium (Debian: `apt install chromium fonts-dejavu-core`).
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS.parent / "tests"))

from lab import Lab, Open, lab  # noqa: E402  # the browser of the tests

from mnesis import MnesisConfig, MnesisSession, TextPart, ToolPart, ToolStatus  # noqa: E402
from mnesis.models.config import ModelOverrides  # noqa: E402

SCALE = 1.5
WIDTH = 980
SMALL = MnesisConfig(model_overrides=ModelOverrides(context_limit=8000, max_output_tokens=500))

LOAD = '%load_ext mnesis_jupyter\n%mnesis use "heron migration"'
WIDGET = "import mnesis_jupyter\nfrom mnesis_jupyter.widgets import {0}\n{0}()"
TOOLS = """
import mnesis_jupyter
from mnesis.llm.scripted import Reply, ScriptedProvider

calls = [{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "weather", "arguments": {"city": "Rome"}}]
script = [Reply("Let me look.", tool_calls=calls), "Rome: 27 degrees there, 14 in **Oslo**."]
mnesis_jupyter.open_session(model="test/script", llm=ScriptedProvider(script), title="weather")

def weather(city: str) -> str:
    \"\"\"The weather in a city.\"\"\"
    return f"{city}: {27 if city == 'Rome' else 14} degrees, light wind"
"""
ASKED = "%%mnesis --tools weather\nWhere is it warmer today, in Oslo or in Rome?"

PICTURES = {
    "inspector": ((LOAD, WIDGET.format("Inspector")), ".mnesis[data-ready]"),
    "window": ((LOAD, WIDGET.format("Budget")), ".mnesis[data-ready]"),
    "map": ((LOAD, WIDGET.format("Summaries")), ".mnesis[data-ready]"),
    "context": ((LOAD, "%mnesis context"), ".jp-CodeCell >> nth=1"),
    "recall": ((LOAD, "%mnesis grep cut-over date --role user -n 3"), ".jp-CodeCell >> nth=1"),
    "tools": (("%load_ext mnesis_jupyter" + TOOLS, ASKED), ".jp-CodeCell >> nth=1"),
}
"""The cells of a notebook, and what is taken of it."""

ASPECTS = ["the trigger on", "the index of", "the row counts of", "the foreign keys of", "the backfill of"]
TABLES = ["orders", "invoices", "customers", "shipments", "audit_log", "prices", "returns"]


def talk() -> Iterator[tuple[str, str, str]]:
    """A conversation about moving a database: question, answer, and what a tool put out, if one was called."""
    yield "We move the heron database in May. The cut-over date is 3 May, 22:00 UTC.", "Noted: 3 May, 22:00 UTC.", ""
    for turn in range(1, 58):
        aspect, table = ASPECTS[turn % len(ASPECTS)], TABLES[turn % len(TABLES)]
        asked = f"Does the dry run still touch {aspect} {table}? It took {20 + turn * 7 % 90} s on the replica. "
        reply = f"Step {turn} of the plan handles {aspect} {table}; the lock is held for {turn * 13 % 400} ms. "
        rows = f"{table} | {aspect} | {turn * 7919 % 100_000} rows | ok\n" * (12 * (turn % 4))
        yield asked * (1 + turn % 2), reply * (1 + turn % 5), rows


async def record(store: Path) -> None:
    """A session with a past, in a window that is small enough to have filled many times."""
    async with MnesisSession.open(
        model="offline/quote", db_path=store, config=SMALL, title="heron migration"
    ) as session:
        for turn, (asked, reply, rows) in enumerate(talk()):
            call = ToolPart(
                tool_name="run_sql",
                tool_call_id=f"call_{turn}",
                input={"query": "select * from plan"},
                output=rows,
                status=ToolStatus.COMPLETED,
            )
            await session.record(asked, [TextPart(text=reply), call] if rows else reply)
            while session.compaction_in_progress:
                await asyncio.sleep(0.001)


def take(jupyter: Lab, name: str, *, dark: bool) -> None:
    """One picture."""
    cells, what = PICTURES[name]
    jupyter.write(f"{name}.ipynb", *cells)
    with jupyter.open(f"{name}.ipynb", width=WIDTH + 330, height=2400, dark=dark, scale=SCALE) as notebook:
        notebook.run_all()
        save(notebook, what, DOCS / "pictures" / f"{name}-{'dark' if dark else 'light'}.webp")


def save(notebook: Open, what: str, path: Path) -> None:
    """What is in the page, as a file."""
    page = notebook.page
    page.locator(what).first.wait_for()
    page.keyboard.press("Escape")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    picture = page.locator(what).first.screenshot(animations="disabled")
    Image.open(io.BytesIO(picture)).convert("RGB").save(path, "WEBP", quality=82, method=6)
    print(f"{path.relative_to(DOCS.parent)}  {path.stat().st_size / 1000:.0f} kB", flush=True)


def main(names: list[str]) -> None:
    """Take all pictures, or those that are named."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "sessions.db")
        asyncio.run(record(store))
        with lab(Path(folder), MNESIS_DB=str(store), MNESIS_STREAM="0") as jupyter:
            for name in names or PICTURES:
                take(jupyter, name, dark=False)
                take(jupyter, name, dark=True)


if __name__ == "__main__":
    main(sys.argv[1:])
