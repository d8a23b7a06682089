"""The store as pandas DataFrames: `turns()`, `messages("my chat")`, `context(session, turn=3)`.

Each takes a session as object, id or title; `None` means all sessions, or the current one where only one makes sense.
Each reads the file by itself, read-only and on one snapshot, so it is safe while sessions write. Columns, their order
and their dtypes are always the same, also when there are no rows: nullable integers, floats and booleans, `string`,
`category`, and times as `datetime64[us, UTC]`. `schema()` lists them; docs/frames.md says what they hold.

Of one session that is a fork, the past that it shares is part of each frame; `session_id` is there the session that had
it. Of all sessions, each row comes once. What was billed (`sessions`, `usage`) is counted where it was billed.

What narrows a view (`state=`, `role=`, `since=`, …) is asked of the database, which reads no more than that. Where a
view is too long for memory, `chunks("messages")` reads it in pieces. `sql("select …")` asks anything else,
`export(folder)` writes files. `replays(…)` and `replay_turns(…)` are of what `session.replay()` returns. On `turns()`
there is `.mnesis.plot_sawtooth()` and the like.

    >>> from mnesis_jupyter import frames
    >>> frames.turns("talk")["state"].value_counts().to_dict()
    {'committed': 5, 'failed': 1}
    >>> frames.messages("talk", role="user")["text"].head(2).tolist()
    ['Hi.', 'Hi again.']
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnesis import InputError, NotFound
from mnesis.errors import describe_value
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.frames import log, maps, memory
from mnesis_jupyter.frames.query import sql
from mnesis_jupyter.frames.reading import (
    Moment,
    SessionLike,
    find_session,
    frame_of,
    read,
    read_chunks,
    rows,
    scope,
    snapshot,
)
from mnesis_jupyter.frames.replays import replay_turns, replays
from mnesis_jupyter.frames.saving import export
from mnesis_jupyter.frames.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "TABLES",
    "attachments",
    "chunks",
    "context",
    "context_changes",
    "events",
    "export",
    "files",
    "find_session",
    "ids",
    "listing",
    "map_items",
    "map_listing",
    "map_results",
    "map_runs",
    "messages",
    "names",
    "parts",
    "problems",
    "replay_turns",
    "replays",
    "rows",
    "schema",
    "sessions",
    "sources",
    "sql",
    "store",
    "summaries",
    "tool_calls",
    "turns",
    "usage",
]

_CHUNK = 100_000


# -- the log ----------------------------------------------------------------------------------------------------------


def sessions(
    session: SessionLike = None,
    *,
    model: str | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a session: title, model, what it has used. Key: `session_id`. `since`, `until`: when it was begun.

    >>> frames.sessions()[["title", "turns"]].to_numpy().tolist()
    [['talk', 6]]
    """
    return read(log.SESSIONS, session, db, model=model, since=since, until=until)


def turns(
    session: SessionLike = None,
    *,
    state: str | None = None,
    model: str | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a turn: state, window by kind as it was sent, usage, cost, error. Key: `session_id`, `turn`.

    >>> frames.turns("talk", state="failed")["error_kind"].tolist()
    ['Unavailable']
    """
    return read(log.TURNS, session, db, state=state, model=model, since=since, until=until)


def messages(
    session: SessionLike = None,
    *,
    role: str | None = None,
    turn: int | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a message of the log, its text parts joined. Key: `session_id`, `seq`.

    >>> frames.messages("talk", turn=0)["text"].tolist()
    ['Hi.', 'Hello.']
    """
    return read(log.MESSAGES, session, db, role=role, turn=turn, since=since, until=until)


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
    return read(log.PARTS, session, db, type=type, role=role, turn=turn)


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
    return read(log.TOOL_CALLS, session, db, tool=tool, status=status, since=since, until=until)


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
    return read(log.ATTACHMENTS, session, db, type=type, media_type=media_type)


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
    return read(log.FILES, session, db, media_type=media_type, kept=kept, since=since, until=until)


def events(
    session: SessionLike = None,
    *,
    event: str | None = None,
    turn: int | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row an event, `payload` as JSON. Key: `session_id`, `seq`.

    >>> frames.events("talk", turn=0)["event"].tolist()
    ['message.created', 'message.created', 'turn.committed']
    """
    return read(log.EVENTS, session, db, event=event, turn=turn, since=since, until=until)


def usage(
    session: SessionLike = None,
    *,
    by: str | Iterable[str] = ("session_id", "day", "model"),
    model: str | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """What turns have used, added up by session, day (UTC) and model, or by some of these. Key: `by`.

    `cost` adds up what is known, in US dollars; `unpriced` counts the turns that used something and whose cost is not.
    `counted` counts those whose usage the provider did not report, so that it was counted here.

    >>> frames.usage("talk", by="model")["turns"].to_dict()
    {'test/scripted': 6}
    """
    names = tuple([by] if isinstance(by, str) else by)
    known = TABLES["usage"].index
    if not names or set(names) - set(known) or len(set(names)) < len(names):
        raise InputError(f"by={describe_value(by)} is not possible; give one or more of {', '.join(known)}")
    return read(log.usage(names), session, db, model=model, since=since, until=until)


# -- the window, and what gave way ------------------------------------------------------------------------------------


def context(session: SessionLike = None, turn: int | None = None, *, db: str | Path | None = None) -> "pd.DataFrame":
    """One row an item of a window, in its order: the current one, or a past turn's as it was sent.

    Without `session`, of the current one. Key: `pos`. The sum of `tokens` is the window's size. `text` is what stands
    there; `stand_in` says where that is not the original: "pruned" or "excerpt". Summaries and files are sent within a
    label, which `tokens` count as well.
    Raises `NotFound` for a turn that is not there.

    >>> frames.context("talk", turn=0)["kind"].tolist()
    ['system', 'user']
    """
    if session is None and db is None:
        session = CURRENT.session
    if session is None:
        raise InputError("there is no current session to show the window of; name one, as in context('my chat')")
    path, id = scope(session, db)
    _check_turns(path, id, turn)
    query, _ = memory.CONTEXT.sql(None, {})
    return frame_of(memory.CONTEXT, rows(path, query, {"session": id, "turn": turn, "after": -1}))


def context_changes(
    session: SessionLike = None,
    first: int | None = None,
    last: int | None = None,
    *,
    change: str | None = None,
    cause: str | None = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row for each thing that came into the window, went out of it, or was pruned in it, with the cause.

    Key: `session_id`, `view`, `id`. From the window of turn `first` to that of turn `last`; without them from the
    beginning, and until now. `tokens` is by how much it made the window larger, so their sum is by how much the window
    has grown, apart from its system prompt and tools. `turn` is the newest turn by then, `first_turn` and `last_turn`
    are those that the thing is from, `into_summary` is what stands in the place of what went.
    Raises `NotFound` for a turn that is not there.

    >>> frames.context_changes("talk", 0, 1)[["change", "role", "cause"]].to_numpy().tolist()
    [['came', 'assistant', 'reply'], ['came', 'user', 'user message']]
    """
    path, id = scope(session, db)
    if id is not None:
        _check_turns(path, id, first, last)
    return read(memory.CONTEXT_CHANGES, session, db, first=first, last=last, change=change, cause=cause)


def summaries(
    session: SessionLike = None, *, kind: str | None = None, depth: int | None = None, db: str | Path | None = None
) -> "pd.DataFrame":
    """One row a summary, in the order in which they were made. Key: `session_id`, `summary_id`.

    `saved` is the share of the sources' tokens that it freed; `certificate` is JSON: what its text no longer says.

    >>> frames.summaries("talk", kind="leaf")["saved"].tolist()
    []
    """
    return read(memory.SUMMARIES, session, db, kind=kind, depth=depth)


def sources(
    session: SessionLike = None,
    *,
    kind: str | None = None,
    fidelity: str | None = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row for each message or summary that a summary stands for, and how much of it the summariser was given.

    Key: `summary_id`, `source`.

    >>> frames.sources("talk", fidelity="clipped").empty
    True
    """
    return read(memory.SOURCES, session, db, kind=kind, fidelity=fidelity)


def _check_turns(path: Path, session: str | None, *turns: int | None) -> None:
    for turn in turns:
        if turn is not None and not rows(
            path, "SELECT 1 FROM branch_turn WHERE branch_id = ? AND idx = ?", (session, turn)
        ):
            raise NotFound("turn", str(turn), f"session {session} does not have it; turns count from 0")


# -- maps -------------------------------------------------------------------------------------------------------------


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
    return read(maps.MAP_RUNS, session, db, kind=kind, state=state, model=model, since=since, until=until)


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
    return read(maps.MAP_ITEMS, session, db, run=run, state=state, error_kind=error_kind)


def map_results(run: str, *, index: Any = None, db: str | Path | None = None) -> "pd.DataFrame":
    """One row an item of a run: the fields of its output as columns, or `output`; beside them how it went.

    Those are `success` (missing while the item is not done), `error`, `error_kind`, `attempts`, `cost`; where a field
    is called so, that of the item ends in `_`. Key: `item`, or the `index` that is given. Raises `NotFound`.
    """
    path, _ = scope(None, db)
    return maps.results(path, run, index)


# -- all of them ------------------------------------------------------------------------------------------------------


def chunks(
    table: str,
    session: SessionLike = None,
    *,
    chunksize: int = _CHUNK,
    db: str | Path | None = None,
    **filters: Any,
) -> Iterator["pd.DataFrame"]:
    """A view piece by piece, `chunksize` rows at most in each, all of one snapshot; at least one, also without rows.

    `filters` are those of the view's own function. A chunk's categories are those that are in it.

    >>> [len(chunk) for chunk in frames.chunks("messages", "talk", chunksize=5)]
    [5, 5, 2]
    """
    if table not in TABLES:
        raise InputError(f"table={describe_value(table)} is none of {', '.join(TABLES)}")
    if not isinstance(chunksize, int) or chunksize < 1:
        raise InputError(f"chunksize={chunksize!r} is not possible; give a number of rows, at least 1")
    path, id = scope(session, db)
    TABLES[table].sql(id, filters)  # wrong ones are an error now, not at the first chunk
    return _chunks(table, path, id, filters, chunksize)


def _chunks(
    table: str, path: Path, session: str | None, filters: Mapping[str, Any], count: int
) -> Iterator["pd.DataFrame"]:
    if not path.exists():
        yield frame_of(TABLES[table], [])
        return
    with snapshot(path) as connection:
        yield from read_chunks(TABLES[table], connection, session, filters, count)


def schema() -> "pd.DataFrame":
    """One row a column of a view: its dtype, and whether it is part of the key. Key: `table`, `column`.

    >>> frames.schema().loc["turns", "dtype"]["opened_at"]
    'datetime64[us, UTC]'
    """
    import pandas as pd

    tables = {**TABLES, "context": memory.CONTEXT}
    found = [
        (table, name, dtype, name in view.index)
        for table, view in tables.items()
        for name, dtype in view.columns.items()
    ]
    return pd.DataFrame(found, columns=["table", "column", "dtype", "key"]).set_index(["table", "column"])


# -- plain rows -------------------------------------------------------------------------------------------------------


def store() -> Path:
    """The file that this kernel's new sessions go to, and that is read where no `db` is given."""
    return CURRENT.store


def listing(path: Path, count: int) -> list[tuple[str, str | None, str, int, int, str]]:
    """Of the newest sessions: id, title, model, turns, billed tokens, time of creation (UTC)."""
    query = """
        SELECT s.id, s.title, s.model, coalesce(max(t.idx) + 1, l.first_turn), coalesce(sum(t.total_tokens), 0),
            strftime('%Y-%m-%d %H:%M', s.created_at / 1000000, 'unixepoch')
        FROM session_now s JOIN lineage l ON l.session_id = s.id AND l.ancestor_id = s.id
            LEFT JOIN turn t ON t.session_id = s.id
        GROUP BY s.id ORDER BY s.created_at DESC, s.id DESC LIMIT ?
    """
    return rows(path, query, (count,))


def map_listing(path: Path, count: int) -> list[tuple[str, str, int | None, int, int, str, str, str]]:
    """Of the newest runs: state, model, items, done, failed, time of creation (UTC), id, beginning of the template."""
    query = f"""
        SELECT {maps.STATE}, r.model, r.total, (SELECT count(*) FROM map_item WHERE run_id = r.id AND state = 'done'),
            (SELECT count(*) FROM map_item WHERE run_id = r.id AND state = 'failed'),
            strftime('%Y-%m-%d %H:%M', r.created_at / 1000000, 'unixepoch'), r.id, substr(r.template, 1, 60)
        FROM map_run r ORDER BY r.created_at DESC, r.id DESC LIMIT ?
    """
    return rows(path, query, (count,))


def names(path: Path, count: int) -> list[tuple[str, str | None]]:
    """Id and title of the newest sessions."""
    return rows(path, "SELECT id, title FROM session_now ORDER BY created_at DESC, id DESC LIMIT ?", (count,))


def ids(path: Path, session_id: str, beginning: str, count: int) -> list[str]:
    """The ids of a session's summaries, messages and parts that begin so, the newest first."""
    query = """
        SELECT * FROM (SELECT id FROM branch_summary WHERE branch_id = :session AND substr(id, 1, :long) = :beginning
            ORDER BY place DESC LIMIT :count)
        UNION ALL SELECT * FROM (SELECT id FROM branch_message WHERE branch_id = :session
            AND substr(id, 1, :long) = :beginning ORDER BY seq DESC LIMIT :count)
        UNION ALL SELECT * FROM (SELECT p.id FROM branch_message m JOIN part p ON p.message_id = m.id
            WHERE m.branch_id = :session AND substr(p.id, 1, :long) = :beginning
            ORDER BY m.seq DESC, p.idx DESC LIMIT :count)
    """
    wanted = {"session": session_id, "beginning": beginning, "long": len(beginning), "count": count}
    found = [id for (id,) in rows(path, query, wanted)]
    return sorted(found, key=lambda id: id.partition("_")[2], reverse=True)[:count]


def problems(path: Path) -> list[str]:
    """What is wrong with the file as a database; nothing where it is whole, or not there."""
    return [said for (said,) in rows(path, "PRAGMA quick_check(5)") if said != "ok"]
