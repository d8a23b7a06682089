"""What the widgets of work in the background have in common: a button that stops it, and a copy that stays."""

from collections.abc import Callable
from typing import Any, ClassVar

import traitlets

from mnesis_jupyter.html import Html
from mnesis_jupyter.widgets.copied import Copied

_SAVED = "It ran in the background. When this was saved it had not ended; the next cell brings it up to date."


class Running(Copied):
    """Work that goes on. Its traits may be set from any thread; once it is over, its static copy takes its place."""

    state = traitlets.Unicode().tag(sync=True)

    under_way: ClassVar[frozenset[str]]
    """The states of work that goes on."""

    def __init__(self, text: str, stop: Callable[[], None]) -> None:
        """`text` stands for it until there is something to show; `stop` is called when somebody presses the button."""
        self._stop, self._html, self._text = stop, Html(""), text
        super().__init__()
        self.on_msg(self._asked)

    @property
    def over(self) -> bool:
        return self.state not in self.under_way

    def version(self) -> object:
        return self._html, self.state

    def copy(self) -> tuple[str, str]:
        if self.over:
            return self._html, self._text
        return f'{self._html}<div style="font-size:12px;opacity:0.75">{_SAVED}</div>', f"{self._text}\n\n{_SAVED}"

    def _asked(self, widget: Any, content: Any, buffers: Any) -> None:
        if content == {"stop": True}:
            self._stop()

    def __repr__(self) -> str:
        return f"<mnesis {type(self).__name__}, {self.state}>"
