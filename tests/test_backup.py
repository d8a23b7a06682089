"""Copies of a store: made while sessions go on, and put in the place of a store whose log is still there."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

from small_windows import chatter, small

from mnesis import Database, MnesisSession, StoreConfig


async def texts(path, id: str) -> list[str]:
    """What a session in a store says. The store must be sound."""
    async with await MnesisSession.load(id, db_path=path) as session:
        report = await session.verify(deep=True)
        assert report.ok, report
        return [message.text for message in await session.messages()]


async def test_a_copy_that_is_made_while_a_session_goes_on_is_sound_and_holds_what_was_there(store_path, tmp_path):
    db = await Database.open(StoreConfig(db_path=store_path))
    async with small(pool=db) as session:
        await chatter(session, 20)
        going_on = asyncio.create_task(chatter(session, 20, seed=1))
        copies = [tmp_path / f"copy{number}.db" for number in range(3)]
        for copy in copies:
            await session.record("Once more.", "Noted.")
            await db.backup(copy)
        await going_on
        whole = [message.text for message in await session.messages()]
        for copy in copies:
            there = await texts(copy, session.id)
            assert len(there) >= 42
            assert there == whole[: len(there)]
    await db.close()


async def test_a_copy_is_put_back_over_a_store_whose_log_is_still_there(store_path, tmp_path):
    db = await Database.open(StoreConfig(db_path=store_path))
    async with small(pool=db) as session:
        await session.record("Before.", "Noted.")
        await db.backup(tmp_path / "copy.db")
        await session.record("After.", "Noted.")
        for ending in ("", "-wal"):  # as a process leaves them that is killed
            shutil.copy(f"{store_path}{ending}", tmp_path / f"left.db{ending}")
    await db.close()
    restored = tmp_path / "left.db"
    assert b"After." not in restored.read_bytes(), "only the log holds it"
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy, closing(sqlite3.connect(restored)) as there:
        copy.backup(there)
    assert await texts(restored, session.id) == ["Before.", "Noted."]
