"""Runs the calls of one reply, side by side, and turns whatever comes of them into results for the model."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mnesis.errors import MnesisError
from mnesis.llm.redact import redact
from mnesis.models.message import ToolPart, ToolStatus
from mnesis.tools.base import Tool
from mnesis.tools.results import result_text

type Tell = Callable[[ToolPart], Awaitable[None]]

_GRACE = 1.0
"""Seconds that a tool which is cancelled has for its own clean-up; then it is left to itself."""


class _Exit(Exception):
    """A tool tried to end the program: SystemExit would end the event loop."""


async def run_calls(calls: Sequence[ToolPart], tools: Mapping[str, Tool], tell: Tell, timeout: float) -> None:
    """Run these calls at the same time, and `tell` each of their states: running, then completed or error.

    A tool's error is a result too: the model is told. `timeout` in seconds is for tools that have none of their own.
    If the caller is cancelled, so are the tools; what had finished by then has been told.
    """
    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(_run(call, tools[call.tool_name], tell, timeout))


async def _run(call: ToolPart, tool: Tool, tell: Tell, timeout: float) -> None:
    await tell(call.model_copy(update={"status": ToolStatus.RUNNING}))
    await tell(await _outcome(call, tool, tool.timeout or timeout))


async def _outcome(call: ToolPart, tool: Tool, timeout: float) -> ToolPart:
    assert tool.run is not None, "the caller's own tools are not run here"
    # In a task of its own: a tool may cancel the task that it runs in, and that is not the turn's.
    work = asyncio.create_task(_guarded(tool.run, call.input))
    try:
        await asyncio.wait([work], timeout=timeout)
    finally:
        if late := not work.done():
            work.cancel()
            await asyncio.wait([work], timeout=_GRACE)
    if late:
        return call.failed(f"{tool.name} gave no result within {timeout:g} s and was stopped")
    if work.cancelled():
        return call.failed(f"{tool.name} was cancelled, and not by the conversation")
    try:
        return call.model_copy(
            update={"output": work.result(), "status": ToolStatus.COMPLETED, "recalled": tool.recalled}
        )
    except MnesisError as error:
        return call.failed(str(error))
    except Exception as error:  # noqa: BLE001  # a tool is foreign code: whatever it raises goes to the model
        return call.failed(redact(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__))


async def _guarded(run: Callable[[dict[str, Any]], Awaitable[Any]], arguments: dict[str, Any]) -> str:
    try:
        return result_text(await run(arguments))
    except SystemExit as error:
        raise _Exit(f"the tool tried to end the program (exit code {error.code})") from None
