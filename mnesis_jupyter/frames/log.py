"""The views over the log, as SQL: what each is called there, its key, and its columns with their dtypes."""

from mnesis_jupyter.frames.reading import BOOL, CATEGORY, FLOAT, INT, TEXT, TIME, View


def _period(moment: str) -> dict[str, str]:
    return {"since": f"{moment} >= :since", "until": f"{moment} < :until"}


SESSIONS = View(
    """
    SELECT s.id AS session_id, s.title, s.model, s.agent, s.system_prompt, s.parent_id, s.forked_from, s.forked_turn,
        coalesce(max(t.idx) + 1, l.first_turn) AS turns, coalesce(sum(t.input_tokens), 0) AS input_tokens,
        coalesce(sum(t.output_tokens), 0) AS output_tokens, sum(t.cost) AS cost,
        s.created_at, max(coalesce(t.finished_at, t.opened_at)) AS last_turn_at
    FROM session_now s JOIN lineage l ON l.session_id = s.id AND l.ancestor_id = s.id
        LEFT JOIN turn t ON t.session_id = s.id {where} GROUP BY s.id
    """,
    ("session_id",),
    {
        "session_id": TEXT,
        "title": TEXT,
        "model": CATEGORY,
        "agent": CATEGORY,
        "system_prompt": TEXT,
        "parent_id": TEXT,
        "forked_from": TEXT,
        "forked_turn": INT,
        "turns": INT,
        "input_tokens": INT,
        "output_tokens": INT,
        "cost": FLOAT,
        "created_at": TIME,
        "last_turn_at": TIME,
    },
    "s.created_at, s.id",
    session="s.id",
    filters={"model": "s.model = :model", **_period("s.created_at")},
)

TURNS = View(
    """
    SELECT t.session_id, t.idx AS turn, t.state, t.model, t.window_tokens, t.system_tokens, t.summary_tokens,
        t.message_tokens, t.tool_tokens, t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
        t.total_tokens, t.cost, t.finish_reason, t.error_kind, t.error, t.recorded, t.origin, t.request_hash,
        t.id AS turn_id, t.opened_at, t.finished_at, (t.finished_at - t.opened_at) / 1e6 AS seconds
    FROM {turn} t {where}
    """,
    ("session_id", "turn"),
    {
        "session_id": TEXT,
        "turn": INT,
        "state": CATEGORY,
        "model": CATEGORY,
        **dict.fromkeys(("window_tokens", "system_tokens", "summary_tokens", "message_tokens", "tool_tokens"), INT),
        **dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), INT),
        "total_tokens": INT,
        "cost": FLOAT,
        "finish_reason": CATEGORY,
        "error_kind": CATEGORY,
        "error": TEXT,
        "recorded": BOOL,
        "origin": TEXT,
        "request_hash": TEXT,
        "turn_id": TEXT,
        "opened_at": TIME,
        "finished_at": TIME,
        "seconds": FLOAT,
    },
    "t.session_id, t.idx",
    session="t.branch_id",
    filters={"state": "t.state = :state", "model": "t.model = :model", **_period("t.opened_at")},
)

# Before SQLite 3.44 group_concat has no ORDER BY of its own.
_TEXT_OF_MESSAGE = """(
    SELECT group_concat(text, char(10, 10))
    FROM (SELECT p.text FROM part p WHERE p.message_id = m.id AND p.type = 'text' ORDER BY p.idx)
)"""

MESSAGES = View(
    f"""
    SELECT m.session_id, m.seq, m.turn, m.role, m.tokens,
        {_TEXT_OF_MESSAGE} AS text,
        (SELECT count(*) FROM part p WHERE p.message_id = m.id) AS parts, m.partial, m.id AS message_id, m.created_at
    FROM {{message}} m {{where}}
    """,
    ("session_id", "seq"),
    {
        "session_id": TEXT,
        "seq": INT,
        "turn": INT,
        "role": CATEGORY,
        "tokens": INT,
        "text": TEXT,
        "parts": INT,
        "partial": BOOL,
        "message_id": TEXT,
        "created_at": TIME,
    },
    "m.session_id, m.seq",
    session="m.branch_id",
    filters={"role": "m.role = :role", "turn": "m.turn = :turn", **_period("m.created_at")},
)

PARTS = View(
    """
    SELECT m.session_id, m.seq, p.idx AS part, m.turn, m.role, p.type, p.tokens + p.output_tokens AS tokens, p.text,
        p.data ->> '$.tool_name' AS tool_name, p.data ->> '$.tool_call_id' AS tool_call_id,
        CASE p.type WHEN 'tool' THEN coalesce(p.data ->> '$.status', 'pending') END AS status,
        CASE p.type WHEN 'media' THEN json_remove(p.data, '$.data') ELSE p.data END AS data, p.id AS part_id,
        m.id AS message_id
    FROM part p JOIN {message} m ON m.id = p.message_id {where}
    """,
    ("session_id", "seq", "part"),
    {
        "session_id": TEXT,
        "seq": INT,
        "part": INT,
        "turn": INT,
        "role": CATEGORY,
        "type": CATEGORY,
        "tokens": INT,
        "text": TEXT,
        "tool_name": TEXT,
        "tool_call_id": TEXT,
        "status": CATEGORY,
        "data": TEXT,
        "part_id": TEXT,
        "message_id": TEXT,
    },
    "m.session_id, m.seq, p.idx",
    session="m.branch_id",
    filters={"type": "p.type = :type", "role": "m.role = :role", "turn": "m.turn = :turn"},
)

# A call and its result are one part (recorded, imported) or two. Models use ids again: the result of a call is the
# first after it with its id, and before the next call with that id.
TOOL_CALLS = View(
    """
    WITH call AS (
        SELECT m.{of} AS seen_by, m.session_id, m.seq, p.idx, m.turn, p.data ->> '$.tool_name' AS tool_name,
            p.data ->> '$.tool_call_id' AS tool_call_id, p.data, p.tokens, p.output_tokens, p.id AS part_id,
            m.id AS message_id, m.created_at, lead(m.seq) OVER again AS next_seq
        FROM part p JOIN {message} m ON m.id = p.message_id WHERE p.type = 'tool' AND m.role <> 'tool' {within}
        WINDOW again AS (PARTITION BY m.{of}, p.data ->> '$.tool_call_id' ORDER BY m.seq, p.idx)
    ), answer AS (
        SELECT c.part_id AS call_id, (
            SELECT p.id FROM {message} m JOIN part p ON p.message_id = m.id
            WHERE m.{of} = c.seen_by AND m.role = 'tool' AND m.seq > c.seq
                AND (c.next_seq IS NULL OR m.seq < c.next_seq) AND p.data ->> '$.tool_call_id' = c.tool_call_id
            ORDER BY m.seq, p.idx LIMIT 1
        ) AS part_id
        FROM call c WHERE coalesce(c.data ->> '$.status', 'pending') NOT IN ('completed', 'error')
    ), told AS (
        SELECT c.*, r.data AS result, r.output_tokens AS result_tokens, r.id AS result_part_id,
            m.id AS result_message_id, m.turn AS result_turn, m.created_at AS answered_at
        FROM call c LEFT JOIN answer a ON a.call_id = c.part_id LEFT JOIN part r ON r.id = a.part_id
            LEFT JOIN message m ON m.id = r.message_id
    )
    SELECT t.session_id, t.seq, t.idx AS part, t.turn, t.tool_name, t.tool_call_id,
        coalesce(t.data -> '$.input', '{}') AS arguments,
        coalesce(t.result ->> '$.status', t.data ->> '$.status', 'pending') AS status,
        coalesce(t.result, t.data) ->> '$.output' AS output, coalesce(t.result, t.data) ->> '$.error_message' AS error,
        t.tokens, coalesce(t.result_tokens, t.output_tokens) AS output_tokens, t.part_id, t.message_id,
        t.result_part_id, t.result_message_id, t.result_turn, t.created_at AS called_at, t.answered_at
    FROM told t {where}
    """,
    ("session_id", "seq", "part"),
    {
        "session_id": TEXT,
        "seq": INT,
        "part": INT,
        "turn": INT,
        "tool_name": TEXT,
        "tool_call_id": TEXT,
        "arguments": TEXT,
        "status": CATEGORY,
        "output": TEXT,
        "error": TEXT,
        "tokens": INT,
        "output_tokens": INT,
        "part_id": TEXT,
        "message_id": TEXT,
        "result_part_id": TEXT,
        "result_message_id": TEXT,
        "result_turn": INT,
        "called_at": TIME,
        "answered_at": TIME,
    },
    "t.session_id, t.seq, t.idx",
    session="t.seen_by",
    filters={
        "tool": "t.tool_name = :tool",
        "status": "coalesce(t.result ->> '$.status', t.data ->> '$.status', 'pending') = :status",
        **_period("t.created_at"),
    },
)

EVENTS = View(
    """
    SELECT e.session_id, e.seq, e.type AS event, e.turn, e.payload, e.id AS event_id, e.created_at
    FROM {event} e {where}
    """,
    ("session_id", "seq"),
    {
        "session_id": TEXT,
        "seq": INT,
        "event": CATEGORY,
        "turn": INT,
        "payload": TEXT,
        "event_id": TEXT,
        "created_at": TIME,
    },
    "e.session_id, e.seq",
    session="e.branch_id",
    filters={"event": "e.type = :event", "turn": "e.turn = :turn", **_period("e.created_at")},
)

# Base64 holds three bytes in four letters; `=` fills up the last four.
ATTACHMENTS = View(
    """
    SELECT m.session_id, m.seq, p.idx AS part, m.turn, m.role, p.type, p.data ->> '$.file_id' AS file_id,
        coalesce(p.data ->> '$.path', p.data ->> '$.name') AS path, p.data ->> '$.url' AS url,
        p.data ->> '$.media_type' AS media_type,
        coalesce(p.data ->> '$.size', length(rtrim(p.data ->> '$.data', '=')) * 3 / 4) AS size,
        coalesce(p.data ->> '$.tokens', p.tokens) AS file_tokens, p.tokens,
        nullif(coalesce(p.data ->> '$.summary', p.data ->> '$.alt'), '') AS description,
        p.data ->> '$.width' AS width, p.data ->> '$.height' AS height, p.id AS part_id, m.id AS message_id,
        m.created_at
    FROM {message} m JOIN part p ON p.message_id = m.id AND p.type IN ('file_ref', 'media') {where}
    """,
    ("session_id", "seq", "part"),
    {
        "session_id": TEXT,
        "seq": INT,
        "part": INT,
        "turn": INT,
        "role": CATEGORY,
        "type": CATEGORY,
        "file_id": TEXT,
        "path": TEXT,
        "url": TEXT,
        "media_type": CATEGORY,
        "size": INT,
        "file_tokens": INT,
        "tokens": INT,
        "description": TEXT,
        "width": INT,
        "height": INT,
        "part_id": TEXT,
        "message_id": TEXT,
        "created_at": TIME,
    },
    "m.session_id, m.seq, p.idx",
    session="m.branch_id",
    filters={"type": "p.type = :type", "media_type": "p.data ->> '$.media_type' = :media_type"},
)

FILES = View(
    """
    SELECT f.session_id, f.id AS file_id, f.name, f.path, f.media_type, f.encoding, f.size,
        CASE f.counted WHEN 'none' THEN NULL ELSE f.tokens END AS tokens, f.counted, f.kept, f.hash, f.summary,
        f.modified_ns / 1000 AS modified_at, f.created_at
    FROM {file} f {where}
    """,
    ("session_id", "file_id"),
    {
        "session_id": TEXT,
        "file_id": TEXT,
        "name": TEXT,
        "path": TEXT,
        "media_type": CATEGORY,
        "encoding": CATEGORY,
        "size": INT,
        "tokens": INT,
        "counted": CATEGORY,
        "kept": BOOL,
        "hash": TEXT,
        "summary": TEXT,
        "modified_at": TIME,
        "created_at": TIME,
    },
    "f.id",
    session="f.branch_id",
    filters={
        "media_type": "f.media_type = :media_type",
        "kept": "f.kept = :kept",
        "since": "f.created_at >= :since",
        "until": "f.created_at < :until",
    },
)

_USED_BY = {
    "session_id": ("t.session_id", TEXT),
    "day": ("t.opened_at / 86400000000 * 86400000000", TIME),
    "model": ("t.model", TEXT),
}


def usage(by: tuple[str, ...] = tuple(_USED_BY)) -> View:
    """What turns have used, added up by these: any of `session_id`, `day`, `model`."""
    keys = ", ".join(f"{_USED_BY[name][0]} AS {name}" for name in by)
    sums = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "total_tokens")
    return View(
        f"""
    SELECT {keys}, count(*) AS turns, {", ".join(f"coalesce(sum(t.{name}), 0) AS {name}" for name in sums)},
        sum(t.cost) AS cost, sum(t.input_tokens IS NOT NULL AND t.cost IS NULL) AS unpriced,
        coalesce(sum(t.usage_counted), 0) AS counted
    FROM turn t {{where}} GROUP BY {", ".join(map(str, range(1, len(by) + 1)))}
    """,
        by,
        {
            **{name: _USED_BY[name][1] for name in by},
            **dict.fromkeys(("turns", *sums), INT),
            "cost": FLOAT,
            "unpriced": INT,
            "counted": INT,
        },
        ", ".join(map(str, range(1, len(by) + 1))),
        session="t.session_id",
        filters={"model": "t.model = :model", **_period("t.opened_at")},
    )
