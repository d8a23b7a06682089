"""AgenticMap: one agent, in a session of its own, for each of many items."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnesis.errors import ConfigError, InputError, describe_value
from mnesis.events.bus import EventBus
from mnesis.llm.base import Provider
from mnesis.models.config import MnesisConfig, OperatorConfig, RetryConfig
from mnesis.operators.agent import Agents, Briefing
from mnesis.operators.base import Operator, Task, WorkOn, mapping, seconds, text, whole
from mnesis.operators.delegation import DELEGATE
from mnesis.operators.record import read_to_end
from mnesis.operators.run import MapResults, MapRun, OnProgress
from mnesis.operators.schema import OutputSchema
from mnesis.operators.template import PromptTemplate
from mnesis.store import Database
from mnesis.tools import Tool, ToolLike, tools_of

CONTINUE = "Go on. If you are done, give your final answer."
SYSTEM_PROMPT = "You are an agent. Do the task with your tools, then give your final answer."


class AgenticMap(Operator):
    """Gives each of many items to an agent: a session of its own, whose `parent_id` is that of this map.

    Arguments as for `LLMMap`. `session_config` is that of the agents' sessions.
    """

    kind = "agentic"

    def __init__(
        self,
        config: OperatorConfig | None = None,
        event_bus: EventBus | None = None,
        model: str | None = None,
        *,
        llm: Provider | None = None,
        db_path: str | Path | None = None,
        pool: Database | None = None,
        parent_id: str | None = None,
        retry: RetryConfig | None = None,
        session_config: MnesisConfig | None = None,
    ) -> None:
        super().__init__(
            config, event_bus, model, llm=llm, db_path=db_path, pool=pool, parent_id=parent_id, retry=retry
        )
        if not isinstance(session_config, MnesisConfig | None):
            raise ConfigError(
                f"session_config={describe_value(session_config)} is not a MnesisConfig; give MnesisConfig(…)"
            )
        settings = session_config or MnesisConfig()
        retrying = settings.session.model_copy(update={"retry": self._retry})
        self._session_config = settings.model_copy(update={"session": retrying})

    def run(
        self,
        inputs: Any,
        agent_prompt_template: str,
        read_only: bool = True,
        max_turns: int = 8,
        continuation_message: str = CONTINUE,
        output_schema: Any = None,
        *,
        tools: Sequence[ToolLike] | None = None,
        max_depth: int = 0,
        model: str | None = None,
        system_prompt: str = SYSTEM_PROMPT,
        params: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        timeout: float | None = None,
        executor: Any = None,
        on_progress: OnProgress | None = None,
    ) -> MapRun:
        """An agent for each item: `async for result in agentic_map.run(…)` gives the results as they are finished.

        `output` is the agent's last answer, by `output_schema` where there is one; `session_id` names its session.
        Where a turn ends otherwise (cut off, too many tool rounds, an answer that does not fit), the agent is told
        `continuation_message`, in at most `max_turns` turns. With `read_only` only tools are taken that declare it
        (`function_tool(f, read_only=True)`). With `max_depth` above 0 agents may delegate: the tool asks for the
        `delegated_scope` and the `kept_work`, and refuses to pass on a whole task. Other arguments as for `LLMMap.run`.
        With `executor` the workers of a cluster make the requests and call the tools, each call wherever there is room;
        the agents' sessions stay here.

        Raises `InputError`, also for a tool that is not read-only, for one that the caller would have to run, and, with
        `executor`, for one that cannot be pickled.
        """
        model = self._named(model)
        template = PromptTemplate(agent_prompt_template, "agent_prompt_template")
        schema, chosen = OutputSchema(output_schema), _usable(tools, read_only)
        if isinstance(max_depth, bool) or not isinstance(max_depth, int) or not 0 <= max_depth <= _DEEPEST:
            raise InputError(f"max_depth={describe_value(max_depth)} is not usable; give 0 to {_DEEPEST}")
        options = {
            "system_prompt": text(system_prompt, "system_prompt"),
            "params": mapping(params),
            "concurrency": whole(concurrency, self.config.agentic_map_concurrency),
            "timeout": seconds(timeout, self.config.item_timeout),
            "read_only": bool(read_only),
            "max_turns": whole(max_turns, 1, "max_turns"),
            "continuation": text(continuation_message, "continuation_message"),
            "depth": max_depth,
            "tools": [tool.name for tool in chosen],
        }
        task = Task(model, template, schema, options)
        return self._begin(inputs, task, self._work_on(task, chosen, executor), on_progress)

    async def run_all(self, inputs: Any, agent_prompt_template: str, *arguments: Any, **options: Any) -> MapResults:
        """`run`, read to its end: a list of all results, in the order of the inputs. In a terminal a bar shows how far
        it is.
        """
        return await read_to_end(self.run(inputs, agent_prompt_template, *arguments, **options))

    async def resume(
        self,
        run_id: str,
        inputs: Any = None,
        *,
        tools: Sequence[ToolLike] | None = None,
        output_schema: Any = None,
        retry_failed: bool = False,
        params: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        timeout: float | None = None,
        executor: Any = None,
        on_progress: OnProgress | None = None,
    ) -> MapRun:
        """Do what is left of a run, as `LLMMap.resume`. `tools` are given again: the same, by their names.

        An agent that was interrupted begins anew, in another session; the old one stays in the store.
        """
        row, task = await self._stored(run_id, output_schema, params, concurrency, timeout)
        chosen = _usable(tools, task.options["read_only"])
        if (names := [tool.name for tool in chosen]) != task.options["tools"]:
            raise InputError(
                f"tools={names} are not those that {run_id} began with: {task.options['tools']}; give these again"
            )
        return self._go_on(row, task, inputs, self._work_on(task, chosen, executor), retry_failed, on_progress)

    def _work_on(self, task: Task, tools: tuple[Tool, ...], executor: Any) -> WorkOn:
        options, llm = task.options, self._llm
        if executor is not None:
            from mnesis.operators.remote import ProviderOnDask, client_of, tool_on_dask  # it is an extra

            client = client_of(executor)
            llm = ProviderOnDask(client, llm, task.model)
            tools = tuple(tool_on_dask(client, tool) for tool in tools)
        briefing = Briefing(
            model=task.model,
            system_prompt=options["system_prompt"],
            tools=tools,
            read_only=options["read_only"],
            max_turns=options["max_turns"],
            continuation=options["continuation"],
            depth=options["depth"],
            timeout=options["timeout"],
            config=self._session_config,
            llm=llm,
            params=options["params"],
        )
        return lambda db, row: Agents(db, row, briefing, task.template, task.schema)


_DEEPEST = 5


def _usable(given: Sequence[ToolLike] | None, read_only: bool) -> tuple[Tool, ...]:
    """The tools, checked: nobody waits to run an agent's calls, and read-only means read-only."""
    tools = tools_of(given)
    for tool in tools:
        if tool.run is None:
            raise InputError(
                f"tool {tool.name!r} has no function, and nobody runs the calls of an agent; give a function"
            )
        if tool.name == DELEGATE:
            raise InputError(f"a tool is called {DELEGATE!r}, and that is the one by which agents delegate; rename it")
        if read_only and not tool.read_only:
            raise InputError(
                f"tool {tool.name!r} does not declare that it only reads; if that is so, say "
                f"function_tool({tool.name}, read_only=True); else pass read_only=False to the map"
            )
    return tools
