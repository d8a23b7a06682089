"""LLMMap: what goes in, what comes out, and what happens when a model does not answer as asked."""

import asyncio
import json
from datetime import date
from enum import Enum
from typing import Any, Literal

import pandas as pd
import pytest
from pydantic import BaseModel, Field

from mnesis import (
    Authentication,
    BadRequest,
    ConfigError,
    Database,
    InputError,
    MnesisEvent,
    MnesisSession,
    OperatorConfig,
    RateLimit,
    RetryConfig,
    StoreConfig,
    TokenUsage,
)
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.operators import LLMMap, MapProgress

MODEL = "offline/quote"
NO_DELAY = RetryConfig(base_delay=0)


class Verdict(BaseModel):
    mood: Literal["good", "bad"]
    stars: int = Field(ge=1, le=5)


def prompt_of(request):
    return request.messages[-1]["content"]


def echo(request):
    return json.dumps(prompt_of(request))


def answers(*script, cycle=True):
    return ScriptedProvider(script, cycle=cycle)


@pytest.fixture
def make(store_path):
    def make(llm, config=None, **options):
        return LLMMap(config, model=MODEL, llm=llm, db_path=store_path, retry=NO_DELAY, **options)

    return make


# -- what goes in ------------------------------------------------------------------------------------------------


async def seen(make, inputs, template="{{ item }}"):
    llm = answers("ok")
    results = await make(llm).run_all(inputs, template)
    assert [result.index for result in results] == list(range(len(results)))
    return [prompt_of(request) for request in llm.requests], [result.input for result in results]


async def test_items_of_a_list_are_texts_numbers_and_dicts(make):
    prompts, inputs = await seen(make, ["a", 2, {"x": 1.5}, None, [True]])
    assert prompts == ["a", "2", "{'x': 1.5}", "None", "[True]"]
    assert inputs == ["a", 2, {"x": 1.5}, None, [True]]


async def test_columns_of_a_dataframe_are_attributes_of_the_item_and_missing_values_are_none(make):
    frame = pd.DataFrame({"text": ["a", None], "n": [1.0, float("nan")], "day": [pd.Timestamp("2024-05-01"), pd.NaT]})
    frame["items"] = [1, 2]  # the name of a method of dicts
    prompts, inputs = await seen(make, frame, "{{ item.text }} {{ item.n }} {{ item.items }} {{ item.day }}")
    assert prompts == ["a 1.0 1 2024-05-01T00:00:00", "None None 2 None"]
    assert inputs[1] == {"text": None, "n": None, "day": None, "items": 2}


async def test_a_file_of_json_lines_is_read_line_by_line(make, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa9"}\n\n  {"a": 2}\r\n"three"')
    _, inputs = await seen(make, path)
    assert inputs == [{"a": "é"}, {"a": 2}, "three"]
    _, inputs = await seen(make, str(path))
    assert len(inputs) == 3


async def test_dates_enums_models_and_numpy_values_become_json(make):
    class Colour(Enum):
        RED = "red"

    given = [
        date(2024, 5, 1),
        Colour.RED,
        Verdict(mood="good", stars=3),
        (1, 2),
        {"b", "a"},
        *pd.Series([7]).to_numpy(),
    ]
    _, inputs = await seen(make, given)
    assert inputs == ["2024-05-01", "red", {"mood": "good", "stars": 3}, [1, 2], ["a", "b"], 7]


async def test_a_generator_is_read_only_a_little_ahead_of_the_work(make):
    read = []

    def numbers():
        for number in range(500):
            read.append(number)
            yield number

    most = 0
    done = 0
    async for _ in make(answers("ok")).run(numbers(), "{{ item }}", concurrency=2):
        done += 1
        most = max(most, len(read) - done)
    assert done == 500
    assert most < 200


async def test_an_async_generator_may_be_endless(make):
    async def numbers():
        number = 0
        while True:
            yield number
            number += 1

    run = make(answers("ok")).run(numbers(), "{{ item }}", concurrency=2)
    indexes = []
    async for result in run:
        indexes.append(result.index)
        if len(indexes) == 20:
            break
    assert sorted(indexes)[:10] == list(range(10))
    assert run.progress.total is None


async def test_no_inputs_are_no_results_and_no_requests(make):
    llm = answers("ok")
    run = make(llm).run([], "{{ item }}")
    assert [result async for result in run] == []
    assert llm.requests == []
    assert run.progress.total == 0
    assert (await make(llm).describe(run.id)).state == "done"


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"a": 1}, "is a dict; give a list"),
        (5, "is a int; give a list"),
        ("no/such/file.jsonl", "cannot be read .*No such file"),
        ([1, float("nan")], "item 1 of the inputs cannot be kept as JSON"),
        ([object()], "item 0 .*a object has no form in JSON"),
        ([{1: "a", "1": "b"}], "item 0 .*the key 1 is a int"),
        ([b"bytes"], "item 0 .*bytes"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns .* are called 'a'"),
    ],
    ids=range(8),
)
async def test_inputs_that_cannot_be_used_are_refused_before_anything_is_asked(make, inputs, said):
    llm = answers("ok")
    with pytest.raises(InputError, match=said):
        await make(llm).run_all(inputs, "{{ item }}")
    assert llm.requests == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a": ', "Expecting value"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("NaN", "NaN is not JSON"),
        ("\xff", "utf-8"),
    ],
    ids=range(4),
)
async def test_a_bad_line_of_a_file_is_named(make, tmp_path, line, said):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"a": 1}\n\n' + line.encode("latin-1") + b"\n")
    llm = answers("ok")
    with pytest.raises(InputError, match=f"in.jsonl, line 3 is not JSON.*{said}"):
        await make(llm).run_all(path, "{{ item }}")
    assert llm.requests == []


async def test_an_error_of_the_callers_generator_is_raised_after_what_is_under_way(make, store_path):
    def numbers():
        yield 1
        raise KeyError("gone")

    run = make(answers("ok")).run(numbers(), "{{ item }}")
    with pytest.raises(KeyError, match="gone"):
        async for _ in run:
            pass
    assert (await make(answers("ok")).describe(run.id)).state == "stopped"


# -- the template and the schema ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("Hello", "does not use the item"),
        ("{% set item = 3 %}{{ item }}", "does not use the item"),
        ("{{ item", "is no Jinja template .line 1"),
        ("{{ item }} {{ topic }}", "uses topic"),
        ("", "is no template"),
        (7, "is no template"),
    ],
    ids=range(6),
)
def test_a_template_is_checked_before_anything_runs(make, template, said):
    with pytest.raises(InputError, match=said):
        make(answers("ok")).run(["a"], template)


async def test_what_an_item_holds_is_data_not_a_template(make):
    prompts, _ = await seen(make, ["{{ 7 * 7 }} {% for %} <b>&</b>"])
    assert prompts == ["{{ 7 * 7 }} {% for %} <b>&</b>"]


@pytest.mark.parametrize(
    "template", ["{{ item.__class__.__mro__ }}", "{{ item.append(1) }}", "{{ item.missing }}", "{{ 1 // item[0] }}"]
)
async def test_an_item_that_the_template_does_not_go_with_fails_by_itself(make, template):
    llm = answers("ok")
    (result,) = await make(llm).run_all([[0]], template)
    assert (result.success, result.error_kind, result.attempts) == (False, "TemplateError", 0)
    assert llm.requests == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "is no JSON Schema"),
        ({"type": {1, 2}}, "is no JSON Schema"),
        (5, "describes no answer"),
        (asyncio.Event, "describes no answer"),
    ],
    ids=range(4),
)
def test_a_schema_is_checked_before_anything_runs(make, schema, said):
    with pytest.raises(InputError, match=said):
        make(answers("ok")).run(["a"], "{{ item }}", schema)


async def test_a_schema_fetches_nothing(make):
    schema = {"properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    (result,) = await make(answers('{"a": 1}')).run_all(["x"], "{{ item }}", schema)
    assert result.error_kind == "InputError"
    assert "which is not in it" in result.error


# -- what comes out ----------------------------------------------------------------------------------------------

GOOD = '{"mood": "good", "stars": 4}'


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Sure! Here it is:\n\n```\n{GOOD}\n```\nAnything else?",
        f"The answer is {GOOD}, I think.",
        f"<think>Perhaps {{}}?</think>{GOOD}",
        f"[note] {GOOD}",
    ],
    ids=range(6),
)
async def test_the_answer_is_found_in_a_reply_that_wraps_it(make, reply):
    (result,) = await make(answers(reply)).run_all(["x"], "{{ item }}", Verdict)
    assert result.output == Verdict(mood="good", stars=4)
    assert (result.success, result.attempts, result.error) == (True, 1, None)


async def test_a_json_schema_gives_plain_values(make):
    schema = Verdict.model_json_schema()
    (result,) = await make(answers(GOOD)).run_all(["x"], "{{ item }}", schema)
    assert result.output == {"mood": "good", "stars": 4}


async def test_a_bare_word_is_an_answer_to_a_schema_of_words(make):
    (result,) = await make(answers("good")).run_all(["x"], "{{ item }}", Literal["good", "bad"])
    assert result.output == "good"


async def test_without_a_schema_the_answer_is_the_text(make):
    (result,) = await make(answers("It is {fine}.")).run_all(["x"], "{{ item }}")
    assert result.output == "It is {fine}."


async def test_a_huge_answer_is_kept_whole(make):
    text = "x" * 2_000_000
    (result,) = await make(answers(Reply([text]))).run_all(["x"], "{{ item }}")
    assert result.output == text


async def test_the_schema_is_told_to_the_model(make):
    llm = answers(GOOD)
    await make(llm).run_all(["x"], "{{ item }}", Verdict, system_prompt="You judge.")
    system = llm.requests[0].messages[0]
    assert system["role"] == "system"
    assert system["content"].startswith("You judge.\n\n")
    assert '"stars"' in system["content"]


async def test_an_answer_that_does_not_fit_goes_back_with_what_is_wrong(make):
    llm = answers('{"mood": "good", "stars": 9}', "no idea", GOOD, cycle=False)
    (result,) = await make(llm).run_all(["x"], "{{ item }}", Verdict)
    assert (result.success, result.attempts) == (True, 3)
    assert "stars" in prompt_of(llm.requests[1])
    assert "less than or equal to 5" in prompt_of(llm.requests[1])
    assert llm.requests[1].messages[-2] == {"role": "assistant", "content": '{"mood": "good", "stars": 9}'}
    assert len(llm.requests[2].messages) == len(llm.requests[1].messages)  # it does not grow


async def test_a_model_that_never_answers_as_asked_costs_a_bounded_number_of_requests(make):
    llm = answers(Reply('{"mood": "so so"}', usage=TokenUsage(input=10, output=5), cost=0.5))
    (result,) = await make(llm, OperatorConfig(max_retries=2)).run_all(["x"], "{{ item }}", Verdict)
    assert (result.success, result.output, result.error_kind) == (False, None, "SchemaMismatch")
    assert result.attempts == len(llm.requests) == 3
    assert "after 3 attempts" in result.error
    assert (result.tokens.total or result.tokens.effective_total(), result.cost) == (45, 1.5)


@pytest.mark.parametrize("schema", [None, Verdict])
async def test_an_answer_that_was_cut_off_is_not_taken(make, schema):
    llm = answers(Reply("It is", finish_reason="length"), GOOD, cycle=False)
    (result,) = await make(llm).run_all(["x"], "{{ item }}", schema)
    assert (result.success, result.attempts) == (True, 2)
    assert "cut off" in prompt_of(llm.requests[1])


async def test_nan_and_keys_that_stand_twice_are_no_answers(make):
    llm = answers('{"mood": "bad", "mood": "good", "stars": 1}', '{"mood": "good", "stars": NaN}', GOOD, cycle=False)
    (result,) = await make(llm).run_all(["x"], "{{ item }}", Verdict.model_json_schema())
    assert result.attempts == 3


# -- errors ------------------------------------------------------------------------------------------------------


async def test_transient_errors_are_tried_again(make):
    llm = answers(RateLimit("later"), RateLimit("later"), "ok", cycle=False)
    (result,) = await make(llm).run_all(["x"], "{{ item }}")
    assert (result.success, result.attempts) == (True, 3)


async def test_errors_and_wrong_answers_are_counted_together(make):
    llm = answers(RateLimit("later"), "no", RateLimit("later"), "no", "no", cycle=False)
    (result,) = await make(llm, OperatorConfig(max_retries=3)).run_all(["x"], "{{ item }}", Verdict)
    assert (result.success, result.attempts, len(llm.requests)) == (False, 4, 4)


async def test_an_error_of_one_item_is_its_result(make):
    def reply(request):
        return BadRequest("no such thing") if prompt_of(request) == "1" else "ok"

    results = await make(answers(reply)).run_all([0, 1, 2], "{{ item }}")
    assert [result.success for result in results] == [True, False, True]
    assert (results[1].error_kind, results[1].error, results[1].attempts) == ("BadRequest", "no such thing", 1)
    assert (results.progress.done, results.progress.failed) == (2, 1)


async def test_a_provider_that_raises_anything_fails_its_item_without_the_key(make):
    class Broken(ScriptedProvider):
        async def stream(self, request):
            raise ValueError("key sk-very-secret-abcdefghij is bad")
            yield

    (result,) = await make(Broken([])).run_all(["x"], "{{ item }}")
    assert result.error_kind == "ValueError"
    assert "abcdefghij" not in result.error


async def test_a_refused_key_stops_the_run_and_leaves_the_items_to_be_done(make):
    llm = answers(Authentication("set OPENAI_API_KEY"))
    run = make(llm).run(range(100), "{{ item }}", concurrency=4)
    with pytest.raises(Authentication):
        async for _ in run:
            pass
    assert len(llm.requests) <= 4
    info = await make(llm).describe(run.id)
    assert (info.state, info.pending, info.failed) == ("stopped", 100, 0)
    assert len(await make(answers("ok")).resume_all(run.id)) == 100


async def test_an_item_has_so_much_time_with_all_its_attempts(make):
    llm = answers(Reply("slow", delay=30))
    (result,) = await make(llm).run_all(["x"], "{{ item }}", timeout=0.05)
    assert (result.success, result.error_kind, result.attempts) == (False, "Timeout", 1)
    assert "0.05 s" in result.error


async def test_a_prompt_larger_than_the_window_is_not_sent(make):
    llm = answers("ok")
    small, large = await make(llm).run_all(["x", "many words " * 100_000], "{{ item }}")
    assert small.success
    assert large.error_kind == "ContextOverflow"
    assert len(llm.requests) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concurrency": 0}, "concurrency=0"),
        ({"concurrency": 2.5}, "concurrency=2.5"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"params": "x"}, "params='x'"),
        ({"system_prompt": None}, "system_prompt=None"),
        ({"params": {"stop": float("nan")}}, "cannot be stored"),
    ],
    ids=range(7),
)
def test_arguments_out_of_range_are_refused(make, options, said):
    with pytest.raises(InputError, match=said):
        make(answers("ok")).run(["a"], "{{ item }}", **options)


def test_a_map_without_a_model_or_with_another_config_says_so(store_path):
    with pytest.raises(InputError, match="names no model"):
        LLMMap(db_path=store_path).run(["a"], "{{ item }}")
    with pytest.raises(ConfigError, match="is not an OperatorConfig"):
        LLMMap(StoreConfig())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"OperatorConfig.item_timeout=0.*allowed is"):
        OperatorConfig(item_timeout=0)


# -- side by side ------------------------------------------------------------------------------------------------


async def test_so_many_items_are_asked_at_the_same_time_and_no_more(make):
    now = most = 0

    class Counting(ScriptedProvider):
        async def stream(self, request):
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.005)
            async for chunk in super().stream(request):
                yield chunk
            now -= 1

    llm = Counting(["ok"], cycle=True)
    await make(llm, OperatorConfig(llm_map_concurrency=5)).run_all(range(60), "{{ item }}")
    assert most == 5


async def test_results_come_as_they_are_finished_and_run_all_has_them_in_order(make):
    def reply(request):
        return Reply("ok", delay=0.2 if prompt_of(request) == "0" else 0)

    first = [result.index async for result in make(answers(reply)).run(range(5), "{{ item }}")]
    assert first[-1] == 0
    results = await make(answers(reply)).run_all(range(5), "{{ item }}")
    assert [result.index for result in results] == [0, 1, 2, 3, 4]


async def test_tokens_and_costs_add_up(make):
    llm = answers(Reply("ok", usage=TokenUsage(input=10, output=5, total=15), cost=0.25))
    results = await make(llm).run_all(range(4), "{{ item }}")
    assert results.progress.tokens.total == 60
    assert results.progress.cost == 1.0
    info = await make(llm).describe(results.run_id)
    assert (info.tokens.total, info.cost, info.done) == (60, 1.0, 4)


async def test_the_cost_is_unknown_as_soon_as_that_of_one_item_is(make):
    llm = answers(Reply("ok", cost=0.25), Reply("ok"))
    results = await make(llm).run_all(range(2), "{{ item }}")
    assert results.progress.cost is None
    assert results.progress.tokens.counted
    assert (await make(llm).describe(results.run_id)).cost is None


async def test_events_and_progress_tell_of_each_step(make):
    told: list[Any] = []
    steps: list[MapProgress] = []
    llm_map = make(answers("ok", BadRequest("no")), event_bus=None)
    llm_map.event_bus.subscribe(None, lambda event, payload: told.append((event, payload)))
    run = llm_map.run(range(6), "{{ item }}", concurrency=1, on_progress=steps.append)
    async for _ in run:
        pass
    assert (told[0][0], told[0][1].total) == (MnesisEvent.MAP_STARTED, 6)
    assert [event for event, _ in told[1:-1]] == [MnesisEvent.MAP_ITEM_COMPLETED] * 6
    assert told[-2][1].done == told[-2][1].failed == 3
    event, payload = told[-1]
    assert event is MnesisEvent.MAP_COMPLETED
    assert (payload.done, payload.failed, payload.stopped, payload.run_id) == (3, 3, False, run.id)
    assert payload.cost is None
    last = steps[-1]
    assert (last.done, last.failed, last.finished, last.total, last.running) == (3, 3, 6, 6, 0)
    assert last.rate > 0
    assert last.remaining == 0


async def test_a_session_that_asks_for_a_run_tells_of_it_in_its_record(store_path):
    async with MnesisSession.open(model=MODEL, db_path=store_path) as session:
        llm_map = LLMMap(model=MODEL, llm=answers("ok"), db_path=store_path, parent_id=session.id)
        results = await llm_map.run_all([1, 2], "{{ item }}")
        events = [event for event in await session.events() if event.event.startswith("map.")]
    assert [event.event for event in events] == ["map.started", "map.completed"]
    assert events[0].payload.model_dump()["run_id"] == results.run_id
    assert events[0].payload.model_dump()["total"] == 2
    assert (await llm_map.describe(results.run_id)).session_id == session.id


@pytest.mark.parametrize(
    ("inputs", "total"), [([1, 2], 2), (pd.DataFrame({"n": [1, 2, 3]}), 3), ((each for each in [1, 2]), None)]
)
async def test_the_event_of_a_beginning_tells_how_many_items_there_are_where_the_inputs_know(make, inputs, total):
    told: list[Any] = []
    llm_map = make(answers("ok"))
    llm_map.event_bus.subscribe("map.started", lambda _, payload: told.append(payload.total))
    run = llm_map.run(inputs, "{{ item }}")
    assert run.progress.total == total
    async for _ in run:
        pass
    assert told == [total]


async def test_runs_share_an_open_store_also_one_in_memory():
    pool = await Database.open(StoreConfig(db_path=":memory:"))
    try:
        llm_map = LLMMap(model=MODEL, llm=answers(echo), pool=pool)
        one, two = await asyncio.gather(
            llm_map.run_all(range(50), "{{ item }}"), llm_map.run_all(range(50, 90), "{{ item }}")
        )
        assert [json.loads(result.output) for result in [*one, *two]] == [str(number) for number in range(90)]
    finally:
        await pool.close()
