"""The widget `Map`: a map that runs in the background, and a button that stops it."""

from collections.abc import Callable, Sequence
from typing import Any

import traitlets

from mnesis.models.maps import MapProgress, MapResult
from mnesis_jupyter.html import Html, visible
from mnesis_jupyter.views import MapState, map_html, map_text, map_words, notice_html, notice_text
from mnesis_jupyter.widgets.assets import module, styles
from mnesis_jupyter.widgets.running import Running


class Map(Running):
    """How far a map is; its state is a `MapState`."""

    under_way = frozenset({"running", "stopping"})
    _esm, _css = module("map", "map"), styles("map")

    run = traitlets.Unicode(read_only=True).tag(sync=True)
    model = traitlets.Unicode(read_only=True).tag(sync=True)
    state = traitlets.Unicode("running").tag(sync=True)
    words: Any = traitlets.Dict().tag(sync=True)
    """`MapWords`, once there are some."""
    error = traitlets.Unicode("").tag(sync=True)

    def __init__(self, run: str, model: str, stop: Callable[[], None]) -> None:
        """`stop` is called when somebody presses the button."""
        self._said = model
        super().__init__(f"Map · {visible(model)} · {run} begins.", stop)
        self.set_trait("run", run)
        self.set_trait("model", visible(model))

    def tell(self, progress: MapProgress, state: MapState, failures: Sequence[MapResult]) -> None:
        """Show this in the place of what was shown before."""
        seen = (progress, self._said, state, failures)
        self._html, self._text = map_html(*seen), map_text(*seen)
        with self.hold_sync():
            self.words, self.state = map_words(progress, state, failures)._asdict(), state

    def fail(self, error: str) -> None:
        """Say what it ran into; it is over."""
        self._html, self._text = Html(f"{self._html}{notice_html(error)}"), f"{self._text}\n\n{notice_text(error)}"
        with self.hold_sync():
            self.error, self.state = visible(error), "failed"
