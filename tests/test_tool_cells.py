"""Chat cells whose model calls tools, in a real IPython shell."""

import asyncio
import os
import re
import signal
import threading
import time

import pytest
from test_html import PAYLOADS
from test_views import look

import mnesis_jupyter
from mnesis import InputError, MnesisConfig, SessionConfig, ToolStatus, Unavailable, function_tool
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis_jupyter import frames

ASK = {"type": "function", "function": {"name": "ask", "description": "Ask a person."}}


def rain(city: str) -> str:
    """How much rain fell in a city."""
    if city == "Atlantis":
        raise LookupError("no such city: Atlantis")
    return f"{len(city)} mm in {city}"


async def wind(city: str) -> str:
    """How strong the wind is."""
    return f"calm in {city}"


class Station:
    """Holds tools as attributes."""

    def snow(self) -> int:
        """How much snow fell."""
        return 0


@pytest.fixture
def notebook(notebook):
    notebook("from test_tool_cells import ASK, Station, rain, wind")
    notebook.names["station"] = Station()
    return notebook


def calls(*each, text="", **more):
    return Reply(text, tool_calls=[{"name": name, "arguments": arguments} for name, arguments in each], **more)


def script(*replies, **settings):
    provider = ScriptedProvider(replies)
    config = MnesisConfig(session=SessionConfig(recall="off", **settings))
    session = mnesis_jupyter.open_session(model="test/scripted", llm=provider, config=config)
    return provider, session


def shown(ran):
    """The error as the notebook shows it, without colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", ran.stdout)


def last(ran):
    """What stands below the cell in the end."""
    return ran.final[-1].data["text/plain"]


# -- calls --------------------------------------------------------------------------------------------------------


def test_a_cell_shows_each_call_with_its_result_and_its_error_between_the_words_of_the_model(notebook):
    script(
        calls(("rain", {"city": "Bergen"}), ("rain", {"city": "Atlantis"}), text="Let me look."),
        calls(("wind", {"city": "Bergen"}), text="One more."),
        "It is *wet*.",
    )
    ran = notebook("%%mnesis --tools rain, wind\nHow is the weather?")
    steps = [
        "Let me look.",
        '⚙ rain(city="Bergen") · ✓ done · ',
        "⇒ 6 mm in Bergen",
        '⚙ rain(city="Atlantis") · ✗ error · ',
        "LookupError: no such city: Atlantis",
        "One more.",
        '⚙ wind(city="Bergen") · ✓ done · ',
        "⇒ calm in Bergen",
        "It is *wet*.",
    ]
    places = [last(ran).index(step) for step in steps]
    assert places == sorted(places)
    seen = look(ran.final[-1].data["text/html"])
    assert '⚙ rain(city="Atlantis") ✗ error' in seen.text
    assert "no such city" in seen.text
    assert "<em>wet</em>" in ran.html
    assert frames.tool_calls()["status"].tolist() == ["completed", "error", "completed"]


def test_tools_go_with_what_is_attached_with_a_format_of_the_words_at_the_end_and_with_a_length(notebook):
    provider, _ = script(calls(("rain", {"city": "Bergen"}), text="*Let* me look."), 'So: {"mm": 6}', '{"mm": 6}')
    notebook.names["towns"] = "Bergen, Oslo"
    options = "--tools rain --attach towns --format json --max-tokens 50"
    ran = notebook(f"%%mnesis {options}\nHow much rain?")
    assert "[attached: towns]\nBergen, Oslo" in str(provider.requests[0].messages[-1]["content"])
    assert [request.params["max_tokens"] for request in provider.requests] == [50, 50]
    assert last(ran).startswith("*Let* me look.\n\n⚙ rain")
    assert 'So: {"mm": 6}' in last(ran)
    assert last(ran).count("is not JSON") == 1
    assert "*Let* me look." in look(ran.final[-1].data["text/html"]).text
    assert last(notebook(f"%%mnesis {options}\nOnce more.")).startswith('{\n  "mm": 6\n}')


def test_a_turn_that_waits_for_results_has_no_reply_yet_that_could_have_the_wrong_format(notebook):
    script(calls(("ask", {}), text="One moment."), calls(("ask", {})))
    for _ in range(2):
        ran = notebook("%%mnesis --tools ASK --format json\nHow much rain?")
        assert "only you can tell" in last(ran)
        assert "JSON" not in last(ran)


@pytest.mark.parametrize("given", ["rain wind", "rain,wind", "rain, wind", "wind , rain", "rain rain wind"])
def test_tools_are_named_with_commas_or_spaces_between_them(notebook, given):
    provider, _ = script("ok")
    notebook(f"%%mnesis --tools {given} --raw\nHello.")
    assert {tool["function"]["name"] for tool in provider.requests[0].tools} == {"rain", "wind"}
    assert len(provider.requests[0].tools) == 2


def test_a_tool_is_a_function_a_method_with_its_dots_a_tool_or_a_dict_and_for_this_turn_only(notebook):
    provider, _ = script("ok", "ok")
    notebook.names["named"] = function_tool(rain, name="rainfall")
    notebook("%%mnesis --tools station.snow, named, ASK\nHello.")
    notebook("%%mnesis\nHello.")
    first, second = provider.requests
    assert [tool["function"]["name"] for tool in first.tools] == ["snow", "rainfall", "ask"]
    assert second.tools == ()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("rein", "rein: there is no name 'rein' in this notebook, did you mean 'rain'?"),
        ("nothing_like_it", "define it in a cell above"),
        ("station.snw", "station.snw: a Station has no attribute 'snw', did you mean 'snow'?"),
        ("rain, 3", "there is no name '3'"),
        ("rain, number", "tools[1]=3 is no tool"),
        ("plain", "'plain' has no docstring"),
        (",", "--tools names nothing"),
        ("rain, again", "two tools are called 'rain'"),
    ],
)
def test_what_is_no_tool_fails_the_cell_with_one_line_and_nothing_is_stored(notebook, given, told):
    def plain() -> None: ...

    notebook.names |= {"number": 3, "plain": plain, "again": rain}
    script("ok")
    ran = notebook.run(f"%%mnesis --tools {given}\nHello.")
    assert isinstance(ran.error, InputError)
    assert told in shown(ran)
    assert len(shown(ran).strip().splitlines()) == 1
    assert len(frames.messages()) == 0


def test_a_dry_run_counts_the_tools(notebook):
    def size(ran):
        (free,) = re.findall(r"([\d,]+) tokens would stay free", ran.text)
        return int(free.replace(",", ""))

    def check() -> None:
        ran = notebook("%%mnesis --dry-run --tools rain\nHello.")
        assert "How much rain fell in a city." in ran.html
        assert size(notebook("%%mnesis --dry-run\nHello.")) - size(ran) > 20

    check()
    script("ok")
    check()


def test_a_model_that_never_calls_tools_is_named(notebook):
    assert "never calls a tool" in notebook("%%mnesis --tools rain\nHello.").text
    assert "never calls a tool" not in notebook("%%mnesis\nHello.").text


def test_the_log_names_calls_and_results(notebook):
    script(calls(("rain", {"city": "Bergen"})), "Wet.")
    notebook("%%mnesis --tools rain\nHow is the weather?")
    log = notebook("%mnesis messages").text
    assert 'rain(city="Bergen")' in log
    assert "rain ⇒ 6 mm in Bergen" in log


@pytest.mark.parametrize("payload", PAYLOADS[::7])
def test_a_hostile_tool_is_data(notebook, payload):
    def hostile(city: str) -> str:
        """Return something hostile."""
        if city.startswith("!"):
            raise ValueError(city)
        return f"first\n{city}"

    notebook.names["hostile"] = hostile
    script(calls(("hostile", {"city": payload}), ("hostile", {"city": f"!{payload}"}), (payload, {payload: 1})), "ok")
    look(notebook("%%mnesis --tools hostile\nGo.").final[-1].data["text/html"])


def test_thoughts_are_folded(notebook):
    script(calls(("rain", {"city": "Oslo"}), reasoning="They want rain."), Reply("Wet.", reasoning="Four is wet."))
    ran = notebook("%%mnesis --tools rain\nHow is the weather?")
    places = [last(ran).index(words) for words in ("∴ thought · They want rain.", "rain(", "∴ thought · Four", "Wet.")]
    assert places == sorted(places)
    assert ran.html.count("<details") == 2


# -- while they run -----------------------------------------------------------------------------------------------


def test_a_call_is_shown_while_it_runs_though_nothing_else_happens(notebook):
    async def slow() -> str:
        """Take a while."""
        await asyncio.sleep(2.1)
        return "done at last"

    notebook.names["slow"] = slow
    script(calls(("slow", {})), "Ready.")
    began = time.monotonic()
    ran = notebook("%%mnesis --tools slow\nGo.")
    versions = [output.data["text/plain"] for output in ran.outputs if "slow()" in output.data["text/plain"]]
    assert any("◐ running …" in text and "running tools …" in text for text in versions)
    assert any("◐ running … 1 s" in text for text in versions)
    took = re.search(r"✓ done · (\d+\.\d+) s", versions[-1])
    assert took
    assert 2.1 <= float(took[1]) <= time.monotonic() - began
    assert len(versions) <= 1 + 15 * (time.monotonic() - began)


def test_many_states_in_a_short_time_are_few_displays(notebook):
    script(*[calls(*[("rain", {"city": f"{each}-{n}"}) for n in range(20)]) for each in range(5)], "Wet.")
    began = time.monotonic()
    ran = notebook("%%mnesis --tools rain\nGo.")
    assert len(ran.outputs) <= 4 + 15 * (time.monotonic() - began)
    assert last(ran).count("✓ done") == 100


def test_without_streaming_a_cell_with_tools_makes_one_single_display(notebook):
    notebook("%config Mnesis.stream = False")
    script("Hi.", calls(("rain", {"city": "Oslo"})), "Wet.")
    notebook("%%mnesis\nHello.")
    (output,) = notebook("%%mnesis --tools rain\nGo.").outputs
    assert "✓ done" in output.data["text/plain"]


def test_a_character_that_a_stream_tears_apart_is_whole(notebook):
    script(calls(("rain", {"city": "Oslo"}), text=["sun \ud83c", "\udf1e"]), Reply(["wet \ud83c", "\udf27"]))
    ran = notebook("%%mnesis --tools rain\nGo.")
    assert "sun \U0001f31e" in last(ran)
    assert "wet \U0001f327" in last(ran)


def test_an_interrupt_stops_the_tool_and_says_so(notebook):
    began, stopped = threading.Event(), threading.Event()

    async def slow() -> str:
        """Take a while."""
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return "never"

    notebook.names["slow"] = slow
    script(calls(("rain", {"city": "Oslo"}), ("slow", {}), text="Let me see."), "Whole.")

    def interrupt() -> None:
        began.wait(60)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    ran = notebook.run("%%mnesis --tools rain, slow\nGo.")
    assert isinstance(ran.error, KeyboardInterrupt)
    assert stopped.is_set()
    assert "the turn was stopped while slow ran" in shown(ran)
    assert "Traceback" not in shown(ran)
    assert "⚙ slow() · ■ stopped" in last(ran)
    assert "✓ done" in last(ran)
    assert "stopped: the calls stay" in last(ran)
    assert frames.tool_calls()["status"].tolist() == ["completed", "error"]
    assert "Whole." in notebook("%%mnesis\nHello again.").text


def test_an_interrupt_does_not_wait_for_a_function_that_cannot_be_stopped(notebook):
    began, released = threading.Event(), threading.Event()

    def stubborn() -> str:
        """Take a while."""
        began.set()
        released.wait(30)
        return "too late"

    notebook.names["stubborn"] = stubborn
    script(calls(("stubborn", {})), "Whole.")

    def interrupt() -> None:
        began.wait(60)
        time.sleep(0.3)  # until the notebook has heard that it runs
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    start = time.monotonic()
    ran = notebook.run("%%mnesis --tools stubborn\nGo.")
    assert isinstance(ran.error, KeyboardInterrupt)
    assert time.monotonic() - start < 10
    assert "a function that is not async cannot be stopped" in shown(ran)
    released.set()
    assert "Whole." in notebook("%%mnesis\nHello again.").text


def test_a_provider_that_fails_after_a_round_leaves_the_calls_and_the_error(notebook):
    script(calls(("rain", {"city": "Oslo"})), Unavailable("the provider is down"), "Back.")
    ran = notebook.run("%%mnesis --tools rain\nGo.")
    assert isinstance(ran.error, Unavailable)
    assert "⇒ 4 mm in Oslo" in last(ran)
    assert "the calls stay" in last(ran)
    assert "Back." in notebook("%%mnesis\nHello again.").text


# -- how a turn may end -------------------------------------------------------------------------------------------


def test_a_call_that_only_the_user_can_answer_says_how_to_go_on_and_goes_on(notebook):
    provider, _ = script(calls(("ask", {"what": "Tea?"}), ("rain", {"city": "Oslo"}), text="I ask."), "Tea it is.")
    ran = notebook("%%mnesis --tools ASK, rain -o asked\nTea?")
    assert "mnesis_jupyter.submit_tool_results({'call_1': …})" in last(ran)
    assert "session.submit_tool_results" in last(ran)
    assert '⚙ ask(what="Tea?") · ○ waiting' in last(ran)
    assert "⇒ 4 mm in Oslo" in last(ran)
    (waiting,) = notebook.names["asked"].tool_calls
    assert (waiting.tool_call_id, waiting.status) == ("call_1", ToolStatus.PENDING)
    ran = notebook("import mnesis_jupyter\nmnesis_jupyter.submit_tool_results({'call_1': 'Yes.'}, tools=[rain])")
    assert last(ran).startswith("Tea it is.")
    assert ran.text.count("Tea it is.") == 1
    assert notebook("_.text").result == "Tea it is."
    assert {message["content"] for message in provider.requests[-1].messages[-2:]} == {"4 mm in Oslo", "Yes."}
    assert frames.tool_calls(tool="ask")["output"].tolist() == ["Yes."]


def test_results_may_be_for_a_session_that_is_not_current(notebook):
    provider = ScriptedProvider([calls(("ask", {})), "Tea it is."])
    mnesis_jupyter.open_session(model="test/scripted", llm=provider, title="tea")
    notebook("%%mnesis --tools ASK\nTea?")
    script("Other.")
    answer = mnesis_jupyter.submit_tool_results({"call_1": "Yes."}, session="tea")
    assert answer.text == "Tea it is."
    assert answer.tool_calls == ()


def test_results_go_on_with_a_format_a_system_prompt_and_what_the_provider_takes(notebook):
    provider, session = script(calls(("ask", {})), 'So: {"tea": true}')
    notebook("%%mnesis --tools ASK\nTea?")
    with pytest.raises(InputError, match="format='jsn' is none; give one of markdown, text, json, code"):
        mnesis_jupyter.submit_tool_results({"call_1": "Yes."}, format="jsn")  # type: ignore[arg-type]
    assert frames.tool_calls(session, tool="ask")["status"].tolist() == ["pending"]
    options = "format='text', system_prompt='Be brief.', params={'max_tokens': 50}"
    ran = notebook(f"import mnesis_jupyter\nmnesis_jupyter.submit_tool_results({{'call_1': 'Yes.'}}, {options})")
    assert "<pre" in ran.html
    assert provider.requests[-1].params["max_tokens"] == 50
    assert provider.requests[-1].messages[0]["content"] == "Be brief."


def test_results_that_nobody_waits_for_are_refused(notebook):
    with pytest.raises(InputError, match="no session yet"):
        mnesis_jupyter.submit_tool_results({"call_1": "Yes."})
    script("Hi.")
    notebook("%%mnesis\nHello.")
    with pytest.raises(InputError, match="no tool call waits"):
        mnesis_jupyter.submit_tool_results({"call_1": "Yes."})


def test_a_doom_loop_is_said_in_a_line(notebook):
    script(*[calls(("rain", {"city": "Oslo"}))] * 3, "I give up.", doom_loop_threshold=3)
    ran = notebook("%%mnesis --tools rain\nGo.")
    assert "A doom loop: the same call 3 times in a row." in last(ran)
    assert "✗ not run" in last(ran)
    assert last(ran).count("✓ done") == 2


def test_rounds_that_are_used_up_are_said_in_a_line(notebook):
    script(*[calls(("rain", {"city": f"Oslo {n}"})) for n in range(2)], "Wet.", "Dry.", max_tool_rounds=2)
    assert "used up its 2 rounds of tool calls" in last(notebook("%%mnesis --tools rain\nGo."))
    assert "used up" not in last(notebook("%%mnesis --tools rain\nGo."))


def test_calls_beyond_the_last_round_are_shown_as_not_run(notebook):
    script(*[calls(("rain", {"city": f"Oslo {n}"})) for n in range(2)], max_tool_rounds=1)
    ran = notebook("%%mnesis --tools rain\nGo.")
    assert "✗ not run" in last(ran)
    assert "used up its 1 round of" in last(ran)
