"""The widget `Reply`: a turn that runs in the background, and a button that stops it."""

from collections.abc import Callable
from typing import Any

import traitlets

from mnesis_jupyter.html import Html, visible
from mnesis_jupyter.widgets.assets import module, styles
from mnesis_jupyter.widgets.copied import Copied
from mnesis_jupyter.widgets.tree import tree_of

RUNNING = ("waiting", "streaming", "calling")


class Reply(Copied):
    """What there is of a reply, as a chat cell shows it. Its traits may be set from any thread."""

    _esm, _css = module("reply", "reply"), styles("reply")

    session = traitlets.Unicode(read_only=True).tag(sync=True)
    state = traitlets.Unicode("streaming").tag(sync=True)
    """A `ReplyState`, or "failed"."""
    tokens = traitlets.Int(0).tag(sync=True)
    view: Any = traitlets.List().tag(sync=True)

    def __init__(self, session: str, stop: Callable[[], None]) -> None:
        """`stop` is called when somebody wants the turn to end."""
        self._stop = stop
        self._html, self._text = Html(""), "A reply that is being written in the background."
        super().__init__()
        self.set_trait("session", visible(session))
        self.on_msg(self._asked)

    def tell(self, html: Html, text: str, state: str, tokens: int) -> None:
        """Show this in the place of what was shown before."""
        self._html, self._text = html, text
        with self.hold_sync():
            self.view, self.state, self.tokens = tree_of(html), state, tokens

    def version(self) -> object:
        return self._html, self.state

    def copy(self) -> tuple[str, str]:
        if self.state not in RUNNING:
            return self._html, self._text
        note = "Written in the background. When this was saved it had not ended; the next cell brings it up to date."
        return f'{self._html}<div style="font-size:12px;opacity:0.75">{note}</div>', f"{self._text}\n\n{note}"

    def _asked(self, widget: Any, content: Any, buffers: Any) -> None:
        if content == {"stop": True}:
            self._stop()

    def __repr__(self) -> str:
        return f"<mnesis Reply, {self.state}>"
