"""Maps as tools for the model: a data set in a file goes through a map, the results go into another file, and the
window gets counts, a path and the id of the run.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnesis.errors import InputError, describe_value
from mnesis.llm.base import Provider
from mnesis.models.config import OperatorConfig
from mnesis.models.maps import MapResult
from mnesis.operators.agentic_map import AgenticMap
from mnesis.operators.llm_map import LLMMap
from mnesis.operators.run import MapRun
from mnesis.session import MnesisSession
from mnesis.tools import Tool, ToolLike

_FAILURES = 3
"""Failures whose reasons the model is told."""

_HOURS = 24 * 3600.0
_FILES = {
    "input": {"type": "string", "description": "a JSONL file in the folder, one item per line"},
    "output": {"type": "string", "description": "a new JSONL file in the folder, for the results"},
}
_SCHEMA = {"type": "object", "description": "a JSON Schema of each answer; leave it out for text"}


def map_tools(
    session: MnesisSession,
    folder: str | Path,
    *,
    config: OperatorConfig | None = None,
    model: str | None = None,
    llm: Provider | None = None,
    tools: Sequence[ToolLike] | None = None,
    timeout: float = _HOURS,
) -> list[Tool]:
    """`llm_map` and `agentic_map`, for `session.send(…, tools=map_tools(session, folder))`.

    They read and write JSONL files in `folder`, and nowhere else; no file is written over. `model` and `llm` default to
    the session's model. `tools` are those of the agents: none that does not declare that it only reads. `timeout` in
    seconds is that of a whole map; a run that it stops can be resumed.
    """
    files = _Folder(Path(folder))
    if session.db_path is None:
        raise InputError("the session is kept in memory, and runs of maps are kept in its file; give it a db_path")
    shared: dict[str, Any] = {
        "config": config or session.config.operators,
        "event_bus": session.event_bus,
        "model": model or session.model,
        "llm": llm,
        "db_path": session.db_path,
        "parent_id": session.id,
    }
    llm_map, agentic_map = LLMMap(**shared), AgenticMap(**shared)

    async def run_llm_map(arguments: dict[str, Any]) -> str:
        template, schema = _text(arguments, "prompt_template"), arguments.get("output_schema")
        return await files.through(arguments, lambda path: llm_map.run(path, template, schema))

    async def run_agentic_map(arguments: dict[str, Any]) -> str:
        template, schema = _text(arguments, "agent_prompt_template"), arguments.get("output_schema")
        return await files.through(
            arguments, lambda path: agentic_map.run(path, template, output_schema=schema, tools=tools)
        )

    return [
        Tool(
            "llm_map",
            "Ask a language model the same about each line of a JSONL file, side by side. The results go into another "
            "file, not into this conversation. prompt_template is Jinja: {{ item }} is the line, {{ item.name }} a "
            "field of it.",
            _parameters("prompt_template"),
            run_llm_map,
            timeout,
        ),
        Tool(
            "agentic_map",
            "Have an agent with tools work on each line of a JSONL file, side by side. The results go into another "
            "file. agent_prompt_template is Jinja: {{ item }} is the line, {{ item.name }} a field of it.",
            _parameters("agent_prompt_template"),
            run_agentic_map,
            timeout,
        ),
    ]


def _parameters(template: str) -> dict[str, Any]:
    properties = {**_FILES, template: {"type": "string"}, "output_schema": _SCHEMA}
    return {
        "type": "object",
        "properties": properties,
        "required": ["input", "output", template],
        "additionalProperties": False,
    }


class _Folder:
    """The only place where a model's paths lead."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().resolve()
        if not self._root.is_dir():
            raise InputError(f"folder={describe_value(str(root))} is no folder; give one that is there")

    async def through(self, arguments: dict[str, Any], begin: Callable[[Path], MapRun]) -> str:
        """Run a map over one file into another. Returns what the model is told of it."""
        source, target = self._path(arguments, "input"), self._path(arguments, "output")
        if not source.is_file():
            raise InputError(f"input={describe_value(arguments['input'])} is no file of the folder")
        run = begin(source)
        failures: list[MapResult] = []
        try:
            with target.open("x", encoding="utf-8") as file:
                async for result in run:
                    file.write(_line(result))
                    if not result.success and len(failures) < _FAILURES:
                        failures.append(result)
        except FileExistsError:
            raise InputError(
                f"output={describe_value(arguments['output'])} is there already, and nothing is written over; "
                "name a new file"
            ) from None
        except OSError as error:
            raise InputError(
                f"output={describe_value(arguments['output'])} cannot be written ({error.strerror})"
            ) from error
        progress = run.progress
        told = [
            f"run {run.id}: {progress.done} done, {progress.failed} failed; results in {arguments['output']}, "
            "one line each with index, output, error"
        ]
        told += [f"item {each.index} failed: {each.error_kind}: {str(each.error)[:200]}" for each in failures]
        return "\n".join(told)

    def _path(self, arguments: dict[str, Any], name: str) -> Path:
        given = _text(arguments, name)
        try:
            path = (self._root / given).resolve()  # links included: what they point to must be in the folder, too
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"{name}={describe_value(given)} is no path ({error})") from None
        if not path.is_relative_to(self._root):
            raise InputError(f"{name}={describe_value(given)} is outside of the folder; give a path inside it")
        return path


def _line(result: MapResult) -> str:
    told = {"index": result.index, "output": result.output, "error": result.error}
    return json.dumps(told, ensure_ascii=False) + "\n"


def _text(arguments: dict[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise InputError(f"{name}={describe_value(value)} is not usable: give a text")
    return value
