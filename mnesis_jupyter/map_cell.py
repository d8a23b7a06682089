"""`%%mnesis map`: the body is a template, asked about each item of a DataFrame, a list or a file of JSON lines."""

import argparse
import contextlib
import itertools
import json
import keyword
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell

from mnesis import InputError, NotFound
from mnesis_jupyter.arguments import Parser, objects_named, whole
from mnesis_jupyter.map_job import MapJob
from mnesis_jupyter.maps import wait_for
from mnesis_jupyter.running_map import RunningMap

if TYPE_CHECKING:
    import pandas as pd

NAME = "map"
"""The word after `%%mnesis` that makes a cell a map: a chat cell has only options there."""

_DESCRIPTION = """\
The cell is a Jinja template that uses `item`, asked about each item side by side:

    %%mnesis map reviews -o moods --schema Mood
    What is the mood of this review? {{ item.text }}

The results are a DataFrame with the index of the inputs, the schema's fields as columns, and success, error, attempts
beside them. Each is on disk at once: an interrupt stops the run, and --resume does what is left.

While a cell runs, the kernel hears no button: the one that stops the map is there with --bg, which ends the cell at
once. The results are kept under the name of -o when the map has ended; _.result() waits for them."""


def parser() -> Parser:
    """The options of a map cell."""
    options = Parser("%%mnesis map", description=_DESCRIPTION)
    options.add_argument("inputs", nargs="?", help="a DataFrame or list of the notebook, or a file of JSON lines")
    options.add_argument("-o", "--out", metavar="VAR", help="name to keep the results in; without it they are shown")
    options.add_argument(
        "--bg", action="store_true", help="map in the background: the cell ends at once, below it a button that stops"
    )
    options.add_argument("--schema", metavar="NAME", help="a pydantic class, or a JSON Schema, a dict (default: text)")
    options.add_argument("-m", "--model", help="litellm model string, offline/quote (default: %%config Mnesis.model)")
    options.add_argument("--system", metavar="TEXT", default="", help="system prompt")
    options.add_argument("--concurrency", type=whole, metavar="N", help="so many items at a time (16)")
    options.add_argument("--limit", type=whole, metavar="N", help="only the first N items, to try it out")
    options.add_argument("--retries", type=_count, metavar="N", help="how often an item is tried again (3)")
    options.add_argument(
        "--resume", metavar="RUN|NAME", help="do what is left of a run: its id (`%%mnesis maps`), or the results of it"
    )
    options.add_argument("--retry-failed", action="store_true", help="with --resume: also what failed")
    return options


def run(shell: InteractiveShell, options: argparse.Namespace, template: str) -> "pd.DataFrame | RunningMap | None":
    """One map cell. What there is of the results is kept also where it is stopped."""
    if options.out is not None and (not options.out.isidentifier() or keyword.iskeyword(options.out)):
        raise InputError(f"-o {options.out}: that is not a name for a variable")
    names = shell.user_ns
    job = MapJob(
        None if options.inputs is None else _first(_inputs(options.inputs, names), options.limit),
        template.rstrip("\n"),
        objects_named([options.schema], names)[options.schema] if options.schema else None,
        resume=None if options.resume is None else _run_id(options.resume, names),
        retry_failed=options.retry_failed,
        model=options.model,
        llm=None,
        retries=options.retries,
        options={"concurrency": options.concurrency},
        system_prompt=options.system,
    )
    if options.bg:
        names.pop(options.out, None)  # results of before are not taken for those that are to come
        return RunningMap(job, partial(names.__setitem__, options.out) if options.out else None)
    try:
        wait_for(job)
    finally:
        if options.out:
            with contextlib.suppress(NotFound):  # it had not begun
                names[options.out] = job.frame()
    return None if options.out else job.frame()


def _inputs(name: str, names: Mapping[str, Any]) -> Any:
    """The value of the notebook with this name, else the file."""
    if name.partition(".")[0] not in names and (path := Path(name).expanduser()).is_file():
        return path
    return objects_named([name], names)[name]


def _run_id(name: str, names: Mapping[str, Any]) -> str:
    """The id itself, or that of a run or of results that the notebook has under this name."""
    if name.startswith("run_") and name not in names:
        return name
    value = objects_named([name], names)[name]
    id = getattr(value, "attrs", {}).get("run_id") or getattr(value, "id", value)
    if not isinstance(id, str):
        raise InputError(f"--resume {name}: a {type(value).__name__} names no run; give an id, `%mnesis maps` has them")
    return id


def _first(inputs: Any, limit: int | None) -> Any:
    if limit is None:
        return inputs
    if isinstance(inputs, str | Path):
        return _lines(Path(inputs), limit)
    if hasattr(inputs, "head"):
        return inputs.head(limit)
    return inputs[:limit] if isinstance(inputs, Sequence) else list(itertools.islice(inputs, limit))


def _lines(path: Path, limit: int) -> list[Any]:
    try:
        with path.expanduser().open(encoding="utf-8-sig") as file:
            return [json.loads(line) for line in itertools.islice((line for line in file if line.strip()), limit)]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON lines ({error}); correct it, or give a list") from error


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)
