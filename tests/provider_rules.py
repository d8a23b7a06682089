"""What providers refuse, as assertions: https://platform.openai.com/docs/api-reference/chat/create and
https://docs.anthropic.com/en/api/messages, read strictly.
"""

import json
from collections.abc import Sequence
from typing import Any


def check_openai(messages: Sequence[dict[str, Any]]) -> None:
    """Roles, contents, and each tool call answered right after it, once."""
    waiting: list[str] = []
    for at, message in enumerate(messages):
        where = f"message {at}: {str(message)[:200]}"
        role = message["role"]
        assert role in ("system", "user", "assistant", "tool"), where
        assert role != "system" or at == 0, f"a system message that is not the first: {where}"
        if role == "tool":
            assert message["tool_call_id"] in waiting, f"a result without its call: {where}"
            waiting.remove(message["tool_call_id"])
            assert isinstance(message["content"], str), where
            assert message["content"], f"empty: {where}"
            continue
        assert not waiting, f"calls {waiting} have no result before {where}"
        calls = message.get("tool_calls")
        assert calls is None or (role == "assistant" and calls), where
        if calls:
            waiting = [call["id"] for call in calls]
            assert len(set(waiting)) == len(waiting), f"one id for two calls: {where}"
            for call in calls:
                assert call["type"] == "function", where
                assert call["function"]["name"], where
                assert isinstance(json.loads(call["function"]["arguments"]), dict), where
        content = message.get("content")
        assert content is None or isinstance(content, str), where
        assert (content and content.strip()) or calls, f"it says nothing: {where}"
    assert not waiting, f"calls {waiting} have no result at the end"


def check_anthropic(request: dict[str, Any]) -> None:
    """Turns that alternate from the user on, and each tool_use answered at the beginning of the next message."""
    assert isinstance(request["system"], str)
    waiting: list[str] = []
    before = None
    for at, message in enumerate(request["messages"]):
        where = f"message {at}: {str(message)[:200]}"
        role, content = message["role"], message["content"]
        assert role in ("user", "assistant"), where
        assert role != before, f"twice the same role: {where}"
        assert before is not None or role == "user", f"it does not begin with the user: {where}"
        before = role
        assert content, where
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        assert sorted(results) == sorted(waiting), f"{waiting} were called: {where}"
        kinds = [block["type"] for block in content]
        assert kinds[: len(results)] == ["tool_result"] * len(results), f"results come first: {where}"
        waiting = [block["id"] for block in content if block["type"] == "tool_use"]
        assert not waiting or role == "assistant", where
        assert len(set(waiting)) == len(waiting), f"one id for two calls: {where}"
        for block in content:
            if block["type"] == "text":
                assert block["text"].strip(), f"empty: {where}"
            elif block["type"] == "tool_use":
                assert block["name"], where
                assert isinstance(block["input"], dict), where
    assert not waiting, f"calls {waiting} have no result at the end"
