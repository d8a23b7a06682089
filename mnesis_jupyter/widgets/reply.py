"""The widget `Reply`: a turn that runs in the background, and a button that stops it."""

from collections.abc import Callable
from typing import Any

import traitlets

from mnesis_jupyter.html import Html, visible
from mnesis_jupyter.widgets.assets import module, styles
from mnesis_jupyter.widgets.running import Running
from mnesis_jupyter.widgets.tree import tree_of


class Reply(Running):
    """What there is of a reply, as a chat cell shows it; its state is a `ReplyState`, or "failed"."""

    under_way = frozenset({"waiting", "streaming", "calling"})
    _esm, _css = module("reply", "reply"), styles("reply")

    session = traitlets.Unicode(read_only=True).tag(sync=True)
    state = traitlets.Unicode("streaming").tag(sync=True)
    tokens = traitlets.Int(0).tag(sync=True)
    view: Any = traitlets.List().tag(sync=True)

    def __init__(self, session: str, stop: Callable[[], None]) -> None:
        """`stop` is called when somebody wants the turn to end."""
        super().__init__("A reply that is being written in the background.", stop)
        self.set_trait("session", visible(session))

    def tell(self, html: Html, text: str, state: str, tokens: int) -> None:
        """Show this in the place of what was shown before."""
        self._html, self._text = html, text
        with self.hold_sync():
            self.view, self.state, self.tokens = tree_of(html), state, tokens
