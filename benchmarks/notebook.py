"""What the notebook language costs: loading the extension, and completing in a cell.

    python benchmarks/notebook.py [--turns 1000]

In a fresh process each time, a real IPython shell without a kernel. The floor of a completion is IPython's own for an
attribute of a module in the same shell.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_LOAD = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "mnesis_jupyter")
print(time.perf_counter() - began)
"""

CELLS = {
    "a subcommand": "%mnesis su",
    "an option": "%%mnesis --s",
    "a session": "%mnesis use of",
    "a model": "%%mnesis -m anthropic/claude-",
    "any model": "%%mnesis -m ",
    "an id": "%mnesis why msg_",
    "a name in the body": "%%mnesis\nWhat is {{ sys",
    "an attribute in the body": "%%mnesis\nWhat is {{ sys.v",
}


def main(arguments: list[str] | None = None) -> int:
    """Print one row for each thing that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=1_000, help="of the session whose ids are completed")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mnesis-bench-") as folder:
        os.environ |= {"MNESIS_DB": str(Path(folder) / "sessions.db"), "IPYTHONDIR": folder}
        loads = [float(subprocess.check_output([sys.executable, "-c", _LOAD], text=True)) for _ in range(5)]
        print(f"{'':<44}{'median':>12}{'worst':>12}  limit")
        _row("%load_ext mnesis_jupyter", loads, "300 ms")
        _completions(options.turns)
    return 0


def _completions(turns: int) -> None:
    from IPython.core.completer import provisionalcompleter
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    import mnesis_jupyter
    from mnesis_jupyter.state import state

    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    shell.run_line_magic("load_ext", "mnesis_jupyter")
    shell.run_cell("import sys, os")
    session = mnesis_jupyter.open_session(title=f"of {turns}")
    for number in range(turns):
        state().bridge.call(session.record, f"question {number}", f"reply {number}")

    def times(text: str) -> list[float]:
        taken = []
        for _ in range(21):
            began = time.perf_counter()
            with provisionalcompleter():
                found = list(shell.Completer.completions(text, len(text)))
            taken.append(time.perf_counter() - began)
            assert found, text
        return taken

    _row("IPython's own: an attribute", times("os.pat"), "the floor")
    for what, text in CELLS.items():
        _row(f"complete {what}", times(text), "50 ms")
    shell.run_line_magic("unload_ext", "mnesis_jupyter")


def _row(what: str, seconds: list[float], limit: str) -> None:
    print(f"{what:<44}{statistics.median(seconds) * 1e3:>9,.1f} ms{max(seconds) * 1e3:>9,.1f} ms  {limit}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
