"""What callers pass as `tools=` and as results."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mnesis.errors import InputError, describe_value
from mnesis.models.message import ToolPart, ToolStatus
from mnesis.tools.base import Tool
from mnesis.tools.functions import function_tool
from mnesis.tools.results import result_text

type ToolLike = Callable[..., Any] | Tool | Mapping[str, Any]


def tools_of(given: object) -> tuple[Tool, ...]:
    """The tools of a list of functions, `Tool`s, and dicts in the format of chat-completion APIs.

    Raises `InputError`, naming the place in the list.
    """
    if given is None:
        return ()
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise InputError(f"tools={describe_value(given)} is a {type(given).__name__}; give a list of functions")
    tools = tuple(_tool(each, f"tools[{index}]") for index, each in enumerate(given))
    if taken := next((tool.name for tool in tools if tool.name.startswith(_OURS)), None):
        raise InputError(
            f"a tool is called {taken!r}, and names that begin with {_OURS!r} are the session's own; rename it"
        )
    return tools


_OURS = "mnesis_"


def _tool(given: Any, where: str) -> Tool:
    if isinstance(given, Tool):
        return given
    if isinstance(given, Mapping):
        return _described(given, where)
    if callable(given):
        return function_tool(given)
    raise InputError(
        f"{where}={describe_value(given)} is no tool; give a function, a Tool, or a dict "
        '{"type": "function", "function": {"name": …, "description": …, "parameters": …}}'
    )


def _described(given: Mapping[str, Any], where: str) -> Tool:
    """A tool that the caller runs."""
    function = given.get("function")
    if (
        given.get("type") != "function"
        or not isinstance(function, Mapping)
        or not isinstance(function.get("name"), str)
    ):
        raise InputError(
            f"{where}={describe_value(given)} is no tool definition; "
            'give {"type": "function", "function": {"name": …, "description": …, "parameters": …}}'
        )
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    try:
        json.dumps(parameters)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: the parameters of {function['name']} are no JSON Schema: {error}") from None
    return Tool(function["name"], str(function.get("description") or ""), dict(parameters))


def results_of(given: object, pending: Sequence[ToolPart]) -> tuple[ToolPart, ...]:
    """The results of the pending calls, in their order.

    `given` maps the id of each call to what its tool returned (an exception: to its error), or is a list of finished
    `ToolPart`s or of messages `{"role": "tool", "tool_call_id": …, "content": …}`. Raises `InputError` for a call that
    is not pending, one that is answered twice, and one that is left out.
    """
    if not pending:
        raise InputError("no tool call waits for a result: the last turn was answered, or went on without it")
    calls = {call.tool_call_id: call for call in pending}
    answers: dict[str, ToolPart] = {}
    for id, value in _pairs(given):
        if id not in calls:
            raise InputError(f"no call {describe_value(id)} waits for a result; waiting: {', '.join(calls)}")
        if id in answers:
            raise InputError(f"call {id!r} is answered twice; give one result for each call")
        answers[id] = _result(calls[id], value)
    if missing := [id for id in calls if id not in answers]:
        raise InputError(
            f"call {missing[0]!r} of {calls[missing[0]].tool_name} has no result; give all of them at once, "
            "an exception as the result of one that failed"
        )
    return tuple(answers[id] for id in calls)


def _pairs(given: object) -> list[tuple[Any, Any]]:
    if isinstance(given, Mapping):
        return list(given.items())
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise InputError(
            f"results={describe_value(given)} is a {type(given).__name__}; give a dict of call id and result"
        )
    pairs: list[tuple[Any, Any]] = []
    for index, each in enumerate(given):
        if isinstance(each, ToolPart):
            if not each.finished:
                raise InputError(f"results[{index}] of call {each.tool_call_id!r} is {each.status.value}, not finished")
            pairs.append((each.tool_call_id, each))
        elif isinstance(each, Mapping) and "tool_call_id" in each and "content" in each:
            pairs.append((each["tool_call_id"], each["content"]))
        else:
            raise InputError(
                f"results[{index}]={describe_value(each)} is no result; "
                'give a ToolPart, or {"role": "tool", "tool_call_id": …, "content": …}'
            )
    return pairs


def _result(call: ToolPart, value: object) -> ToolPart:
    if isinstance(value, ToolPart):
        told = {"output": value.output, "error_message": value.error_message, "status": value.status}
        return call.model_copy(update=told)
    if isinstance(value, BaseException):
        return call.failed(f"{type(value).__name__}: {value}")
    return call.model_copy(update={"output": result_text(value), "status": ToolStatus.COMPLETED})
