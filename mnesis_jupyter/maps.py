"""`llm_map`: a map of the kernel, as a DataFrame."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from mnesis_jupyter.map_job import MapBelow, MapJob
from mnesis_jupyter.output import in_one_line
from mnesis_jupyter.progress import can_replace
from mnesis_jupyter.running_map import RunningMap

if TYPE_CHECKING:
    import pandas as pd


class Options(TypedDict, total=False):
    """The options of `llm_map`, for those who check types."""

    resume: str | None
    retry_failed: bool
    model: str | None
    llm: Any
    system_prompt: str
    params: Mapping[str, Any] | None
    concurrency: int | None
    retries: int | None
    timeout: float | None
    executor: Any


@overload
def llm_map(
    inputs: Any = ...,
    template: str | None = ...,
    schema: Any = ...,
    *,
    background: Literal[False] = ...,
    **options: Unpack[Options],
) -> "pd.DataFrame": ...


@overload
def llm_map(
    inputs: Any = ...,
    template: str | None = ...,
    schema: Any = ...,
    *,
    background: Literal[True],
    **options: Unpack[Options],
) -> RunningMap: ...


def llm_map(
    inputs: Any = None,
    template: str | None = None,
    schema: Any = None,
    *,
    background: bool = False,
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
) -> "pd.DataFrame | RunningMap":
    """Ask a model about each item, and wait: a row for each, with the fields of `schema` as columns.

    `inputs`, `template` and the rest are those of `mnesis.operators.LLMMap.run`; without `model` it is the kernel's
    default. Beside the fields (or `output`, where there are none) stand `success`, `error`, `error_kind`, `attempts`
    and `cost`; where a field is called so, the column beside it ends in `_`. Rows have the index of a DataFrame or
    Series. An interrupt stops the run, and says how to go on: `resume` takes the id of a run (`attrs["run_id"]` of a
    result) and does what is left, with `retry_failed` also what failed. Give then the same inputs, or none.

    `background=True` waits for nothing: a widget shows the run and stops it, and its `RunningMap` has the `result()`.
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
    if background:
        return RunningMap(job)
    wait_for(job)
    return job.frame()


def wait_for(job: MapJob) -> None:
    """Have it done, and show how far it is. An interrupt stops it, and can be gone on from."""
    job.begin(bar=not can_replace())
    try:
        job.follow(MapBelow())
    except KeyboardInterrupt as interrupt:
        progress = job.progress
        of = "" if progress.total is None else f" of {progress.total:,}"
        told = f"stopped: {progress.finished:,}{of} items are done; the rest: --resume {job.id}"
        in_one_line(interrupt, f"{told} (in Python: resume={job.id!r})")
        raise
