"""A notebook without a kernel: a real IPython shell in this process, its outputs caught."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import RichOutput, capture_output
from traitlets.config import Config


@dataclass(frozen=True)
class Ran:
    """What a cell did."""

    outputs: list[RichOutput]
    stdout: str
    error: BaseException | None
    result: Any

    @property
    def html(self) -> str:
        """The HTML of what stands below the cell in the end."""
        return "\n".join(output.data.get("text/html", "") for output in self.final)

    @property
    def text(self) -> str:
        """The same as plain text."""
        return "\n".join(output.data.get("text/plain", "") for output in self.final)

    @property
    def final(self) -> list[RichOutput]:
        """The outputs, each in its last version."""
        shown: dict[Any, RichOutput] = {}
        for number, output in enumerate(self.outputs):
            shown[(output.transient or {}).get("display_id", number)] = output
        return list(shown.values())


class Notebook:
    """Runs cells."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.names: dict[str, Any] = shell.user_ns

    def run(self, source: str) -> Ran:
        """Run a cell, which may fail."""
        with capture_output() as captured:
            ran = self.shell.run_cell(source, store_history=True)
        return Ran(captured.outputs, captured.stdout, ran.error_before_exec or ran.error_in_exec, ran.result)

    def __call__(self, source: str) -> Ran:
        """Run a cell that must not fail."""
        ran = self.run(source)
        assert ran.error is None, ran.stdout
        return ran


@contextmanager
def opened() -> Iterator[Notebook]:
    """A new notebook, with the extension loaded."""
    config = Config()
    config.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=config)
    notebook = Notebook(shell)
    try:
        notebook("%load_ext mnesis_jupyter")
        yield notebook
    finally:
        notebook.run("%unload_ext mnesis_jupyter")
        InteractiveShell.clear_instance()
