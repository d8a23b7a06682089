"""The inspector."""

import argparse
from pathlib import Path

from mnesis import InputError
from mnesis_jupyter.commands.registry import SESSION, argument, chosen, command, name_of, notice
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State


@command(
    "ui",
    "The inspector: budget, summaries, timeline and window in one live widget, with time travel.",
    SESSION,
    argument("--turn", type=int, help="begin at the window of a past turn, from 0"),
)
def _ui(state: State, options: argparse.Namespace) -> Output | None:
    from IPython.display import display

    from mnesis_jupyter.widgets import inspect

    display(inspect(chosen(state, options), turn=options.turn))  # type: ignore[no-untyped-call]
    return None


@command(
    "export",
    "The whole inspection as one HTML file: offline, without scripts, without keys.",
    argument("file", type=Path, metavar="FILE", help="where to write it, such as report.html"),
    SESSION,
)
def _export(state: State, options: argparse.Namespace) -> Output:
    from mnesis_jupyter.widgets.panel import subject_of
    from mnesis_jupyter.widgets.report import report

    session = chosen(state, options)
    path = options.file.expanduser()
    try:
        path.write_text(report(subject_of(session)), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); give another file") from error
    size = path.stat().st_size
    told = f"Exported {name_of(session)} to `{path}`, {size / 1000:,.0f} kB."
    return notice(told, "It holds what was said; keys in it are masked.")
