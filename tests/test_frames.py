"""The store as DataFrames."""

import builtins
import doctest
import itertools
import json
import re
import sqlite3
import threading
from pathlib import Path

import pandas as pd
import pytest
from pictures import png
from summarisers import Model, create, fill, settled, talk

from mnesis import (
    BadRequest,
    FileRefPart,
    InputError,
    MediaPart,
    MnesisSession,
    NotFound,
    StoreError,
    TextPart,
    ToolPart,
    ToolStatus,
)
from mnesis.errors import Unavailable
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.message import Part
from mnesis.operators import LLMMap
from mnesis_jupyter import frames
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.frames import contents, log, memory, query, saving, tables
from mnesis_jupyter.frames import maps as map_views
from mnesis_jupyter.frames.tables import TABLES

VIEWS = {
    "sessions": (
        ["session_id"],
        "title model agent system_prompt parent_id forked_from forked_turn turns input_tokens output_tokens cost "
        "created_at last_turn_at",
        "string category category string string string Int64 Int64 Int64 Int64 Float64 time time",
    ),
    "turns": (
        ["session_id", "turn"],
        "state model window_tokens system_tokens summary_tokens message_tokens tool_tokens input_tokens output_tokens "
        "cache_read_tokens cache_write_tokens total_tokens cost finish_reason error_kind error recorded origin "
        "request_hash turn_id opened_at finished_at seconds",
        "category category Int64 Int64 Int64 Int64 Int64 Int64 Int64 Int64 Int64 Int64 Float64 category category "
        "string boolean string string string time time Float64",
    ),
    "messages": (
        ["session_id", "seq"],
        "turn role tokens text parts partial message_id created_at",
        "Int64 category Int64 string Int64 boolean string time",
    ),
    "parts": (
        ["session_id", "seq", "part"],
        "turn role type tokens text tool_name tool_call_id status data part_id message_id",
        "Int64 category category Int64 string string string category string string string",
    ),
    "tool_calls": (
        ["session_id", "seq", "part"],
        "turn tool_name tool_call_id arguments status output error tokens output_tokens part_id message_id "
        "result_part_id result_message_id result_turn called_at answered_at",
        "Int64 string string string category string string Int64 Int64 string string string string Int64 time time",
    ),
    "attachments": (
        ["session_id", "seq", "part"],
        "turn role type file_id path url media_type size file_tokens tokens description width height part_id "
        "message_id created_at",
        "Int64 category category string string string category Int64 Int64 Int64 string Int64 Int64 string string time",
    ),
    "files": (
        ["session_id", "file_id"],
        "name path media_type encoding size tokens counted kept hash summary modified_at created_at",
        "string string category category Int64 Int64 category boolean string string time time",
    ),
    "usage": (
        ["session_id", "day", "model"],
        "turns input_tokens output_tokens cache_read_tokens cache_write_tokens total_tokens cost unpriced counted",
        "Int64 Int64 Int64 Int64 Int64 Int64 Float64 Int64 Int64",
    ),
    "context_changes": (
        ["session_id", "view", "id"],
        "turn change kind role first_turn last_turn tokens cause into_summary created_at",
        "Int64 category category category Int64 Int64 Int64 category string time",
    ),
    "events": (
        ["session_id", "seq"],
        "event turn payload event_id created_at",
        "category Int64 string string time",
    ),
    "context": (
        ["pos"],
        "kind id turn tokens tokens_so_far text stand_in born_view",
        "category string Int64 Int64 Int64 string category Int64",
    ),
    "summaries": (
        ["session_id", "summary_id"],
        "kind depth level model first_turn last_turn messages source_tokens tokens saved in_window text certificate "
        "prompt_hash born_view died_view created_at",
        "category Int64 Int64 category Int64 Int64 Int64 Int64 Int64 Float64 boolean string string string Int64 Int64 "
        "time",
    ),
    "sources": (
        ["summary_id", "source"],
        "session_id kind source_id fidelity role turn tokens",
        "string category string category category Int64 Int64",
    ),
    "map_runs": (
        ["run_id"],
        "kind state model session_id total pending running done failed attempts input_tokens output_tokens cost "
        "unpriced template schema options created_at finished_at",
        "category category category string Int64 Int64 Int64 Int64 Int64 Int64 Int64 Int64 Float64 Int64 string string "
        "string time time",
    ),
    "map_items": (
        ["run_id", "item"],
        "state input output error_kind error attempts input_tokens output_tokens cache_read_tokens cache_write_tokens "
        "total_tokens cost session_id started_at finished_at seconds",
        "category string string category string Int64 Int64 Int64 Int64 Int64 Int64 Float64 string time time Float64",
    ),
}


@pytest.fixture(autouse=True)
def store(store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    CURRENT.configure(None)
    yield store_path
    CURRENT.configure(None)


async def some_turns(store, title="talk", turns=3):
    """A session with a committed, a failed and a recorded turn."""
    provider = ScriptedProvider(["Hello.", Reply("Half", then=Unavailable("down")), *["More."] * turns])
    session = await MnesisSession.create(model="test/scripted", llm=provider, db_path=store, title=title)
    async with session:
        await session.send("Hi.")
        with pytest.raises(Unavailable):
            await session.send("Hi again.")
        call = ToolPart(
            tool_name="look",
            tool_call_id="call_1",
            input={"at": "it"},
            output="It is blue.",
            status=ToolStatus.COMPLETED,
        )
        await session.record([TextPart(text="One."), TextPart(text="Two.")], [call, TextPart(text="Blue.")])
        for _ in range(turns):
            await session.send("More?")
        window = await session.context()
    return session, window


async def a_map(store):
    """A run with an item that failed."""
    llm = ScriptedProvider(["One.", BadRequest("no"), "Three."])
    return await LLMMap(model="test/scripted", llm=llm, db_path=store).run_all(["a", "b", "c"], "{{ item }}?")


async def compacted(store):
    """A session with a pruned tool output, an excerpt, calls between texts, files, and summaries of summaries."""
    pruning = {"prune_protect_tokens": 1_000, "prune_minimum_tokens": 500, "compaction_output_budget": 1_000}
    session = await create(store, Model(), 16_000, title="long", recall="always", **pruning)
    async with session:
        look = [
            ToolPart(tool_name="look", tool_call_id=f"c{n}", output="seen it " * 200, status=ToolStatus.COMPLETED)
            for n in range(2)
        ]
        broken = ToolPart(
            tool_name="look", tool_call_id="c3", input={"at": "é"}, error_message="no", status=ToolStatus.ERROR
        )
        file = FileRefPart(file_id="file_1", path="a/b.csv", size=10, tokens=5, summary="two columns")
        for number in range(7):
            reply: list[Part] = [
                *look,
                broken,
                TextPart(text=""),
                TextPart(text="One."),
                look[0],
                TextPart(text="Two."),
            ]
            await session.record([TextPart(text=talk(number, 50)), file], reply)
            await settled(session)
        await session.attach(b"\x00\x01")  # never sent
        await session.send("word " * 12_000)
        await fill(session, 60, 500)
        windows = {turn: await session.context(turn) for turn in [None, *range(len(session.history()))]}
        made = await session.summaries()
    return session, windows, made


def dtypes(frame):
    return " ".join("time" if str(dtype) == "datetime64[us, UTC]" else str(dtype) for dtype in frame.dtypes)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("full", [False, True], ids=["empty", "full"])
async def test_each_view_has_its_index_columns_and_dtypes_with_and_without_rows(name, full, store):
    index, columns, types = VIEWS[name]
    if full and name.startswith("map_"):
        await a_map(store)
        frame = getattr(frames, name)()
    elif full:
        long = name in ("summaries", "sources", "attachments", "files")
        session, *_ = await (compacted if long else some_turns)(store)
        frame = getattr(frames, name)(session.id)
    elif name == "context":
        async with MnesisSession.open(model="offline/quote", db_path=store, system_prompt="") as session:
            frame = frames.context(session)
    else:
        frame = getattr(frames, name)()
    assert frame.empty is not full
    assert list(frame.index.names) == index
    assert " ".join(frame.columns) == columns
    assert dtypes(frame) == types
    assert frame.index.is_unique


async def test_sessions_count_their_turns_and_tokens(store):
    session, _ = await some_turns(store)
    await some_turns(store, "other", turns=0)
    frame = frames.sessions()
    assert frame["title"].tolist() == ["talk", "other"]
    assert frame["turns"].tolist() == [6, 3]
    assert frame.loc[session.id, "input_tokens"] == session.token_usage.input
    assert frame.loc[session.id, "created_at"] <= pd.Timestamp.now("UTC")


async def test_turns_tell_how_each_ended(store):
    session, _ = await some_turns(store)
    frame = frames.turns(session)
    assert frame["state"].tolist() == ["committed", "failed", *["committed"] * 4]
    assert frame["error_kind"].iloc[1] == "Unavailable"
    assert frame["recorded"].tolist() == [False, False, True, False, False, False]
    assert frame["window_tokens"].tolist() == [turn.context_tokens.total for turn in session.history()]
    assert frame["input_tokens"].isna().tolist() == [False, True, False, False, False, False]
    assert frames.turns(session, state="failed").index.get_level_values("turn").tolist() == [1]


async def test_messages_join_their_text_parts_and_mark_partial_replies(store):
    session, _ = await some_turns(store)
    frame = frames.messages(session)
    assert frame["text"].tolist()[:6] == ["Hi.", "Hello.", "Hi again.", "Half", "One.\n\nTwo.", "Blue."]
    assert frame["partial"].tolist()[:4] == [False, False, False, True]
    assert frame.index.get_level_values("seq").tolist() == list(range(12))
    assert set(frames.messages(session, role="user")["role"]) == {"user"}


async def test_parts_tell_what_tools_were_called(store):
    session, _ = await some_turns(store)
    (tool,) = frames.parts(session, type="tool").to_dict("records")
    assert (tool["tool_name"], tool["tool_call_id"], tool["status"]) == ("look", "call_1", "completed")
    assert tool["tokens"] > 0


async def test_each_tool_call_is_one_row_with_its_own_result_also_where_a_model_uses_an_id_again(store):
    def half(of: int) -> int:
        """Halve an even number."""
        if of % 2:
            raise ValueError(f"{of} is odd")
        return of // 2

    def calls(*numbers, name="half"):
        return Reply(tool_calls=[{"name": name, "arguments": {"of": n}, "id": "same"} for n in numbers])

    ask = {"type": "function", "function": {"name": "ask", "description": "Ask a person."}}
    script = [calls(8, 3), calls(6), calls(1, name="ask"), "Done.", calls(2, name="ask"), "Never mind."]
    llm = ScriptedProvider(script)
    session = await MnesisSession.create(model="test/scripted", llm=llm, db_path=store, title="tools")
    async with session:
        waiting = (await session.send("Halve.", tools=[half, ask])).tool_calls
        frame = frames.tool_calls("tools")
        assert frame["status"].tolist() == ["completed", "error", "completed", "pending"]
        assert pd.isna(frame["result_turn"].iloc[-1])
        await session.submit_tool_results({waiting[0].tool_call_id: "yes"}, tools=[half, ask])
        await session.send("Again.", tools=[ask])
        frame = frames.tool_calls(session)
        log = {message.id: message for message in await session.messages()}
    assert [json.loads(each)["of"] for each in frame["arguments"]] == [8, 3, 6, 1, 2]
    assert frame["output"].fillna("").tolist() == ["4", "", "3", "yes", ""]
    assert frame["error"].iloc[1] == "ValueError: 3 is odd"
    assert frame["status"].tolist() == ["completed", "error", "completed", "completed", "pending"]
    assert frame["turn"].tolist() == [0, 0, 0, 0, 2]
    assert frame["result_turn"].dropna().tolist() == [0, 0, 0, 1]
    for call in frame.dropna(subset="result_message_id").to_dict("records"):
        asked, answered = log[call["message_id"]], log[call["result_message_id"]]
        at = answered.part_ids.index(call["result_part_id"])
        assert asked.part_tokens[asked.part_ids.index(call["part_id"])] == call["tokens"]
        assert answered.part_tokens[at] == call["output_tokens"]
        assert answered.parts[at].model_dump()["tool_call_id"] == call["tool_call_id"]
    assert frames.tool_calls(tool="ask")["turn"].tolist() == [0, 2]


async def test_the_arguments_of_a_tool_call_without_any_are_an_empty_object(store):
    ask = {"type": "function", "function": {"name": "ask", "description": "Ask a person."}}
    llm = ScriptedProvider([Reply(tool_calls=[{"name": "ask"}])])
    async with MnesisSession.open(model="test/scripted", llm=llm, db_path=store) as session:
        await session.send("Ask.", tools=[ask])
        assert json.loads(frames.tool_calls(session)["arguments"].iloc[0]) == {}


async def test_a_recorded_tool_call_has_its_result_in_the_same_part(store):
    await some_turns(store)
    (call,) = frames.tool_calls().to_dict("records")
    assert (call["tool_name"], call["output"], call["status"]) == ("look", "It is blue.", "completed")
    assert call["output_tokens"] > 0
    assert pd.isna(call["result_part_id"])


async def test_the_context_adds_up_to_the_window_now_and_in_each_past_turn(store):
    session, window = await some_turns(store)
    now = frames.context(session)
    assert now["tokens"].sum() == window.size == now["tokens_so_far"].iloc[-1]
    assert now["kind"].iloc[0] == "system"
    for turn in session.history():
        past = frames.context(session, turn.turn_index)
        assert past["tokens"].sum() == turn.context_tokens.total
        assert past["kind"].iloc[-1] == "user"


async def test_the_context_of_a_compacted_session_is_the_engines_window_item_by_item_in_every_turn(store):
    session, windows, _ = await compacted(store)
    seen = set()
    for turn, window in windows.items():
        frame = frames.context(session, turn)
        seen |= set(frame["kind"]) | set(frame["stand_in"].dropna())
        told = frame[["kind", "id", "turn", "tokens"]].astype(object).where(frame.notna(), None).to_numpy().tolist()
        assert told == [[item.kind, item.id, item.turn, item.tokens] for item in window.items]
        for item, text, stand_in in zip(window.items, frame["text"], frame["stand_in"], strict=True):
            if item.kind == "tool" and item.role == "assistant":
                assert json.loads(text) == json.loads(item.text)
                continue
            assert text in item.text
            assert item.kind in ("summary", "file", "tool") or text == item.text
            assert stand_in is pd.NA or stand_in != stand_in or text == item.text
    assert seen >= {"system", "tools", "summary", "user", "assistant", "tool", "file", "pruned", "excerpt"}


async def test_summaries_and_their_sources_are_those_of_the_session(store):
    session, _, made = await compacted(store)
    frame = frames.summaries(session)
    assert frame.loc[session.id].index.tolist() == [summary.id for summary in made]
    assert frame["in_window"].tolist() == [summary.in_window for summary in made]
    assert frame["tokens"].tolist() == [summary.tokens for summary in made]
    assert set(frame["kind"]) == {"leaf", "condensed"}
    assert len(frames.summaries("long", kind="leaf")) == sum(summary.kind == "leaf" for summary in made)
    edges = frames.sources("long")
    for summary in made:
        assert edges.loc[summary.id, "source_id"].tolist() == [source.id for source in summary.sources]
        assert edges.loc[summary.id, "fidelity"].tolist() == [source.fidelity for source in summary.sources]
    assert edges["turn"].notna().all()
    assert edges["tokens"].notna().all()


async def test_the_changes_add_up_to_what_each_window_was_in_a_session_with_prunings_and_summaries_of_summaries(store):
    session, windows, made = await compacted(store)
    sizes = {
        turn: sum(item.tokens for item in window.items if item.turn is not None) for turn, window in windows.items()
    }
    turns = [turn for turn in sizes if turn is not None]
    for a, b in [(turns[0], turns[-1]), (turns[2], turns[40]), *itertools.pairwise(turns)]:
        assert frames.context_changes(session, a, b)["tokens"].sum() == sizes[b] - sizes[a], (a, b)
    whole = frames.context_changes(session)
    assert whole["tokens"].sum() == sizes[None]
    assert set(whole["change"]) == {"came", "went", "pruned"}
    assert set(whole["cause"]) >= {"compaction", "pruning", "user message", "reply"}
    went = whole[whole["change"] == "went"].reset_index()
    assert set(went["cause"]) == {"compaction"}
    assert went["into_summary"].notna().all()
    of = {summary.id: [source.id for source in summary.sources] for summary in made}
    assert all(id in of[into] for id, into in zip(went["id"], went["into_summary"], strict=True))
    assert frames.context_changes("long", change="pruned", cause="pruning")["kind"].unique().tolist() == ["tool"]
    with pytest.raises(NotFound, match="turn"):
        frames.context_changes(session, 0, 9_999)


async def test_usage_is_added_up_by_model_day_and_session(store):
    session, _ = await some_turns(store)
    await some_turns(store, "other", turns=0)
    by_model = frames.usage(by="model")
    assert by_model.index.tolist() == ["test/scripted"]
    assert by_model["turns"].tolist() == [9]
    whole = frames.usage()
    assert whole.loc[session.id, "input_tokens"].tolist() == [session.token_usage.input]
    assert whole.index.get_level_values("day").unique().tolist() == [pd.Timestamp.now("UTC").normalize()]
    # A scripted model has no price, so the five turns that used something are unpriced; the failed one is not.
    assert frames.usage("talk", by=["session_id"])[["cost", "unpriced"]].fillna(-1).to_numpy().tolist() == [[-1, 5]]
    for wrong in ("week", [], ["model", "model"]):
        with pytest.raises(InputError, match="session_id, day, model"):
            frames.usage(by=wrong)


async def test_files_and_media_tell_their_size_and_never_their_bytes(store):
    image = MediaPart.from_bytes(png(30, 20), name="a.png", alt="a grey area")
    link = MediaPart.from_url("https://example.org/b.jpg")
    file = FileRefPart(
        file_id="file_1", path="a/b.csv", media_type="text/csv", size=10, tokens=5, summary="two columns"
    )
    async with MnesisSession.open(model="offline/quote", db_path=store) as session:
        await session.record([TextPart(text="Look."), image, link, file], "I see.")
        window = await session.context()
    frame = frames.attachments()
    assert frame["path"].fillna("").tolist() == ["a.png", "", "a/b.csv"]
    assert frame["size"].fillna(-1).tolist() == [len(png(30, 20)), -1, 10]
    assert frame["description"].fillna("").tolist() == ["a grey area", "", "two columns"]
    assert frame["width"].iloc[0] == 30
    assert frame["url"].iloc[1] == "https://example.org/b.jpg"
    assert frame["file_tokens"].iloc[2] == 5
    told = {item.id: item.tokens for item in window.items}
    assert frame["tokens"].tolist() == [told[id] for id in frame["part_id"]]
    assert str(image.data) not in frame.to_csv()
    assert frames.attachments(type="file_ref", media_type="text/csv")["file_id"].tolist() == ["file_1"]


async def test_a_long_view_is_read_in_pieces_of_one_snapshot(store):
    await some_turns(store)
    pieces = frames.chunks("parts", "talk", chunksize=4)
    first = next(pieces)
    await some_turns(store)  # a session of the same name, which that snapshot does not know
    read = [first, *pieces]
    assert [len(piece) for piece in read] == [4, 4, 4, 2]
    assert [dtypes(piece) for piece in read] == [VIEWS["parts"][2]] * 4
    assert pd.concat(read).index.is_unique
    assert [len(piece) for piece in frames.chunks("parts", chunksize=7, type="tool", role="user")] == [0]
    with pytest.raises(InputError, match="colour narrows nothing"):
        frames.chunks("parts", colour="red")
    with pytest.raises(InputError, match="none of sessions, turns"):
        frames.chunks("part")
    with pytest.raises(InputError, match="at least 1"):
        frames.chunks("parts", chunksize=0)


def test_a_store_that_is_not_there_yet_gives_chunks_without_rows():
    assert [dtypes(piece) for piece in frames.chunks("turns")] == [VIEWS["turns"][2]]


async def test_views_can_be_narrowed_by_time_and_turn(store):
    await some_turns(store)
    opened = frames.turns()["opened_at"]
    assert len(frames.turns(since=opened.iloc[2])) == 4
    assert len(frames.turns(until=opened.iloc[2], model="test/scripted")) == 2
    assert frames.messages(turn=2, role="user")["text"].tolist() == ["One.\n\nTwo."]
    assert len(frames.events(since="2020-01-01", until="2020-01-02 03:04")) == 0
    with pytest.raises(InputError, match="since='yesterday evening' is not a time"):
        frames.turns(since="yesterday evening")


async def test_a_filter_is_asked_of_the_database_which_looks_it_up(store):
    await some_turns(store)
    plan = sqlite3.connect(store)
    for name in ("turns", "messages", "parts", "attachments", "files", "events", "tool_calls", "context_changes"):
        query, values = TABLES[name].sql("sess_1", {})
        told = "\n".join(row[3] for row in plan.execute(f"EXPLAIN QUERY PLAN {query}", values))
        assert not re.search(r"SCAN (m|p|e|turn|message|part|event|view|context_item|tombstone)\b", told), told
    plan.close()


def test_the_schema_lists_what_the_views_have():
    told = frames.schema()
    assert set(told.index.get_level_values("table")) == set(VIEWS)
    for name, (index, columns, types) in VIEWS.items():
        mine = told.loc[name]
        assert mine[mine["key"]].index.tolist() == index
        rest = mine[~mine["key"]]
        assert " ".join(rest.index) == columns
        assert " ".join("time" if dtype.startswith("datetime") else dtype for dtype in rest["dtype"]) == types


def test_the_documentation_lists_the_columns_that_there_are():
    text = " ".join((Path(__file__).parents[1] / "docs" / "frames.md").read_text("utf-8").split())
    for name, (index, columns, types) in VIEWS.items():
        section = text.split(f"### {name} ")[1].split("###")[0]
        assert f"Key: {', '.join(f'`{column}`' for column in index)}." in section
        listed = ", ".join(f"`{column}` {dtype}" for column, dtype in zip(columns.split(), types.split(), strict=True))
        assert listed in section, name


async def test_the_examples_in_the_docstrings_are_true(store, monkeypatch):
    monkeypatch.setattr(
        builtins, "_", None, raising=False
    )  # doctest sets it, and IPython then leaves it alone for good
    await some_turns(store)
    for module in (log, contents, memory, map_views, tables, query, saving):
        failed, attempted = doctest.testmod(module, extraglobs={"frames": frames})
        assert attempted > 0
        assert failed == 0


async def test_a_system_prompt_of_one_turn_is_in_the_window_of_that_turn(store):
    async with MnesisSession.open(model="offline/quote", db_path=store) as session:
        await session.send("Hi.", system_prompt="Only this once.")
        assert frames.context(session, 0)["text"].iloc[0] == "Only this once."
        assert frames.context(session)["text"].iloc[0] == session.system_prompt


async def test_a_session_is_named_by_object_id_title_or_not_at_all(store, tmp_path):
    session, _ = await some_turns(store)
    other, _ = await some_turns(tmp_path / "other.db", "other", turns=0)
    assert len(frames.turns(session)) == len(frames.turns(session.id)) == len(frames.turns("talk")) == 6
    assert len(frames.turns()) == 6
    assert len(frames.turns(other)) == len(frames.turns("other", db=tmp_path / "other.db")) == 3


async def test_events_come_with_their_payload_and_can_be_asked_for_by_name(store):
    session, _ = await some_turns(store)
    frame = frames.events(session, event="turn.failed")
    assert len(frame) == 1
    assert "Unavailable" in frame["payload"].iloc[0]


async def test_what_is_not_there_is_named(store, tmp_path):
    await some_turns(store, turns=0)
    with pytest.raises(NotFound, match="nobody"):
        frames.turns("nobody")
    with pytest.raises(NotFound, match="turn"):
        frames.context("talk", 99)
    with pytest.raises(NotFound, match=r"missing\.db"):
        frames.turns(db=tmp_path / "missing.db")
    with pytest.raises(InputError, match="no current session"):
        frames.context()
    with pytest.raises(InputError, match="not a session"):
        frames.turns(3)  # type: ignore[arg-type]
    async with MnesisSession.open(model="offline/quote", db_path=":memory:") as session:
        with pytest.raises(InputError, match="in memory"):
            frames.turns(session)
    (tmp_path / "noise.db").write_text("not a database, " * 100)
    with pytest.raises(StoreError, match=r"noise\.db"):
        frames.turns(db=tmp_path / "noise.db")
    assert not (tmp_path / "missing.db").exists()


async def test_frames_can_be_read_while_a_session_writes(store):
    await some_turns(store, turns=0)
    stop, errors = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                frame = frames.messages("busy") if frames.find_session("busy", store) else frames.messages()
                assert frame["text"].notna().all()
            except Exception as error:  # noqa: BLE001  # a thread's edge
                errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    async with MnesisSession.open(
        model="test/scripted", llm=ScriptedProvider(["ok"], cycle=True), db_path=store, title="busy"
    ) as session:
        for number in range(50):
            await session.send(f"number {number}")
    stop.set()
    thread.join()
    assert errors == []
    assert len(frames.messages("busy")) == 100


async def test_frames_never_write(store):
    await some_turns(store, turns=0)
    with pytest.raises(StoreError, match="readonly"):
        frames.rows(store, "DELETE FROM event")
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
