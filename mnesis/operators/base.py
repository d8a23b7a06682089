"""What both map operators share: where runs are kept, how one is begun, found again and read."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from mnesis.errors import ConfigError, InputError, describe_value
from mnesis.events.bus import EventBus
from mnesis.ids import new_id
from mnesis.llm.base import Provider
from mnesis.models.config import OperatorConfig, RetryConfig
from mnesis.models.maps import MapResult, MapRunInfo
from mnesis.operators.crew import Work
from mnesis.operators.inputs import inputs_of
from mnesis.operators.record import read_to_end, run_of, stored_results, stored_run
from mnesis.operators.run import MapResults, MapRun, OnProgress, Plan, Where
from mnesis.operators.schema import OutputSchema
from mnesis.operators.template import PromptTemplate
from mnesis.store import Database
from mnesis.store.maps import Kind, RunRow

_STORED = (
    "temperature max_tokens max_completion_tokens top_p top_k seed stop presence_penalty frequency_penalty "
    "reasoning_effort"
).split()
"""Parameters that are stored with a run, for `resume`. No others: a key may be among them."""


type WorkOn = Callable[[Database, RunRow], Work]


@dataclass(frozen=True, slots=True)
class Task:
    """What is done with each item of a run. Of the `params` among `options` only some are stored."""

    model: str
    template: PromptTemplate
    schema: OutputSchema
    options: Mapping[str, Any]


class Operator(ABC):
    """A map operator: `LLMMap` or `AgenticMap`."""

    kind: ClassVar[Kind]

    def __init__(
        self,
        config: OperatorConfig | None = None,
        event_bus: EventBus | None = None,
        model: str | None = None,
        *,
        llm: Provider | None = None,
        db_path: str | Path | None = None,
        pool: Database | None = None,
        parent_id: str | None = None,
        retry: RetryConfig | None = None,
    ) -> None:
        if not isinstance(config, OperatorConfig | None):
            raise ConfigError(f"config={describe_value(config)} is not an OperatorConfig; give OperatorConfig(…)")
        self.config = config or OperatorConfig()
        self.event_bus = event_bus or EventBus()
        self._model, self._llm, self._parent_id = model, llm, parent_id
        self._where = Where(pool, db_path)
        self._retry = (retry or RetryConfig()).model_copy(update={"max_retries": self.config.max_retries})

    async def results(self, run_id: str, *, output_schema: Any = None) -> AsyncIterator[MapResult]:
        """The results that are stored of a run, in the order of the inputs. Nothing is asked."""
        row = await stored_run(self._where, run_id, self.kind)
        async for result in stored_results(self._where, row, same_schema(row, output_schema).restore):
            yield result

    async def describe(self, run_id: str) -> MapRunInfo:
        """Where a run is. Raises `NotFound`."""
        return await run_of(self._where, run_id)

    def _named(self, model: str | None) -> str:
        model = model or self._model
        if not isinstance(model, str) or not model.strip():
            name = type(self).__name__
            raise InputError(f"model={describe_value(model)} names no model; give {name}(model=…) or run(model=…)")
        return model

    @abstractmethod
    async def resume(self, run_id: str, inputs: Any = None, *arguments: Any, **options: Any) -> MapRun:
        """Do what is left of a run."""

    async def resume_all(self, run_id: str, inputs: Any = None, **options: Any) -> MapResults:
        """`resume`, read to its end: a list of all results of the run, those from before included."""
        run = await self.resume(run_id, inputs, **options)
        await read_to_end(run)
        schema = options.get("output_schema")
        return MapResults([result async for result in self.results(run_id, output_schema=schema)], run.progress)

    def _begin(self, inputs: Any, task: Task, work_on: WorkOn, on_progress: OnProgress | None) -> MapRun:
        """A new run."""
        row = RunRow(
            id=new_id("run"),
            kind=self.kind,
            session_id=self._parent_id,
            model=task.model,
            template=task.template.source,
            schema=task.schema.text,
            options=_stored_options(task.options),
            state="running",
            total=None,
            created_at=datetime.now(UTC),
        )
        plan = Plan(row, work_on, inputs_of(inputs), task.options["concurrency"])
        return MapRun(plan, self._where, self.event_bus, on_progress)

    async def _stored(
        self,
        run_id: str,
        output_schema: Any,
        params: Mapping[str, Any] | None,
        concurrency: int | None,
        timeout: float | None,
    ) -> tuple[RunRow, Task]:
        """A run that was begun before, with what is given anew. Raises `NotFound`, `InputError`."""
        row = await stored_run(self._where, run_id, self.kind)
        options = json.loads(row.options)
        anew = {
            "params": {**options["params"], **mapping(params)},
            "concurrency": whole(concurrency, options["concurrency"]),
            "timeout": seconds(timeout, options["timeout"]),
        }
        task = Task(row.model, PromptTemplate(row.template), same_schema(row, output_schema), {**options, **anew})
        return row, task

    def _go_on(
        self,
        row: RunRow,
        task: Task,
        inputs: Any,
        work_on: WorkOn,
        retry_failed: bool,
        on_progress: OnProgress | None,
    ) -> MapRun:
        """What is left of a run."""
        if row.total is None and inputs is None:
            raise InputError(
                f"the inputs of {row.id} were not all stored when it ended; give them again, in the same order: "
                "resume(run_id, inputs)"
            )
        given = inputs_of(inputs) if row.total is None else None
        plan = Plan(row, work_on, given, task.options["concurrency"], resumed=True, retry_failed=retry_failed)
        return MapRun(plan, self._where, self.event_bus, on_progress)


# -- arguments ---------------------------------------------------------------------------------------------------


def same_schema(row: RunRow, given: Any) -> OutputSchema:
    """The schema of a stored run; the caller's, where it is the same."""
    stored = None if row.schema is None else json.loads(row.schema)
    if given is None:
        return OutputSchema(stored)
    schema = OutputSchema(given)
    if schema.json_schema != stored:
        raise InputError(f"output_schema is not the one that {row.id} began with; leave it out, or start a new run")
    return schema


def _stored_options(options: Mapping[str, Any]) -> str:
    params = {name: value for name, value in options["params"].items() if name in _STORED}
    try:
        return json.dumps({**options, "params": params}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"params={describe_value(params)} cannot be stored ({error})") from None


def mapping(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of requests."""
    if not isinstance(params, Mapping | None):
        raise InputError(f"params={describe_value(params)} is a {type(params).__name__}; give a dict")
    return dict(params or {})


def text(value: str, name: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise InputError(f"{name}={describe_value(value)} is a {type(value).__name__}; give a text")
    return value


def whole(value: int | None, default: int, name: str = "concurrency") -> int:
    """A number from 1 on."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name}={describe_value(value)} is not usable; give a whole number from 1 on")
    return value


def seconds(value: float | None, default: float) -> float:
    """A timeout."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InputError(f"timeout={describe_value(value)} is not usable; give seconds above 0")
    return float(value)
