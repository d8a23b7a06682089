"""LLMMap: one prompt over many items, side by side, each answer checked, all of it resumable."""

import json
from collections.abc import Mapping
from typing import Any

from mnesis.llm.select import provider_for
from mnesis.operators.ask import Asker, Asking
from mnesis.operators.base import Operator, WorkOn, mapping, same_schema, seconds, storable, text, whole
from mnesis.operators.crew import Work
from mnesis.operators.record import all_results, stored_run
from mnesis.operators.run import MapResults, MapRun, OnProgress
from mnesis.operators.schema import OutputSchema
from mnesis.operators.template import PromptTemplate


class LLMMap(Operator):
    """Asks a model about each of many items.

    `model` is a litellm model string, or "offline/quote"; `llm` a provider to use instead of the model string's.
    Runs are kept in the store at `db_path` (default: that of sessions), or in `pool`, an open one. `parent_id` is the
    session that asks for it, whose record then tells of the run. `retry` has the delays.
    """

    kind = "llm"

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
        executor: Any = None,
        on_progress: OnProgress | None = None,
    ) -> MapRun:
        """Ask about each item: `async for result in llm_map.run(…)` gives the results as they are finished.

        `inputs`: a list, a DataFrame, the path of a file of JSON lines, or a generator, which is read only as far as
        it is needed. `prompt_template` is Jinja and uses `item` (`{{ item.column }}`). `output_schema`: a pydantic
        model, a JSON Schema as a dict, or `None` for text; an answer that does not fit goes back to the model with what
        is wrong, as often as transient errors are tried again: `OperatorConfig.max_retries` times in all. `timeout` in
        seconds is that of one item. `on_progress(progress)` is called whenever results are on disk.
        `executor="dask"` (or a `dask.distributed.Client`) has the items answered by the workers of a cluster; set
        `concurrency` to how many they can do at a time. The store stays here.

        An item that fails is a result too; wrong arguments are `InputError`, and a refused key stops the run.
        """
        model = self._named(model)
        template, schema, given = PromptTemplate(prompt_template), OutputSchema(output_schema), mapping(params)
        options = {
            "system_prompt": text(system_prompt, "system_prompt"),
            "params": storable(given),
            "concurrency": whole(concurrency, self.config.llm_map_concurrency),
            "timeout": seconds(timeout, self.config.item_timeout),
        }
        work_on = self._work_on(model, {**options, "params": given}, template, schema, executor)
        return self._begin(inputs, model, prompt_template, schema, options, work_on, on_progress)

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
        executor: Any = None,
        on_progress: OnProgress | None = None,
    ) -> MapRun:
        """Do what is left of a run, with the model, template and settings that it began with.

        What is done is not done again; `retry_failed` does again what failed. `inputs` are needed where they were not
        all stored, as of a generator that had not come to its end: the same in the same order, of which those that are
        stored are skipped. Else they are not read. Give the pydantic model as `output_schema` to get instances of it,
        and `params` that are not sampling settings (`api_base`, …): those are not stored.

        Raises `NotFound`, and `InputError` where `inputs` are missing or `output_schema` is another one.
        """
        row = await stored_run(self._where, run_id, self.kind)
        options = json.loads(row.options)
        options["params"] |= mapping(params)
        options["timeout"] = seconds(timeout, options["timeout"])
        width = whole(concurrency, options["concurrency"])
        template, schema = PromptTemplate(row.template), same_schema(row, output_schema)
        work_on = self._work_on(row.model, options, template, schema, executor)
        return self._go_on(row, inputs, width, work_on, retry_failed, on_progress)

    async def resume_all(self, run_id: str, inputs: Any = None, **options: Any) -> MapResults:
        """`resume`, read to its end: a list of all results of the run, those from before included."""
        run = await self.resume(run_id, inputs, **options)
        async for _ in run:
            pass
        schema = options.get("output_schema")
        return MapResults([result async for result in self.results(run_id, output_schema=schema)], run.progress)

    def _work_on(
        self,
        model: str,
        options: Mapping[str, Any],
        template: PromptTemplate,
        schema: OutputSchema,
        executor: Any,
    ) -> WorkOn:
        asking = Asking(model, options["system_prompt"], options["params"], self._retry, options["timeout"])
        work: Work
        if executor is None:
            work = Asker(self._llm or provider_for(model), asking, template, schema)
        else:
            from mnesis.operators.remote import OnDask, client_of  # it is an extra

            work = OnDask(client_of(executor), self._llm, asking, template, schema)
        return lambda *_: work
