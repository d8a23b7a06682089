"""`mnesis erase`: the only command that takes something away."""

import asyncio
from pathlib import Path

import click

from mnesis.cli.sessions import plain, say, store_option, store_path
from mnesis.erasing import erase
from mnesis.errors import SessionNotFoundError
from mnesis.models.config import StoreConfig
from mnesis.store import erasures, sessions
from mnesis.store.database import opened


@click.command("erase")
@click.argument("session_id")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@store_option
def erase_(session_id: str, yes: bool, db: Path | None) -> None:
    """Delete SESSION_ID for good, with the copies of files that only it refers to. A mark stays.

    The store is written anew. Erasing a session again does what was left where that did not come to its end.
    """
    path = store_path(db)
    if not yes:
        click.confirm(asyncio.run(_question(path, session_id)), abort=True)
    mark = asyncio.run(erase(session_id, db_path=path))
    parts = (
        _counted(mark.turns, "turn"),
        _counted(mark.messages, "message"),
        _counted(mark.summaries, "summary", "summaries"),
        _counted(mark.copies, "copy of a file", "copies of files"),
    )
    say(f"erased {mark.session_id}, begun on {mark.created_at:%Y-%m-%d}: {', '.join(parts)}")


async def _question(path: Path, session_id: str) -> str:
    async with opened(StoreConfig(db_path=path), create=False) as store:
        listed = await store.read(lambda cx: sessions.listing(cx, 1, session_id))
        if listed and listed[0].id == session_id:
            title = plain(listed[0].title or "-", one_line=True)
            return f"Delete {title} · {_counted(listed[0].turns, 'turn')} · {session_id} for good?"
        if mark := await store.read(lambda cx: erasures.find(cx, session_id)):
            return f"{session_id} was erased on {mark.erased_at:%Y-%m-%d}. Erase what that may have left?"
    raise SessionNotFoundError(session_id, path)


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"
