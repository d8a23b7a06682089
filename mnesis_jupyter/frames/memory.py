"""The views over the windows and what was summarised, as SQL."""

from mnesis_jupyter.frames.reading import BOOL, CATEGORY, FLOAT, INT, TEXT, TIME, View
from mnesis_jupyter.frames.window import WINDOW_ITEMS

SUMMARIES = View(
    """
    SELECT s.session_id, s.id AS summary_id, s.kind, s.depth, s.level, s.model, s.first_turn, s.last_turn,
        s.message_count AS messages, s.source_tokens, s.tokens, 1.0 - 1.0 * s.tokens / max(s.source_tokens, 1) AS saved,
        c.died_view IS NULL AS in_window, s.text, s.certificate, s.prompt_hash,
        c.born_view, c.died_view, s.created_at
    FROM {summary} s JOIN {item} c ON c.ref = s.id AND c.{of} = s.{of} {where}
    """,
    ("session_id", "summary_id"),
    {
        "session_id": TEXT,
        "summary_id": TEXT,
        "kind": CATEGORY,
        "depth": INT,
        "level": INT,
        "model": CATEGORY,
        "first_turn": INT,
        "last_turn": INT,
        "messages": INT,
        "source_tokens": INT,
        "tokens": INT,
        "saved": FLOAT,
        "in_window": BOOL,
        "text": TEXT,
        "certificate": TEXT,
        "prompt_hash": TEXT,
        "born_view": INT,
        "died_view": INT,
        "created_at": TIME,
    },
    "{made}",
    session="s.branch_id",
    filters={"kind": "s.kind = :kind", "depth": "s.depth = :depth"},
)

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
    {
        "summary_id": TEXT,
        "source": INT,
        "session_id": TEXT,
        "kind": CATEGORY,
        "source_id": TEXT,
        "fidelity": CATEGORY,
        "role": CATEGORY,
        "turn": INT,
        "tokens": INT,
    },
    "{made}, e.idx",
    session="s.branch_id",
    filters={"kind": "e.kind = :kind", "fidelity": "e.fidelity = :fidelity"},
)

CONTEXT = View(
    WINDOW_ITEMS
    + """
    SELECT row_number() OVER sent - 1 AS pos, kind, id, turn, tokens, sum(tokens) OVER sent AS tokens_so_far, text,
        stand_in, born_view
    FROM item WINDOW sent AS (ORDER BY pos, texts, result, idx)
    """,
    ("pos",),
    {
        "pos": INT,
        "kind": CATEGORY,
        "id": TEXT,
        "turn": INT,
        "tokens": INT,
        "tokens_so_far": INT,
        "text": TEXT,
        "stand_in": CATEGORY,
        "born_view": INT,
    },
    "pos",
)

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
    {
        "session_id": TEXT,
        "view": INT,
        "id": TEXT,
        "turn": INT,
        "change": CATEGORY,
        "kind": CATEGORY,
        "role": CATEGORY,
        "first_turn": INT,
        "last_turn": INT,
        "tokens": INT,
        "cause": CATEGORY,
        "into_summary": TEXT,
        "created_at": TIME,
    },
    "v.session_id, x.view, x.change DESC, x.pos, x.id",
    session="x.seen_by",
    filters={
        "first": "x.view > (SELECT t.view FROM {turn} t WHERE t.{of} = x.seen_by AND t.idx = :first)",
        "last": "x.view <= (SELECT t.view FROM {turn} t WHERE t.{of} = x.seen_by AND t.idx = :last)",
        "change": "x.change = :change",
        "cause": "v.cause = :cause",
    },
)
