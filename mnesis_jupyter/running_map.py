"""A map that runs on after its cell has ended: `%%mnesis map --bg`, `llm_map(…, background=True)`."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mnesis.operators import MapProgress, MapResult
from mnesis_jupyter.handle import Handle
from mnesis_jupyter.map_job import MapJob
from mnesis_jupyter.origin import cell_number
from mnesis_jupyter.output import hint_for, in_one_line, show_widget
from mnesis_jupyter.state import state
from mnesis_jupyter.views import MapState
from mnesis_jupyter.widgets.map import Map

if TYPE_CHECKING:
    import pandas as pd


class RunningMap(Handle["pd.DataFrame"]):
    """A map that runs on, below a widget that shows it and stops it.

    `result()` waits for its DataFrame, and raises what the run ran into; so does `await`. Of a map that was stopped it
    is what there is: `success` is missing where nothing is done yet. An interrupt ends the waiting, not the map.
    """

    _what = "map"

    def __init__(self, job: MapJob, bind: "Callable[[pd.DataFrame], None] | None" = None) -> None:
        """`bind` is called with the results once it has ended, however that was."""
        super().__init__()
        self._job, self._bind, self._state = job, bind, state()
        self._cell = cell_number()
        self._stopped = False
        self.widget = Map(job.id, job.model, self._press)
        show_widget(self.widget)
        self._state.maps.add(self)
        job.begin()
        threading.Thread(target=self._run, name="mnesis map", daemon=True).start()

    @property
    def id(self) -> str:
        """The run's id, for `resume`."""
        return self._job.id

    @property
    def progress(self) -> MapProgress:
        """How far it is."""
        return self._job.progress

    def frame(self) -> "pd.DataFrame":
        """What there is of the results so far: `success` is missing where nothing is done yet."""
        return self._job.frame()

    def stop(self) -> None:
        """Begin no more items, and wait until those that are under way are finished and stored."""
        self._job.stop()
        with contextlib.suppress(Exception):  # whoever asks for the result is told of it
            self.result()

    def cancel(self) -> None:
        """Stop it without waiting; what is under way is done again when the run is resumed."""
        self._job.cancel()

    def _press(self) -> None:
        """The button: the first time what is under way is finished, the second time it is left."""
        if self._stopped:
            self._job.cancel()
        else:
            self._stopped = True
            self._job.stop()

    def __repr__(self) -> str:
        progress = self.progress
        of = "" if progress.total is None else f" of {progress.total:,}"
        return f"<RunningMap {self.id} {'ended' if self.done else 'running'}: {progress.finished:,}{of} items finished>"

    def _ipython_display_(self) -> None:
        if self._cell is None or self._cell != cell_number():
            show_widget(self.widget)

    # -- in a thread of its own ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        surface = _Follower(self.widget)
        error: BaseException | None = None
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._job.follow(surface)
        except BaseException as failed:  # noqa: BLE001  # whatever it was, the caller of result() is to see it
            in_one_line(failed, hint=hint_for(failed))
            self._state.error = error = failed
            surface.fail(failed)
        try:
            results = self._job.frame()
            if self._bind:
                self._bind(results)
        except BaseException as failed:  # noqa: BLE001  # as above; where it had not begun there is nothing to read
            error = error or failed
        self._state.maps.discard(self)
        if error is None:
            self._future.set_result(results)
        else:
            self._future.set_exception(error)


class _Follower:
    """Shows a run in a widget."""

    replaces = True

    def __init__(self, widget: Map) -> None:
        self._widget = widget

    def show(self, progress: MapProgress, model: str, state: MapState, failures: Sequence[MapResult]) -> None:
        """Show this in the place of what was shown before."""
        self._widget.tell(progress, state, failures)

    def fail(self, error: BaseException) -> None:
        """Say what it ran into."""
        self._widget.fail(f"{type(error).__name__}: {error}")
