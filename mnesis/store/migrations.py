"""The schema, as numbered scripts. Append only: a script that has been released is never edited.

`PRAGMA user_version` says which scripts a file has seen, `PRAGMA application_id` that it is ours.
"""

import sqlite3

from mnesis.errors import SchemaVersion

APPLICATION_ID = 0x6D6E6573
"""'mnes' in ASCII."""

_APPEND_ONLY = """
CREATE TRIGGER {table}_keeps BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
"""
_IMMUTABLE = (
    _APPEND_ONLY
    + """
CREATE TRIGGER {table}_stays BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
"""
)


def _guards() -> str:
    immutable = "".join(_IMMUTABLE.format(table=table) for table in ("session", "message", "part", "view", "event"))
    lifecycle = "".join(_APPEND_ONLY.format(table=table) for table in ("turn", "context_item"))
    return immutable + lifecycle


_V1 = """
CREATE TABLE session (
    id TEXT PRIMARY KEY,
    parent_id TEXT REFERENCES session (id),
    forked_from TEXT REFERENCES session (id),
    forked_turn INTEGER,
    model TEXT NOT NULL,
    agent TEXT NOT NULL,
    system_prompt TEXT NOT NULL,
    system_tokens INTEGER NOT NULL,
    config TEXT NOT NULL,
    title TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE turn (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES session (id),
    idx INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'committed', 'failed', 'aborted')),
    recorded INTEGER NOT NULL,
    model TEXT NOT NULL,
    origin TEXT,
    system_prompt TEXT,
    view INTEGER NOT NULL,
    request_hash TEXT NOT NULL,
    system_tokens INTEGER NOT NULL,
    summary_tokens INTEGER NOT NULL,
    message_tokens INTEGER NOT NULL,
    tool_tokens INTEGER NOT NULL,
    window_tokens INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    finished_at INTEGER,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    total_tokens INTEGER,
    cost REAL,
    finish_reason TEXT,
    error_kind TEXT,
    error TEXT,
    UNIQUE (session_id, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX turn_open ON turn (session_id) WHERE state = 'open';
CREATE TRIGGER turn_ends_once BEFORE UPDATE ON turn WHEN OLD.state <> 'open'
    BEGIN SELECT RAISE(ABORT, 'a finished turn does not change'); END;

CREATE TABLE message (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES session (id),
    turn_id TEXT NOT NULL REFERENCES turn (id),
    turn INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool')),
    partial INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (session_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_turn ON message (turn_id);

CREATE TABLE part (
    rowid INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    message_id TEXT NOT NULL REFERENCES message (id),
    idx INTEGER NOT NULL,
    type TEXT NOT NULL,
    text TEXT,
    data TEXT,
    tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    UNIQUE (message_id, idx)
) STRICT;

CREATE TABLE view (
    session_id TEXT NOT NULL REFERENCES session (id),
    version INTEGER NOT NULL,
    cause TEXT NOT NULL,
    turn INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (session_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE context_item (
    session_id TEXT NOT NULL REFERENCES session (id),
    pos INTEGER NOT NULL,
    born_view INTEGER NOT NULL,
    died_view INTEGER,
    kind TEXT NOT NULL CHECK (kind IN ('message', 'summary')),
    ref TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (session_id, pos, born_view)
) STRICT, WITHOUT ROWID;
CREATE INDEX context_item_alive ON context_item (session_id, pos) WHERE died_view IS NULL;
CREATE INDEX context_item_ref ON context_item (ref);
CREATE TRIGGER context_item_dies_once BEFORE UPDATE ON context_item
    WHEN OLD.died_view IS NOT NULL OR NEW.session_id <> OLD.session_id OR NEW.pos <> OLD.pos
        OR NEW.born_view <> OLD.born_view OR NEW.kind <> OLD.kind OR NEW.ref <> OLD.ref OR NEW.tokens <> OLD.tokens
    BEGIN SELECT RAISE(ABORT, 'a context item only dies, once'); END;

CREATE TABLE event (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES session (id),
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    payload TEXT NOT NULL,
    turn INTEGER,
    created_at INTEGER NOT NULL,
    UNIQUE (session_id, seq)
) STRICT, WITHOUT ROWID;
""" + _guards()

# Filled from what is there already, by functions that `mnesis.store.search` registers.
_SEARCH = """
CREATE TABLE search_session (
    number INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE REFERENCES session (id)
) STRICT;
CREATE VIRTUAL TABLE search USING fts5 (body, content = '', columnsize = 0, tokenize = 'porter unicode61');
CREATE TABLE search_word (word TEXT NOT NULL UNIQUE) STRICT;

INSERT INTO search_session (session_id) SELECT id FROM session ORDER BY id;
INSERT INTO search (rowid, body)
    SELECT (n.number << 32) + m.seq,
        search_body(group_concat(search_text(p.type, CAST(p.text AS BLOB), CAST(p.data AS BLOB)), ' '))
    FROM search_session n JOIN message m USING (session_id) JOIN part p ON p.message_id = m.id
    GROUP BY n.number, m.seq ORDER BY n.number, m.seq;
INSERT OR IGNORE INTO search_word (word)
    SELECT w.value
    FROM part p, json_each(search_words(search_text(p.type, CAST(p.text AS BLOB), CAST(p.data AS BLOB)))) w;
"""

_V2 = (
    """
CREATE TABLE summary (
    rowid INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL REFERENCES session (id),
    kind TEXT NOT NULL CHECK (kind IN ('leaf', 'condensed')),
    depth INTEGER NOT NULL,
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 3),
    model TEXT,
    prompt_hash TEXT NOT NULL,
    text TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    source_tokens INTEGER NOT NULL,
    first_turn INTEGER NOT NULL,
    last_turn INTEGER NOT NULL,
    message_count INTEGER NOT NULL,
    certificate TEXT NOT NULL,
    after_seq INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX summary_session ON summary (session_id);

CREATE TABLE summary_source (
    summary_id TEXT NOT NULL REFERENCES summary (id),
    idx INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('message', 'summary')),
    ref TEXT NOT NULL,
    fidelity TEXT NOT NULL CHECK (fidelity IN ('full', 'clipped', 'omitted')),
    PRIMARY KEY (summary_id, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX summary_source_ref ON summary_source (ref);

CREATE TABLE tombstone (
    part_id TEXT NOT NULL REFERENCES part (id),
    born_view INTEGER NOT NULL,
    session_id TEXT NOT NULL REFERENCES session (id),
    kind TEXT NOT NULL CHECK (kind IN ('pruned', 'excerpt')),
    text TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (part_id, born_view)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_session ON tombstone (session_id, born_view);

CREATE INDEX event_type ON event (session_id, type, seq);

CREATE TABLE tool_set (
    hash TEXT PRIMARY KEY,
    specs TEXT NOT NULL,
    tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE turn ADD COLUMN tools TEXT REFERENCES tool_set (hash);
"""
    + _SEARCH
    + "".join(_IMMUTABLE.format(table=table) for table in ("summary", "summary_source", "tombstone", "tool_set"))
)

_V3 = """
ALTER TABLE turn ADD COLUMN usage_counted INTEGER;
ALTER TABLE turn ADD COLUMN requests INTEGER;
ALTER TABLE turn ADD COLUMN key TEXT;
CREATE UNIQUE INDEX turn_key ON turn (session_id, key) WHERE key IS NOT NULL;
"""

# A fork shares the rows of its past: a session sees, in order, those of each of its segments. The last is its own, and
# open; numbers go on from one to the next. The views are named by what they show: rows of `branch_id`, as it sees them.
_BRANCHES = (
    """
CREATE TABLE lineage (
    session_id TEXT NOT NULL REFERENCES session (id),
    idx INTEGER NOT NULL,
    ancestor_id TEXT NOT NULL REFERENCES session (id),
    first_turn INTEGER NOT NULL, last_turn INTEGER NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    first_view INTEGER NOT NULL, last_view INTEGER NOT NULL,
    first_event INTEGER NOT NULL, last_event INTEGER NOT NULL,
    first_summary INTEGER NOT NULL, last_summary INTEGER NOT NULL,
    PRIMARY KEY (session_id, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX lineage_ancestor ON lineage (ancestor_id);
INSERT INTO lineage SELECT id, 0, id, 0, {end}, 0, {end}, 0, {end}, 0, {end}, 0, {end} FROM session;

CREATE TABLE stand_in (
    session_id TEXT NOT NULL REFERENCES session (id),
    part_id TEXT NOT NULL REFERENCES part (id),
    born_view INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('pruned', 'excerpt')),
    text TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (session_id, part_id, born_view)
) STRICT, WITHOUT ROWID;
INSERT INTO stand_in SELECT session_id, part_id, born_view, kind, text, tokens FROM tombstone;
DROP TABLE tombstone;
ALTER TABLE stand_in RENAME TO tombstone;
CREATE INDEX tombstone_session ON tombstone (session_id, born_view);
CREATE INDEX tombstone_part ON tombstone (part_id);
CREATE INDEX context_item_died ON context_item (session_id, died_view) WHERE died_view IS NOT NULL;

CREATE VIEW branch_turn AS SELECT l.session_id AS branch_id, l.idx AS segment, t.*
    FROM lineage l JOIN turn t ON t.session_id = l.ancestor_id AND t.idx <= l.last_turn;
CREATE VIEW branch_message AS SELECT l.session_id AS branch_id, l.idx AS segment, m.*
    FROM lineage l JOIN message m ON m.session_id = l.ancestor_id AND m.seq <= l.last_seq;
CREATE VIEW branch_event AS SELECT l.session_id AS branch_id, l.idx AS segment, e.*
    FROM lineage l JOIN event e ON e.session_id = l.ancestor_id AND e.seq <= l.last_event;
CREATE VIEW branch_view AS SELECT l.session_id AS branch_id, l.idx AS segment, v.*
    FROM lineage l JOIN view v ON v.session_id = l.ancestor_id AND v.version <= l.last_view;
CREATE VIEW branch_summary AS SELECT l.session_id AS branch_id, l.idx AS segment, s.rowid AS place, s.*
    FROM lineage l JOIN summary s ON s.session_id = l.ancestor_id AND s.rowid <= l.last_summary;
CREATE VIEW branch_item AS SELECT l.session_id AS branch_id, l.idx AS segment, c.*
    FROM lineage l JOIN context_item c ON c.session_id = l.ancestor_id AND c.born_view <= l.last_view
        AND (c.died_view <= l.last_view OR l.last_view = {end});
CREATE VIEW branch_tombstone AS SELECT l.session_id AS branch_id, l.idx AS segment, d.*
    FROM lineage l JOIN tombstone d ON d.session_id = l.ancestor_id
        AND d.born_view BETWEEN l.first_view AND l.last_view;
""".format(end=2**63 - 1)
    + "".join(_IMMUTABLE.format(table=table) for table in ("lineage", "tombstone"))
)

_MAPS = """
CREATE TABLE map_run (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('llm', 'agentic')),
    session_id TEXT REFERENCES session (id),
    model TEXT NOT NULL,
    template TEXT NOT NULL,
    schema TEXT,
    options TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'stopped', 'done')),
    total INTEGER,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE map_item (
    rowid INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES map_run (id),
    idx INTEGER NOT NULL,
    input TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed')),
    owner TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    output TEXT,
    error_kind TEXT,
    error TEXT,
    session_id TEXT REFERENCES session (id),
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    total_tokens INTEGER,
    usage_counted INTEGER,
    cost REAL,
    started_at INTEGER,
    finished_at INTEGER,
    UNIQUE (run_id, idx)
) STRICT;
CREATE INDEX map_item_pending ON map_item (run_id, idx) WHERE state = 'pending';
CREATE INDEX map_item_running ON map_item (run_id, owner) WHERE state = 'running';
CREATE TRIGGER map_item_is_done_once BEFORE UPDATE ON map_item
    WHEN OLD.state = 'done' OR NEW.run_id <> OLD.run_id OR NEW.idx <> OLD.idx OR NEW.input <> OLD.input
    BEGIN SELECT RAISE(ABORT, 'an item of a map is done once, and its input does not change'); END;
""" + "".join(_APPEND_ONLY.format(table=table) for table in ("map_run", "map_item"))

# A session's row never changes: what it is called now is what the newest event says that renamed it.
_TITLES = """
CREATE VIEW session_now AS SELECT id, parent_id, forked_from, forked_turn, model, agent, system_prompt, system_tokens,
    config, coalesce((
        SELECT e.payload ->> 'after' FROM event e WHERE e.session_id = session.id AND e.type = 'session.updated'
            AND e.payload ->> 'field' = 'title' ORDER BY e.seq DESC LIMIT 1
    ), title) AS title, created_at FROM session;
CREATE INDEX session_forked ON session (forked_from) WHERE forked_from IS NOT NULL;
"""


# Rows go only with an erasure, whose mark stays. It is written first, in the transaction that takes them away.
_ERASED = "EXISTS (SELECT 1 FROM erasure e WHERE e.session_id = {})"
_ERASED_BY = {
    **dict.fromkeys(
        ("turn", "message", "view", "context_item", "event", "summary", "tombstone", "lineage", "map_run"),
        _ERASED.format("OLD.session_id"),
    ),
    "session": _ERASED.format("OLD.id"),
    "part": _ERASED.format("(SELECT m.session_id FROM message m WHERE m.id = OLD.message_id)"),
    "map_item": _ERASED.format("(SELECT r.session_id FROM map_run r WHERE r.id = OLD.run_id)"),
    "summary_source": _ERASED.format("(SELECT s.session_id FROM summary s WHERE s.id = OLD.summary_id)"),
}
_ERASURES = (
    """
CREATE TABLE erasure (
    session_id TEXT PRIMARY KEY,
    turns INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    summaries INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    erased_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_parent ON session (parent_id) WHERE parent_id IS NOT NULL;
"""
    + _IMMUTABLE.format(table="erasure")
    + "".join(
        f"DROP TRIGGER {table}_keeps; CREATE TRIGGER {table}_keeps BEFORE DELETE ON {table} WHEN NOT {erased} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;"
        for table, erased in _ERASED_BY.items()
    )
)

_FILES = """
CREATE TABLE file (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES session (id),
    name TEXT NOT NULL,
    path TEXT,
    media_type TEXT NOT NULL,
    encoding TEXT,
    size INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    counted TEXT NOT NULL CHECK (counted IN ('exact', 'estimate', 'none')),
    hash TEXT NOT NULL,
    kept INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    summary TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX file_session ON file (session_id, id);
CREATE TRIGGER file_stays BEFORE UPDATE ON file BEGIN SELECT RAISE(ABORT, 'file is append-only'); END;
CREATE TRIGGER file_keeps BEFORE DELETE ON file WHEN NOT {erased}
    BEGIN SELECT RAISE(ABORT, 'file is append-only'); END;
""".format(erased=_ERASED.format("OLD.session_id"))

# A fork has those files of its ancestors that its past refers to.
_BRANCH_FILES = """
CREATE VIEW branch_file AS SELECT l.session_id AS branch_id, f.*
    FROM lineage l JOIN file f ON f.session_id = l.ancestor_id
    WHERE l.ancestor_id = l.session_id OR EXISTS (SELECT 1 FROM branch_message m JOIN part p ON p.message_id = m.id
        WHERE m.branch_id = l.session_id AND p.type = 'file_ref' AND p.data ->> 'file_id' = f.id);
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3, _BRANCHES, _MAPS, _TITLES, _ERASURES, _FILES, _BRANCH_FILES)
"""Script n brings a file from version n to version n + 1."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest version, in one transaction. Any number of processes may do so at once."""
    if version_of(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for script in MIGRATIONS[version_of(connection) :]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise


def version_of(connection: sqlite3.Connection) -> int:
    """The file's schema version, without writing anything. Raises `SchemaVersion` for a file that is not ours.

    Another process may migrate between these reads, so `application_id` is read last.
    """
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID and (version or tables):
        raise SchemaVersion("this SQLite file belongs to another program; give mnesis a db_path of its own")
    if version > len(MIGRATIONS):
        raise SchemaVersion(
            f"this store has schema version {version}, this mnesis knows up to {len(MIGRATIONS)}; upgrade mnesis"
        )
    return version


def _statements(script: str) -> list[str]:
    """Split a script where SQLite says that a statement is complete: `executescript` would commit in between."""
    statements, pending = [], ""
    for piece in script.split(";"):
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
