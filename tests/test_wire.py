"""Whatever a log holds, what is sent keeps to the rules of providers."""

import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pictures import png
from provider_rules import answer_anthropic, answer_openai, check_anthropic, check_openai

from mnesis import MediaPart
from mnesis.models.wire import WireItem, to_anthropic, to_openai


def user(text: str = "Hello.") -> WireItem:
    return WireItem(id="msg_u", role="user", text=text)


def said(text: str = "Well.") -> WireItem:
    return WireItem(id="msg_a", role="assistant", text=text)


def call(id: str = "c1", name: str = "look", **arguments: Any) -> WireItem:
    text = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    return WireItem(id="part_c", role="assistant", text=text, tool_call_id=id, tool_name=name)


def result(id: str = "c1", text: str = "Seen.", name: str = "look") -> WireItem:
    return WireItem(id="part_c", role="tool", text=text, tool_call_id=id, tool_name=name)


def shown(shade: int = 100) -> WireItem:
    return WireItem(id="part_m", role="user", text="[image image/png]", media=MediaPart.from_bytes(png(shade=shade)))


def system(text: str = "Be brief.") -> WireItem:
    return WireItem(id="system", role="system", text=text)


anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
texts = st.sampled_from(["Hm.", " yes\n", "", " \n\t", "\u2003", "ends on a space "]) | anything
ids = st.sampled_from(["c1", "c1", "c2", "c1_2", "functions.look:0", "x" * 90, "x" * 91, "\u00e9"])
names = st.sampled_from(["look", "mcp.server/look", "n" * 80, "\u00fc"])
numbers = st.sampled_from([float("inf"), float("-inf"), float("nan"), 0.5, "Infinity", "NaN", 10**30])
items = st.one_of(
    st.builds(user, texts),
    st.builds(said, texts),
    st.builds(call, ids, names, n=numbers),
    st.builds(call, ids, names, n=numbers),
    st.builds(result, ids, texts, names),
    st.builds(result, ids, texts, names),
    st.builds(system, texts),
    st.builds(shown, st.integers(0, 255)),
)
logs = st.lists(items, max_size=12)


@given(logs)
@example([said("I begin."), user()])
@example([call(), result(), result(), user()])
@example([user(), call("c1"), call("c1"), result("c1", "one"), result("c1", "two"), said()])
@example([user(), call("c1"), said("I look."), result("c1"), call("c1"), user(), result("c1", "too late")])
@example([user(), call("c1"), call("c2"), result("c9", "whose?"), result("c2"), result("c1")])
def test_any_log_gives_requests_that_every_provider_takes(log):
    check_openai(answer_openai(to_openai(log)))
    check_anthropic(answer_anthropic(to_anthropic(log)))


@given(logs)
def test_nothing_that_was_said_or_answered_is_left_out_and_nothing_twice(log):
    openai, anthropic = to_openai(log), to_anthropic(log)
    blocks = [block for message in anthropic["messages"] for block in message["content"]]
    calls = [each for message in openai for each in message.get("tool_calls", [])]
    made = [item for item in log if item.role == "assistant" and item.tool_call_id is not None]
    assert len(calls) == sum(block["type"] == "tool_use" for block in blocks) == len(made)
    for whole in (json.dumps(openai, ensure_ascii=False), json.dumps(anthropic, ensure_ascii=False)):
        for item in log:
            if item.media is not None:
                assert str(item.media.data) in whole
            elif item not in made and item.text.strip():
                assert json.dumps(item.text.rstrip(), ensure_ascii=False)[1:-1] in whole
    late = str(blocks).count("a call that was not waiting]")
    stand_ins = str(blocks).count("(no result was recorded)")
    results = [block for block in blocks if block["type"] == "tool_result"]
    assert len(results) - stand_ins + late == sum(item.role == "tool" for item in log)


@given(logs)
@example([user(), said(), call("c1"), result("c2")])
def test_what_was_sent_stays_as_it_is_whatever_comes_later(log):
    """Invariant 12: up to the last message, to which more may be said."""
    whole = to_openai([system("Be brief."), *log])
    for length in range(len(log)):
        earlier = to_openai([system("Be brief."), *log[:length]])
        if answer_openai(earlier) != earlier or any(item.role == "system" for item in log):
            continue  # not sent as it is; or the system prompt changed
        *same, last = earlier
        assert whole[: len(same)] == same
        assert whole[len(same)]["role"] == last["role"]
        assert begins(whole[len(same)]["content"], last["content"])


def begins(content: Any, earlier: Any) -> bool:
    """Whether a message goes on from an earlier one: media make a list of what was a text."""
    if isinstance(earlier, list):
        return bool(content[: len(earlier)] == earlier)
    if isinstance(content, list):
        content = content[0]["text"]
    return bool((content or "").startswith(earlier or ""))


@pytest.mark.parametrize(
    "log",
    [
        [user(), call("c1"), said("I look.")],
        [user(), call("c1"), call("c2"), result("c2", "the second")],
        [user(), call("c1"), result("c1"), call("c1")],
    ],
)
def test_calls_at_the_end_wait_for_the_caller_and_only_for_him(log):
    messages, request = to_openai(log), to_anthropic(log)
    with pytest.raises(AssertionError, match=r"no result at the end|were called"):
        check_openai(messages)
    with pytest.raises(AssertionError, match=r"no result at the end|were called"):
        check_anthropic(request)
    check_openai(answer_openai(messages))
    check_anthropic(answer_anthropic(request))
    assert "(no result was recorded)" not in str(messages)


def test_a_call_that_was_never_answered_has_a_word_in_place_of_its_result():
    messages = to_openai([user(), call("c1"), call("c2"), result("c2"), user("Never mind.")])
    assert messages[2:4] == [
        {"role": "tool", "tool_call_id": "c2", "content": "Seen."},
        {"role": "tool", "tool_call_id": "c1", "content": "(no result was recorded)"},
    ]


def test_a_model_may_use_an_id_again_and_each_result_goes_to_its_own_call():
    log = [user(), call("call_0"), result("call_0", "one"), user(), call("call_0"), result("call_0", "two")]
    messages = to_openai(log)
    assert [message["tool_calls"][0]["id"] for message in messages if "tool_calls" in message] == ["call_0", "call_0_2"]
    answers = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    assert answers == {"call_0": "one", "call_0_2": "two"}


def test_a_model_that_uses_one_id_for_thousands_of_calls_costs_no_more_than_one_that_does_not():
    def seconds(name: str) -> float:
        log = [each for n in range(4_000) for each in (call(name.format(n)), result(name.format(n)))]
        begun = time.process_time()
        messages = to_openai(log)
        spent = time.process_time() - begun
        assert len({message["tool_call_id"] for message in messages if message["role"] == "tool"}) == 4_000
        return spent

    assert min(seconds("call_0") for _ in range(3)) < 10 * min(seconds("call_{}") for _ in range(3))


def test_an_id_or_a_name_that_no_provider_takes_is_spelled_so_that_they_do():
    (_, asked, answered) = to_openai([user(), call("functions.look:0", "files/look"), result("functions.look:0")])
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"] == "functions_look_0"
    assert asked["tool_calls"][0]["function"]["name"] == "files_look"


def test_a_result_that_comes_too_late_is_told_as_a_text():
    messages = to_openai([user(), call("c1"), user("Never mind."), result("c1", "It is blue.")])
    assert messages[-1]["role"] == "user"
    assert messages[-1]["content"] == ("Never mind.\n\n[look answered c1, a call that was not waiting]\nIt is blue.")


def test_an_assistant_who_speaks_first_is_introduced():
    assert [m["role"] for m in to_openai([system(), said("Hi, I am here.")])] == ["system", "user", "assistant"]
    assert [m["role"] for m in to_anthropic([system(), said("Hi, I am here.")])["messages"]] == ["user", "assistant"]


def test_infinities_in_arguments_become_texts_because_json_has_none():
    request = to_anthropic([user(), call(n=float("inf"), s="Infinity", x=float("nan")), result()])
    assert request["messages"][1]["content"][0]["input"] == {"n": "Infinity", "s": "Infinity", "x": "NaN"}


def test_an_empty_window_has_no_messages():
    assert to_openai([]) == []
    assert to_openai([system(" ")]) == []
    assert to_anthropic([system()]) == {"system": "Be brief.", "messages": []}
