"""Run by `./run release` where only the wheel is installed: `smoke.py [jupyter]`. The first minute of a user."""

import asyncio
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import mnesis
from mnesis import MnesisSession


def main() -> None:
    """Try the engine, the command, and with `jupyter` the notebook side; raise where something is amiss."""
    with_jupyter = "jupyter" in sys.argv[1:]
    assert Path(mnesis.__file__).is_relative_to(sys.prefix), f"this tries {mnesis.__file__}, which is not installed"
    assert mnesis.__version__ == importlib.metadata.version("mnesis")
    assert Path(mnesis.__file__).with_name("py.typed").is_file()
    assert not importlib.util.find_spec("tests"), "the wheel brings the tests along"
    asyncio.run(session())
    command()
    if with_jupyter:
        notebook()
        widgets()
        tour()
    else:
        assert not importlib.util.find_spec("IPython"), "the engine alone brings Jupyter along"
    print(f"mnesis {mnesis.__version__}{' with jupyter' * with_jupyter}: all is well")


async def session() -> None:
    """A first session, and the same again from the store."""
    async with MnesisSession.open(model="offline/quote") as first:
        await first.send("My name is Alice.")
    async with await MnesisSession.load(first.id) as again:
        reply = await again.send("What's my name?")
        assert "My name is Alice" in reply.text, reply.text
        assert (await again.verify()).ok


def command() -> None:
    """The command that was installed beside this Python."""
    program = Path(sys.executable).with_name("mnesis")
    for arguments, expected in (["--version"], mnesis.__version__), (["sessions"], "offline/quote"):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=True)
        assert expected in done.stdout, done.stdout


def notebook() -> None:
    """`%load_ext` and a chat cell, in a real shell."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    with capture_output() as shown:
        shell.run_cell("%load_ext mnesis_jupyter").raise_error()
        shell.run_cell_magic("mnesis", "", "The secret code is 42.")
        shell.run_cell("%mnesis context").raise_error()
    html = "\n".join(output.data.get("text/html", "") for output in shown.outputs)
    assert "The secret code is 42." in html, html
    shell.run_cell("%unload_ext mnesis_jupyter").raise_error()


def widgets() -> None:
    """Each widget comes with its JavaScript and its style sheet."""
    from mnesis_jupyter.widgets import Budget, Context, Inspector, Summaries, Timeline

    for widget in (Budget, Context, Inspector, Summaries, Timeline):
        assert "export default" in str(widget._esm), widget  # noqa: SLF001  # anywidget's names
        assert ".mnesis" in str(widget._css), widget  # noqa: SLF001


def tour() -> None:
    """The tour runs from its first cell to its last."""
    demo = [sys.executable, "-m", "mnesis_jupyter.demo", "--headless", "--out", "tour.html"]
    subprocess.run(demo, timeout=300, check=True)
    assert "mnesis" in Path("tour.html").read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
