"""The validator that the other tests lean on refuses what providers refuse."""

import copy
from typing import Any

import pytest
from provider_rules import check_anthropic, check_openai

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
OPENAI: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Look."}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "Seen."},
    {"role": "assistant", "content": "Done."},
]
USE = {"type": "tool_use", "id": "c1", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "Seen."}
ANTHROPIC: dict[str, Any] = {
    "system": "Be brief.",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Well."}, USE]},
        {"role": "user", "content": [RESULT, {"type": "text", "text": "So?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Done."}]},
    ],
}


def test_what_providers_take_is_taken():
    check_openai(OPENAI)
    check_openai(OPENAI[:2])
    check_anthropic(ANTHROPIC)
    check_openai([])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.insert(2, {"role": "system", "content": "x"}), "not the first"),
        (lambda m: m[1].update(role="developer2"), "unknown role"),
        (lambda m: m[1].update(surprise=1), "unknown keys"),
        (lambda m: m.pop(1), "begin with the user"),
        (lambda m: m.insert(1, {"role": "user", "content": "x"}), "twice the same role"),
        (lambda m: m.pop(3), "no result before"),
        (lambda m: m.insert(3, {"role": "user", "content": "x"}), "no result before"),
        (lambda m: m.insert(4, m[3]), "no call before it waits"),
        (lambda m: m[3].update(tool_call_id="c9"), "no call before it waits"),
        (lambda m: m[2].update(tool_calls=[CALL, CALL]), "one id for two calls"),
        (lambda m: m.extend([{"role": "user", "content": "x"}, *m[2:4]]), "one id for two calls"),
        (lambda m: m[2].update(tool_calls=[]), "no calls at all"),
        (lambda m: m[2]["tool_calls"][0].update(id="a.b"), "id 'a.b' is not taken"),
        (lambda m: m[2]["tool_calls"][0].update(id="x" * 41), "is not taken"),
        (lambda m: m[2]["tool_calls"][0]["function"].update(name="a b"), "name 'a b' is not taken"),
        (lambda m: m[2]["tool_calls"][0]["function"].update(name="n" * 65), "is not taken"),
        (lambda m: m[2]["tool_calls"][0]["function"].update(arguments="[]"), "message 2"),
        (lambda m: m[2]["tool_calls"][0]["function"].update(arguments='{"n": NaN}'), "NaN"),
        (lambda m: m[4].update(content=None), "it says nothing"),
        (lambda m: m[4].update(content=" \n"), "empty"),
        (lambda m: m[3].update(content=""), "empty"),
        (lambda m: m[1].update(content=[]), "no parts"),
        (lambda m: m[1]["content"][0].update(text=" "), "an empty text"),
        (lambda m: m[1]["content"].append({"type": "video"}), "an unknown part"),
        (lambda m: m[4].update(content=[{"type": "text", "text": "x"}]), "another role"),
        (lambda m: m.__delitem__(slice(3, None)), "no result at the end"),
    ],
)
def test_what_openai_refuses_is_refused(change, complaint):
    messages = copy.deepcopy(OPENAI)
    change(messages)
    with pytest.raises(AssertionError, match=complaint):
        check_openai(messages)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.pop(0), "alternate from the user on"),
        (lambda m: m.insert(0, m[0]), "alternate from the user on"),
        (lambda m: m[0].update(role="system"), "unknown role"),
        (lambda m: m[0].update(content=[]), "empty"),
        (lambda m: m[0]["content"][0].update(text="\n"), "an empty text"),
        (lambda m: m[0]["content"][0].update(surprise=1), "unknown keys"),
        (lambda m: m[0]["content"].append({"type": "video"}), "an unknown block"),
        (lambda m: m[1]["content"].reverse(), "calls come last"),
        (lambda m: m[1]["content"][1].update(id="a.b"), "is not taken"),
        (lambda m: m[1]["content"][1].update(name="a b"), "is not taken"),
        (lambda m: m[1]["content"][1].update(input="{}"), "an unknown block"),
        (lambda m: m[1]["content"].append(m[1]["content"][1]), "were called|one id for two calls"),
        (lambda m: m[2]["content"].reverse(), "results come first"),
        (lambda m: m[2]["content"].pop(0), "were called"),
        (lambda m: m[2]["content"][0].update(tool_use_id="c9"), "were called"),
        (lambda m: m[2]["content"][0].update(content=" "), "an empty result"),
        (lambda m: m[3]["content"].append(m[1]["content"][1]), "one id for two calls"),
        (lambda m: m[3]["content"][0].update(text="Done. "), "ends on whitespace"),
        (lambda m: m.__delitem__(slice(2, None)), "no result at the end"),
        (lambda m: m[3]["content"].append({"type": "image", "source": {}}), "did not send"),
    ],
)
def test_what_anthropic_refuses_is_refused(change, complaint):
    request = copy.deepcopy(ANTHROPIC)
    change(request["messages"])
    with pytest.raises(AssertionError, match=complaint):
        check_anthropic(request)


def test_what_is_no_json_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        check_openai([{"role": "user", "content": float("nan")}])
    with pytest.raises(UnicodeEncodeError):
        check_anthropic({"system": "\ud800", "messages": []})
