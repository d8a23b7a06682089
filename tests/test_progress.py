"""Long work says how far it is; who watches shows it, and takes it away again."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from small_windows import small

from mnesis import MnesisSession
from mnesis.progress import Progress, track, watch
from mnesis_jupyter import frames


def told(log: list[Progress]) -> list[tuple[int, int | None]]:
    return [(each.done, each.total) for each in log]


def test_work_that_nobody_watches_runs_all_the_same():
    with track("counting", 3) as progress:
        progress.advance()


def test_a_watcher_is_told_from_the_beginning_to_the_end():
    log: list[Progress] = []
    with watch(log.append), track("reading", 4, "files") as progress:
        progress.advance()
        progress.advance(2)
        progress.reach(4)
    assert told(log) == [(0, 4), (1, 4), (3, 4), (4, 4), (4, 4)]
    assert [each.ended for each in log] == [False] * 4 + [True]
    assert {(each.key, each.what, each.unit) for each in log} == {(log[0].key, "reading", "files")}


def test_work_that_fails_ends_for_the_watcher_too():
    log: list[Progress] = []
    with contextlib.suppress(OSError), watch(log.append), track("reading"):
        raise OSError("gone")
    assert log[-1].ended


def test_a_watcher_sees_only_what_begins_in_its_block():
    log: list[Progress] = []
    with watch(log.append):
        pass
    with track("later"):
        pass
    assert log == []


async def test_an_import_counts_its_turns():
    log: list[Progress] = []
    said = [{"role": role, "content": f"{role} {turn}"} for turn in range(3) for role in ("user", "assistant")]
    with watch(log.append):
        session = await MnesisSession.from_messages(said, model="offline/quote", db_path=":memory:")
    await session.close()
    assert told([each for each in log if each.what == "importing"]) == [(0, 3), (1, 3), (2, 3), (3, 3), (3, 3)]


async def test_a_compaction_counts_the_tokens_that_it_saves():
    log: list[Progress] = []
    async with small() as session:
        for turn in range(8):
            await session.record(f"Number {turn}. " + "Some words to fill the window. " * 20, "Noted.")
        with watch(log.append):
            result = await session.compact()
    assert {(each.what, each.unit, each.total) for each in log} == {("compacting", "tokens", None)}
    assert log[-1].done == result.tokens_before - result.tokens_after > 0
    assert log[-1].ended


def test_an_export_counts_the_rows_of_each_table(tmp_path, store_path):
    log: list[Progress] = []

    async def fill() -> None:
        async with MnesisSession.open(model="offline/quote", db_path=store_path) as session:
            await session.send("Hello.")

    asyncio.run(fill())
    with watch(log.append):
        frames.export(tmp_path, format="csv", tables=["turns", "messages"], db=store_path)
    ends = [(each.what, each.done, each.unit) for each in log if each.ended]
    assert ends == [("exporting turns", 1, "rows"), ("exporting messages", 2, "rows")]


# -- in a notebook ----------------------------------------------------------------------------------------------------

WORK = """
import asyncio
import mnesis_jupyter.progress
from mnesis.progress import track
from mnesis_jupyter.state import state

async def work(seconds, what="working"):
    with track(what, 10, "steps") as progress:
        for _ in range(10):
            await asyncio.sleep(seconds / 10)
            progress.advance()

def call(*args):
    state().bridge.call(work, *args)
"""


def test_long_work_in_a_cell_shows_one_bar_and_takes_it_away(run):
    run(WORK)
    bars = run("call(1.5, '<b>working</b>')").displays
    assert run("call(0.2)").displays == []
    awaited = run("with mnesis_jupyter.progress.shown():\n    await work(1.5)").displays
    for displays in (bars, awaited):
        texts = [each["text/plain"] for each in displays]
        assert 2 <= len(texts) <= 8
        assert texts[-1] == "" == displays[-1]["text/html"]
        assert all(re.search(r"working.*\d0%\|.*\| \d+/10 \[", text) for text in texts[:-1])
        assert all(set(each) == {"text/plain", "text/html"} for each in displays)  # no widget
        assert not any("<b>" in each["text/html"] for each in displays)


def test_a_compaction_in_a_cell_shows_how_far_it_is(run):
    run(
        """
        import mnesis_jupyter
        from mnesis.llm.base import ModelLimits
        from mnesis.llm.scripted import Reply, ScriptedProvider

        slow = Reply("It was said that the window was full. " * 4, delay=0.02)
        llm = ScriptedProvider(["Noted."] * 8 + [slow] * 30, limits=ModelLimits(context=8_000, output=500))
        chat = mnesis_jupyter.chat(mnesis_jupyter.open_session(model="test/slow", llm=llm))
        for turn in range(8):
            chat.send(f"Number {turn}. " + "Some words to fill the window. " * 20)
        """
    )
    ran = run("result = chat.compact()")
    saved = run("print(result.tokens_before - result.tokens_after)")
    assert saved.error == ""
    assert any(each["text/plain"].startswith("compacting: ") for each in ran.displays)
    assert ran.text == ""


# -- in a terminal ----------------------------------------------------------------------------------------------------

SCRIPT = """
import time
from mnesis.progress import shown, track

with shown(), track("working", 10, "steps") as progress:
    for _ in range(10):
        time.sleep({seconds} / 10)
        progress.advance()
print("done")
"""


MAP = """
import asyncio
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.operators import LLMMap

llm = ScriptedProvider([Reply("ok", delay=0.05)], cycle=True)
llm_map = LLMMap(model="test/slow", llm=llm, db_path={store!r})
results = asyncio.run(llm_map.run_all(range({count}), "{{{{ item }}}}", concurrency=1))
print(len(results))
"""


def in_a_terminal(script: str) -> tuple[str, str]:
    """What the script prints, and what it writes to a stderr that is a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        printed, _ = process.communicate(timeout=60)
    os.close(theirs)
    drawn = b""
    with contextlib.suppress(OSError):  # Linux's way to say that nobody is at the other end
        while piece := os.read(ours, 4096):
            drawn += piece
    os.close(ours)
    return printed, drawn.decode()


def without_a_terminal(script: str) -> tuple[str, str]:
    """What the script prints, and what it writes to a stderr that is a pipe."""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return ran.stdout, ran.stderr


def test_a_terminal_shows_a_bar_on_stderr_and_clears_its_line():
    printed, drawn = in_a_terminal(SCRIPT.format(seconds=1.5))
    assert printed == "done\n"
    assert re.search(r"working:.*%\|.*/10", drawn)
    assert drawn.split("\r")[-2].strip() == ""


def test_short_work_draws_nothing_in_a_terminal():
    assert in_a_terminal(SCRIPT.format(seconds=0.1)) == ("done\n", "")


def test_where_stderr_is_no_terminal_nothing_is_drawn():
    assert without_a_terminal(SCRIPT.format(seconds=0.8)) == ("done\n", "")


def test_a_map_in_a_terminal_shows_how_many_items_are_done_and_how_fast(tmp_path):
    printed, drawn = in_a_terminal(MAP.format(store=str(tmp_path / "s.db"), count=40))
    assert printed == "40\n"
    shown = [
        (int(done), int(total)) for done, total in re.findall(r"mapping:[^\r]*\| (\d+)/(\d+) \[[^\r]*items/s", drawn)
    ]
    assert len(shown) > 3
    assert shown == sorted(shown)
    assert {total for _, total in shown} == {40}
    assert drawn.split("\r")[-2].strip() == ""


def test_a_map_whose_stderr_is_no_terminal_prints_nothing(tmp_path):
    assert without_a_terminal(MAP.format(store=str(tmp_path / "s.db"), count=20)) == ("20\n", "")


def test_nothing_of_it_is_imported_before_it_is_needed():
    code = "import sys, mnesis.progress; sys.exit('tqdm' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
