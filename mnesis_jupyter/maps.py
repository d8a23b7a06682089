"""A map below the cell that runs it: shown while it goes on, as a DataFrame when it is over."""

import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle

from mnesis import InputError, OperatorConfig
from mnesis.errors import describe_value
from mnesis.operators import LLMMap, MapResult, MapRun
from mnesis.progress import track
from mnesis_jupyter import frames
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.output import Output, in_one_line, show
from mnesis_jupyter.progress import can_replace
from mnesis_jupyter.state import state
from mnesis_jupyter.views import MapState, map_html, map_text

if TYPE_CHECKING:
    import pandas as pd

_EVERY = 0.2
"""Seconds between two drawings."""

_FAILURES = 5
"""Those that are shown."""


def llm_map(
    inputs: Any = None,
    template: str | None = None,
    schema: Any = None,
    *,
    resume: str | None = None,
    retry_failed: bool = False,
    model: str | None = None,
    llm: Any = None,
    system_prompt: str = "",
    params: Mapping[str, Any] | None = None,
    concurrency: int | None = None,
    retries: int | None = None,
    timeout: float | None = None,
    executor: Any = None,
) -> "pd.DataFrame":
    """Ask a model about each item, and wait: a row for each, with the fields of `schema` as columns.

    `inputs`, `template` and the rest are those of `mnesis.operators.LLMMap.run`; without `model` it is the kernel's
    default. Beside the fields (or `output`, where there are none) stand `success`, `error`, `error_kind`, `attempts`
    and `cost`; where a field is called so, the column beside it ends in `_`. Rows have the index of a DataFrame or
    Series. An interrupt stops the run, and says how to go on: `resume` takes the id of a run (`attrs["run_id"]` of a
    result) and does what is left, with `retry_failed` also what failed. Give then the same inputs, or none.
    """
    job = MapJob(
        *(inputs, template, schema),
        resume=resume,
        retry_failed=retry_failed,
        model=model,
        llm=llm,
        retries=retries,
        options={"params": params, "concurrency": concurrency, "timeout": timeout, "executor": executor},
        system_prompt=system_prompt,
    )
    job.run()
    return job.frame()


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
        llm_map = LLMMap(config, model=model or CURRENT.model, llm=llm, db_path=self._store)
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
        call = state().bridge.call
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

    def run(self) -> None:
        """Do it, and show how far it is. An interrupt stops it, and can be gone on from."""
        live = LiveMap(self._run, self.model)
        try:
            with state().bridge.stream(_results, self._run, bar=not can_replace()) as results:
                results.idle = live.draw
                for result in results:
                    live.add(result)
        except BaseException as error:
            live.end("stopped")
            if isinstance(error, KeyboardInterrupt):
                progress = self._run.progress
                of = "" if progress.total is None else f" of {progress.total:,}"
                told = f"stopped: {progress.finished:,}{of} items are done; the rest: --resume {self.id}"
                in_one_line(error, f"{told} (in Python: resume={self.id!r})")
            raise
        live.end("done")

    def frame(self) -> "pd.DataFrame":
        """What is stored of it: a row for each item, those that are left included."""
        index = self._inputs.index if _has_index(self._inputs) else None
        return frames.map_results(self.id, index=index, db=self._store if self._store.exists() else None)


class LiveMap:
    """The one output of a run."""

    def __init__(self, run: MapRun, model: str) -> None:
        self._run, self._model = run, model
        self._failures: list[MapResult] = []
        self._handle: DisplayHandle | None = None
        self._next = 0.0
        self._live = CURRENT.settings.stream and can_replace()

    def add(self, result: MapResult) -> None:
        """One item more is done."""
        if not result.success:
            self._failures = sorted([*self._failures, result], key=lambda failed: failed.index)[:_FAILURES]
        self.draw()

    def draw(self) -> None:
        """Show how far it is, a few times a second."""
        if self._live and time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            self._show("running")

    def end(self, state: MapState) -> None:
        """Show it as it stays."""
        self._show(state)

    def _show(self, state: MapState) -> None:
        seen = (self._run.progress, self._model, state, self._failures)
        output = Output(map_html(*seen), map_text(*seen))
        if self._handle is not None:
            self._handle.update(output.bundle(), raw=True)  # type: ignore[no-untyped-call]
        elif get_ipython() is not None:
            self._handle = show(output, handle=self._live)


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


def _has_index(inputs: Any) -> bool:
    return hasattr(inputs, "index") and hasattr(inputs, "iloc")


def _items(inputs: Any) -> Any:
    """A Series as the list of its values: `item` is the value."""
    import pandas as pd

    if isinstance(inputs, pd.Series):
        return inputs.astype(object).where(inputs.notna(), None).tolist()
    return inputs
