"""What messages hold: parts, tool calls, files and media."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnesis_jupyter.frames.reading import Moment, SessionLike, View, columns, period, read

if TYPE_CHECKING:
    import pandas as pd

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
    columns("session_id seq part turn role type tokens text tool_name tool_call_id status data part_id message_id"),
    "m.session_id, m.seq, p.idx",
    session="m.branch_id",
    filters={"type": "p.type = :type", "role": "m.role = :role", "turn": "m.turn = :turn"},
)


def parts(
    session: SessionLike = None,
    *,
    type: str | None = None,
    role: str | None = None,
    turn: int | None = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a part; `data` is JSON: what a part has beside its text. Key: `session_id`, `seq`, `part`.

    >>> frames.parts("talk", turn=2)["type"].tolist()
    ['text', 'text', 'tool', 'text']
    """
    return read(PARTS, session, db, type=type, role=role, turn=turn)


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
    columns(
        "session_id seq part turn tool_name tool_call_id arguments status output error tokens output_tokens "
        "part_id message_id result_part_id result_message_id result_turn called_at answered_at"
    ),
    "t.session_id, t.seq, t.idx",
    session="t.seen_by",
    filters={
        "tool": "t.tool_name = :tool",
        "status": "coalesce(t.result ->> '$.status', t.data ->> '$.status', 'pending') = :status",
        **period("t.created_at"),
    },
)


def tool_calls(
    session: SessionLike = None,
    *,
    tool: str | None = None,
    status: str | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a tool call, with what came of it. Key: `session_id`, `seq`, `part`: of the call.

    `arguments` is JSON; `status` is "pending" where a call has no result yet, else "completed" or "error". `tokens` are
    those of the call, `output_tokens` of the whole output, which may stand in the window as an excerpt or pruned. The
    ids and the turn of the result are missing where it stands in the same part, as in recorded turns.

    >>> frames.tool_calls("talk", tool="look")[["arguments", "output"]].to_numpy().tolist()
    [['{"at":"it"}', 'It is blue.']]
    """
    return read(TOOL_CALLS, session, db, tool=tool, status=status, since=since, until=until)


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
    columns(
        "session_id seq part turn role type file_id path url media_type size file_tokens tokens description "
        "width height part_id message_id created_at"
    ),
    "m.session_id, m.seq, p.idx",
    session="m.branch_id",
    filters={"type": "p.type = :type", "media_type": "p.data ->> '$.media_type' = :media_type"},
)


def attachments(
    session: SessionLike = None,
    *,
    type: str | None = None,
    media_type: str | None = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a file reference or medium (an image, a sound, a document) in the log. Key: `session_id`, `seq`, `part`.

    `size` is in bytes, `width` and `height` in pixels. `tokens` is what it costs in the window, `file_tokens` what the
    file would cost that a reference stands for. The bytes are not in it.

    >>> len(frames.attachments("talk"))
    0
    """
    return read(ATTACHMENTS, session, db, type=type, media_type=media_type)


FILES = View(
    """
    SELECT f.session_id, f.id AS file_id, f.name, f.path, f.media_type, f.encoding, f.size,
        CASE f.counted WHEN 'none' THEN NULL ELSE f.tokens END AS tokens, f.counted, f.kept, f.hash, f.summary,
        f.modified_ns / 1000 AS modified_at, f.created_at
    FROM {file} f {where}
    """,
    ("session_id", "file_id"),
    columns(
        "session_id file_id name path media_type encoding size tokens counted kept hash summary modified_at created_at"
    ),
    "f.id",
    session="f.branch_id",
    filters={
        "media_type": "f.media_type = :media_type",
        "kept": "f.kept = :kept",
        **period("f.created_at"),
    },
)


def files(
    session: SessionLike = None,
    *,
    media_type: str | None = None,
    kept: bool | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a file that `attach` made a reference of, sent or not, as it was then. Key: `session_id`, `file_id`.

    Of a fork, those as well that its past refers to. `size` is in bytes; `tokens` is of the whole file, missing where
    it is no text, and `counted` says what it is: "exact", "estimate" or "none". `path` is missing where it came as
    bytes or as a table. `since`, `until`: when it was attached.

    >>> frames.files("talk", kept=True).empty
    True
    """
    return read(FILES, session, db, media_type=media_type, kept=kept, since=since, until=until)
