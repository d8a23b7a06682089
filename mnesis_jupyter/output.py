"""What a cell shows: HTML with its plain-text twin, and errors in one line."""

from collections.abc import Callable
from typing import NamedTuple

import IPython.display
from IPython.display import DisplayHandle

from mnesis import Authentication, ConfigError, InputError, NotFound, SessionBusy, SessionClosed
from mnesis_jupyter.html import Html, escape, visible


class Output(NamedTuple):
    """One thing to show, for eyes and for terminals."""

    html: Html
    text: str

    def bundle(self) -> dict[str, str]:
        """As Jupyter's messages carry it."""
        return {"text/html": self.html, "text/plain": self.text}


def joined(*outputs: Output) -> Output:
    """Several things as one, below each other."""
    return Output(Html("".join(output.html for output in outputs)), "\n\n".join(output.text for output in outputs))


def show(output: Output, *, handle: bool = False) -> DisplayHandle | None:
    """Show it below the cell that runs; with `handle` it can be replaced later."""
    display: Callable[..., DisplayHandle | None] = IPython.display.display  # untyped
    return display(output.bundle(), raw=True, display_id=True if handle else None)


def show_widget(widget: object) -> None:
    """Show a widget below the cell that runs."""
    IPython.display.display(widget)  # type: ignore[no-untyped-call]


def preformatted(text: str) -> Output:
    """Text as it is, its columns kept."""
    return Output(Html(f"<pre>{escape(text)}</pre>"), text)


def in_one_line(error: BaseException, message: str | None = None, hint: str | None = None) -> None:
    """Have IPython show this error as one sentence, and a hint, without a traceback. The cell fails all the same."""
    lines = [f"\x1b[1;31m{type(error).__name__}\x1b[0m: {visible(message or str(error))}"]
    lines += [f"\x1b[2m{hint}\x1b[0m"] if hint else []
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]  # IPython looks for this name


def hint_for(error: BaseException) -> str | None:
    """Where to go on from an error, in the words of the notebook."""
    match error:
        case NotFound(kind="session"):
            return "%mnesis sessions lists what is in the store"
        case Authentication():
            return "set the key in the environment before the kernel starts, or use %mnesis new -m offline/quote"
        case SessionBusy():
            return "nothing was sent or stored; run the cell again when the other notebook or program is done"
        case SessionClosed():
            return "%mnesis use ID opens it again"
        case InputError() | ConfigError():
            return None  # the sentence says it all
        case _:
            return "%mnesis debug shows the traceback"
