"""Items on the workers of a Dask cluster. The store stays with the process that owns the run: it gives items out, and
writes what comes back; a worker that dies over an item has told nobody, and another one is given it.
"""

import asyncio
from functools import lru_cache
from typing import Any

from mnesis.errors import InputError, LLMError, describe_value
from mnesis.llm.base import Provider
from mnesis.llm.redact import redact
from mnesis.llm.select import provider_for
from mnesis.models.maps import MapResult
from mnesis.operators.ask import Asker, Asking, Bill, Outcome
from mnesis.operators.crew import Work
from mnesis.operators.inputs import stored
from mnesis.operators.schema import OutputSchema
from mnesis.operators.template import PromptTemplate
from mnesis.store.maps import Finished, Taken


def client_of(executor: Any) -> Any:
    """The client that `executor=` means: one that was passed, or, for "dask", the one that there is."""
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            f'executor={describe_value(executor)} needs Dask ({error}); pip install "mnesis[dask]"'
        ) from error
    if isinstance(executor, distributed.Client):
        return executor
    if executor != "dask":
        raise InputError(f'executor={describe_value(executor)} is not known; give "dask", or a dask.distributed.Client')
    try:
        return distributed.get_client()
    except ValueError as error:
        raise InputError(
            'executor="dask" and there is no Dask client here; make one first: dask.distributed.Client(…)'
        ) from error


class OnDask:
    """Has items answered by the workers of a cluster."""

    def __init__(
        self, client: Any, llm: Provider | None, asking: Asking, template: PromptTemplate, schema: OutputSchema
    ) -> None:
        self._client, self._schema = client, schema
        self._job = _pickled((llm, asking, template.source, schema.given))

    async def __call__(self, item: Taken) -> Outcome:
        try:
            row = await self._answer(item)
        except LLMError:
            raise
        except Exception as error:  # noqa: BLE001  # Dask raises what its workers die of
            said = redact(f"{type(error).__name__}: {error}")
            return Bill().failed(item, stored(item.input, item.index), type(error).__name__, said)
        return Outcome(_result(item, row, self._schema), row)

    async def _answer(self, item: Taken) -> Finished:
        future = self._client.submit(_on_worker, self._job, item, pure=False)
        if self._client.asynchronous:
            return _row(await future)
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(done.set))
        await done.wait()
        return await asyncio.to_thread(lambda: _row(future.result()))


def _row(result: Any) -> Finished:
    assert isinstance(result, Finished)
    return result


async def _on_worker(job: bytes, item: Taken) -> Finished:
    """Runs on a worker, on its event loop. Only the row goes back: the class of an output may live elsewhere."""
    return (await _work_of(job)(item)).row


@lru_cache(maxsize=8)
def _work_of(job: bytes) -> Work:
    import cloudpickle

    llm, asking, template, schema = cloudpickle.loads(job)
    return Asker(llm or provider_for(asking.model), asking, PromptTemplate(template), OutputSchema(schema))


def _pickled(job: Any) -> bytes:
    import cloudpickle  # Dask depends on it

    try:
        pickled: bytes = cloudpickle.dumps(job)
    except Exception as error:  # whatever an object raises that cannot be pickled
        raise InputError(
            f"the provider, the parameters or the schema cannot be sent to other machines ({error}); "
            "give a model string, or an object that can be pickled"
        ) from error
    return pickled


def _result(item: Taken, row: Finished, schema: OutputSchema) -> MapResult:
    return MapResult(
        index=item.index,
        input=stored(item.input, item.index),
        output=None if row.output is None else schema.restore(row.output),
        success=row.error_kind is None,
        error=row.error,
        error_kind=row.error_kind,
        attempts=row.attempts,
        tokens=row.tokens,
        cost=row.cost,
    )
