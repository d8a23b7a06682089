"""The `session` table."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from mnesis.models.recall import Branch
from mnesis.store import branches as lineages
from mnesis.store.rows import SessionRow, micros, moment, one, session_of

_COLUMNS = (
    "id, parent_id, forked_from, forked_turn, model, agent, system_prompt, system_tokens, config, title, created_at"
)


def insert(cx: sqlite3.Connection, row: SessionRow) -> None:
    """Store a new session. What it sees is inserted with it, unless it is a fork."""
    cx.execute(
        f"INSERT INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.id, row.parent_id, row.forked_from, row.forked_turn, row.model, row.agent, row.system_prompt),
            *(row.system_tokens, row.config.model_dump_json(exclude_defaults=True), row.title, micros(row.created_at)),
        ),
    )
    if row.forked_from is None:
        lineages.insert(cx, row.id)


def find(cx: sqlite3.Connection, id: str) -> SessionRow | None:
    """The session with this id, by the title that it has now."""
    row = one(cx.execute(f"SELECT {_COLUMNS} FROM session_now WHERE id = ?", (id,)))
    return session_of(row) if row else None


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as a list shows it. `tokens` and `cost` add up what its own turns have used, as far as it is known."""

    id: str
    title: str | None
    model: str
    turns: int
    tokens: int
    cost: float | None
    created_at: datetime
    forked_from: str | None
    forked_turn: int | None


def listing(cx: sqlite3.Connection, count: int | None = None, name: str | None = None) -> list[Listed]:
    """The newest sessions first; only those with this id or title, the one with the id first."""
    rows = cx.execute(
        "SELECT s.id, s.title, s.model, coalesce(max(t.idx) + 1, l.first_turn), coalesce(sum(t.total_tokens), 0), "
        "sum(t.cost), s.created_at, s.forked_from, s.forked_turn "
        "FROM session_now s JOIN lineage l ON l.session_id = s.id AND l.ancestor_id = s.id "
        "LEFT JOIN turn t ON t.session_id = s.id "
        "WHERE :name IS NULL OR s.id = :name OR s.title = :name "
        "GROUP BY s.id ORDER BY s.id IS :name DESC, s.created_at DESC, s.id DESC LIMIT :count",
        {"name": name, "count": -1 if count is None else count},
    )
    return [
        Listed(id, title, model, turns, tokens, cost, moment(created_at), *forked)
        for id, title, model, turns, tokens, cost, created_at, *forked in rows
    ]


def branches(cx: sqlite3.Connection, session_id: str) -> list[Branch]:
    """The sessions that forks relate to one, the original first, each with its forks behind it."""
    rows = cx.execute(
        "WITH RECURSIVE up (id, forked_from) AS (SELECT id, forked_from FROM session WHERE id = :session "
        "UNION ALL SELECT s.id, s.forked_from FROM up JOIN session s ON s.id = up.forked_from), "
        "tree (id, depth, path) AS (SELECT id, 0, id FROM up WHERE forked_from IS NULL "
        "UNION ALL SELECT s.id, tree.depth + 1, tree.path || s.id FROM tree JOIN session s ON s.forked_from = tree.id) "
        "SELECT s.id, s.title, s.forked_from, s.forked_turn, "
        "coalesce((SELECT max(idx) + 1 FROM turn WHERE session_id = s.id), l.first_turn), tree.depth, s.created_at "
        "FROM tree JOIN session_now s ON s.id = tree.id JOIN lineage l ON l.session_id = s.id AND l.ancestor_id = s.id "
        "ORDER BY tree.path",
        {"session": session_id},
    )
    return [
        Branch(
            id=id,
            title=title,
            forked_from=forked_from,
            forked_turn=forked_turn,
            turns=turns,
            depth=depth,
            created_at=moment(created_at),
            is_this=id == session_id,
        )
        for id, title, forked_from, forked_turn, turns, depth, created_at in rows
    ]
