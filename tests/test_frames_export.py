"""The views as CSV and Parquet files."""

import sys

import pandas as pd
import pytest

from mnesis import InputError, MnesisSession, NotFound
from mnesis_jupyter import frames
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.frames.tables import TABLES


@pytest.fixture(autouse=True)
async def store(store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    CURRENT.configure(None)
    for title in ("talk", "other"):
        async with MnesisSession.open(model="offline/quote", db_path=store_path, title=title) as session:
            for number in range(3):
                await session.record(f'Question {number}, "quoted"\nand on a second line: é 中', f"Answer {number}")
    yield store_path
    CURRENT.configure(None)


def test_every_view_becomes_a_parquet_file_that_reads_back_as_it_was(tmp_path):
    written = frames.export(tmp_path / "out")
    assert [path.name for path in written] == [f"{name}.parquet" for name in TABLES]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in written)
    for path in written:
        view = TABLES[path.stem]
        told = getattr(frames, path.stem)()
        back = pd.read_parquet(path, dtype_backend="numpy_nullable").set_index(list(view.index))
        back = back.astype({name: dtype for name, dtype in view.columns.items() if name not in view.index})
        pd.testing.assert_frame_equal(back, told, check_categorical=False, check_index_type=False)


def test_every_view_becomes_a_csv_file(tmp_path):
    written = frames.export(tmp_path, format="csv")
    assert [path.name for path in written] == [f"{name}.csv" for name in TABLES]
    for path in written:
        back = pd.read_csv(path, keep_default_na=False, na_values=[""])
        assert list(back.columns) == list(TABLES[path.stem].columns)
        assert len(back) == len(getattr(frames, path.stem)())
    told = pd.read_csv(tmp_path / "messages.csv")
    assert told["text"].tolist() == frames.messages()["text"].tolist()
    assert pd.to_datetime(told["created_at"]).tolist() == frames.messages()["created_at"].tolist()


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_one_session_and_some_views_can_be_chosen_and_files_are_replaced(tmp_path, format):
    (tmp_path / f"turns.{format}").write_text("old")
    written = frames.export(str(tmp_path), "other", format=format, tables=["turns"])
    assert (
        [path.name for path in tmp_path.glob(f"*.{format}")] == [f"turns.{format}"] == [path.name for path in written]
    )
    back = pd.read_csv(written[0]) if format == "csv" else pd.read_parquet(written[0])
    assert set(back["session_id"]) == set(frames.sessions("other").index)


def test_a_wrong_call_says_what_is_possible_and_writes_nothing(tmp_path):
    with pytest.raises(InputError, match="'parquet' or 'csv'"):
        frames.export(tmp_path / "out", format="xlsx")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="none of sessions"):
        frames.export(tmp_path / "out", tables=["turns", "lines"])
    with pytest.raises(NotFound, match=r"missing\.db"):
        frames.export(tmp_path / "out", db=tmp_path / "missing.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to"):
        frames.export(tmp_path / "file", format="csv")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file() and "sessions" not in path.name) == [
        "file"
    ]
    assert not (tmp_path / "out").exists()


def test_without_pyarrow_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install pyarrow, or give format='csv'"):
        frames.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()
