"""SQL of one's own on the store."""

import sqlite3
import time

import pandas as pd
import pytest

import mnesis_jupyter
from mnesis import InputError, MnesisSession, NotFound, StoreError
from mnesis_jupyter import sql
from mnesis_jupyter.current import CURRENT


@pytest.fixture(autouse=True)
async def store(store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    CURRENT.configure(None)
    async with MnesisSession.open(model="offline/quote", db_path=store_path, title="talk") as session:
        for number in range(3):
            await session.record(f"Question {number}", f"Answer {number}")
    yield store_path
    CURRENT.configure(None)


def test_a_select_gives_a_frame_with_nullable_columns_and_times():
    frame = sql("SELECT idx, cost, state, total_tokens * 1.0 AS share, opened_at FROM turn ORDER BY idx")
    assert [str(dtype) for dtype in frame.dtypes] == ["Int64", "object", "string", "Float64", "datetime64[us, UTC]"]
    assert frame["idx"].tolist() == [0, 1, 2]
    assert frame["opened_at"].iloc[0] <= pd.Timestamp.now("UTC")


def test_parameters_are_given_by_place_or_by_name():
    assert sql("SELECT count(*) AS n FROM message WHERE role = ?", ["user"])["n"].tolist() == [3]
    assert sql("SELECT count(*) AS n FROM message WHERE role = :role", {"role": "user"})["n"].tolist() == [3]
    with pytest.raises(StoreError, match="cannot be asked"):
        sql("SELECT ?")


def test_columns_of_one_name_and_no_rows_are_no_trouble():
    assert sql("SELECT 1 AS a, 2 AS a").to_numpy().tolist() == [[1, 2]]
    frame = sql("SELECT id, created_at FROM session WHERE 0")
    assert (len(frame), list(frame.columns)) == (0, ["id", "created_at"])


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
        "SELECT value FROM json_each('[1, 2, 3]')",
        "SELECT name FROM pragma_table_info('session') LIMIT 3",
        "SELECT rowid FROM search WHERE search MATCH 'question' LIMIT 3",
        "VALUES (1), (2), (3)",
        "SELECT sum(total_tokens) OVER (ORDER BY idx) FROM turn -- running",
    ],
)
def test_what_only_reads_is_answered(query):
    assert len(sql(query)) == 3


def test_the_tables_and_their_columns_can_be_asked_for():
    assert "summary_source" in set(sql("PRAGMA table_list")["name"])
    assert "opened_at" in set(sql("PRAGMA table_info(turn)")["name"])


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("DELETE FROM part", "DELETE part"),
        ("INSERT INTO tool_set VALUES ('a', 'b', 1)", "INSERT tool_set"),
        ("UPDATE turn SET cost = 0", "UPDATE turn"),
        ("WITH a AS (SELECT 1) DELETE FROM turn", "DELETE turn"),
        ("DROP TABLE part", "D"),
        ("CREATE TABLE a (b)", "CREATE TABLE"),
        ("CREATE TEMP TABLE a (b)", "INSERT sqlite_temp_master"),
        ("ATTACH '{other}' AS other", "ATTACH"),
        ("VACUUM INTO '{other}'", "write"),
        ("VACUUM", "write"),
        ("INSERT INTO sqlite_master VALUES ('table', 'a', 'a', 0, '')", "write"),
        ("PRAGMA user_version = 7", "PRAGMA user_version"),
        ("PRAGMA query_only = OFF", "PRAGMA query_only"),
        ("PRAGMA writable_schema = ON", "PRAGMA writable_schema"),
        ("PRAGMA journal_mode = DELETE", "PRAGMA journal_mode"),
        ("BEGIN IMMEDIATE", "TRANSACTION"),
        ("COMMIT", "TRANSACTION"),
        ("REINDEX", "REINDEX"),
    ],
)
def test_what_would_write_is_refused_in_one_sentence_and_nothing_has_changed(query, word, store, tmp_path):
    before = sqlite3.connect(store).execute("SELECT count(*), sum(cost IS NULL) FROM turn").fetchall()
    with pytest.raises(InputError, match=rf"^sql\(\) only reads, and this would {word}") as told:
        sql(query.format(other=tmp_path / "other.db"))
    assert "\n" not in str(told.value)
    assert not (tmp_path / "other.db").exists()
    assert sqlite3.connect(store).execute("SELECT count(*), sum(cost IS NULL) FROM turn").fetchall() == before


def test_several_statements_are_refused():
    with pytest.raises(InputError, match="takes one statement"):
        sql("SELECT 1; SELECT 2")
    for nothing in ("", "  ", "-- only a comment"):
        with pytest.raises(InputError, match="give one SELECT"):
            sql(nothing)


def test_extensions_are_not_loaded():
    with pytest.raises((InputError, StoreError), match=r"not authorized|only reads"):
        sql("SELECT load_extension('anything')")


def test_a_mistake_is_named():
    with pytest.raises(StoreError, match="no such table: turns"):
        sql("SELECT * FROM turns")


def test_more_rows_than_the_limit_are_left_out_with_a_word():
    with pytest.warns(UserWarning, match="only the first 2 rows"):
        assert len(sql("SELECT * FROM turn", limit=2)) == 2
    assert len(sql("SELECT * FROM turn", limit=3)) == 3
    assert len(sql("SELECT * FROM turn", limit=None)) == 3
    with pytest.raises(InputError, match="limit=-1"):
        sql("SELECT * FROM turn", limit=-1)


def test_a_query_that_takes_too_long_is_stopped():
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"stopped after 0\.2 s"):
        sql("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", seconds=0.2)
    assert time.monotonic() - began < 5
    with pytest.raises(StoreError, match="too big"):
        sql("SELECT zeroblob(900000000)")


def test_another_store_can_be_named_and_none_is_made(store, tmp_path):
    assert len(sql("SELECT * FROM turn", db=store)) == 3
    with pytest.raises(NotFound, match=r"missing\.db"):
        sql("SELECT 1", db=tmp_path / "missing.db")
    assert not (tmp_path / "missing.db").exists()
    assert mnesis_jupyter.frames.sql is sql
