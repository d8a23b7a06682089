"""The widgets without a browser: what they tell, how little of it, and that it is what the engine says."""

import asyncio
import gc
import itertools
import json
import queue
import random
import re
import shutil
import time
import weakref
from importlib.resources import files

import ipywidgets
import pytest
import traitlets
from pictures import png
from small_windows import SMALL, answered, settled

import mnesis_jupyter
from mnesis import InputError, MediaPart, MnesisSession, NotFound, TextPart, Unavailable
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis_jupyter import frames
from mnesis_jupyter.state import state
from mnesis_jupyter.views import KINDS
from mnesis_jupyter.widgets import Budget, Context, Inspector, Summaries, Timeline, inspect
from mnesis_jupyter.widgets.assets import module, styles

WIDGETS = (Budget, Context, Summaries, Timeline, Inspector)


async def held(session: MnesisSession, turns: int, start: int = 0) -> None:
    """Turns of many sizes, some with tools."""
    rng = random.Random(start)
    for turn in range(start, start + turns):
        reply = f"reply {turn} " + "word " * rng.choice([5, 30, 80])
        output = "row\n" * rng.choice([1, 20, 90]) if turn % 4 == 0 else ""
        parts = answered(reply, output, f"c{turn}", path="/tmp/x") if output else reply
        await session.record(f"question {turn} " + "some word " * rng.choice([3, 10, 40]), parts)
        await settled(session)


def talk(session: MnesisSession, turns: int, start: int = 0) -> None:
    """The same, on the loop of the notebook."""
    state().bridge.call(held, session, turns, start)


def window_of(session: MnesisSession, turn: int | None = None):
    return state().bridge.call(session.context, turn)


@pytest.fixture(scope="module")
def held_once(tmp_path_factory):
    """A store with a session of 120 turns."""
    path = tmp_path_factory.mktemp("held") / "sessions.db"

    async def work() -> None:
        async with MnesisSession.open(model="offline/quote", title="heron", config=SMALL, db_path=path) as session:
            await held(session, 120)

    asyncio.run(work())
    return path


@pytest.fixture
def session(notebook, held_once, store_path):
    shutil.copy(held_once, store_path)
    return mnesis_jupyter.use("heron")


def quiet(front, seconds=0.4):
    """Wait until nothing has been pushed for a while; all that was."""
    pushed = []
    while True:
        try:
            pushed.append(front.pushed(seconds))
        except queue.Empty:
            return pushed


# -- time travel ------------------------------------------------------------------------------------------------------


def test_the_window_of_any_turn_is_the_one_that_the_engine_rebuilds(front, session):
    ui = inspect(session)
    for turn in [None, 0, 119, *random.Random(5).sample(range(120), 12)]:
        window = window_of(session, turn)
        facts, rows = front.ask(ui, "facts", turn=turn), front.ask(ui, "rows", turn=turn, start=0)
        assert facts["size"] == window.size
        assert facts["count"] == rows["total"] == len(window.items)
        shown = [(kind, id, last, tokens) for _, kind, id, _, last, tokens, *_ in rows["rows"]]
        assert shown == [(item.kind, item.id, item.turn, item.tokens) for item in window.items]
        assert sum(tokens for _, tokens in facts["strip"]) == window.size


def test_an_item_shows_exactly_what_is_sent_and_how_it_came_there(front, session):
    ui = inspect(session)
    window = window_of(session, 100)
    for at in range(0, len(window.items), 5):
        item = window.items[at]
        said = front.ask(ui, "item", turn=100, id=item.id, result=int(item.role == "tool"))
        assert said["text"] == item.text
        assert said["row"][0] == at
    summary = next(item for item in window.items if item.kind == "summary")
    said = front.ask(ui, "item", turn=100, id=summary.id)
    assert said["summary"]["before"] > said["summary"]["after"] > 0
    lineage = state().bridge.call(session.why, summary.id)
    assert [words for _, words in said["life"]["steps"]] == [step.words for step in lineage.steps]


def test_what_the_next_request_sends_is_shown_with_its_labels(front, session):
    ui = inspect(session)
    for item in window_of(session).items[:4]:
        assert front.ask(ui, "item", turn=None, id=item.id)["text"] == item.text


def test_the_originals_of_a_summary_are_folded_out_page_by_page(front, session):
    ui = inspect(session)
    summary = next(s for s in state().bridge.call(session.summaries) if s.kind == "leaf")
    seen, cursor = [], None
    while True:
        page = front.ask(ui, "expand", id=summary.id, cursor=cursor)
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert [id for id in dict.fromkeys(seen) if id.startswith("msg_")] == [source.id for source in summary.sources]


def test_the_difference_to_the_turn_before_is_the_engines(front, session):
    ui = inspect(session)
    for turn in (1, 40, 119):
        diff = state().bridge.call(session.diff, turn - 1, turn)
        told = front.ask(ui, "diff", turn=turn)
        assert [row["id"] for row in told["rows"]] == [c.id for c in diff.changes if c.change != "unchanged"]
        assert told["same"] + len(told["rows"]) == len(diff.changes)


def test_the_window_is_searched_filtered_and_sorted_in_the_kernel(front, session):
    ui = inspect(session)
    found = front.ask(ui, "rows", turn=119, start=0, search="QUESTION 118")
    assert found["rows"]
    assert all("question 118" in row[9] for row in found["rows"] if row[1] == "user")
    tools = front.ask(ui, "rows", turn=119, start=0, kinds=["tool"])
    assert {row[1] for row in tools["rows"]} == {"tool"}
    assert tools["tokens"] == sum(row[5] for row in tools["rows"])
    largest = front.ask(ui, "rows", turn=119, start=0, order="largest")["rows"]
    assert [row[5] for row in largest] == sorted((row[5] for row in largest), reverse=True)


def test_a_condensed_summary_says_which_ones_went_into_it(front, session):
    ui = inspect(session)
    condensed = [s for s in state().bridge.call(session.summaries) if s.kind == "condensed"]
    assert condensed
    for turn in (30, 100):
        rows = front.ask(ui, "below", view=front.ask(ui, "facts", turn=turn)["view"])["rows"]
        standing = {item.id for item in window_of(session, turn).items if item.kind == "summary"}
        assert {row["id"] for row in rows} == standing
    for summary in condensed:
        rows = front.ask(ui, "below", id=summary.id)["rows"]
        assert {row["id"] for row in rows} == {source.id for source in summary.sources}


# -- the map and the timeline -----------------------------------------------------------------------------------------


def test_every_turn_is_on_the_map_with_what_it_said(front, session):
    seen = front.ask(inspect(session), "overview")
    said = seen["map"]["said"]
    assert seen["map"]["width"] == 1
    assert len(said[0]) == len(seen["map"]["size"]) == 120
    log = state().bridge.call(session.messages)
    for turn in (0, 60, 119):
        tokens = sum(m.tokens for m in log if m.turn == turn and not m.is_summary)
        assert sum(kind[turn] for kind in said) == tokens
        assert seen["map"]["size"][turn] == window_of(session, turn).size
    assert seen["summaries"]["id"] == [each.id for each in state().bridge.call(session.summaries)]


def test_the_timeline_counts_what_happened_over_turns_and_over_time(front, session):
    ui = inspect(session)
    events = [record.event.value for record in state().bridge.call(session.events)]
    for axis in ("turn", "time"):
        lanes = front.ask(ui, "lanes", axis=axis)["lanes"]
        assert sum(piece[2] for piece in lanes["turns"]) == 120
        assert sum(piece[2] for piece in lanes["tools"]) == 30
        assert sum(piece[2] for piece in lanes["compaction"]) == events.count("compaction.completed")
        assert lanes["errors"] == lanes["retries"] == []


def test_a_cache_break_is_marked_exactly_where_a_window_does_not_go_on_from_the_one_before(front, session):
    lanes = front.ask(inspect(session), "lanes", axis="turn")["lanes"]
    marked = {int(piece[0]) for piece in lanes["cache"]}
    windows = [[item.text for item in window_of(session, turn).items] for turn in range(120)]
    broken = {t for t in range(1, 120) if windows[t][: len(windows[t - 1])] != windows[t - 1]}
    assert broken
    assert marked == broken


def test_an_image_is_in_the_window_and_on_the_map(front, notebook):
    session = mnesis_jupyter.open_session(model="offline/quote", title="seen")
    picture = MediaPart.from_bytes(png(640, 480))
    state().bridge.call(session.record, [picture, TextPart(text="What is it?")], "A grey field.")
    ui = inspect(session)
    (item,) = (item for item in window_of(session).items if item.kind == "media")
    assert front.ask(ui, "facts", turn=None)["kinds"]["media"] == item.tokens > 0
    user, _, _, files = front.ask(ui, "overview")["map"]["said"]
    assert (files, user[0]) == ([item.tokens], window_of(session).items[-2].tokens)


def test_every_kind_of_item_has_its_look_in_the_widgets():
    for kind, look in KINDS.items():
        assert f'  {kind}: ["{look.glyph}", ' in module("inspector", "widget(inspector)")
        assert f".k-{kind} {{ background: var(--k-{kind}); }}" in styles("inspector")


def test_no_style_of_one_widget_reaches_into_another():
    """Front ends put the style sheets of all widgets into one page."""
    folder = files("mnesis_jupyter.widgets")
    own = {
        name: set(re.findall(r"^\.(mn-[a-z-]+)[^,{]*\{", (folder / f"{name}.css").read_text("utf-8"), re.MULTILINE))
        for name in ("budget", "context", "summaries", "timeline", "inspector", "running", "reply", "map")
    }
    shared = [(one, other, both) for one, other in itertools.combinations(own, 2) if (both := own[one] & own[other])]
    assert shared == [("inspector", "running", {"mn-dot-state"})]  # each has states of its own


def test_a_failed_turn_is_marked_on_the_map_and_in_the_lane_of_errors(front, notebook):
    session = mnesis_jupyter.open_session(model="test/x", llm=ScriptedProvider(["Fine.", Unavailable("gone")]))
    notebook.run("%%mnesis\nOne.")
    notebook.run("%%mnesis\nTwo.")
    lanes = front.ask(inspect(session), "lanes", axis="turn")["lanes"]
    assert [piece[3] for piece in lanes["errors"]] == ["failed: Unavailable: gone"]
    assert "turn 1, failed" in lanes["turns"][1][3]
    assert front.ask(inspect(session), "overview")["map"]["bad"] == [1]


def lane_of_operators(front, ui, *span):
    return front.ask(ui, "lanes", axis="turn", span=span)["lanes"]["operators"]


def test_a_map_that_a_cell_runs_is_in_the_lane_of_operators_of_the_current_session_and_not_in_its_window(
    front, notebook, session
):
    ui = inspect(session)
    before = window_of(session)
    notebook.names["items"] = ["Ada", "Bob"]
    notebook("%%mnesis map items -o out\nMy name is {{ item }}.")
    pushed = quiet(front)
    (whole,) = lane_of_operators(front, ui, 119, 120)
    assert re.fullmatch(r"a map is through after \d+\.\d s: 2 done, 0 failed", whole[3])
    assert whole[:3] == [119.3, 119.7, 1]
    assert window_of(session).request_hash == before.request_hash
    assert frames.map_runs()["session_id"].tolist() == [session.id]
    marks = [mark for push in pushed for mark in push["marks"]]
    assert [mark[0] for mark in marks] == ["operators"] * 2
    assert marks[0][-1] == "a map of 2 items began"


def test_a_map_that_goes_on_is_marked_where_it_began_and_once_it_has_ended_from_there_on(front, notebook, session):
    ui = inspect(session)
    notebook.names |= {"llm": ScriptedProvider([Reply("ok", delay=0.4, cost=1.0)], cycle=True), "items": range(100)}
    notebook("import mnesis_jupyter")
    notebook("job = mnesis_jupyter.llm_map(items, '{{ item }}', llm=llm, background=True, concurrency=2)")
    job = notebook.names["job"]
    quiet(front)
    (begun,) = lane_of_operators(front, ui)
    assert begun[2:] == [1, "a map of 100 items began"]
    talk(session, 1, start=120)
    job.stop()
    quiet(front)
    done = job.progress.done
    (whole,) = lane_of_operators(front, ui)
    told = rf"a map was stopped after \d\.\d s: {done} done, 0 failed, \${done}\.00"
    assert re.fullmatch(told, whole[3])
    assert whole[:2] == [begun[0], 120.7]
    (by_time,) = front.ask(ui, "lanes", axis="time")["lanes"]["operators"]
    assert by_time[1] - by_time[0] > 400


def test_a_map_before_the_first_turn_has_its_place_on_the_timeline(front, notebook):
    session = mnesis_jupyter.open_session(model="offline/quote")
    notebook.names["items"] = ["Ada"]
    notebook("%%mnesis map items -o out\n{{ item }}")
    ui = inspect(session)
    talk(session, 2)
    quiet(front)
    told = front.ask(ui, "lanes", axis="time")
    assert sum(piece[2] for piece in told["lanes"]["operators"]) == 1
    assert 0 <= told["lanes"]["operators"][0][0] <= told["lanes"]["turns"][0][0] < 60_000
    assert abs(told["origin"] / 1000 - time.time()) < 120
    assert sum(piece[2] for piece in lane_of_operators(front, ui)) == 1


def test_a_map_that_is_resumed_belongs_to_the_session_that_began_it(front, notebook, session):
    notebook.names |= {"llm": ScriptedProvider([Unavailable("gone")], cycle=True), "items": ["Ada"]}
    notebook("import mnesis_jupyter")
    notebook("out = mnesis_jupyter.llm_map(items, '{{ item }}', llm=llm, retries=0)")
    other = mnesis_jupyter.open_session(model="offline/quote", title="other")
    notebook("%%mnesis map --resume out --retry-failed\n{{ item }}")
    words = [mark.words for mark in inspect(session).subject.log.marks if mark.lane == "operators"]
    assert words[2] == "a map of 1 item goes on"
    assert len(words) == 4
    assert lane_of_operators(front, inspect(other)) == []


# -- live -------------------------------------------------------------------------------------------------------------


def test_a_turn_is_pushed_when_it_happens_and_as_little_as_it_is(front, session):
    ui = inspect(session)
    front.ask(ui, "overview")
    talk(session, 1, start=120)
    pushed = quiet(front)
    assert pushed[-1]["head"]["turns"] == 121
    assert pushed[-1]["facts"]["size"] == window_of(session).size
    told = {(row[0], row[2]) for push in pushed for row in push["tail"]}
    assert {(at, item.id) for at, item in enumerate(window_of(session).items) if item.turn == 120} <= told
    plain = [push for push in pushed if "summaries" not in push]
    assert all(len(json.dumps(push)) < 4_000 for push in plain)


def test_a_reply_is_heard_while_it_is_written_fifteen_times_a_second_at_most(front, notebook):
    provider = ScriptedProvider([Reply("word " * 400, delay=0.004)])
    session = mnesis_jupyter.open_session(model="test/slow", llm=provider, title="slow")
    ui = inspect(session)
    began = time.monotonic()
    notebook("%%mnesis\nGo on.")
    took = time.monotonic() - began
    pushed = quiet(front)
    written = [push["written"] for push in pushed if "written" in push]
    assert "".join(written) == "word " * 400
    assert len(written) > 5
    assert len(pushed) <= 15 * took + 4
    assert sum(len(json.dumps(push)) for push in pushed) < 40_000
    assert pushed[-1]["head"]["state"] == "idle"
    assert ui.subject.session is session


def test_background_compaction_between_cells_reaches_the_front_end(front, session):
    inspect(session)
    quiet(front, 0.2)
    state().bridge.call(session.compact)
    pushed = quiet(front)
    ids = {summary.id for summary in state().bridge.call(session.summaries)}
    assert set(pushed[-1].get("summaries", {"id": []})["id"]) == ids or any(
        set(push.get("summaries", {"id": []})["id"]) == ids for push in pushed
    )
    assert any(mark[0] == "compaction" for push in pushed for mark in push.get("marks", []))


def test_every_view_of_a_session_hears_the_same(front, session):
    widgets = [make(session) for make in WIDGETS]
    assert len({id(widget.subject) for widget in widgets}) == 1
    talk(session, 1, start=120)
    quiet(front)
    told = {comm_id for comm_id, data in front.messages if "push" in data.get("content", {})}
    assert told == {widget.model_id for widget in widgets}


async def test_a_session_that_somebody_opened_by_themselves_is_followed_too(front, notebook, store_path):
    async with MnesisSession.open(model="offline/quote", db_path=store_path, title="own") as session:
        await session.record("Hello.", "Hi.")
        ui = await asyncio.to_thread(inspect, session)
        assert (await asyncio.to_thread(front.ask, ui, "overview"))["head"]["turns"] == 1
        await session.record("More.", "Yes.")
        pushed = await asyncio.to_thread(quiet, front)
        assert pushed[-1]["head"]["turns"] == 2


# -- how much ---------------------------------------------------------------------------------------------------------


def test_a_widget_opens_with_little_state_and_answers_stay_bounded(front, session):
    ui = inspect(session)
    state_bytes = len(json.dumps(front.opened[ui.model_id]))
    overview = len(json.dumps(front.ask(ui, "overview")))
    lanes = len(json.dumps(front.ask(ui, "lanes", axis="turn")))
    assert state_bytes < 120_000  # nearly all of it is the program
    assert state_bytes + overview + lanes < 300_000


def test_an_unknown_question_is_not_answered_and_a_wrong_one_is_answered_with_an_error(front, session):
    ui = inspect(session)
    assert "error" in front.ask(ui, "facts", turn=4711)
    assert "error" in front.ask(ui, "rows", nonsense=1)
    assert "error" in front.ask(ui, "item", turn=None, id="msg_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    ui.comm.handle_msg({"content": {"data": {"method": "custom", "content": {"ask": "__class__"}}}, "buffers": []})
    assert front.ask(ui, "facts", turn=0)["count"] == 2


# -- traits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", WIDGETS)
def test_the_widgets_are_widgets_like_any_other(front, session, make):
    one, other = make(session), Context(session)
    assert repr(one) == f"<mnesis {make.__name__} of “heron”>"
    ipywidgets.link((one, "turn"), (other, "turn"))
    seen = []
    one.observe(lambda change: seen.append(change["new"]), "turn")
    front.set(one, turn=7, selected="msg_x")
    assert (seen, other.turn, one.selected) == ([7], 7, "msg_x")
    with pytest.raises(traitlets.TraitError, match="from 0"):
        one.turn = 4711
    ipywidgets.VBox([one, other])


def test_a_session_is_named_by_object_id_or_title_and_the_current_one_is_the_default(front, session):
    assert Budget().subject is Budget("heron").subject is Budget(session.id).subject is Budget(session).subject
    with pytest.raises((InputError, NotFound), match="nobody"):
        Budget("nobody")


def test_a_session_in_memory_is_refused_with_what_to_do(front, notebook):
    async def make():
        return await MnesisSession.create(model="offline/quote", db_path=":memory:")

    with pytest.raises(InputError, match="memory"):
        inspect(state().bridge.call(make))


# -- the static copy --------------------------------------------------------------------------------------------------


def test_a_widget_is_shown_with_a_static_copy_that_keeps_up(front, notebook, session):
    shown = notebook("ui = __import__('mnesis_jupyter').inspect()\nui")
    view, copy = shown.final
    assert "application/vnd.jupyter.widget-view+json" in view.data
    assert view.data["text/plain"] == "<mnesis Inspector of “heron”>"
    assert "after 120 turns" in copy.data["text/html"]
    assert f'class="{notebook.names["ui"].copy_id}"' in copy.data["text/html"]
    later = notebook("%%mnesis\nOne more.")
    refreshed = [o for o in later.outputs if "after 121 turns" in o.data.get("text/html", "")]
    assert refreshed
    assert not re.search("<script|<style| on\\w+=", copy.data["text/html"])


def test_a_widget_that_is_closed_leaves_its_copy_as_it_is_and_hears_nothing_more(front, notebook, session):
    notebook("ui = __import__('mnesis_jupyter').inspect()\nui")
    ui = notebook.names["ui"]
    copy, model = ui.copy_id, ui.model_id
    ui.close()
    quiet(front)
    front.messages.clear()
    later = notebook("%%mnesis\nOne more.")
    assert not [o for o in later.outputs if copy in o.data.get("text/html", "")]
    assert not [data for id, data in front.messages if id == model]
    assert "after 121 turns" in notebook("%mnesis ui").html


def test_what_looks_into_a_session_goes_with_it(front, notebook):
    session = mnesis_jupyter.open_session(model="offline/quote", title="short")
    talk(session, 1)
    ui = inspect(session)
    subject = weakref.ref(ui.subject)
    ui.close()
    notebook("%mnesis close short")
    del ui, session
    gc.collect()
    assert subject() is None


def test_the_static_copy_of_a_past_turn_is_of_that_turn(front, session):
    window = window_of(session, 50)
    html = Context(session, turn=50).static_html()
    assert "window of turn 50" in html
    assert f"Context, as it is sent ({len(window.items)})" in html


def test_the_ui_magic_shows_the_inspector_and_takes_a_turn(front, notebook, session):
    shown = notebook("%mnesis ui --turn 5")
    assert "<mnesis Inspector of “heron”>" in shown.text
    assert "window of turn 5" in shown.html


@pytest.mark.parametrize("turns", [0, 1])
def test_a_session_with_nothing_in_it_can_be_inspected(front, notebook, turns):
    session = mnesis_jupyter.open_session(model="offline/quote", title="empty")
    talk(session, turns)
    for make in WIDGETS:
        widget = make(session)
        assert front.ask(widget, "overview")["head"]["turns"] == turns
        assert front.ask(widget, "facts", turn=None)["count"] == 1 + (4 * turns)
        assert front.ask(widget, "lanes", axis="time")["lanes"]["errors"] == []
        assert widget.static_html()


# -- the report -------------------------------------------------------------------------------------------------------


def test_the_export_is_one_file_that_runs_nothing_fetches_nothing_and_holds_no_key(
    front, notebook, tmp_path, monkeypatch
):
    key, secret = "sk-" + "a1B2" * 8, "correct-horse<&>battery"
    monkeypatch.setenv("SOME_API_KEY", secret)
    session = mnesis_jupyter.open_session(model="offline/quote", title=f"report {key}", config=SMALL)
    talk(session, 60)
    state().bridge.call(session.record, f"My key is {key}, and {secret}.", f"<script>{key}</script>")
    path = tmp_path / "report.html"
    told = notebook(f"%mnesis export {path}")
    assert str(path) in told.text
    page = path.read_text()
    assert "<svg" in page
    assert "60" in page
    assert not re.search(r"<script|<link|<img|<iframe| on\w+=|javascript:|url\(|https?://", page)
    assert key not in page
    assert "correct-horse" not in page
    assert page.count("[redacted]") >= 3
    assert "default-src 'none'" in page


def test_an_export_to_a_place_that_is_not_there_says_so(front, notebook, session, tmp_path):
    failed = notebook.run(f"%mnesis export {tmp_path}/no/such/report.html")
    assert isinstance(failed.error, InputError)
    assert "No such file" in str(failed.error)


def test_a_session_opens_its_own_inspector(front, session):
    widget = session.inspect(turn=2)
    assert isinstance(widget, Inspector)
    assert widget.turn == 2
    assert session.id in repr(widget) or "Inspector" in repr(widget)
