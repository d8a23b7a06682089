"""One item of an agentic map: a session of its own, turns until it answers, tools, agents below it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mnesis.errors import MnesisError
from mnesis.llm.base import Provider
from mnesis.models.config import MnesisConfig
from mnesis.models.message import TurnResult
from mnesis.operators.ask import ANSWER_AS, Bill, Outcome, outcome_of
from mnesis.operators.delegation import delegate_tool
from mnesis.operators.schema import OutputSchema, SchemaMismatch
from mnesis.operators.template import PromptTemplate
from mnesis.session import MnesisSession
from mnesis.store import Database
from mnesis.store.maps import RunRow, Taken
from mnesis.tools import Tool

_WHOLE = "stop"
_WRONG = "That answer cannot be used: {problem}\n"


class Unfinished(MnesisError):
    """An agent used up its turns without an answer that can be used."""


@dataclass(frozen=True, slots=True)
class Briefing:
    """How the agents of a run work. `timeout` in seconds is for one item; `depth`: so many agents may stand below one
    another, the item's own not counted.
    """

    model: str
    system_prompt: str
    tools: tuple[Tool, ...]
    read_only: bool
    max_turns: int
    continuation: str
    depth: int
    timeout: float
    config: MnesisConfig
    llm: Provider | None = None
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Agents:
    """Works on items, any number at once. Raises what `outcome_of` raises."""

    def __init__(
        self, db: Database, row: RunRow, briefing: Briefing, template: PromptTemplate, schema: OutputSchema
    ) -> None:
        self._db, self._row, self._briefing = db, row, briefing
        self._template, self._schema = template, schema
        told = [briefing.system_prompt, f"When you are done: {ANSWER_AS}{schema.text}" if schema.text else ""]
        self._system = "\n\n".join(filter(None, told))

    async def __call__(self, item: Taken) -> Outcome:
        return await outcome_of(item, self._briefing.timeout, self._answer)

    async def _answer(self, value: Any, index: int, bill: Bill) -> tuple[Any, str]:
        prompt = self._template.render(value, index)
        title = f"{self._row.id} item {index}"
        async with self._session(self._row.session_id, self._system, title, bill) as session:
            bill.session_id = session.id
            return await self._converse(session, prompt, bill)

    async def _converse(self, session: MnesisSession, prompt: str, bill: Bill) -> tuple[Any, str]:
        """Turn by turn, until there is an answer that fits."""
        tools = self._tools(session, prompt, bill, self._briefing.depth)
        message, problem = prompt, ""
        for _ in range(self._briefing.max_turns):
            result = await self._turn(session, message, tools, bill)
            message = self._briefing.continuation
            if result.finish_reason != _WHOLE:
                problem = f"the last turn ended with {result.finish_reason!r}"
                continue
            try:
                return self._schema.parse(result.text)
            except SchemaMismatch as mismatch:
                problem = str(mismatch)
                message = f"{_WRONG.format(problem=problem)}{message}"
        turns = self._briefing.max_turns
        raise Unfinished(f"no answer in {turns} {'turn' if turns == 1 else 'turns'} ({problem}); raise max_turns")

    async def _turn(self, session: MnesisSession, message: str, tools: Sequence[Tool], bill: Bill) -> TurnResult:
        bill.attempts += 1
        return await session.send(message, tools=tools, params=self._briefing.params, origin=self._row.id)

    def _tools(self, session: MnesisSession, task: str, bill: Bill, depth: int) -> list[Tool]:
        tools = list(self._briefing.tools)
        if not depth:
            return tools

        async def spawn(part: str) -> str:
            title = f"{self._row.id} delegated by {session.id}"
            async with self._session(session.id, self._briefing.system_prompt, title, bill) as below:
                result = await self._turn(below, part, self._tools(below, part, bill, depth - 1), bill)
                return result.text

        return [*tools, delegate_tool(task, spawn, read_only=self._briefing.read_only)]

    @asynccontextmanager
    async def _session(
        self, parent_id: str | None, system_prompt: str, title: str, bill: Bill
    ) -> AsyncGenerator[MnesisSession]:
        """A session for a block. When it is closed all of its turns are billed, those that failed too."""
        briefing = self._briefing
        session = await MnesisSession.create(
            model=briefing.model,
            system_prompt=system_prompt,
            agent="map",
            parent_id=parent_id,
            config=briefing.config,
            pool=self._db,
            llm=briefing.llm,
            title=title,
        )
        try:
            async with session:
                yield session
        finally:
            bill.add(session.token_usage, session.cost)
