"""The window, and what gave way in it."""

from pathlib import Path
from typing import TYPE_CHECKING

from mnesis import InputError, NotFound
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.frames.reading import SessionLike, View, columns, frame_of, read, rows, scope
from mnesis_jupyter.frames.window import WINDOW_ITEMS

if TYPE_CHECKING:
    import pandas as pd

CONTEXT = View(
    WINDOW_ITEMS
    + """
    SELECT row_number() OVER sent - 1 AS pos, kind, id, turn, tokens, sum(tokens) OVER sent AS tokens_so_far, text,
        stand_in, born_view
    FROM item WINDOW sent AS (ORDER BY pos, texts, result, idx)
    """,
    ("pos",),
    columns("pos kind id turn tokens tokens_so_far text stand_in born_view"),
    "pos",
)


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
    query, _ = CONTEXT.sql(None, {})
    return frame_of(CONTEXT, rows(path, query, {"session": id, "turn": turn, "after": -1}))


# What came with its tokens, what went with as many taken away: so `tokens`, added up, is how the window grew.
CONTEXT_CHANGES = View(
    """
    WITH moment AS (
        SELECT {of} AS seen_by, session_id, version, cause, created_at,
            max(turn) OVER (PARTITION BY {of} ORDER BY version) AS turn
        FROM {view}
    ), step AS (
        SELECT c.{of} AS seen_by, c.born_view AS view, c.pos, 'came' AS change, c.kind, c.ref AS id, c.ref, c.tokens,
            NULL AS into_id
        FROM {item} c WHERE {came c}
        UNION ALL
        SELECT c.{of}, c.died_view, c.pos, 'went', c.kind, c.ref, c.ref, -c.tokens - coalesce((
                SELECT sum(d.tokens - CASE p.type WHEN 'tool' THEN p.output_tokens ELSE p.tokens END)
                FROM part p JOIN {tombstone} d ON d.part_id = p.id AND d.kind = 'pruned' AND d.born_view < c.died_view
                WHERE p.message_id = c.ref AND d.{of} = c.{of}
            ), 0), (
                SELECT s.ref FROM summary_source e JOIN {item} s ON s.ref = e.summary_id
                WHERE e.ref = c.ref AND s.{of} = c.{of} AND s.born_view = c.died_view
            )
        FROM {item} c WHERE c.died_view IS NOT NULL
        UNION ALL
        SELECT d.{of}, d.born_view, c.pos, 'pruned', p.type, p.id,
            c.ref, d.tokens - CASE p.type WHEN 'tool' THEN p.output_tokens ELSE p.tokens END, NULL
        FROM {tombstone} d JOIN part p ON p.id = d.part_id
            JOIN {item} c ON c.ref = p.message_id AND c.{of} = d.{of}
        WHERE d.kind = 'pruned' AND {came d}
    )
    SELECT v.session_id, x.view, x.id, v.turn, x.change, x.kind, coalesce(m.role, 'summary') AS role,
        coalesce(m.turn, s.first_turn) AS first_turn, coalesce(m.turn, s.last_turn) AS last_turn, x.tokens, v.cause,
        x.into_id AS into_summary, v.created_at
    FROM step x JOIN moment v ON v.seen_by = x.seen_by AND v.version = x.view
        LEFT JOIN message m ON m.id = x.ref LEFT JOIN summary s ON s.id = x.ref {where}
    """,
    ("session_id", "view", "id"),
    columns("session_id view id turn change kind role first_turn last_turn tokens cause into_summary created_at"),
    "v.session_id, x.view, x.change DESC, x.pos, x.id",
    session="x.seen_by",
    filters={
        "first": "x.view > (SELECT t.view FROM {turn} t WHERE t.{of} = x.seen_by AND t.idx = :first)",
        "last": "x.view <= (SELECT t.view FROM {turn} t WHERE t.{of} = x.seen_by AND t.idx = :last)",
        "change": "x.change = :change",
        "cause": "v.cause = :cause",
    },
)


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
    return read(CONTEXT_CHANGES, session, db, first=first, last=last, change=change, cause=cause)


def _check_turns(path: Path, session: str | None, *turns: int | None) -> None:
    for turn in turns:
        if turn is not None and not rows(
            path, "SELECT 1 FROM branch_turn WHERE branch_id = ? AND idx = ?", (session, turn)
        ):
            raise NotFound("turn", str(turn), f"session {session} does not have it; turns count from 0")


SUMMARIES = View(
    """
    SELECT s.session_id, s.id AS summary_id, s.kind, s.depth, s.level, s.model, s.first_turn, s.last_turn,
        s.message_count AS messages, s.source_tokens, s.tokens, 1.0 - 1.0 * s.tokens / max(s.source_tokens, 1) AS saved,
        c.died_view IS NULL AS in_window, s.text, s.certificate, s.prompt_hash,
        c.born_view, c.died_view, s.created_at
    FROM {summary} s JOIN {item} c ON c.ref = s.id AND c.{of} = s.{of} {where}
    """,
    ("session_id", "summary_id"),
    columns(
        "session_id summary_id kind depth level model first_turn last_turn messages source_tokens tokens "
        "saved in_window text certificate prompt_hash born_view died_view created_at"
    ),
    "{made}",
    session="s.branch_id",
    filters={"kind": "s.kind = :kind", "depth": "s.depth = :depth"},
)


def summaries(
    session: SessionLike = None, *, kind: str | None = None, depth: int | None = None, db: str | Path | None = None
) -> "pd.DataFrame":
    """One row a summary, in the order in which they were made. Key: `session_id`, `summary_id`.

    `saved` is the share of the sources' tokens that it freed; `certificate` is JSON: what its text no longer says.

    >>> frames.summaries("talk", kind="leaf")["saved"].tolist()
    []
    """
    return read(SUMMARIES, session, db, kind=kind, depth=depth)


SOURCES = View(
    """
    SELECT e.summary_id, e.idx AS source, s.session_id, e.kind, e.ref AS source_id, e.fidelity,
        coalesce(m.role, 'summary') AS role, coalesce(m.turn, b.last_turn) AS turn,
        coalesce(m.tokens, b.tokens) AS tokens
    FROM summary_source e JOIN {summary} s ON s.id = e.summary_id
    LEFT JOIN message m ON e.kind = 'message' AND m.id = e.ref
    LEFT JOIN summary b ON e.kind = 'summary' AND b.id = e.ref {where}
    """,
    ("summary_id", "source"),
    columns("summary_id source session_id kind source_id fidelity role turn tokens"),
    "{made}, e.idx",
    session="s.branch_id",
    filters={"kind": "e.kind = :kind", "fidelity": "e.fidelity = :fidelity"},
)


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
    return read(SOURCES, session, db, kind=kind, fidelity=fidelity)
