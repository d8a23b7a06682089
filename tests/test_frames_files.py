"""Files that sessions refer to, as a DataFrame."""

import os

import pandas as pd
import pytest

from mnesis import FileConfig, MnesisConfig, MnesisSession
from mnesis_jupyter import frames


@pytest.fixture
def config(tmp_path):
    return MnesisConfig(file=FileConfig(inline_threshold=50, storage_dir=tmp_path / "copies"))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "towns.csv"
    path.write_text("town,rain\n" + "Bergen,2495\n" * 300)
    return path


async def test_files_are_as_they_were_attached_those_never_sent_too(store_path, config, table):
    os.utime(table, ns=(0, 1_700_000_000_123_456_789))
    async with MnesisSession.open(model="offline/quote", db_path=store_path, config=config) as session:
        await session.send([await session.attach(table)])
        await session.attach(b"\x00\x01\x02", name="raw.bin")
        records = await session.files()
    frame = frames.files(session)
    assert frame.index.tolist() == [(session.id, record.id) for record in records]
    sent, unsent = frame.to_dict("records")
    assert (sent["name"], sent["path"], sent["media_type"]) == (str(table), str(table), "text/csv")
    assert (sent["size"], sent["tokens"], sent["counted"]) == (table.stat().st_size, records[0].tokens, "exact")
    assert (sent["kept"], sent["hash"], sent["encoding"]) == (False, records[0].hash, "utf-8")
    assert sent["modified_at"] == pd.Timestamp("2023-11-14 22:13:20.123456", tz="UTC")
    assert "town" in sent["summary"]
    assert (unsent["name"], unsent["kept"], unsent["counted"]) == ("raw.bin", True, "none")
    assert pd.isna(unsent["tokens"])
    assert pd.isna(unsent["path"])
    assert frames.attachments(session)["file_id"].tolist() == [records[0].id]
    assert frames.files(kept=True, db=store_path)["name"].tolist() == ["raw.bin"]
    assert frames.files(media_type="text/csv", until=frame["created_at"].iloc[1], db=store_path)["name"].tolist() == [
        str(table)
    ]


async def test_a_fork_shows_the_files_of_its_past_and_all_sessions_each_file_once(store_path, config, table):
    async with MnesisSession.open(model="offline/quote", db_path=store_path, config=config) as session:
        await session.send([await session.attach(table)])
        await session.attach(table, name="never sent")
        async with await session.fork(0) as fork:
            await fork.attach(table, name="its own")
            assert [record.id for record in await fork.files()] == frames.files(fork).index.get_level_values(1).tolist()
        async with await session.fork(0) as other:
            assert frames.files(other)["name"].tolist() == [str(table)]
    assert frames.files(fork)["name"].tolist() == [str(table), "its own"]
    assert set(frames.files(fork).index.get_level_values("session_id")) == {session.id, fork.id}
    assert frames.files(session)["name"].tolist() == [str(table), "never sent"]
    assert frames.files(db=store_path)["name"].tolist() == [str(table), "never sent", "its own"]
