"""Maps as DataFrames: one row a run, or one row an item."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnesis import NotFound
from mnesis_jupyter.frames.reading import (
    BOOL,
    CATEGORY,
    FLOAT,
    INT,
    TEXT,
    TIME,
    Moment,
    SessionLike,
    View,
    column,
    period,
    read,
    rows,
    scope,
)

if TYPE_CHECKING:
    import pandas as pd

_STATES = ("pending", "running", "done", "failed")

# Who dies over a run cannot write that down.
STATE = "CASE WHEN r.state = 'running' AND NOT is_alive(r.id) THEN 'stopped' ELSE r.state END"

MAP_RUNS = View(
    f"""
    SELECT r.id AS run_id, r.kind, {STATE} AS state, r.model, r.session_id, r.total,
        {", ".join(f"coalesce(sum(i.state = '{state}'), 0) AS {state}" for state in _STATES)},
        coalesce(sum(i.attempts), 0) AS attempts, coalesce(sum(i.input_tokens), 0) AS input_tokens,
        coalesce(sum(i.output_tokens), 0) AS output_tokens, sum(i.cost) AS cost,
        coalesce(sum(i.attempts > 0 AND i.cost IS NULL), 0) AS unpriced, r.template, r.schema, r.options, r.created_at,
        r.finished_at
    FROM map_run r LEFT JOIN map_item i ON i.run_id = r.id {{where}} GROUP BY r.id
    """,
    ("run_id",),
    {
        "run_id": TEXT,
        "kind": CATEGORY,
        "state": CATEGORY,
        "model": CATEGORY,
        "session_id": TEXT,
        "total": INT,
        **dict.fromkeys((*_STATES, "attempts", "input_tokens", "output_tokens"), INT),
        "cost": FLOAT,
        "unpriced": INT,
        "template": TEXT,
        "schema": TEXT,
        "options": TEXT,
        "created_at": TIME,
        "finished_at": TIME,
    },
    "r.created_at, r.id",
    session="r.session_id",
    filters={
        "kind": "r.kind = :kind",
        "state": f"{STATE} = :state",
        "model": "r.model = :model",
        **period("r.created_at"),
    },
)


def map_runs(
    session: SessionLike = None,
    *,
    kind: str | None = None,
    state: str | None = None,
    model: str | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a run of a map (`LLMMap`, `AgenticMap`): where its items are, what it has used. Key: `run_id`.

    With `session`, those that it asked for. `total` is missing while the inputs are not all stored. `state` is
    "stopped" also where its process died. `unpriced` counts the items of unknown cost.

    >>> len(frames.map_runs(state="stopped"))
    0
    """
    return read(MAP_RUNS, session, db, kind=kind, state=state, model=model, since=since, until=until)


# What failed and is done again is without its error by then, though the column keeps it until there is another result.
MAP_ITEMS = View(
    """
    SELECT i.run_id, i.idx AS item, i.state, i.input, i.output,
        CASE i.state WHEN 'failed' THEN i.error_kind END AS error_kind,
        CASE i.state WHEN 'failed' THEN i.error END AS error, i.attempts, i.input_tokens, i.output_tokens,
        i.cache_read_tokens, i.cache_write_tokens, i.total_tokens, i.cost, i.session_id, i.started_at, i.finished_at,
        (i.finished_at - i.started_at) / 1e6 AS seconds
    FROM map_item i JOIN map_run r ON r.id = i.run_id {where}
    """,
    ("run_id", "item"),
    {
        "run_id": TEXT,
        "item": INT,
        "state": CATEGORY,
        "input": TEXT,
        "output": TEXT,
        "error_kind": CATEGORY,
        "error": TEXT,
        "attempts": INT,
        **dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), INT),
        "total_tokens": INT,
        "cost": FLOAT,
        "session_id": TEXT,
        "started_at": TIME,
        "finished_at": TIME,
        "seconds": FLOAT,
    },
    "i.run_id, i.idx",
    session="r.session_id",
    filters={"run": "i.run_id = :run", "state": "i.state = :state", "error_kind": "i.error_kind = :error_kind"},
)


def map_items(
    run: str | None = None,
    *,
    state: str | None = None,
    error_kind: str | None = None,
    session: SessionLike = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row an item of a run, in the order of its inputs; of all runs without one. Key: `run_id`, `item`.

    `input` and `output` are JSON. Raises `NotFound` for a run that is not there.

    >>> frames.map_items(state="failed").empty
    True
    """
    path, _ = scope(session, db)
    if run is not None and not rows(path, "SELECT 1 FROM map_run WHERE id = ?", (run,)):
        raise NotFound("run", str(run), f"{path} does not hold it; frames.map_runs() lists them")
    return read(MAP_ITEMS, session, db, run=run, state=state, error_kind=error_kind)


_RESULTS = """
    SELECT idx, state, output, CASE state WHEN 'failed' THEN error END, CASE state WHEN 'failed' THEN error_kind END,
        attempts, cost
    FROM map_item WHERE run_id = ? ORDER BY idx
"""
_BESIDE = {"success": BOOL, "error": TEXT, "error_kind": CATEGORY, "attempts": INT, "cost": FLOAT}
_DTYPES = {"string": TEXT, "integer": INT, "number": FLOAT, "boolean": BOOL}


def map_results(run: str, *, index: Any = None, db: str | Path | None = None) -> "pd.DataFrame":
    """One row an item of a run: the fields of its output as columns, or `output`; beside them how it went.

    Those are `success` (missing while the item is not done), `error`, `error_kind`, `attempts`, `cost`; where a field
    is called so, that of the item ends in `_`. Key: `item`, or the `index` that is given. Raises `NotFound`.
    """
    path, _ = scope(None, db)
    return results(path, run, index)


def results(path: Path, run: str, index: "pd.Index[Any] | None") -> "pd.DataFrame":
    """What came of each item, with the fields of the outputs as columns. Raises `NotFound`."""
    import pandas as pd

    found = rows(path, "SELECT schema FROM map_run WHERE id = ?", (run,))
    if not found:
        raise NotFound("run", str(run), f"{path} does not hold it; frames.map_runs() lists them")
    ((schema,),) = found
    items = rows(path, _RESULTS, (run,))
    if index is None:
        index = pd.RangeIndex(len(items), name="item")
    elif len(index) != len(items):
        index = index[: len(items)]  # stopped while its inputs were being stored
    outputs = [None if text is None or state != "done" else json.loads(text) for _, state, text, *_ in items]
    fields = _fields({} if schema is None else json.loads(schema))
    columns: dict[str, Any] = {}
    if fields is None:
        columns["output"] = _column(outputs, TEXT if schema is None else "object")
    else:
        for name, dtype in fields.items():
            columns[name] = _column([(output or {}).get(name) for output in outputs], dtype)
    success = [None if state in ("pending", "running") else state == "done" for _, state, *_ in items]
    beside = [success, *([item[at] for item in items] for at in range(3, 7))]
    for (name, dtype), values in zip(_BESIDE.items(), beside, strict=True):
        columns[f"{name}_" if name in columns else name] = column(values, dtype)
    frame = pd.DataFrame({name: values.set_axis(index) for name, values in columns.items()}, index=index)
    frame.attrs["run_id"] = run
    return frame


def _fields(schema: Mapping[str, Any]) -> dict[str, str] | None:
    """The fields of an object with their dtypes; `None` where the outputs are no objects with fields that are known."""
    if "$ref" in schema:
        schema = schema.get("$defs", {}).get(str(schema["$ref"]).rpartition("/")[2], {})
    properties = schema.get("properties")
    return {name: _dtype(each) for name, each in properties.items()} if properties else None


def _dtype(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "object"
    kinds = [each.get("type") for each in schema.get("anyOf", [schema]) if isinstance(each, Mapping)]
    told = [kind for kind in kinds if kind != "null"]
    return _DTYPES.get(told[0], "object") if len(told) == 1 and isinstance(told[0], str) else "object"


def _column(values: list[Any], dtype: str) -> "pd.Series[Any]":
    try:
        return column(values, dtype)
    except (TypeError, ValueError, OverflowError):  # as an integer that is larger than 64 bits
        return column(values, "object")


def map_listing(path: Path, count: int) -> list[tuple[str, str, int | None, int, int, str, str, str]]:
    """Of the newest runs: state, model, items, done, failed, time of creation (UTC), id, beginning of the template."""
    query = f"""
        SELECT {STATE}, r.model, r.total, (SELECT count(*) FROM map_item WHERE run_id = r.id AND state = 'done'),
            (SELECT count(*) FROM map_item WHERE run_id = r.id AND state = 'failed'),
            strftime('%Y-%m-%d %H:%M', r.created_at / 1000000, 'unixepoch'), r.id, substr(r.template, 1, 60)
        FROM map_run r ORDER BY r.created_at DESC, r.id DESC LIMIT ?
    """
    return rows(path, query, (count,))
