"""The `session` table."""

import sqlite3

from mnesis.store.rows import SessionRow, micros, one, session_of

_COLUMNS = (
    "id, parent_id, forked_from, forked_turn, model, agent, system_prompt, system_tokens, config, title, created_at"
)


def insert(cx: sqlite3.Connection, row: SessionRow) -> None:
    """Store a new session."""
    cx.execute(
        f"INSERT INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.id, row.parent_id, row.forked_from, row.forked_turn, row.model, row.agent, row.system_prompt),
            *(row.system_tokens, row.config.model_dump_json(exclude_defaults=True), row.title, micros(row.created_at)),
        ),
    )


def find(cx: sqlite3.Connection, id: str) -> SessionRow | None:
    """The session with this id."""
    row = one(cx.execute(f"SELECT {_COLUMNS} FROM session WHERE id = ?", (id,)))
    return session_of(row) if row else None
