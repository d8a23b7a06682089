"""LLMMap: one prompt over many items, side by side, each answer checked, all of it resumable."""

from collections.abc import Mapping
from typing import Any

from mnesis.llm.select import provider_for
from mnesis.operators.ask import Asker, Asking
from mnesis.operators.base import Operator, Task, WorkOn, mapping, seconds, text, whole
from mnesis.operators.crew import Work
from mnesis.operators.record import read_to_end
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
        options = {
            "system_prompt": text(system_prompt, "system_prompt"),
            "params": mapping(params),
            "concurrency": whole(concurrency, self.config.llm_map_concurrency),
            "timeout": seconds(timeout, self.config.item_timeout),
        }
        task = Task(self._named(model), PromptTemplate(prompt_template), OutputSchema(output_schema), options)
        return self._begin(inputs, task, self._work_on(task, executor), on_progress)

    async def run_all(self, inputs: Any, prompt_template: str, output_schema: Any = None, **options: Any) -> MapResults:
        """`run`, read to its end: a list of all results, in the order of the inputs. In a terminal a bar shows how far
        it is.
        """
        return await read_to_end(self.run(inputs, prompt_template, output_schema, **options))

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
        row, task = await self._stored(run_id, output_schema, params, concurrency, timeout)
        return self._go_on(row, task, inputs, self._work_on(task, executor), retry_failed, on_progress)

    def _work_on(self, task: Task, executor: Any) -> WorkOn:
        options = task.options
        asking = Asking(task.model, options["system_prompt"], options["params"], self._retry, options["timeout"])
        work: Work
        if executor is None:
            work = Asker(self._llm or provider_for(task.model), asking, task.template, task.schema)
        else:
            from mnesis.operators.remote import OnDask, client_of  # it is an extra

            work = OnDask(client_of(executor), self._llm, asking, task.template, task.schema)
        return lambda *_: work
