"""A run of a map as a cell has it done: begun or resumed, shown, stopped, read as a DataFrame."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle

from mnesis import InputError, MnesisSession, OperatorConfig
from mnesis.errors import describe_value
from mnesis.operators import LLMMap, MapProgress, MapResult, MapRun
from mnesis.progress import track
from mnesis_jupyter import frames
from mnesis_jupyter.bridge import Stream
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.output import Output, joined, show
from mnesis_jupyter.progress import can_replace
from mnesis_jupyter.state import state
from mnesis_jupyter.views import MapState, map_html, map_text, notice_html, notice_text

if TYPE_CHECKING:
    import pandas as pd

_EVERY = 0.2
"""Seconds between two drawings."""

_HOW_TO_STOP = "To stop it interrupt the kernel. `--bg` (in Python: `background=True`) gives a map a button of its own."
"""A button is not heard while a cell runs."""

_FAILURES = 5
"""Those that are shown."""


class MapSurface(Protocol):
    """Where a run is shown."""

    replaces: bool
    """Whether what is shown can be replaced; if not, only the last version is."""

    def show(self, progress: MapProgress, model: str, state: MapState, failures: Sequence[MapResult]) -> None:
        """Show this in the place of what was shown before."""


class MapJob:
    """A run, new or resumed, with the index of its inputs. Takes what `llm_map` takes."""

    def __init__(
        self,
        inputs: Any,
        template: str | None,
        schema: Any,
        *,
        resume: str | None,
        retry_failed: bool,
        model: str | None,
        llm: Any,
        retries: int | None,
        options: Mapping[str, Any],
        system_prompt: str = "",
    ) -> None:
        config = OperatorConfig() if retries is None else OperatorConfig(max_retries=retries)
        self._inputs = inputs
        self._store: Path = CURRENT.store
        self._bridge = state().bridge
        self._events: Stream[MapResult] | None = None
        self._stopping = False
        session = _session_of(resume, self._store)
        llm_map = LLMMap(
            config,
            session.event_bus if session else None,
            model=model or CURRENT.model,
            llm=llm,
            db_path=self._store,
            parent_id=session.id if session else None,
        )
        items = None if inputs is None else _items(inputs)
        if resume is None:
            if inputs is None or template is None:
                raise InputError("a map needs inputs and a template; to go on with a run give its id: resume=…")
            self.model = model or CURRENT.model
            self._run = llm_map.run(items, template, schema, system_prompt=system_prompt, **options)
        else:
            self.model, self._run = self._resumed(llm_map, resume, items, template, schema, retry_failed, options)

    def _resumed(
        self,
        llm_map: LLMMap,
        run_id: str,
        items: Any,
        template: str | None,
        schema: Any,
        retry_failed: bool,
        options: Mapping[str, Any],
    ) -> tuple[str, MapRun]:
        call = self._bridge.call
        info = call(llm_map.describe, run_id)
        if template is not None and template != info.template:
            raise InputError(
                f"the template is not the one that {run_id} began with, {describe_value(info.template)}; "
                "leave it as it was, or start a new run"
            )
        if info.total is not None and _has_index(self._inputs) and len(self._inputs) != info.total:
            raise InputError(
                f"{run_id} is over {info.total:,} items, and here are {len(self._inputs):,}; "
                "give the same inputs, or none"
            )
        run = call(llm_map.resume, run_id, items, output_schema=schema, retry_failed=retry_failed, **options)
        return info.model, run

    @property
    def id(self) -> str:
        """The run's id."""
        return self._run.id

    @property
    def progress(self) -> MapProgress:
        """How far it is."""
        return self._run.progress

    @property
    def remains(self) -> bool:
        """Whether there is something left to do, as far as anybody knows."""
        progress = self._run.progress
        return progress.total is None or progress.finished < progress.total

    def begin(self, *, bar: bool = False) -> None:
        """Have it done from now on; `follow` waits. With `bar`, for a terminal."""
        self._events = self._bridge.stream(_results, self._run, bar=bar)

    def follow(self, surface: MapSurface) -> None:
        """Show how far it is, until its end. Whoever leaves early cancels it, and it can be gone on with."""
        assert self._events is not None, "follow() comes after begin()"
        live = LiveMap(self._run, self.model, surface)
        try:
            with self._events as results:
                results.idle = lambda: live.draw(self._state)
                for result in results:
                    live.add(result, self._state)
        except (KeyboardInterrupt, asyncio.CancelledError):
            live.end("stopped")
            raise
        except BaseException:
            live.end("failed")
            raise
        live.end("stopped" if self._stopping and self.remains else "done")

    def stop(self) -> None:
        """Begin no more items, from any thread; those that are under way are finished."""

        async def stop() -> None:
            self._run.stop()

        self._stopping = True
        self._bridge.start(stop)

    def cancel(self) -> None:
        """Stop it, from any thread; what is under way is done again when it is resumed."""
        self._stopping = True
        if self._events is not None:
            self._events.stop()

    def frame(self) -> "pd.DataFrame":
        """What is stored of it: a row for each item, those that are left included."""
        index = self._inputs.index if _has_index(self._inputs) else None
        return frames.map_results(self.id, index=index, db=self._store if self._store.exists() else None)

    @property
    def _state(self) -> MapState:
        return "stopping" if self._stopping else "running"


class LiveMap:
    """A run that goes on, drawn a few times a second."""

    def __init__(self, run: MapRun, model: str, surface: MapSurface) -> None:
        self._run, self._model, self._surface = run, model, surface
        self._failures: list[MapResult] = []
        self._next = 0.0

    def add(self, result: MapResult, state: MapState) -> None:
        """One item more is done."""
        if not result.success:
            self._failures = sorted([*self._failures, result], key=lambda failed: failed.index)[:_FAILURES]
        self.draw(state)

    def draw(self, state: MapState) -> None:
        """Show how far it is, if that was not just done."""
        if self._surface.replaces and time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            self.end(state)

    def end(self, state: MapState) -> None:
        """Show it as it is now."""
        self._surface.show(self._run.progress, self._model, state, self._failures)


class MapBelow:
    """Below the cell that is running."""

    def __init__(self) -> None:
        self.replaces = CURRENT.settings.stream and can_replace()
        self._handle: DisplayHandle | None = None

    def show(self, progress: MapProgress, model: str, state: MapState, failures: Sequence[MapResult]) -> None:
        """Display it, or update the display."""
        seen = (progress, model, state, failures)
        output = Output(map_html(*seen), map_text(*seen))
        if state == "running":
            output = joined(output, Output(notice_html(_HOW_TO_STOP), notice_text(_HOW_TO_STOP)))
        if self._handle is not None:
            self._handle.update(output.bundle(), raw=True)  # type: ignore[no-untyped-call]
        elif get_ipython() is not None:
            self._handle = show(output, handle=self.replaces)


async def _results(run: MapRun, *, bar: bool) -> AsyncGenerator[MapResult]:
    """The results, with a bar where the output cannot be replaced."""
    if not bar:
        async for result in run:
            yield result
        return
    with track("mapping", run.progress.total, "items") as progress:
        async for result in run:
            progress.reach(run.progress.finished, run.progress.total)
            yield result


def _session_of(resume: str | None, store: Path) -> MnesisSession | None:
    """The session whose record is to tell of the run: the current one; of a run that was begun before, its own."""
    if resume is None:
        return CURRENT.session if CURRENT.session and CURRENT.session.db_path == store else None
    run = state().bridge.call(LLMMap(db_path=store).describe, resume)
    return next((each for each in state().sessions if each.id == run.session_id), None)


def _has_index(inputs: Any) -> bool:
    return hasattr(inputs, "index") and hasattr(inputs, "iloc")


def _items(inputs: Any) -> Any:
    """A Series as the list of its values: `item` is the value."""
    import pandas as pd

    if isinstance(inputs, pd.Series):
        return inputs.astype(object).where(inputs.notna(), None).tolist()
    return inputs
