"""LLMMap: one prompt over many items, side by side, each answer checked, all of it resumable."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnesis.errors import ConfigError, InputError, describe_value
from mnesis.events.bus import EventBus
from mnesis.ids import new_id
from mnesis.llm.base import Provider
from mnesis.llm.select import provider_for
from mnesis.models.config import OperatorConfig, RetryConfig
from mnesis.models.maps import MapResult, MapRunInfo
from mnesis.operators.ask import Asker, Asking
from mnesis.operators.crew import Work
from mnesis.operators.inputs import inputs_of
from mnesis.operators.record import all_results, run_of, stored_results, stored_run
from mnesis.operators.run import MapResults, MapRun, OnProgress, Plan, Where
from mnesis.operators.schema import OutputSchema
from mnesis.operators.template import PromptTemplate
from mnesis.store import Database
from mnesis.store.maps import RunRow

_STORED = (
    "temperature max_tokens max_completion_tokens top_p top_k seed stop presence_penalty frequency_penalty "
    "reasoning_effort"
).split()
"""Parameters that are stored with a run, for `resume`. No others: a key may be among them."""


class LLMMap:
    """Asks a model about each of many items.

    `model` is a litellm model string, or "offline/quote"; `llm` a provider to use instead of the model string's.
    Runs are kept in the store at `db_path` (default: that of sessions), or in `pool`, an open one. `parent_id` is the
    session that asks for it, whose record then tells of the run. `retry` has the delays.
    """

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

    def run(
        self,
        inputs: Any,
        prompt_template: str,
        output_schema: Any = None,
        *,
        model: str | None = None,
        system_prompt: str = "",
        params: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> MapRun:
        """Ask about each item: `async for result in llm_map.run(…)` gives the results as they are finished.

        `inputs`: a list, a DataFrame, the path of a file of JSON lines, or a generator, which is read only as far as
        it is needed. `prompt_template` is Jinja and uses `item` (`{{ item.column }}`). `output_schema`: a pydantic
        model, a JSON Schema as a dict, or `None` for text; an answer that does not fit goes back to the model with what
        is wrong, as often as transient errors are tried again: `OperatorConfig.max_retries` times in all. `timeout` in
        seconds is that of one item. `on_progress(progress)` is called whenever results are on disk.

        An item that fails is a result too; wrong arguments are `InputError`, and a refused key stops the run.
        """
        model = model or self._model
        if not isinstance(model, str) or not model.strip():
            raise InputError(f"model={describe_value(model)} names no model; give LLMMap(model=…) or run(model=…)")
        template, schema = PromptTemplate(prompt_template), OutputSchema(output_schema)
        given = inputs_of(inputs)
        params = _mapping(params)
        options: dict[str, Any] = {
            "system_prompt": _text(system_prompt, "system_prompt"),
            "params": {name: value for name, value in params.items() if name in _STORED},
            "concurrency": _concurrency(concurrency, self.config.llm_map_concurrency),
            "timeout": _seconds(timeout, self.config.item_timeout),
        }
        row = RunRow(
            id=new_id("run"),
            kind="llm",
            session_id=self._parent_id,
            model=model,
            template=prompt_template,
            schema=schema.text,
            options=_options(options),
            state="running",
            total=None,
            created_at=datetime.now(UTC),
        )
        work = self._work(row, options, params, template, schema)
        plan = Plan(row, lambda *_: work, given, options["concurrency"])
        return MapRun(plan, self._where, self.event_bus, on_progress)

    async def run_all(self, inputs: Any, prompt_template: str, output_schema: Any = None, **options: Any) -> MapResults:
        """`run`, read to its end: a list of all results, in the order of the inputs."""
        return await all_results(self.run(inputs, prompt_template, output_schema, **options))

    async def resume(
        self,
        run_id: str,
        inputs: Any = None,
        *,
        output_schema: Any = None,
        retry_failed: bool = False,
        params: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> MapRun:
        """Do what is left of a run, with the model, template and settings that it began with.

        What is done is not done again; `retry_failed` does again what failed. `inputs` are needed where they were not
        all stored, as of a generator that had not come to its end: the same in the same order, of which those that are
        stored are skipped. Else they are not read. Give the pydantic model as `output_schema` to get instances of it,
        and `params` that are not sampling settings (`api_base`, …): those are not stored.

        Raises `NotFound`, and `InputError` where `inputs` are missing or `output_schema` is another one.
        """
        row = await stored_run(self._where, run_id, "llm")
        options = json.loads(row.options)
        options["params"] = {**options["params"], **_mapping(params)}
        options["concurrency"] = _concurrency(concurrency, options["concurrency"])
        options["timeout"] = _seconds(timeout, options["timeout"])
        if row.total is None and inputs is None:
            raise InputError(
                f"the inputs of {run_id} were not all stored when it ended; give them again, in the same order: "
                "resume(run_id, inputs)"
            )
        given = inputs_of(inputs) if row.total is None else None
        schema = _same_schema(row, output_schema)
        work = self._work(row, options, options["params"], PromptTemplate(row.template), schema)
        plan = Plan(row, lambda *_: work, given, options["concurrency"], resumed=True, retry_failed=retry_failed)
        return MapRun(plan, self._where, self.event_bus, on_progress)

    async def resume_all(self, run_id: str, inputs: Any = None, **options: Any) -> MapResults:
        """`resume`, read to its end: a list of all results of the run, those from before included."""
        run = await self.resume(run_id, inputs, **options)
        async for _ in run:
            pass
        schema = options.get("output_schema")
        return MapResults([result async for result in self.results(run_id, output_schema=schema)], run.progress)

    async def results(self, run_id: str, *, output_schema: Any = None) -> AsyncIterator[MapResult]:
        """The results that are stored of a run, in the order of the inputs. Nothing is asked."""
        row = await stored_run(self._where, run_id, "llm")
        async for result in stored_results(self._where, row, _same_schema(row, output_schema).restore):
            yield result

    async def describe(self, run_id: str) -> MapRunInfo:
        """Where a run is. Raises `NotFound`."""
        return await run_of(self._where, run_id)

    def _work(
        self,
        row: RunRow,
        options: Mapping[str, Any],
        params: Mapping[str, Any],
        template: PromptTemplate,
        schema: OutputSchema,
    ) -> Work:
        asking = Asking(row.model, options["system_prompt"], params, self._retry, options["timeout"])
        return Asker(self._llm or provider_for(row.model), asking, template, schema)


def _same_schema(row: RunRow, given: Any) -> OutputSchema:
    """The schema of a stored run; the caller's, where it is the same."""
    stored = None if row.schema is None else json.loads(row.schema)
    if given is None:
        return OutputSchema(stored)
    schema = OutputSchema(given)
    if schema.json_schema != stored:
        raise InputError(f"output_schema is not the one that {row.id} began with; leave it out, or start a new run")
    return schema


def _options(options: Mapping[str, Any]) -> str:
    try:
        return json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"params={describe_value(options['params'])} cannot be stored ({error})") from None


def _mapping(params: Mapping[str, Any] | None) -> dict[str, Any]:
    if not isinstance(params, Mapping | None):
        raise InputError(f"params={describe_value(params)} is a {type(params).__name__}; give a dict")
    return dict(params or {})


def _text(value: str, name: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name}={describe_value(value)} is a {type(value).__name__}; give a text")
    return value


def _concurrency(value: int | None, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"concurrency={describe_value(value)} is not usable; give a whole number from 1 on")
    return value


def _seconds(value: float | None, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InputError(f"timeout={describe_value(value)} is not usable; give seconds above 0")
    return float(value)
