"""Maps as DataFrames: one row a run, or one row an item."""

from mnesis_jupyter.frames.reading import CATEGORY, FLOAT, INT, TEXT, TIME, View

_STATES = ("pending", "running", "done", "failed")

MAP_RUNS = View(
    f"""
    SELECT r.id AS run_id, r.kind, r.state, r.model, r.session_id, r.total,
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
        "state": "r.state = :state",
        "model": "r.model = :model",
        "since": "r.created_at >= :since",
        "until": "r.created_at < :until",
    },
)

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
