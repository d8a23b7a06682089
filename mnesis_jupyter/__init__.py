"""Sessions with language models in Jupyter: chat in a cell, see the window that is sent, query all of it.

    %load_ext mnesis_jupyter

    %%mnesis
    What is on your mind?

`%mnesis help` lists the rest. `mnesis_jupyter.frames` gives the store as DataFrames, `sql` asks it anything,
`chat` is a session for cells of plain Python, `open_session` and `use` put sessions of your own below the magics,
`inspect` shows one live, `submit_tool_results` answers calls of tools that only you can run.
"""

import importlib
import importlib.util
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from mnesis_jupyter import frames
    from mnesis_jupyter.background import RunningTurn
    from mnesis_jupyter.cell import submit_tool_results
    from mnesis_jupyter.facade import Chat, chat
    from mnesis_jupyter.frames import sql
    from mnesis_jupyter.maps import llm_map
    from mnesis_jupyter.running_map import RunningMap
    from mnesis_jupyter.state import open_session, use
    from mnesis_jupyter.turn import ChatResult
    from mnesis_jupyter.widgets import inspect

__all__ = [
    "Chat",
    "ChatResult",
    "RunningMap",
    "RunningTurn",
    "chat",
    "frames",
    "inspect",
    "llm_map",
    "load_ipython_extension",
    "open_session",
    "sql",
    "submit_tool_results",
    "unload_ipython_extension",
    "use",
]

_NEEDED = ("anywidget", "ipywidgets", "markdown_it", "nh3", "pandas")
"""What the extra `jupyter` brings, and the first cells import."""

_LAZY = {
    "Chat": "facade",
    "ChatResult": "turn",
    "RunningMap": "running_map",
    "RunningTurn": "background",
    "chat": "facade",
    "inspect": "widgets",
    "llm_map": "maps",
    "open_session": "state",
    "sql": "frames",
    "submit_tool_results": "cell",
    "use": "state",
}


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Called by `%load_ext mnesis_jupyter`: registers the magics, starts nothing."""
    _check_installed()
    from mnesis_jupyter import formatters
    from mnesis_jupyter.completion import complete
    from mnesis_jupyter.current import CURRENT
    from mnesis_jupyter.lines import Line
    from mnesis_jupyter.magics import MnesisMagics

    CURRENT.configure(shell.config)
    _accessors()
    _configurables(shell).append(CURRENT.settings)
    shell.register_magics(MnesisMagics)
    formatters.register(shell)
    shell.input_transformer_manager.token_transformers.append(Line)
    shell.Completer.custom_matchers.append(complete)
    shell.events.register("pre_run_cell", _accessors)
    threading.Thread(target=_warm_up, daemon=True).start()


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """Called by `%unload_ext` and `%reload_ext`: closes the sessions, which stay in the store, and takes all back."""
    from mnesis_jupyter import formatters
    from mnesis_jupyter.completion import complete
    from mnesis_jupyter.current import CURRENT
    from mnesis_jupyter.lines import Line
    from mnesis_jupyter.state import shut_down

    shut_down()
    formatters.unregister(shell)
    if _accessors in shell.events.callbacks["pre_run_cell"]:
        shell.events.unregister("pre_run_cell", _accessors)
    if Line in (transformers := shell.input_transformer_manager.token_transformers):
        transformers.remove(Line)
    if complete in (matchers := shell.Completer.custom_matchers):
        matchers.remove(complete)
    if CURRENT.settings in (configurables := _configurables(shell)):
        configurables.remove(CURRENT.settings)
    for magics in shell.magics_manager.magics.values():
        magics.pop("mnesis", None)


def _check_installed() -> None:
    """Say what to install where the engine came without its notebook side (`pip install mnesis`)."""
    from IPython.core.error import UsageError

    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"mnesis_jupyter needs {', '.join(missing)}, not installed here. "
            'Run  %pip install "mnesis[jupyter]"  and load it again.'
        )


def _warm_up() -> None:
    """What the first cell and its completion will need, while its author writes it."""
    importlib.import_module("mnesis_jupyter.cell")
    importlib.import_module("mnesis_jupyter.commands")
    importlib.import_module("mnesis").known_models()


def _accessors(info: object = None) -> None:
    """Give DataFrames their `.mnesis` once there is pandas, which is not imported for it."""
    if "pandas" in sys.modules:
        importlib.import_module("mnesis_jupyter.frames.accessor")


def _configurables(shell: "InteractiveShell") -> list[Any]:
    configurables: list[Any] = shell.configurables  # what %config offers; IPython types it too narrowly
    return configurables


def __getattr__(name: str) -> Any:
    # Imported when asked for: pandas and the engine take longer than a person waits for %load_ext.
    if name == "frames":
        return importlib.import_module("mnesis_jupyter.frames")
    if name in _LAZY:
        return getattr(importlib.import_module(f"mnesis_jupyter.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
