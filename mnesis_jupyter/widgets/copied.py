"""A widget with a static copy: what stands in exports, and in notebooks that are reopened, where no widget lives."""

import secrets
from typing import Any

import anywidget
import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle, display


class Copied(anywidget.AnyWidget):
    """Is displayed twice: as a widget, and as HTML that the live widget hides."""

    copy_id = traitlets.Unicode(read_only=True).tag(sync=True)
    """Class of the static copy."""

    def __init__(self, **traits: Any) -> None:
        self._copies: list[tuple[DisplayHandle, object]] = []
        self._views: list[DisplayHandle] = []
        super().__init__(**traits)
        self.set_trait("copy_id", f"mnesis-copy-{secrets.token_hex(4)}")

    def version(self) -> object:
        """What its copy depends on: a copy of another version is not up to date."""
        raise NotImplementedError

    def copy(self) -> tuple[str, str]:
        """What it shows, as HTML that needs neither kernel nor script nor style sheet, and as text."""
        raise NotImplementedError

    @property
    def over(self) -> bool:
        """Whether nothing will change any more: the static copy then takes the place of the widget."""
        return False

    def _ipython_display_(self) -> None:
        """The widget, and below it its static copy."""
        show: Any = display
        if not self.over:
            bundle, metadata = self._repr_mimebundle_() or ({}, {})
            self._views.append(show(bundle, metadata=metadata, raw=True, display_id=True))
        handle = show(self._copy(), raw=True, display_id=True)
        self._copies.append((handle, self.version()))
        if len(self._copies) == 1 and (shell := get_ipython()) is not None:
            shell.events.register("post_run_cell", self._refresh)

    def close(self) -> None:
        """Take the widget back: it lives no more, and its copies stay as they are."""
        if self.comm is not None and self._copies:  # also called for what was never made
            if (shell := get_ipython()) is not None:
                shell.events.unregister("post_run_cell", self._refresh)
            self._copies = []
        super().close()

    def _copy(self) -> dict[str, str]:
        html, text = self.copy()
        return {"text/html": f'<div class="{self.copy_id}">{html}</div>', "text/plain": text}

    def _refresh(self, result: object = None) -> None:
        """Bring the static copies up to date. After a cell: what is displayed between cells is dropped."""
        if self.over:
            for view in self._views:
                view.update({"text/html": "", "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]
            self._views = []
        now = self.version()
        stale = [handle for handle, seen in self._copies if seen != now]
        if not stale:
            return
        copy = self._copy()
        for handle in stale:
            handle.update(copy, raw=True)  # type: ignore[no-untyped-call]
        self._copies = [(handle, now) for handle, _ in self._copies]
