"""Maps on the workers of a Dask cluster. The store stays with the process that owns the run: it gives work out, and
writes what comes back; a worker that dies over something has told nobody, and another one is given it.

Of an `LLMMap` whole items go out. An agent's session stays here with its store, and each request to the model and each
call of a tool goes out: so what is stored of an agent does not depend on any worker's life.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from mnesis.errors import InputError, LLMError, Unavailable, describe_value
from mnesis.llm.base import Chunk, ModelLimits, Provider, Request
from mnesis.llm.redact import redact
from mnesis.llm.select import provider_for
from mnesis.models.maps import MapResult
from mnesis.operators.ask import Asker, Asking, Bill, Outcome
from mnesis.operators.crew import Work
from mnesis.operators.inputs import stored
from mnesis.operators.schema import OutputSchema
from mnesis.operators.template import PromptTemplate
from mnesis.store.maps import Finished, Taken
from mnesis.tools import Tool

_PROVIDER = "give a model string, or an object that can be pickled"
_TOOL = "have its function open by itself what it holds (a connection, a lock, a file), or leave out executor"


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


async def _have(client: Any, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """What a function gives that a worker calls, on its event loop. Raises what it raises, and what workers die of."""
    future = client.submit(function, *arguments, pure=False)
    if client.asynchronous:
        return await future
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: Any) -> None:
        with contextlib.suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(tell)
    await done.wait()
    return await asyncio.to_thread(future.result)


def _pickled(value: Any, what: str, remedy: str) -> bytes:
    import cloudpickle  # Dask depends on it

    try:
        pickled: bytes = cloudpickle.dumps(value)
    except Exception as error:  # whatever an object raises that cannot be pickled
        raise InputError(f"{what} cannot be sent to other machines ({error}); {remedy}") from error
    return pickled


@lru_cache(maxsize=64)
def _unpickled(pickled: bytes) -> Any:
    """On a worker: once, however many items there are."""
    import cloudpickle

    return cloudpickle.loads(pickled)


# -- items -------------------------------------------------------------------------------------------------------


class OnDask:
    """Has items answered by the workers of a cluster."""

    def __init__(
        self, client: Any, llm: Provider | None, asking: Asking, template: PromptTemplate, schema: OutputSchema
    ) -> None:
        self._client, self._schema = client, schema
        what = "the provider, the parameters or the schema"
        self._job = _pickled((llm, asking, template.source, schema.given), what, _PROVIDER)

    async def __call__(self, item: Taken) -> Outcome:
        try:
            row = await _have(self._client, _answered, self._job, item)
        except LLMError:
            raise
        except Exception as error:  # noqa: BLE001  # Dask raises what its workers die of
            said = redact(f"{type(error).__name__}: {error}")
            return Bill().failed(item, stored(item.input, item.index), type(error).__name__, said)
        return Outcome(_result(item, row, self._schema), row)


async def _answered(job: bytes, item: Taken) -> Finished:
    """On a worker. Only the row goes back: the class of an output may live elsewhere."""
    return (await _work_of(job)(item)).row


@lru_cache(maxsize=8)
def _work_of(job: bytes) -> Work:
    llm, asking, template, schema = _unpickled(job)
    return Asker(llm or provider_for(asking.model), asking, PromptTemplate(template), OutputSchema(schema))


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


# -- agents ------------------------------------------------------------------------------------------------------


class ProviderOnDask:
    """A provider whose requests are made by the workers of a cluster. What the model can do is asked here."""

    def __init__(self, client: Any, llm: Provider | None, model: str) -> None:
        self._client, self._here = client, llm or provider_for(model)
        self._job = _pickled(llm, f"the provider {describe_value(llm)}", _PROVIDER)

    def limits(self, model: str) -> ModelLimits:
        """The model's limits."""
        return self._here.limits(model)

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply, once it is whole."""
        try:
            chunks = await _have(self._client, _replied, self._job, request)
        except LLMError:
            raise
        except Exception as error:
            raise Unavailable(
                f"no worker gave a reply ({type(error).__name__}: {error})", model=request.model
            ) from error
        for chunk in chunks:
            yield chunk


async def _replied(job: bytes, request: Request) -> list[Chunk]:
    """On a worker."""
    provider: Provider = _unpickled(job) or provider_for(request.model)
    return [chunk async for chunk in provider.stream(request)]


def tool_on_dask(client: Any, tool: Tool) -> Tool:
    """The tool, run by the workers of a cluster: one call here, the next there. Raises `InputError`, naming it."""
    job = _pickled(tool.run, f"tool {tool.name!r}", _TOOL)

    async def run(arguments: dict[str, Any]) -> Any:
        return await _have(client, _called, job, arguments)

    return replace(tool, run=run)


async def _called(job: bytes, arguments: dict[str, Any]) -> Any:
    """On a worker."""
    return await _unpickled(job)(arguments)
