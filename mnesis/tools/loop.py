"""Runs the calls of one reply, side by side, and turns whatever comes of them into results for the model."""

import asyncio
from collections.abc import Mapping, Sequence

from mnesis.errors import MnesisError
from mnesis.models.message import ToolPart, ToolStatus
from mnesis.tools.base import Tool


async def run_calls(calls: Sequence[ToolPart], tools: Mapping[str, Tool]) -> tuple[ToolPart, ...]:
    """The results of these calls, in their order. A tool's error is a result too: the model is told."""
    return tuple(await asyncio.gather(*(_run(call, tools.get(call.tool_name)) for call in calls)))


async def _run(call: ToolPart, tool: Tool | None) -> ToolPart:
    if tool is None:
        return _failed(call, f"there is no tool {call.tool_name!r}")
    try:
        output = await tool.run(call.input)
    except MnesisError as error:
        return _failed(call, str(error))
    done = {"output": output, "status": ToolStatus.COMPLETED, "recalled": tool.recalled}
    return call.model_copy(update=done)


def _failed(call: ToolPart, message: str) -> ToolPart:
    return call.model_copy(update={"error_message": message, "status": ToolStatus.ERROR})
