"""What the store holds of runs: their state, and their results, without asking anybody anything."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from mnesis.errors import InputError, describe_value
from mnesis.ids import kind_of
from mnesis.models.maps import MapResult, MapRunInfo
from mnesis.operators.inputs import stored
from mnesis.operators.run import MapResults, MapRun, Where
from mnesis.progress import is_watched, shown, track
from mnesis.store import maps
from mnesis.store.lock import living
from mnesis.store.maps import ItemRow, Kind, RunRow, owners_of
from mnesis.tasks import in_thread

_PAGE = 500
_OPERATORS = {"llm": "LLMMap", "agentic": "AgenticMap"}


async def stored_run(where: Where, run_id: str, kind: Kind) -> RunRow:
    """The run with this id. Raises `NotFound`, and `InputError` for a run of the other operator."""
    _check(run_id)
    async with where.opened() as db:
        row = await db.read(lambda cx: maps.run(cx, run_id))
    if row.kind != kind:
        raise InputError(f"{run_id} is a run of {_OPERATORS[row.kind]}; give its id to that")
    return row


async def run_of(where: Where, run_id: str) -> MapRunInfo:
    """Where a run is. Raises `NotFound`."""
    _check(run_id)
    async with where.opened() as db:
        row, counts = await db.read(lambda cx: (maps.run(cx, run_id), maps.counts(cx, run_id)))
        alive = bool(await in_thread(lambda: living(db.path, owners_of(run_id), db.in_turn)))
    return MapRunInfo(
        id=row.id,
        kind=row.kind,
        session_id=row.session_id,
        model=row.model,
        template=row.template,
        state="stopped" if row.state == "running" and not alive else row.state,
        total=row.total,
        pending=counts.pending,
        running=counts.running,
        done=counts.done,
        failed=counts.failed,
        tokens=counts.tokens,
        cost=counts.cost,
    )


def running(db_path: str | Path) -> frozenset[str]:
    """The ids of the runs that somebody works on at this moment, in any process of this machine. Nothing is written."""
    names = living(Path(db_path).expanduser(), "run_", set())
    return frozenset(name.partition(".")[0] for name in names)


async def stored_results(where: Where, row: RunRow, restore: Callable[[str], Any]) -> AsyncIterator[MapResult]:
    """The results of a run, in the order of the inputs. `restore` makes an output of its JSON."""
    first = 0
    async with where.opened() as db:
        while page := await db.read(lambda cx: maps.items(cx, row.id, first, _PAGE)):  # noqa: B023  # awaited here
            for item in page:
                if item.state in ("done", "failed"):
                    yield _result(item, restore)
            first = page[-1].index + 1


async def read_to_end(run: MapRun) -> MapResults:
    """What a run does, read to its end, with a bar on stderr where that is a terminal."""
    results: list[MapResult] = []
    with shown(), track("mapping", run.progress.total, "items") as progress:
        told = is_watched()
        async for result in run:
            results.append(result)
            if told:
                now = run.progress
                progress.reach(now.finished, now.total)
    results.sort(key=lambda result: result.index)
    return MapResults(results, run.progress)


def _result(item: ItemRow, restore: Callable[[str], Any]) -> MapResult:
    return MapResult(
        index=item.index,
        input=stored(item.input, item.index),
        output=None if item.output is None else restore(item.output),
        success=item.state == "done",
        error=item.error if item.state == "failed" else None,
        error_kind=item.error_kind if item.state == "failed" else None,
        attempts=item.attempts,
        tokens=item.tokens,
        cost=item.cost,
        session_id=item.session_id,
    )


def _check(run_id: str) -> None:
    if not isinstance(run_id, str) or kind_of(run_id) != "run":
        raise InputError(f"run_id={describe_value(run_id)} is not the id of a run; those begin with 'run_'")
