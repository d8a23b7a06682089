"""Tools: what the model may call, how its calls are run, and what becomes of their results."""

import asyncio
import datetime
import enum
import functools
import json
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from provider_rules import check_anthropic, check_openai
from pydantic import BaseModel, Field
from summarisers import Model, covered, create, fill, said, talk

from mnesis import (
    InputError,
    MnesisConfig,
    MnesisEvent,
    MnesisSession,
    PartUpdate,
    ReasoningPart,
    SessionConfig,
    TextDelta,
    TextPart,
    TokenUsage,
    Tool,
    ToolPart,
    ToolStatus,
    TurnComplete,
    Unavailable,
    function_tool,
)
from mnesis.llm.base import Request
from mnesis.llm.scripted import Reply, ScriptedProvider


def call(name: str, id: str | None = None, /, **arguments: object) -> dict:
    return {"name": name, "arguments": arguments} | ({"id": id} if id else {})


def calls(*each: dict, text: str = "") -> Reply:
    return Reply(text, tool_calls=each)


def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: the first one
        b: the second one
    """
    return a + b


async def later(what: str) -> str:
    """Say it a little later."""
    await asyncio.sleep(0.01)
    return f"later: {what}"


async def session_with(script: list, store: str | Path = ":memory:", **settings) -> MnesisSession:
    return await MnesisSession.create(
        model="offline/quote",
        db_path=store,
        llm=ScriptedProvider(script),
        config=MnesisConfig(session=SessionConfig(recall="off", **settings)),
    )


async def results(session: MnesisSession) -> list[ToolPart]:
    """Every result in the log, in order."""
    parts = [part for message in await session.messages() for part in message.parts]
    return [part for part in parts if isinstance(part, ToolPart) and part.finished]


async def one(function, **arguments) -> ToolPart:
    """What comes of one call of a tool."""
    name = function.name if isinstance(function, Tool) else getattr(function, "__name__", "tool")
    async with await session_with([calls(call(name, **arguments)), "Done."]) as session:
        await session.send("Go.", tools=[function])
        (result,) = await results(session)
        return result


# -- schemas -----------------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


class Place(BaseModel):
    """Where something is."""

    shelf: int
    title: str = "none"


def test_a_function_becomes_a_tool_by_its_signature_its_hints_and_its_docstring():
    def find(
        query: str,
        place: Place,
        kind: Literal["book", "map"] = "book",
        limit: Annotated[int, Field(ge=1, le=10)] = 3,
        colour: Colour | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """Find something.

        It looks everywhere.

        Parameters
        ----------
        query : str
            what to look for
        limit
            how many at most
        """

    tool = function_tool(find)
    properties = tool.parameters["properties"]
    assert (tool.name, tool.description) == ("find", "Find something.\n\nIt looks everywhere.")
    assert tool.parameters["required"] == ["query", "place"]
    assert tool.parameters["additionalProperties"] is False
    assert properties["query"] == {"type": "string", "description": "what to look for"}
    assert properties["limit"] == {
        "type": "integer", "minimum": 1, "maximum": 10, "default": 3, "description": "how many at most",
    }  # fmt: skip
    assert properties["kind"]["enum"] == ["book", "map"]
    assert tool.parameters["$defs"]["Place"]["properties"]["title"] == {"type": "string", "default": "none"}
    json.dumps(tool.spec())


def test_parameters_may_have_names_that_pydantic_has_for_itself():
    def f(schema: int, model_config: str, json: float, _hidden: bool, copy: int = 2) -> None:
        """Do it."""

    assert list(function_tool(f).parameters["properties"]) == ["schema", "model_config", "json", "_hidden", "copy"]


@pytest.mark.parametrize(
    "style", ["Args:\n    a: the first", "Parameters\n----------\na : int\n    the first", ":param a: the first"]
)
def test_docstrings_of_all_usual_styles_describe_the_parameters(style):
    def f(a: int) -> None: ...

    f.__doc__ = f"Do it.\n\n{style}\n"
    assert function_tool(f).parameters["properties"]["a"]["description"] == "the first"


async def test_pydantic_arguments_arrive_as_objects():
    def where(place: Place, colour: Colour) -> str:
        """Where it is."""
        assert isinstance(place, Place)
        assert colour is Colour.RED
        return f"{place.shelf} {place.title}"

    assert (await one(where, place={"shelf": 3}, colour="red")).output == "3 none"


async def test_methods_partials_and_objects_that_can_be_called_are_tools():
    class Shelf:
        """A shelf."""

        def count(self, of: str) -> str:
            """Count something."""
            return f"7 {of}"

        def __call__(self, of: str) -> str:
            """Take something."""
            return f"took {of}"

    def position_only(a: int, /, b: int) -> int:
        """Subtract."""
        return a - b

    assert (await one(Shelf().count, of="books")).output == "7 books"
    assert (await one(function_tool(functools.partial(add, 5), name="add_five"), b=2)).output == "7"
    assert (await one(function_tool(Shelf(), name="take"), of="maps")).output == "took maps"
    assert (await one(position_only, a=5, b=2)).output == "3"


# -- bad tools ---------------------------------------------------------------------------------------------------


def no_docstring(a: int) -> int:
    return a


def many(*args: int) -> None:
    """Take many."""


def anything(**kwargs: int) -> None:
    """Take anything."""


def no_schema(shelf: asyncio.Queue) -> None:
    """Take a queue."""


def unknown_hint(a: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Take what is not there."""


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        ([no_docstring], "'no_docstring' has no docstring"),
        ([many], r"'many' takes \*args"),
        ([anything], r"'anything' takes \*\*kwargs"),
        ([no_schema], "'no_schema' has a parameter that has no JSON Schema"),
        ([unknown_hint], "Nowhere"),
        ([add, add], "two tools are called 'add'"),
        ([lambda: 1], "<lambda>"),
        ([3], r"tools\[0\]=3 is no tool"),
        ([add, "add"], r"tools\[1\]='add' is no tool"),
        ("add", "tools='add' is a str"),
        (add, "give a list"),
        ([function_tool(add, name="mnesis_grep")], "names that begin with 'mnesis_'"),
        ([{"name": "add"}], r"tools\[0\].* is no tool definition"),
        ([{"type": "function", "function": {"name": "a b"}}], "'a b' is not usable"),
        ([{"type": "function", "function": {"name": "f", "parameters": {"x": {1}}}}], "no JSON Schema"),
    ],
)
async def test_a_tool_that_cannot_be_offered_is_refused_before_anything_is_stored(tools, says):
    async with await session_with(["Hello."]) as session:
        with pytest.raises(InputError, match=says):
            await session.send("Hi.", tools=tools)
        assert await session.messages() == []
        assert (await session.send("Hi.")).text == "Hello."


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_timeout_that_is_no_time_is_refused(timeout):
    with pytest.raises(InputError, match="timeout="):
        function_tool(add, timeout=timeout)


# -- calls -------------------------------------------------------------------------------------------------------


async def test_the_model_calls_tools_and_answers_with_what_they_returned():
    llm = ScriptedProvider([calls(call("add", a=2, b=3), call("later", what="x"), text="Let me see."), "It is 5."])
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:", llm=llm) as session:
        result = await session.send("What is 2 + 3?", tools=[add, later])
        assert (result.text, result.finish_reason, result.tool_calls) == ("It is 5.", "stop", ())
        first, second = llm.requests
        assert [tool["function"]["name"] for tool in first.tools] == ["add", "later"]
        assert [message["role"] for message in second.messages[1:]] == ["user", "assistant", "tool", "tool"]
        assert [message["content"] for message in second.messages[-2:]] == ["5", "later: x"]
        assert second.messages[2]["content"] == "Let me see."
        roles = [(message.role, message.turn) for message in await session.messages()]
        assert roles == [("user", 0), ("assistant", 0), ("tool", 0), ("assistant", 0)]
        assert (await session.verify(deep=True)).ok
        window = await session.context()
        check_openai(window.to_openai())
        check_anthropic(window.to_anthropic())


async def test_calls_of_one_reply_run_at_the_same_time():
    together = asyncio.Barrier(3)

    async def meet(who: int) -> str:
        """Meet the others."""
        await asyncio.wait_for(together.wait(), 5)
        return f"met {who}"

    async with await session_with([calls(*(call("meet", who=n) for n in range(3))), "All met."]) as session:
        await session.send("Meet.", tools=[meet])
        assert [part.output for part in await results(session)] == ["met 0", "met 1", "met 2"]


async def test_a_sync_tool_does_not_stop_the_loop():
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    def slow() -> str:
        """Take a while."""
        time.sleep(0.3)
        return "done"

    ticking = asyncio.create_task(tick())
    assert (await one(slow)).output == "done"
    ticking.cancel()
    assert ticks >= 5


async def test_each_state_of_a_call_is_told_by_on_part_and_by_the_stream():
    told = []

    async def on_part(part) -> None:
        told.append(part)

    script = [calls(call("add", a=1), text="Counting."), Reply("Two.", reasoning="Hm.")]
    async with await session_with(script) as session:
        events = [event async for event in session.stream("1 + 1?", tools=[add], on_part=on_part)]
    states = [event.part.status for event in events if isinstance(event, PartUpdate) and event.part.type == "tool"]
    assert states == [ToolStatus.PENDING, ToolStatus.RUNNING, ToolStatus.COMPLETED]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Counting.Two."
    assert isinstance(events[-1], TurnComplete)
    shown = [part.status.value if isinstance(part, ToolPart) else part for part in told]
    reasoning, answer = ReasoningPart(text="Hm."), TextPart(text="Two.")
    assert shown == [TextPart(text="Counting."), "pending", "running", "completed", reasoning, answer]


async def test_an_error_of_on_part_does_not_break_the_turn(caplog):
    def on_part(part) -> None:
        raise ValueError("mine")

    async with await session_with([calls(call("add", a=1)), "Two."]) as session:
        assert (await session.send("1 + 1?", tools=[add], on_part=on_part)).text == "Two."
    assert "on_part failed" in caplog.text
    with pytest.raises(InputError, match="on_part=3"):
        async with await session_with(["Hi."]) as session:
            await session.send("Hi.", on_part=3)  # type: ignore[arg-type]


async def test_usage_and_cost_of_a_turn_are_those_of_all_its_requests():
    first = Reply(tool_calls=[call("add", a=1)], usage=TokenUsage(input=10, output=5), cost=0.25)
    second = Reply("Two.", usage=TokenUsage(input=20, output=7), cost=0.5)
    async with await session_with([first, second, Reply("Hi.", usage=TokenUsage(input=1, output=1))]) as session:
        result = await session.send("1 + 1?", tools=[add])
        assert (result.tokens.input, result.tokens.output, result.cost) == (30, 12, 0.75)
        assert session.cost == 0.75
        assert (await session.send("Hi.")).cost is None
        assert session.cost is None


# -- results -----------------------------------------------------------------------------------------------------


class Named:
    def __str__(self) -> str:
        return "a thing of its own"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (None, None),
        (7, "7"),
        ([1, {"a": "é"}], '[1,{"a":"é"}]'),
        (Place(shelf=2), '{"shelf":2,"title":"none"}'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        (Named(), '"a thing of its own"'),
        ({"it": Named()}, '{"it":"a thing of its own"}'),
        (float("nan"), "NaN"),
        ("lone \ud800 surrogate", "lone � surrogate"),
        ({1, 2}, "[1,2]"),
    ],
)
async def test_what_a_tool_returns_becomes_text(value, text):
    def give() -> object:
        """Give it."""
        return value

    result = await one(give)
    assert result.status is ToolStatus.COMPLETED
    assert (result.output or None) == text


def raises_it() -> None:
    """Fail."""
    raise KeyError("the shelf is empty")


def ends_the_program() -> None:
    """Leave."""
    raise SystemExit(3)


async def ends_the_program_too() -> None:
    """Leave."""
    raise SystemExit(3)


async def kills_its_task() -> None:
    """Give up."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)


async def cancels() -> None:
    """Give up."""
    raise asyncio.CancelledError


def lets_it_out() -> None:
    """Take the first of none."""
    next(iter([]))


def hasty(arguments: dict) -> Any:
    return asyncio.sleep(arguments["nope"])


def leaving(arguments: dict) -> Any:
    raise SystemExit(3)


def no_text() -> object:
    """Give an object."""
    return object()


def itself() -> list:
    """Give a list that holds itself."""
    endless: list = []
    endless.append(endless)
    return endless


async def hangs() -> None:
    """Never come back."""
    await asyncio.sleep(3600)


async def hangs_on() -> None:
    """Never come back, whoever asks."""
    for _ in range(40):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue


def hangs_in_its_thread() -> None:
    """Never come back."""
    time.sleep(5)


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        (raises_it, "KeyError: 'the shelf is empty'"),
        (ends_the_program, "end the program (exit code 3)"),
        (ends_the_program_too, "end the program (exit code 3)"),
        (kills_its_task, "was cancelled"),
        (cancels, "was cancelled"),
        (lets_it_out, "let a StopIteration out"),
        (Tool("hasty", "Be hasty.", {"type": "object"}, hasty), "KeyError: 'nope'"),
        (Tool("leaving", "Leave.", {"type": "object"}, leaving), "end the program"),
        (no_text, "has no text of its own"),
        (itself, "cannot be shown to the model"),
        (function_tool(hangs, timeout=0.05), "no result within 0.05 s"),
        (function_tool(hangs_in_its_thread, timeout=0.05), "no result within 0.05 s"),
        pytest.param(function_tool(hangs_on, timeout=0.05), "no result within 0.05 s", id="ignores cancellation"),
    ],
)
async def test_whatever_a_tool_does_the_model_is_told_and_the_turn_goes_on(tool, says):
    result = await one(tool)
    assert result.status is ToolStatus.ERROR
    assert result.error_message is not None
    assert says in result.error_message
    assert "Traceback" not in result.error_message


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"a": "two"}, "a: Input should be a valid integer"),
        ({}, "a: Field required"),
        ({"a": 1, "c": 2}, "c: Extra inputs are not permitted"),
        ("{not json", "not a JSON object: '{not json'"),
        ("[1]", "not a JSON object: '[1]'"),
    ],
)
async def test_arguments_that_do_not_fit_are_told_to_the_model_and_the_function_is_not_called(arguments, says):
    called = []

    def f(a: int) -> None:
        """Do it."""
        called.append(a)

    script = [calls({"name": "f", "arguments": arguments}), calls(call("f", a=1)), "Done."]
    async with await session_with(script) as session:
        await session.send("Go.", tools=[f])
        wrong, right = await results(session)
        check_openai((await session.context()).to_openai())
    assert says in str(wrong.error_message)
    assert right.status is ToolStatus.COMPLETED
    assert called == [1]


async def test_a_call_of_a_tool_that_is_not_there_is_answered_with_those_that_are():
    async with await session_with([calls(call("fly")), "I cannot."]) as session:
        await session.send("Fly.", tools=[add, later])
        (result,) = await results(session)
        assert result.error_message == "there is no tool 'fly'; there are: add, later"


async def test_a_huge_output_is_whole_in_the_store_and_stands_in_the_window_as_an_excerpt():
    def log() -> str:
        """The log."""
        return "\n".join(f"line {n}: pressure {n * 7} millibar" for n in range(20_000))

    llm = ScriptedProvider([calls(call("log")), "Long."])
    async with await MnesisSession.create(model="openai/gpt-4.1", db_path=":memory:", llm=llm) as session:
        await session.send("Show me.", tools=[log])
        (result,) = await results(session)
        assert result.output == log()
        (item,) = [item for item in (await session.context()).items if item.role == "tool"]
        assert item.tokens <= session.config.file.inline_threshold
        assert f"expand {item.id}" in item.text
        assert llm.requests[1].messages[-1]["content"] == item.text
        page = await session.expand(item.id, max_tokens=500)
        assert "line 0: pressure 0 millibar" in page.text


# -- ids ---------------------------------------------------------------------------------------------------------


async def test_calls_without_ids_or_with_the_same_one_are_told_apart():
    script = [
        calls(call("add", "same", a=1), call("add", "same", a=2)),
        calls(call("add", "same", a=3)),
        "Done.",
    ]
    async with await session_with(script) as session:
        await session.send("Go.", tools=[add])
        assert [part.output for part in await results(session)] == ["2", "3", "4"]
        window = await session.context()
        check_openai(window.to_openai())
        check_anthropic(window.to_anthropic())


# -- bounds ------------------------------------------------------------------------------------------------------


async def test_after_its_rounds_the_model_has_to_answer():
    llm = ScriptedProvider([calls(call("add", a=n)) for n in range(2)] + ["Enough."])
    settings = MnesisConfig(session=SessionConfig(max_tool_rounds=2))
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:", llm=llm, config=settings) as s:
        assert (await s.send("Count.", tools=[add])).text == "Enough."
    assert [request.params.get("tool_choice") for request in llm.requests] == [None, None, "none"]


async def test_calls_beyond_the_rounds_are_answered_and_not_run():
    script = [calls(call("add", a=n), text=f"Round {n}.") for n in range(3)] + ["Next."]
    async with await session_with(script, max_tool_rounds=2) as session:
        result = await session.send("Count.", tools=[add])
        assert (result.text, result.tool_calls, result.finish_reason) == ("Round 2.", (), "max_tool_rounds")
        assert [part.output for part in await results(session)] == ["1", "2", None]
        assert (await results(session))[
            -1
        ].error_message == "no more tools are run in this turn; answer with what there is"
        assert (await session.send("And now?")).text == "Next."
        check_openai((await session.context()).to_openai())
        assert (await session.verify(deep=True)).ok


async def test_the_same_call_again_and_again_is_a_doom_loop_that_is_told_and_ended():
    told: list[Any] = []
    llm = ScriptedProvider([calls(call("add", a=1, b=2))] * 3 + ["I am stuck."])
    settings = MnesisConfig(session=SessionConfig(doom_loop_threshold=3))
    async with await MnesisSession.create(
        model="offline/quote", db_path=":memory:", llm=llm, config=settings
    ) as session:
        session.subscribe("doom_loop.detected", lambda event, payload: told.append(payload))
        result = await session.send("Go.", tools=[add])
        assert (result.text, result.doom_loop_detected) == ("I am stuck.", True)
        first, second, third = await results(session)
        assert (first.output, second.output) == ("3", "3")
        assert "3 times in a row" in str(third.error_message)
        assert llm.requests[-1].params["tool_choice"] == "none"
        (event,) = [each for each in await session.events() if each.event is MnesisEvent.DOOM_LOOP_DETECTED]
    assert [(each.tool_name, each.count, each.turn) for each in told] == [("add", 3, 0)]
    assert event.payload == told[0]


async def test_calls_that_differ_are_no_doom_loop():
    script = [calls(call("add", a=n % 2)) for n in range(6)] + ["Fine."]
    async with await session_with(script, doom_loop_threshold=2) as session:
        assert not (await session.send("Go.", tools=[add])).doom_loop_detected


# -- tools of the caller -----------------------------------------------------------------------------------------

LOOK = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}


async def test_a_turn_that_calls_a_tool_of_the_caller_ends_and_goes_on_with_its_results(store_path):
    llm = ScriptedProvider([calls(call("look", "c1", at="sky"), text="Let me look."), "It is blue."])
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, llm=llm) as session:
        asked = await session.send("What colour is the sky?", tools=[LOOK])
        assert (asked.finish_reason, asked.text) == ("tool_calls", "Let me look.")
        assert [(c.tool_call_id, c.tool_name, c.input) for c in asked.tool_calls] == [("c1", "look", {"at": "sky"})]
    async with await MnesisSession.load(session.id, db_path=store_path, llm=llm) as again:
        answered = await again.submit_tool_results({"c1": "blue"}, tools=[LOOK])
        assert (answered.text, answered.finish_reason, answered.turn) == ("It is blue.", "stop", 1)
        check_openai(llm.requests[-1].messages)
        assert [m["role"] for m in llm.requests[-1].messages[1:]] == ["user", "assistant", "tool"]
        assert (await again.verify(deep=True)).ok


@pytest.mark.parametrize(
    "given",
    [
        {"c1": "blue"},
        [{"role": "tool", "tool_call_id": "c1", "content": "blue"}],
        [ToolPart(tool_name="look", tool_call_id="c1", output="blue", status=ToolStatus.COMPLETED)],
        {"c1": {"colour": "blue"}},
        {"c1": ValueError("no sky")},
    ],
)
async def test_results_are_given_in_any_usual_form(given):
    llm = ScriptedProvider([calls(call("look", "c1")), "I see."])
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:", llm=llm) as session:
        await session.send("Look.", tools=[LOOK])
        await session.submit_tool_results(given)
        said = llm.requests[-1].messages[-1]["content"]
        assert said in ("blue", '{"colour":"blue"}', "Error: ValueError: no sky")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"c1": "a"}, "call 'c2' of look has no result"),
        ({"c1": "a", "c2": "b", "c3": "c"}, "no call 'c3' waits for a result; waiting: c1, c2"),
        ([{"tool_call_id": "c1", "content": "a"}] * 2, "'c1' is answered twice"),
        ([ToolPart(tool_name="look", tool_call_id="c1")], "is pending, not finished"),
        ([3], r"results\[0\]=3 is no result"),
        ("c1", "is a str"),
        (None, "is a NoneType"),
        ({"c1": object(), "c2": 1}, "has no text of its own"),
    ],
)
async def test_results_that_do_not_fit_the_pending_calls_are_refused_and_can_be_given_again(given, says):
    async with await session_with([calls(call("look", "c1"), call("look", "c2")), "I see."]) as session:
        await session.send("Look twice.", tools=[LOOK])
        with pytest.raises(InputError, match=says):
            await session.submit_tool_results(given)
        assert len(await session.messages()) == 2
        assert (await session.submit_tool_results({"c1": "a", "c2": "b"})).text == "I see."


async def test_results_that_nobody_waits_for_are_refused():
    async with await session_with(["Hello."]) as session:
        with pytest.raises(InputError, match="no tool call waits"):
            await session.submit_tool_results({"c1": "a"})
        await session.send("Hi.")
        with pytest.raises(InputError, match="no tool call waits"):
            await session.submit_tool_results({"c1": "a"})


async def test_of_a_mixed_reply_the_engine_runs_its_own_tools_and_the_caller_the_rest():
    llm = ScriptedProvider([calls(call("look", "c1"), call("add", "c2", a=1)), "Seen and counted."])
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:", llm=llm) as session:
        asked = await session.send("Go.", tools=[add, LOOK])
        assert [c.tool_call_id for c in asked.tool_calls] == ["c1"]
        assert [part.tool_call_id for part in await results(session)] == ["c2"]
        assert (await session.submit_tool_results({"c1": "a"}, tools=[add, LOOK])).text == "Seen and counted."
        check_openai(llm.requests[-1].messages)
        assert (await session.verify(deep=True)).ok


async def test_a_user_who_goes_on_without_results_closes_the_calls():
    llm = ScriptedProvider([calls(call("look", "c1")), "As you like."])
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:", llm=llm) as session:
        await session.send("Look.", tools=[LOOK])
        assert (await session.send("Never mind.")).text == "As you like."
        check_openai(llm.requests[-1].messages)
        (closed,) = await results(session)
        assert closed.error_message == "no result was given; the user went on without it"
        with pytest.raises(InputError, match="no tool call waits"):
            await session.submit_tool_results({"c1": "a"})
        assert (await session.verify(deep=True)).ok


async def test_a_doom_loop_over_turns_of_the_caller_is_seen():
    script = [calls(call("look", f"c{n}", at="sky")) for n in range(3)] + ["Stuck."]
    async with await session_with(script, doom_loop_threshold=3) as session:
        result = await session.send("Look.", tools=[LOOK])
        while result.tool_calls:
            assert result.turn < 3
            ids = [pending.tool_call_id for pending in result.tool_calls]
            result = await session.submit_tool_results(dict.fromkeys(ids, "blue"), tools=[LOOK])
        assert (result.text, result.doom_loop_detected, result.turn) == ("Stuck.", True, 2)


async def test_the_newest_user_message_and_the_turns_that_answer_its_calls_are_never_compacted(store_path):
    def chat(request: Request) -> Reply | str:
        seen = sum("Seen" in str(message["content"]) for message in request.messages if message["role"] == "tool")
        if "Where is it?" not in str(request.messages):
            return "Noted."
        return calls(call("look", f"c{seen}", at=f"place {seen}")) if seen < 4 else "It is there."

    llm = Model(chat)
    async with await create(store_path, llm, 4_000) as session:
        await fill(session, 8, 150)
        question = f"Where is it? {talk(99, 60)}"
        result = await session.send(question, tools=[LOOK])
        while result.tool_calls:
            (pending,) = result.tool_calls
            given = {pending.tool_call_id: f"Seen: {talk(100, 150)}"}
            result = await session.submit_tool_results(given, tools=[LOOK])
            await session.compact()
            window = await session.context()
            assert question in [item.text for item in window.items]
            assert sum(item.role == "tool" for item in window.items) == int(pending.tool_call_id[1:]) + 1
            assert window.size <= window.budget
        assert (result.text, result.turn) == ("It is there.", 12)
        for request in llm.chats:
            check_openai(request.messages)
        await fill(session, 8, 150, start=100)
        await session.compact()
        assert question not in [item.text for item in (await session.context()).items]
        assert await covered(session) == dict.fromkeys(await said(session), 1)
        assert (await session.verify(deep=True)).ok


# -- interruptions -----------------------------------------------------------------------------------------------


async def test_a_turn_that_is_cancelled_in_its_tools_keeps_what_came_and_closes_the_rest():
    stopped = asyncio.Event()

    async def quick() -> str:
        """Be quick."""
        return "quick"

    async def slow() -> str:
        """Be slow."""
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.set()
        return "never"

    llm = ScriptedProvider([calls(call("quick"), call("slow")), "Go on."])
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:", llm=llm) as session:
        came = asyncio.Event()

        def on_part(part) -> None:
            if isinstance(part, ToolPart) and part.status is ToolStatus.COMPLETED:
                came.set()

        turn = asyncio.create_task(session.send("Go.", tools=[quick, slow], on_part=on_part))
        await asyncio.wait_for(came.wait(), 5)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert stopped.is_set()
        first, second = await results(session)
        assert (first.output, second.error_message) == ("quick", "the turn was cut off before this call had a result")
        assert (await session.send("Go on.")).text == "Go on."
        check_openai(llm.requests[-1].messages)
        assert (await session.verify(deep=True)).ok


async def test_a_provider_that_fails_after_a_tool_round_leaves_calls_with_their_results():
    llm = ScriptedProvider([calls(call("add", a=1)), Unavailable("gone"), "Back."])
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:", llm=llm) as session:
        with pytest.raises(Unavailable):
            await session.send("1 + 1?", tools=[add])
        assert (await session.send("And?")).text == "Back."
        check_openai(llm.requests[-1].messages)
        assert (await session.verify(deep=True)).ok


async def test_closing_the_session_waits_for_the_tools_of_a_turn(store_path):
    async def slow() -> str:
        """Be slow."""
        await asyncio.sleep(0.2)
        return "done"

    session = await session_with([calls(call("slow")), "Finished."], store_path)
    events = session.stream("Go.", tools=[slow])
    await anext(events)
    await events.aclose()
    await session.close()
    async with await MnesisSession.load(session.id, db_path=store_path) as again:
        assert [message.text for message in await again.messages()][-1] == "Finished."


DIES = """
import asyncio, os, signal, sys
from mnesis import MnesisSession
from mnesis.llm.scripted import Reply, ScriptedProvider

async def dies() -> None:
    "Die."
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    llm = ScriptedProvider([Reply("One moment.", tool_calls=[{"name": "dies"}])])
    session = await MnesisSession.create(model="offline/quote", db_path=sys.argv[1], llm=llm)
    print(session.id, flush=True)
    await session.send("Go.", tools=[dies])

asyncio.run(main())
"""


async def test_a_process_that_dies_in_a_tool_leaves_the_call_and_the_next_load_closes_it(store_path):
    died = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DIES, str(store_path), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(died.communicate(), 60)
    assert died.returncode == -signal.SIGKILL
    llm = ScriptedProvider(["I am back."])
    async with await MnesisSession.load(out.decode().strip(), db_path=store_path, llm=llm) as session:
        assert [message.role for message in await session.messages()] == ["user", "assistant", "tool"]
        (closed,) = await results(session)
        assert closed.error_message == "the turn was cut off before this call had a result"
        assert (await session.send("Are you there?")).text == "I am back."
        check_openai(llm.requests[-1].messages)
        assert (await session.verify(deep=True)).ok


async def test_a_turn_that_fails_after_a_tool_round_keeps_what_that_round_was_billed():
    billed = Reply(tool_calls=[call("add", a=1)], usage=TokenUsage(input=1000, output=50), cost=0.5)
    async with await session_with([billed, Unavailable("gone")]) as session:
        with pytest.raises(Unavailable):
            await session.send("1 + 1?", tools=[add])
        assert (session.token_usage.input, session.token_usage.output, session.cost) == (1000, 50, 0.5)


async def test_calls_that_the_window_has_no_room_for_are_not_run_and_the_model_is_told():
    ran = []

    def count(n: int) -> str:
        """Count."""
        ran.append(n)
        return f"counted {n} " * 50

    def chat(request: Request) -> Reply | str:
        asked = request.messages[-1]["role"] == "user"
        return calls(*(call("count", n=n) for n in range(40))) if asked else "So many."

    async with await create(":memory:", Model(chat), 8_000) as session:
        assert (await session.send("Count.", tools=[count])).text == "So many."
        assert 0 < len(ran) < 40
        told = [part.error_message or "" for part in await results(session)]
        assert sum("no room for so many" in each for each in told) == 40 - len(ran)
        window = await session.context()
        assert window.size <= window.budget


async def test_results_for_calls_that_another_handle_has_answered_are_refused(store_path):
    script: list[Any] = [calls(call("look", "c1")), calls(call("look", "c2")), "Seen."]
    llm = ScriptedProvider(script)
    first = await MnesisSession.create(model="offline/quote", db_path=store_path, llm=llm)
    await first.send("Look.", tools=[LOOK])
    second = await MnesisSession.load(first.id, db_path=store_path, llm=llm)
    await second.submit_tool_results({"c1": "a"}, tools=[LOOK])
    with pytest.raises(InputError, match=r"c1|answered meanwhile"):
        await first.submit_tool_results({"c1": "a"}, tools=[LOOK])
    assert (await first.submit_tool_results({"c2": "b"}, tools=[LOOK])).text == "Seen."
    check_openai(llm.requests[-1].messages)
    await first.close()
    await second.close()


async def test_two_models_in_one_store_count_the_same_tools_each_in_its_own_tokens(store_path):
    script: list[Any] = ["One.", "Two."]
    llm = ScriptedProvider(script)
    sizes = []
    for model in ("openai/gpt-4o", "unknown/model"):
        session = await MnesisSession.create(model=model, db_path=store_path, llm=llm)
        await session.send("Look.", tools=[LOOK])
        await session.close()
        async with await MnesisSession.load(session.id, db_path=store_path, llm=llm) as session:
            window = await session.context(turn=0)
            sizes.append(next(item.tokens for item in window.items if item.kind == "tools"))
            report = await session.verify()
            assert report.ok, report.problems
    assert sizes[0] != sizes[1]
