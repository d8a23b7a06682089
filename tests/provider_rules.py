"""What providers refuse, as assertions, read strictly.

OpenAI: https://platform.openai.com/docs/api-reference/chat/create, and its errors "must be followed by tool messages
responding to each tool_call_id", "string too long. Expected a string with maximum length 40" (ids). Anthropic:
https://docs.anthropic.com/en/api/messages, and its errors "tool_use ids were found without tool_result blocks
immediately after" (also for a text behind a tool_use), "tool_use ids must be unique", "text content blocks must contain
non-whitespace text", "final assistant content cannot end with trailing whitespace". litellm turns chat-completion
lists into the requests of all providers, so these have to alternate from the user on, too.
"""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_OF_ROLE = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}


def check_openai(messages: Sequence[dict[str, Any]]) -> None:
    """Roles and their order, contents, and each tool call answered right after it, once."""
    _is_json(messages)
    waiting: list[str] = []
    ids: set[str] = set()
    before = "system"
    for at, message in enumerate(messages):
        where = f"message {at}: {str(message)[:300]}"
        role, content = message["role"], message["content"]
        assert role in _OF_ROLE, f"unknown role: {where}"
        assert set(message) <= _OF_ROLE[role], f"unknown keys: {where}"
        assert role != "system" or at == 0, f"a system message that is not the first: {where}"
        if role == "tool":
            assert message["tool_call_id"] in waiting, f"a result that no call before it waits for: {where}"
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting, f"calls {waiting} have no result before {where}"
            assert role != before or role == "system", f"twice the same role: {where}"
            assert before != "system" or role != "assistant", f"it does not begin with the user: {where}"
        before = role
        calls = message.get("tool_calls")
        assert calls is None or calls, f"no calls at all: {where}"
        waiting += [_openai_call(call, ids, where) for call in calls or ()]
        if content is None:
            assert calls, f"it says nothing: {where}"
        elif isinstance(content, str):
            assert content.strip(), f"empty: {where}"
        else:
            assert role == "user", f"parts in a message of another role: {where}"
            assert content, f"no parts: {where}"
            for part in content:
                _openai_part(part, where)
    assert not waiting, f"calls {waiting} have no result at the end"


def _openai_call(call: dict[str, Any], ids: set[str], where: str) -> str:
    assert set(call) == {"id", "type", "function"}, where
    assert call["type"] == "function", where
    assert set(call["function"]) == {"name", "arguments"}, where
    assert isinstance(call["function"]["arguments"], str), where
    assert isinstance(json.loads(call["function"]["arguments"], parse_constant=_refuse), dict), where
    return _called(call["id"], call["function"]["name"], ids, where)


def _openai_part(part: dict[str, Any], where: str) -> None:
    match part:
        case {"type": "text", "text": str(text), **rest}:
            assert text.strip(), f"an empty text: {where}"
        case {"type": "image_url", "image_url": {"url": str(url), **options}, **rest}:
            assert options.get("detail", "auto") in ("auto", "low", "high"), where
            assert set(options) <= {"detail"}, where
            _is_url(url, where)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(format), **rest}}:
            assert format, where
            _is_base64(data, where)
        case {"type": "file", "file": {"file_data": str(url), "filename": str(name), **rest}}:
            assert name, where
            assert url.startswith("data:"), where
            _is_url(url, where)
        case {"type": "file", "file": {"file_id": str(id), "format": str(), **rest}}:  # of litellm, for URLs
            _is_url(id, where)
        case _:
            raise AssertionError(f"an unknown part {str(part)[:100]}: {where}")
    assert not rest, f"unknown keys in {part['type']}: {where}"


def check_anthropic(request: dict[str, Any]) -> None:
    """Turns that alternate from the user on, and each tool_use answered at the beginning of the next message."""
    _is_json(request)
    assert set(request) == {"system", "messages"}
    assert isinstance(request["system"], str)
    assert request["system"] == "" or request["system"].strip()
    waiting: list[str] = []
    ids: set[str] = set()
    before = "assistant"
    for at, message in enumerate(request["messages"]):
        where = f"message {at}: {str(message)[:300]}"
        role, content = message["role"], message["content"]
        assert set(message) == {"role", "content"}, where
        assert role in ("user", "assistant"), f"unknown role: {where}"
        assert role != before, f"it does not alternate from the user on: {where}"
        before = role
        assert isinstance(content, list), where
        assert content, f"empty: {where}"
        kinds = [block["type"] for block in content]
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        assert sorted(results) == sorted(waiting), f"{waiting} were called: {where}"
        assert kinds[: len(results)] == ["tool_result"] * len(results), f"results come first: {where}"
        calls = [block for block in content if block["type"] == "tool_use"]
        assert kinds[len(kinds) - len(calls) :] == ["tool_use"] * len(calls), f"calls come last: {where}"
        assert not calls or role == "assistant", where
        waiting = [_called(call["id"], call["name"], ids, where) for call in calls]
        for block in content:
            _anthropic_block(block, role, where)
    assert not waiting, f"calls {waiting} have no result at the end"
    if before == "assistant" and request["messages"]:
        last = request["messages"][-1]["content"][-1]["text"]
        assert last == last.rstrip(), "the final assistant message ends on whitespace"


def _anthropic_block(block: dict[str, Any], role: str, where: str) -> None:
    match block:
        case {"type": "text", "text": str(text), **rest}:
            assert text.strip(), f"an empty text: {where}"
        case {"type": "tool_use", "input": dict(), "id": _, "name": _, **rest}:
            pass
        case {"type": "tool_result", "content": str(text), "tool_use_id": _, **rest}:
            assert text.strip(), f"an empty result: {where}"
        case {"type": "image", "source": dict(source), **rest}:
            assert role == "user", f"an image that the user did not send: {where}"
            _source(source, ("image/jpeg", "image/png", "image/gif", "image/webp"), where)
        case {"type": "document", "source": dict(source), **rest}:
            assert role == "user", f"a document that the user did not send: {where}"
            _source(source, ("application/pdf",), where)
            assert rest.pop("title", "a title").strip(), where
        case _:
            raise AssertionError(f"an unknown block {str(block)[:100]}: {where}")
    assert not rest, f"unknown keys in {block['type']}: {where}"


def _source(source: dict[str, Any], types: Sequence[str], where: str) -> None:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data), **rest}:
            assert media_type in types, f"{media_type} is not taken: {where}"
            _is_base64(data, where)
        case {"type": "url", "url": str(url), **rest}:
            assert not url.startswith("data:"), where
            _is_url(url, where)
        case _:
            raise AssertionError(f"an unknown source: {where}")
    assert not rest, where


def answer_openai(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The list as its caller sends it: with results for the calls that wait at its end."""
    answered: list[dict[str, Any]] = list(messages)
    made = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    there = {message.get("tool_call_id") for message in messages}
    return answered + [{"role": "tool", "tool_call_id": id, "content": "42"} for id in made if id not in there]


def answer_anthropic(request: dict[str, Any]) -> dict[str, Any]:
    """The same for a request of the Messages API."""
    blocks = [block for message in request["messages"] for block in message["content"]]
    there = {block.get("tool_use_id") for block in blocks}
    made = [block["id"] for block in blocks if block["type"] == "tool_use" and block["id"] not in there]
    if not made:
        return request
    results = [{"type": "tool_result", "tool_use_id": id, "content": "42"} for id in made]
    *earlier, last = request["messages"]
    if last["role"] == "user":
        return {**request, "messages": [*earlier, {"role": "user", "content": last["content"] + results}]}
    return {**request, "messages": [*earlier, last, {"role": "user", "content": results}]}


def _called(id: Any, name: Any, ids: set[str], where: str) -> str:
    assert isinstance(id, str), where
    assert _ID.fullmatch(id), f"the id {id!r} is not taken: {where}"
    assert id not in ids, f"one id for two calls, {id!r}: {where}"
    ids.add(id)
    assert isinstance(name, str), where
    assert _NAME.fullmatch(name), f"the name {name!r} is not taken: {where}"
    return id


def _is_json(value: Any) -> None:
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _is_url(url: str, where: str) -> None:
    head, comma, data = url.partition(",")
    if head.startswith("data:"):
        assert re.fullmatch(r"data:[\w.+-]+/[\w.+-]+;base64", head), where
        assert comma, where
        _is_base64(data, where)
    else:
        assert re.match(r"(https?|gs)://\S+$", url), f"not a URL: {where}"


def _is_base64(data: str, where: str) -> None:
    assert data, f"no data: {where}"
    base64.b64decode(data, validate=True)


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")
