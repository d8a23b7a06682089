"""Maps as DataFrames."""

import json

import pytest

from mnesis import BadRequest, MnesisSession, NotFound
from mnesis.llm.scripted import ScriptedProvider
from mnesis.operators import LLMMap
from mnesis_jupyter import frames
from mnesis_jupyter.current import CURRENT

MODEL = "test/scripted"


@pytest.fixture(autouse=True)
def store(store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    CURRENT.configure(None)
    yield store_path
    CURRENT.configure(None)


def make(store, *script, **options):
    return LLMMap(model=MODEL, llm=ScriptedProvider(script, cycle=True), db_path=store, **options)


async def stopped(store):
    """A run of which something is left."""
    run = make(store, "ok").run(["a", "b", "c", "d"], "{{ item }}", concurrency=1)
    async for _ in run:
        run.stop()
    return run


async def test_a_run_counts_its_items_by_what_became_of_them(store):
    results = await make(store, "ok", BadRequest("no")).run_all(["a", "b", "c"], "{{ item }}?", concurrency=1)
    run = frames.map_runs().loc[results.run_id]
    assert (run["kind"], run["state"], run["total"]) == ("llm", "done", 3)
    assert (run["pending"], run["running"], run["done"], run["failed"]) == (0, 0, 2, 1)
    assert run["attempts"] == 3
    assert run["input_tokens"] == results.progress.tokens.input > 0
    assert run["template"] == "{{ item }}?"
    assert run["finished_at"] >= run["created_at"]


async def test_the_items_of_a_run_hold_what_went_in_and_what_came_out(store):
    results = await make(store, "ok", BadRequest("no")).run_all([{"n": 1}, {"n": 2}], "{{ item.n }}", concurrency=1)
    await make(store, "other").run_all(["x"], "{{ item }}")
    items = frames.map_items(results.run_id)
    assert items.index.tolist() == [(results.run_id, 0), (results.run_id, 1)]
    assert [json.loads(text) for text in items["input"]] == [{"n": 1}, {"n": 2}]
    assert json.loads(items["output"].iloc[0]) == "ok"
    assert items["error_kind"].tolist()[1:] == ["BadRequest"]
    assert frames.map_items(results.run_id, state="failed")["error"].tolist() == [results[1].error]
    assert len(frames.map_items()) == 3


async def test_a_run_that_was_stopped_shows_what_is_left(store):
    run = await stopped(store)
    left = frames.map_runs(state="stopped")
    assert left.index.tolist() == [run.id]
    assert left["pending"].tolist() == [4 - run.progress.done]
    assert frames.map_items(run.id, state="pending")["output"].isna().all()


async def test_runs_are_found_by_the_session_that_asked_for_them(store):
    async with MnesisSession.open(model="offline/quote", db_path=store) as session:
        results = await make(store, "ok", parent_id=session.id).run_all(["a"], "{{ item }}")
    await make(store, "ok").run_all(["b"], "{{ item }}")
    assert frames.map_runs(session).index.tolist() == [results.run_id]
    assert frames.map_items(session=session).index.tolist() == [(results.run_id, 0)]


def test_a_run_that_is_not_there_is_named():
    with pytest.raises(NotFound, match="run_nothing"):
        frames.map_items("run_nothing")
