"""The store as pandas DataFrames: `turns()`, `messages("my chat")`, `context(session, turn=3)`.

Each takes a session as object, id or title; `None` means all sessions, or the current one where only one makes sense.
Each reads the file by itself, read-only and on one snapshot, so it is safe while sessions write. Columns, their order
and their dtypes are always the same, also when there are no rows: nullable integers, floats and booleans, `string`,
`category`, and times as `datetime64[us, UTC]`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mnesis import InputError, MnesisSession, NotFound, StoreError
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.frames.window import WINDOW_ITEMS

if TYPE_CHECKING:
    import pandas as pd

type SessionLike = MnesisSession | str | None

_INT, _FLOAT, _BOOL, _TEXT, _CATEGORY, _TIME = (
    "Int64",
    "Float64",
    "boolean",
    "string",
    "category",
    "datetime64[us, UTC]",
)


@dataclass(frozen=True, slots=True)
class _Frame:
    """One view: a query with a place for its conditions, its key, and its columns with their dtypes."""

    query: str
    index: tuple[str, ...]
    columns: Mapping[str, str]
    order: str


_SESSIONS = _Frame(
    """
    SELECT s.id AS session_id, s.title, s.model, s.agent, s.system_prompt, s.parent_id, s.forked_from, s.forked_turn,
        count(t.id) AS turns, coalesce(sum(t.input_tokens), 0) AS input_tokens,
        coalesce(sum(t.output_tokens), 0) AS output_tokens, sum(t.cost) AS cost,
        s.created_at, max(coalesce(t.finished_at, t.opened_at)) AS last_turn_at
    FROM session s LEFT JOIN turn t ON t.session_id = s.id {where} GROUP BY s.id
    """,
    ("session_id",),
    {
        "session_id": _TEXT,
        "title": _TEXT,
        "model": _CATEGORY,
        "agent": _CATEGORY,
        "system_prompt": _TEXT,
        "parent_id": _TEXT,
        "forked_from": _TEXT,
        "forked_turn": _INT,
        "turns": _INT,
        "input_tokens": _INT,
        "output_tokens": _INT,
        "cost": _FLOAT,
        "created_at": _TIME,
        "last_turn_at": _TIME,
    },
    "s.created_at, s.id",
)

_TURNS = _Frame(
    """
    SELECT t.session_id, t.idx AS turn, t.state, t.model, t.window_tokens, t.system_tokens, t.summary_tokens,
        t.message_tokens, t.tool_tokens, t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
        t.total_tokens, t.cost, t.finish_reason, t.error_kind, t.error, t.recorded, t.origin, t.request_hash,
        t.id AS turn_id, t.opened_at, t.finished_at, (t.finished_at - t.opened_at) / 1e6 AS seconds
    FROM turn t {where}
    """,
    ("session_id", "turn"),
    {
        "session_id": _TEXT,
        "turn": _INT,
        "state": _CATEGORY,
        "model": _CATEGORY,
        **dict.fromkeys(("window_tokens", "system_tokens", "summary_tokens", "message_tokens", "tool_tokens"), _INT),
        **dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), _INT),
        "total_tokens": _INT,
        "cost": _FLOAT,
        "finish_reason": _CATEGORY,
        "error_kind": _CATEGORY,
        "error": _TEXT,
        "recorded": _BOOL,
        "origin": _TEXT,
        "request_hash": _TEXT,
        "turn_id": _TEXT,
        "opened_at": _TIME,
        "finished_at": _TIME,
        "seconds": _FLOAT,
    },
    "t.session_id, t.idx",
)

# Before SQLite 3.44 group_concat has no ORDER BY of its own.
_TEXT_OF_MESSAGE = """(
    SELECT group_concat(text, char(10, 10))
    FROM (SELECT p.text FROM part p WHERE p.message_id = m.id AND p.type = 'text' ORDER BY p.idx)
)"""

_MESSAGES = _Frame(
    """
    SELECT m.session_id, m.seq, m.turn, m.role, m.tokens,
        {text} AS text,
        (SELECT count(*) FROM part p WHERE p.message_id = m.id) AS parts, m.partial, m.id AS message_id, m.created_at
    FROM message m {where}
    """,
    ("session_id", "seq"),
    {
        "session_id": _TEXT,
        "seq": _INT,
        "turn": _INT,
        "role": _CATEGORY,
        "tokens": _INT,
        "text": _TEXT,
        "parts": _INT,
        "partial": _BOOL,
        "message_id": _TEXT,
        "created_at": _TIME,
    },
    "m.session_id, m.seq",
)

_PARTS = _Frame(
    """
    SELECT m.session_id, m.seq, p.idx AS part, m.turn, m.role, p.type, p.tokens + p.output_tokens AS tokens, p.text,
        p.data ->> '$.tool_name' AS tool_name, p.data ->> '$.tool_call_id' AS tool_call_id,
        CASE p.type WHEN 'tool' THEN coalesce(p.data ->> '$.status', 'pending') END AS status,
        CASE p.type WHEN 'media' THEN json_remove(p.data, '$.data') ELSE p.data END AS data, p.id AS part_id,
        m.id AS message_id
    FROM part p JOIN message m ON m.id = p.message_id {where}
    """,
    ("session_id", "seq", "part"),
    {
        "session_id": _TEXT,
        "seq": _INT,
        "part": _INT,
        "turn": _INT,
        "role": _CATEGORY,
        "type": _CATEGORY,
        "tokens": _INT,
        "text": _TEXT,
        "tool_name": _TEXT,
        "tool_call_id": _TEXT,
        "status": _CATEGORY,
        "data": _TEXT,
        "part_id": _TEXT,
        "message_id": _TEXT,
    },
    "m.session_id, m.seq, p.idx",
)

# A call and its result are one part (recorded, imported) or two. Models use ids again: the result of a call is the
# first after it with its id, and before the next call with that id.
_TOOL_CALLS = _Frame(
    """
    WITH call AS (
        SELECT m.session_id, m.seq, p.idx, m.turn, p.data ->> '$.tool_name' AS tool_name,
            p.data ->> '$.tool_call_id' AS tool_call_id, p.data, p.tokens, p.output_tokens, p.id AS part_id,
            m.id AS message_id, m.created_at, lead(m.seq) OVER again AS next_seq
        FROM part p JOIN message m ON m.id = p.message_id WHERE p.type = 'tool' AND m.role <> 'tool'
        WINDOW again AS (PARTITION BY m.session_id, p.data ->> '$.tool_call_id' ORDER BY m.seq, p.idx)
    ), answer AS (
        SELECT c.part_id AS call_id, (
            SELECT p.id FROM message m JOIN part p ON p.message_id = m.id
            WHERE m.session_id = c.session_id AND m.role = 'tool' AND m.seq > c.seq
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
        "session_id": _TEXT,
        "seq": _INT,
        "part": _INT,
        "turn": _INT,
        "tool_name": _TEXT,
        "tool_call_id": _TEXT,
        "arguments": _TEXT,
        "status": _CATEGORY,
        "output": _TEXT,
        "error": _TEXT,
        "tokens": _INT,
        "output_tokens": _INT,
        "part_id": _TEXT,
        "message_id": _TEXT,
        "result_part_id": _TEXT,
        "result_message_id": _TEXT,
        "result_turn": _INT,
        "called_at": _TIME,
        "answered_at": _TIME,
    },
    "t.session_id, t.seq, t.idx",
)

_EVENTS = _Frame(
    """
    SELECT e.session_id, e.seq, e.type AS event, e.turn, e.payload, e.id AS event_id, e.created_at FROM event e {where}
    """,
    ("session_id", "seq"),
    {
        "session_id": _TEXT,
        "seq": _INT,
        "event": _CATEGORY,
        "turn": _INT,
        "payload": _TEXT,
        "event_id": _TEXT,
        "created_at": _TIME,
    },
    "e.session_id, e.seq",
)

_SUMMARIES = _Frame(
    """
    SELECT s.session_id, s.id AS summary_id, s.kind, s.depth, s.level, s.model, s.first_turn, s.last_turn,
        s.message_count AS messages, s.source_tokens, s.tokens, 1.0 - 1.0 * s.tokens / max(s.source_tokens, 1) AS saved,
        c.died_view IS NULL AND c.born_view IS NOT NULL AS in_window, s.text, s.certificate, s.prompt_hash,
        c.born_view, c.died_view, s.created_at
    FROM summary s LEFT JOIN context_item c ON c.ref = s.id {where}
    """,
    ("session_id", "summary_id"),
    {
        "session_id": _TEXT,
        "summary_id": _TEXT,
        "kind": _CATEGORY,
        "depth": _INT,
        "level": _INT,
        "model": _CATEGORY,
        "first_turn": _INT,
        "last_turn": _INT,
        "messages": _INT,
        "source_tokens": _INT,
        "tokens": _INT,
        "saved": _FLOAT,
        "in_window": _BOOL,
        "text": _TEXT,
        "certificate": _TEXT,
        "prompt_hash": _TEXT,
        "born_view": _INT,
        "died_view": _INT,
        "created_at": _TIME,
    },
    "s.rowid",
)

_SOURCES = _Frame(
    """
    SELECT e.summary_id, e.idx AS source, s.session_id, e.kind, e.ref AS source_id, e.fidelity,
        coalesce(m.role, 'summary') AS role, coalesce(m.turn, b.last_turn) AS turn,
        coalesce(m.tokens, b.tokens) AS tokens
    FROM summary_source e JOIN summary s ON s.id = e.summary_id
    LEFT JOIN message m ON e.kind = 'message' AND m.id = e.ref
    LEFT JOIN summary b ON e.kind = 'summary' AND b.id = e.ref {where}
    """,
    ("summary_id", "source"),
    {
        "summary_id": _TEXT,
        "source": _INT,
        "session_id": _TEXT,
        "kind": _CATEGORY,
        "source_id": _TEXT,
        "fidelity": _CATEGORY,
        "role": _CATEGORY,
        "turn": _INT,
        "tokens": _INT,
    },
    "s.rowid, e.idx",
)

_CONTEXT = _Frame(
    WINDOW_ITEMS
    + """
    SELECT row_number() OVER sent - 1 AS pos, kind, id, turn, tokens, sum(tokens) OVER sent AS tokens_so_far, text,
        stand_in, born_view
    FROM item WINDOW sent AS (ORDER BY pos, texts, result, idx)
    """,
    ("pos",),
    {
        "pos": _INT,
        "kind": _CATEGORY,
        "id": _TEXT,
        "turn": _INT,
        "tokens": _INT,
        "tokens_so_far": _INT,
        "text": _TEXT,
        "stand_in": _CATEGORY,
        "born_view": _INT,
    },
    "pos",
)


# -- the public views ---------------------------------------------------------------------------------------------


def sessions(session: SessionLike = None, *, db: str | Path | None = None) -> "pd.DataFrame":
    """One row a session: title, model, what it has used. Key: `session_id`."""
    return _view(_SESSIONS, "s.id", session, db)


def turns(session: SessionLike = None, *, state: str | None = None, db: str | Path | None = None) -> "pd.DataFrame":
    """One row a turn: state, window by kind as it was sent, usage, cost, error. Key: `session_id`, `turn`."""
    return _view(_TURNS, "t.session_id", session, db, {"t.state": state})


def messages(session: SessionLike = None, *, role: str | None = None, db: str | Path | None = None) -> "pd.DataFrame":
    """One row a message of the log, its text parts joined. Key: `session_id`, `seq`."""
    return _view(_MESSAGES, "m.session_id", session, db, {"m.role": role})


def parts(session: SessionLike = None, *, type: str | None = None, db: str | Path | None = None) -> "pd.DataFrame":
    """One row a part; `data` is JSON: what a part has beside its text. Key: `session_id`, `seq`, `part`."""
    return _view(_PARTS, "m.session_id", session, db, {"p.type": type})


def tool_calls(session: SessionLike = None, *, tool: str | None = None, db: str | Path | None = None) -> "pd.DataFrame":
    """One row a tool call, with what came of it. Key: `session_id`, `seq`, `part`: of the call.

    `arguments` is JSON; `status` is "pending" where a call has no result yet, else "completed" or "error". `tokens` are
    those of the call, `output_tokens` of the whole output, which may stand in the window as an excerpt or pruned. The
    ids and the turn of the result are missing where it stands in the same part, as in recorded turns.
    """
    return _view(_TOOL_CALLS, "t.session_id", session, db, {"t.tool_name": tool})


def events(session: SessionLike = None, *, event: str | None = None, db: str | Path | None = None) -> "pd.DataFrame":
    """One row an event, `payload` as JSON. Key: `session_id`, `seq`."""
    return _view(_EVENTS, "e.session_id", session, db, {"e.type": event})


def summaries(session: SessionLike = None, *, kind: str | None = None, db: str | Path | None = None) -> "pd.DataFrame":
    """One row a summary, in the order in which they were made. Key: `session_id`, `summary_id`.

    `saved` is the share of the sources' tokens that it freed; `certificate` is JSON: what its text no longer says.
    """
    return _view(_SUMMARIES, "s.session_id", session, db, {"s.kind": kind})


def sources(session: SessionLike = None, *, kind: str | None = None, db: str | Path | None = None) -> "pd.DataFrame":
    """One row for each message or summary that a summary stands for, and how much of it the summariser was given.

    Key: `summary_id`, `source`.
    """
    return _view(_SOURCES, "s.session_id", session, db, {"e.kind": kind})


def context(session: SessionLike = None, turn: int | None = None, *, db: str | Path | None = None) -> "pd.DataFrame":
    """One row an item of a window, in its order: the current one, or a past turn's as it was sent.

    Without `session`, of the current one. Key: `pos`. The sum of `tokens` is the window's size. `text` is what stands
    there; `stand_in` says where that is not the original: "pruned" or "excerpt". Summaries and files are sent within a
    label, which `tokens` count as well.
    Raises `NotFound` for a turn that is not there.
    """
    if session is None and db is None:
        session = CURRENT.session
    if session is None:
        raise InputError("there is no current session to show the window of; name one, as in context('my chat')")
    path, id = _scope(session, db)
    if turn is not None and not rows(path, "SELECT 1 FROM turn WHERE session_id = ? AND idx = ?", (id, turn)):
        raise NotFound("turn", str(turn), f"session {id} does not have it; turns count from 0")
    return _read(_CONTEXT, path, "", {"session": id, "turn": turn, "after": -1})


# -- plain rows ---------------------------------------------------------------------------------------------------


def store() -> Path:
    """The file that this kernel's new sessions go to, and that is read where no `db` is given."""
    return CURRENT.store


def find_session(name: str, path: Path) -> str | None:
    """The id of a session named by id or title; of several with one title, the newest."""
    query = (
        "SELECT id FROM session WHERE id = :name OR title = :name ORDER BY id = :name DESC, created_at DESC, id DESC"
    )
    found = rows(path, f"{query} LIMIT 1", {"name": name})
    return found[0][0] if found else None


def listing(path: Path, count: int) -> list[tuple[str, str | None, str, int, int, str]]:
    """Of the newest sessions: id, title, model, turns, billed tokens, time of creation (UTC)."""
    query = """
        SELECT s.id, s.title, s.model, count(t.id), coalesce(sum(t.total_tokens), 0),
            strftime('%Y-%m-%d %H:%M', s.created_at / 1000000, 'unixepoch')
        FROM session s LEFT JOIN turn t ON t.session_id = s.id
        GROUP BY s.id ORDER BY s.created_at DESC, s.id DESC LIMIT ?
    """
    return rows(path, query, (count,))


def rows(path: Path, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """What a query finds. Nothing where there is no file yet: the first session makes it."""
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query, parameters).fetchall()
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} cannot be read as a store of mnesis ({error}); check db") from error


# -- from rows to frames ------------------------------------------------------------------------------------------


def _view(
    frame: _Frame,
    session_column: str,
    session: SessionLike,
    db: str | Path | None,
    filters: Mapping[str, str | None] | None = None,
) -> "pd.DataFrame":
    path, id = _scope(session, db)
    wanted = {column: value for column, value in {session_column: id, **(filters or {})}.items() if value is not None}
    where = " AND ".join(f"{column} = ?" for column in wanted)
    return _read(frame, path, f"WHERE {where}" if where else "", tuple(wanted.values()))


def _scope(session: SessionLike, db: str | Path | None) -> tuple[Path, str | None]:
    """The file to read, and the id of the session if it is about one."""
    if db is not None and not Path(db).expanduser().exists():
        raise NotFound("store", str(db), "there is no such file; check db")
    if isinstance(session, MnesisSession):
        if session.db_path is None:
            raise InputError("this session is kept in memory, which only it can read; give it a db_path")
        return session.db_path, session.id
    path = CURRENT.store if db is None else Path(db).expanduser()
    if session is None:
        return path, None
    if not isinstance(session, str):
        raise InputError(f"session={session!r} is not a session; give the object, its id or its title")
    id = find_session(session, path)
    if id is None:
        raise NotFound("session", session, f"{path} has none of this id or title; frames.sessions() lists them")
    return path, id


def _read(frame: _Frame, path: Path, where: str, parameters: Sequence[Any] | Mapping[str, Any]) -> "pd.DataFrame":
    """The one way from the store to a DataFrame: each column is built with its dtype, never guessed."""
    import pandas as pd

    filled = frame.query.replace("{where}", where).replace("{text}", _TEXT_OF_MESSAGE)
    query = f"{filled} ORDER BY {frame.order}"
    found = rows(path, query, parameters)
    columns = zip(*found, strict=True) if found else ((),) * len(frame.columns)
    series = {
        name: _column(values, dtype) for (name, dtype), values in zip(frame.columns.items(), columns, strict=True)
    }
    return pd.DataFrame(series).set_index(list(frame.index))


def _column(values: Sequence[Any], dtype: str) -> "pd.Series[Any]":
    import numpy as np
    import pandas as pd

    if dtype == _TIME:  # by numpy: pandas would go through nanoseconds, and through floats where one is missing
        return pd.Series(np.array(values, dtype="datetime64[us]")).dt.tz_localize("UTC")
    return pd.Series(list(values), dtype=dtype)
