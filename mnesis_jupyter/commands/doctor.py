"""Whether everything is in place. Nothing is repaired, no key is read, no network is asked."""

import argparse
import importlib.util
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mnesis import FileConfig, MnesisError, local
from mnesis_jupyter import frames
from mnesis_jupyter.commands.registry import command, table
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State

_PACKAGES = ("mnesis", "litellm", "ipython", "ipykernel", "ipywidgets", "anywidget", "pandas")
_OK, _LOOK = "ok", "look"

type _Row = tuple[str, str, str]


@command("doctor", "Versions, settings, store, keys (by name), local models, folders: what is in place, what is not.")
def _doctor(state: State, options: argparse.Namespace) -> Output:
    rows = [*_versions(), *_settings(), *_store(state), _keys(), _local_models(), *_folders()]
    wrong = sum(row[1] == _LOOK for row in rows)
    caption = f"{wrong} {'thing needs' if wrong == 1 else 'things need'} a look" if wrong else "All is in place"
    return table(rows, ("what", "", "how it is"), caption)


def _versions() -> Iterator[_Row]:
    yield "python", _OK, platform.python_version()
    for name in _PACKAGES:
        try:
            found = version(name)
        except PackageNotFoundError:
            yield name, _LOOK, f"not installed: pip install {name}"
            continue
        there = importlib.util.find_spec({"ipython": "IPython"}.get(name, name))
        yield name, _OK if there else _LOOK, found if there else f"{found}, but it cannot be imported"


def _settings() -> Iterator[_Row]:
    try:
        model = CURRENT.in_force()["model"]
        yield "settings", _OK, f"new sessions are with {model.value}, by {model.origin}"
    except MnesisError as error:
        yield "settings", _LOOK, str(error)
    if os.environ.get("MNESIS_MOCK_LLM"):
        yield "MNESIS_MOCK_LLM", _LOOK, "is set: every model is answered offline"


def _store(state: State) -> Iterator[_Row]:
    try:
        path = CURRENT.store
        problems = frames.problems(path)
        size = f"{path.stat().st_size / 1e6:,.1f} MB" if path.exists() else "not there yet; the first session makes it"
        yield "store", _LOOK if problems else _OK, f"{path}: {problems[0] if problems else size}"
        if CURRENT.session is not None:
            report = state.bridge.call(CURRENT.session.verify)
            told = "its invariants hold" if report.ok else f"{report.problems[0]}; see %mnesis verify"
            yield "session", _OK if report.ok else _LOOK, f"{CURRENT.session.id}: {told}"
    except (MnesisError, OSError) as error:
        yield "store", _LOOK, str(error)


def _keys() -> _Row:
    names = sorted(name for name, value in os.environ.items() if name.endswith("_API_KEY") and value)
    return "keys", _OK, ", ".join(names) if names else "none is set; offline and local models need none"


def _local_models() -> _Row:
    names = ", ".join(f"local/{path.stem}" for path in local.installed())
    if names and importlib.util.find_spec("xllamacpp") is None:
        return "local models", _LOOK, f'{names}, but they cannot be run: pip install "mnesis[local]"'
    return "local models", _OK, names or "none; `mnesis models get smollm2` brings a first one"


def _folders() -> Iterator[_Row]:
    for what, path in (
        ("folder of files", FileConfig().storage_dir.expanduser()),
        ("folder of models", local.folder()),
    ):
        yield what, _OK if _writable(path) else _LOOK, f"{path}{'' if _writable(path) else ' cannot be written'}"
    try:
        folder = CURRENT.store.parent
        yield "folder of the store", _OK if _writable(folder) else _LOOK, str(folder)
    except MnesisError:
        return


def _writable(folder: Path) -> bool:
    """Whether files can be made in it, or it can be made."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
