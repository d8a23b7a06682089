"""Plain rows for listings and completion.

What `mnesis sessions` lists is asked within the engine, whose store is not ours to use; this reads the file beside it.
"""

from pathlib import Path

from mnesis_jupyter.frames.log import COUNT_OF_TURNS, WITH_TURNS
from mnesis_jupyter.frames.reading import rows


def listing(path: Path, count: int) -> list[tuple[str, str | None, str, int, int, str]]:
    """Of the newest sessions: id, title, model, turns, billed tokens, time of creation (UTC)."""
    query = f"""
        SELECT s.id, s.title, s.model, {COUNT_OF_TURNS}, coalesce(sum(t.total_tokens), 0),
            strftime('%Y-%m-%d %H:%M', s.created_at / 1000000, 'unixepoch')
        FROM {WITH_TURNS} GROUP BY s.id ORDER BY s.created_at DESC, s.id DESC LIMIT ?
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
