"""Any interleaving of tool calls, compaction and interruptions sends what the strictest provider takes."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from provider_rules import answer_anthropic, answer_openai, check_anthropic, check_openai
from summarisers import Answer, Model, covered, create, said, settled, talk

from mnesis import MnesisSession, ToolPart, ToolStatus, Unavailable
from mnesis.llm.base import Request
from mnesis.llm.scripted import Reply

LOOK = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}

type Kind = Literal["good", "bad", "huge", "slow", "unknown", "broken", "mine"]


def good(n: int) -> str:
    """Do it."""
    return f"did {n}"


def bad(n: int) -> str:
    """Fail."""
    raise ValueError(f"no {n}")


def huge(n: int) -> str:
    """Give much."""
    return f"line {n} of many\n" * 2_000


async def slow(n: int) -> str:
    """Never end."""
    await asyncio.sleep(3600)
    return ""


@dataclass(frozen=True)
class Step:
    """One turn: the rounds of calls that the model makes, and what happens to it at the end."""

    rounds: tuple[tuple[tuple[Kind, int, str], ...], ...]
    end: Literal["answer", "fail", "cut", "recorded"]
    then: Literal["nothing", "compact", "load", "leave"]


KINDS: st.SearchStrategy[Kind] = st.sampled_from(["good", "good", "bad", "huge", "unknown", "broken", "mine"])
CALLS = st.tuples(KINDS, st.integers(0, 2), st.sampled_from(["", "call_0", "call_1", "functions.f:0", "x" * 50]))
STEPS = st.builds(
    Step,
    rounds=st.lists(st.lists(CALLS, min_size=1, max_size=3).map(tuple), max_size=3).map(tuple),
    end=st.sampled_from(["answer", "answer", "fail", "cut", "recorded"]),
    then=st.sampled_from(["nothing", "nothing", "compact", "load", "leave"]),
)


class Script(Model):
    """Plays a step: its rounds, then its end."""

    def __init__(self) -> None:
        super().__init__(self.play)
        self.rounds: list[tuple[tuple[Kind, int, str], ...]] = []
        self.end = "answer"

    def play(self, request: Request) -> Answer:
        if self.rounds and request.params.get("tool_choice") != "none":
            return Reply("Let me see.", tool_calls=[_call(*each) for each in self.rounds.pop(0)])
        return Unavailable("gone") if self.end == "fail" else f"Done. {talk(7, 40)}"


def _call(kind: Kind, number: int, id: str) -> dict:
    name = {"unknown": "fly", "mine": "look", "broken": "good"}.get(kind, kind)
    arguments: object = "{not json" if kind == "broken" else {"n": number}
    return {"name": name, "arguments": arguments} | ({"id": id} if id else {})


@settings(max_examples=25)
@given(st.lists(STEPS, min_size=2, max_size=10))
async def test_any_interleaving_of_tool_calls_and_compaction_sends_what_the_strictest_provider_takes(steps):
    llm = Script()
    session = await create(":memory:", llm, 4_000)
    for number, step in enumerate(steps):
        session = await play(session, llm, number, step)
        await settled(session)
        await check(session)
    for request in llm.chats:
        check_openai(request.messages)
    await session.close()


async def test_a_recorded_call_that_is_never_answered_takes_its_room_from_the_results_that_come_later():
    llm = Script()
    session = await create(":memory:", llm, 4_000)
    await session.send(f"Hello. {talk(9, 60)}")
    call = ToolPart(tool_name="look", tool_call_id="c", input={"n": 1})
    await session.record(f"Look. {talk(1, 200)}", [call, {"type": "text", "text": "So it is."}])
    for number in range(3):
        llm.rounds = [(("huge", 0, ""),), (("good", 0, ""),) * 2, (("good", 0, ""),) * 3]
        await session.send(f"Question {number}. {talk(number, 60)}", tools=[good, huge])
        await settled(session)
    assert call.tool_call_id in {item.tool_call_id for item in (await session.context()).items}
    await session.close()


async def play(session: MnesisSession, llm: Script, number: int, step: Step) -> MnesisSession:
    question = f"Question {number}. {talk(number, 60)}"
    if step.end == "recorded":
        # Such a call is kept in the window for ever, so there is one at most: many would fill it.
        waits = "mine" if number == 1 else None
        parts = [_recorded(*call, waits) for calls in step.rounds for call in calls]
        await session.record(question, [*parts, {"type": "text", "text": "So it is."}])
    else:
        llm.rounds, llm.end = list(step.rounds), step.end
        tools = [good, bad, huge, LOOK]
        if step.end == "cut":
            llm.rounds.insert(0, (("slow", 1, "s1"), ("good", 1, "g1")))
            await cut(session, question, [*tools, slow])
        else:
            await converse(session, question, tools, leave=step.then == "leave")
    if step.then == "compact":
        await session.compact()
    return session


def _recorded(kind: Kind, number: int, id: str, waits: str | None) -> ToolPart:
    call = ToolPart(tool_name=kind, tool_call_id=id or "r", input={"n": number})
    return (
        call
        if kind == waits
        else call.model_copy(update={"output": f"{kind} {number}", "status": ToolStatus.COMPLETED})
    )


async def converse(session: MnesisSession, question: str, tools: list, *, leave: bool) -> None:
    """A turn, and the turns that give the results of the caller's own tools; or none of these, where he leaves."""
    try:
        result = await session.send(question, tools=tools)
        while result.tool_calls and not leave:
            given = {call.tool_call_id: f"seen {call.input}" for call in result.tool_calls}
            result = await session.submit_tool_results(given, tools=tools)
    except Unavailable:
        pass


async def cut(session: MnesisSession, question: str, tools: list) -> None:
    """A turn that is cancelled while a tool runs."""
    came = asyncio.Event()

    def on_part(part: object) -> None:
        if isinstance(part, ToolPart) and part.tool_call_id == "g1" and part.finished:
            came.set()

    turn = asyncio.create_task(session.send(question, tools=tools, on_part=on_part))
    await asyncio.wait_for(came.wait(), 10)
    turn.cancel()
    await asyncio.wait([turn])
    assert turn.cancelled()


async def check(session: MnesisSession) -> None:
    window = await session.context()
    assert window.size <= window.budget
    check_openai(answer_openai(window.to_openai()))
    check_anthropic(answer_anthropic(window.to_anthropic()))
    assert await covered(session) == dict.fromkeys(await said(session), 1)
    report = await session.verify(deep=True)
    assert report.ok, str(report)
