"""Random sessions and their forks: after each step the invariants hold, whatever the summariser does."""

import asyncio
import datetime
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from provider_rules import check_anthropic, check_openai
from summarisers import Model, Order, brief, config, count, cut_to, exactly, said, settled, talk

from mnesis import LLMError, MnesisSession, RateLimit, TextPart, ToolPart, Unavailable
from mnesis.llm.base import ModelLimits
from mnesis.llm.scripted import Reply


def mad(order: Order) -> str | LLMError | Reply:
    """A different fault each time, the same for the same order."""
    ways = [*SUMMARISERS.values()][:-1]
    return ways[order.limit % len(ways)](order)


SUMMARISERS: dict[str, Callable[[Order], str | LLMError | Reply]] = {
    "true": brief,
    "as long as allowed": lambda order: exactly("It was", order.limit),
    "longer than allowed": lambda order: exactly("It was", order.limit + 1),
    "lying": lambda order: cut_to("The moon is made of cheese, and nobody lives there. " * 9, order.limit),
    "empty": lambda order: "",
    "cut off": lambda order: Reply("It was", finish_reason="length"),
    "ever growing": lambda order: order.material,
    "down": lambda order: Unavailable("#down#"),
    "busy": lambda order: RateLimit("#busy#"),
    "broken off": lambda order: Reply("It was", broken=True),
    "mad": mad,
}

WORDS = st.sampled_from(
    ["the pump", "failed", "at 12:30", "build-42", "/srv/app/x.py", "Ada Lovelace", "says", "no.", "yes!", "why?", "\n"]
)
CJK = st.sampled_from(["今天", "我们", "讨论", "数据库", "的", "压缩", "。", "東京", "서울"])
TEXTS = st.one_of(
    st.lists(WORDS, max_size=12).map(lambda words: " ".join(["Well,", *words])),
    st.tuples(st.lists(WORDS, max_size=5), st.integers(10, 35)).map(lambda t: " ".join(["Now", *t[0]]) * t[1]),
    st.lists(CJK, min_size=1, max_size=80).map("".join),
    st.integers(0, 99_999).map(lambda number: talk(number, 300)),
)
GIANTS = st.tuples(st.integers(0, 999), st.integers(3_000, 30_000)).map(
    lambda t: f"Question {t[0]} begins. " + "data " * t[1] + f"And ends with {t[0]}?"
)
OUTPUTS = st.one_of(
    st.lists(CJK, min_size=1, max_size=60).map("".join),
    st.integers(0, 999).map(lambda n: talk(n, 150)),
    st.integers(0, 999).map(lambda n: talk(n, 5_000)),
)
IDS = st.sampled_from(["c1", "c2", "c3"])
CALLS = st.lists(st.tuples(IDS, OUTPUTS), min_size=1, max_size=3)


class Sessions(RuleBasedStateMachine):
    """One session, its model, and what was said to it."""

    @initialize(
        window=st.sampled_from([4_000, 6_000, 8_000, 16_000]),
        way=st.sampled_from([*SUMMARISERS]),
        small=st.booleans(),
        rounds=st.sampled_from([1, 3, 10]),
    )
    def begin(self, window: int, way: str, small: bool, rounds: int) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "s.db"
        self.now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        limits = {"small/one": ModelLimits(2_000, 300)}
        self.llm = Model(summarise=SUMMARISERS[way], limits=limits)
        self.config = config(
            window,
            max_compaction_rounds=rounds,
            compaction_model="small/one" if small else None,
        )
        self.turns: list[tuple[str, Any]] = []
        self.before: list[dict[str, Any]] = []
        self.compactions = self.budget = 0
        self.left: list[tuple[str, Any]] = []
        self.session = self.run(
            MnesisSession.create(
                model="offline/quote", db_path=self.path, llm=self.llm, config=self.config, clock=lambda: self.now
            )
        )

    def run(self, work):
        return self.runner.run(work)

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.run(self.session.close())
            self.runner.close()
            self.folder.cleanup()

    # -- what may happen -----------------------------------------------------------------------------------------

    @rule(text=TEXTS, minutes=st.sampled_from([0, 1, 60]))
    def send(self, text: str, minutes: int) -> None:
        self.now += datetime.timedelta(minutes=minutes)
        self.run(self._send(text))

    @rule(text=GIANTS)
    def send_a_giant(self, text: str) -> None:
        self.run(self._send(text))

    async def _send(self, text: str) -> None:
        asked = len(self.llm.chats)
        result = await self.session.send(text)
        assert result.turn == len(self.turns)
        assert len(self.llm.chats) == asked + 1
        self.sent(text)
        self.turns.append((text, self.llm.chats[-1].messages))
        await settled(self.session)

    def sent(self, text: str) -> None:
        request = self.llm.chats[-1].messages
        last = request[-1]
        assert last["role"] == "user"
        if "characters left out here" in last["content"]:  # invariant 5
            assert last["content"].endswith(text[-100:])
        else:  # invariant 6; after a failed turn two user messages are one
            assert last["content"].endswith(text)
        assert sum(count(str(message["content"])) for message in request) <= self.budget
        check_openai(request)

    @rule(asked=TEXTS, answered=TEXTS)
    def record(self, asked: str, answered: str) -> None:
        self.run(self._record(asked, answered))

    @rule(asked=TEXTS, calls=CALLS)
    def record_tools(self, asked: str, calls: list[tuple[str, str]]) -> None:
        parts = [
            ToolPart(tool_name="look", tool_call_id=id, input={"n": len(text)}, output=text, status="completed")
            for id, text in calls
        ]
        self.run(self._record(asked, [*parts, TextPart(text="Done.")]))

    @rule(output=GIANTS)
    def record_a_giant_output(self, output: str) -> None:
        part = ToolPart(tool_name="look", tool_call_id="g1", output=output, status="completed")
        self.run(self._record("Look.", [part, TextPart(text="Done.")]))

    async def _record(self, asked: str, answered: Any) -> None:
        await self.session.record(asked, answered)
        self.turns.append((asked, None))
        await settled(self.session)

    @rule(text=TEXTS)
    def fail(self, text: str) -> None:
        self.llm.chat = Unavailable("#down#")
        try:
            with pytest.raises(Unavailable):
                self.run(self.session.send(text))
        finally:
            self.llm.chat = "Noted."
        self.turns.append((text, self.llm.chats[-1].messages))
        self.run(settled(self.session))

    @rule()
    def compact(self) -> None:
        self.run(self._compact())

    async def _compact(self) -> None:
        before = (await self.session.context()).size
        result = await self.session.compact()
        after = (await self.session.context()).size
        assert (result.tokens_before, result.tokens_after) == (before, after)
        assert after <= before

    @rule(way=st.sampled_from([*SUMMARISERS]))
    def change_the_summariser(self, way: str) -> None:
        self.llm.summarise = SUMMARISERS[way]

    @precondition(lambda self: self.turns)
    @rule()
    def load(self) -> None:
        self.run(self._load())

    async def _load(self) -> None:
        history, usage, window = self.session.history(), self.session.token_usage, await self.session.context()
        await self.session.close()
        self.session = await MnesisSession.load(
            self.session.id, db_path=self.path, llm=self.llm, clock=lambda: self.now
        )
        assert self.session.history() == history
        assert self.session.token_usage == usage
        assert await self.session.context() == window

    @precondition(lambda self: self.turns)
    @rule(back=st.integers(0, 6), follow=st.booleans())
    def fork(self, back: int, follow: bool) -> None:
        self.run(self._fork(max(-1, len(self.turns) - 1 - back), follow))

    async def _fork(self, turn: int, follow: bool) -> None:
        session = self.session
        fork = await session.fork(turn, clock=lambda: self.now)
        report = await fork.verify()
        assert report.ok, report.problems
        sizes = [each.context_tokens for each in session.history()]  # a later compaction may be told of an earlier turn
        assert [each.context_tokens for each in fork.history()] == sizes[: turn + 1]
        assert [(await fork.context(past)).items for past in range(turn + 1)] == [
            (await session.context(past)).items for past in range(turn + 1)
        ]
        if turn == len(self.turns) - 1:
            assert (await fork.context()).items == (await session.context()).items
        if follow:
            self.left.append((session.id, await session.context()))
            self.session, self.turns, self.before = fork, self.turns[: turn + 1], []
            await session.close()
        else:
            await fork.record("Here?", "There.")
            report = await fork.verify()
            assert report.ok, report.problems
            await fork.close()

    @precondition(lambda self: self.left)
    @rule(back=st.integers(0, 3))
    def look_back(self, back: int) -> None:
        self.run(self._look_back(*self.left[-1 - back % len(self.left)]))

    async def _look_back(self, id: str, window: Any) -> None:
        async with await MnesisSession.load(id, db_path=self.path, llm=self.llm, clock=lambda: self.now) as session:
            assert (await session.context()).items == window.items
            report = await session.verify()
            assert report.ok, report.problems

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        if hasattr(self, "session"):
            self.run(self.check())

    async def check(self) -> None:
        session = self.session
        window = await session.context()
        self.budget = window.budget
        assert window.size <= window.budget  # 5
        assert window.size == sum(item.tokens for item in window.items)  # 17
        log = [message for message in await session.messages() if not message.is_summary and not message.partial]
        summaries = {summary.id: summary for summary in await session.summaries()}
        self.newest_is_verbatim(window, log)
        self.covered_once(window, log, summaries)
        self.summaries_are_sound(window, summaries)
        openai = window.to_openai()
        if self.turns and self.turns[-1][1] is None:  # 7; a window that ends with the assistant is not sent as it is
            check_openai([*openai, {"role": "user", "content": "and now?"}])
        check_anthropic(window.to_anthropic())
        await self.nothing_changed(log)
        await self.prefix_holds(openai)
        await self.past_windows_are_rebuilt()
        assert self.llm.most_at_once <= 1  # 11
        if self.config.compaction.compaction_model:
            assert all(order.tokens + order.limit <= 2_000 for order in self.llm.orders)
        report = await session.verify()
        assert report.ok, report.problems

    def newest_is_verbatim(self, window: Any, log: list[Any]) -> None:  # 6
        newest = [message for message in log if message.turn == len(self.turns) - 1]
        shown = {item.message_id: item for item in window.items if item.kind != "summary"}
        for message in newest:
            assert message.id in shown or not message.parts
        user = next((item for item in window.items if newest and item.message_id == newest[0].id), None)
        if user is not None and "characters left out here" not in user.text:
            assert user.text == self.turns[-1][0]

    def covered_once(self, window: Any, log: list[Any], summaries: dict[str, Any]) -> None:  # 2, 4
        times: dict[str, int] = {}
        printed = " ".join(item.text for item in window.items)

        def visit(id: str, depth: int) -> None:
            if id not in summaries:
                times[id] = times.get(id, 0) + 1
                return
            assert depth >= 0
            for source in summaries[id].sources:
                visit(source.id, depth - 1)

        for id in dict.fromkeys(
            item.message_id or item.id for item in window.items if item.kind not in ("system", "tools")
        ):
            if id in summaries:
                assert id in printed
            visit(id, summaries[id].depth + 1 if id in summaries else 0)
        assert times == {message.id: 1 for message in log if message.parts}

    def summaries_are_sound(self, window: Any, summaries: dict[str, Any]) -> None:  # 3, 8, 9
        for summary in summaries.values():
            assert summary.text.strip()
            assert summary.tokens < summary.source_tokens
            assert "#busy#" not in summary.text
            assert "#down#" not in summary.text
            assert (summary.model is None) == (summary.level == 3)
            assert summary.sources
        alive = {item.id for item in window.items if item.kind == "summary"}
        assert alive == {summary.id for summary in summaries.values() if summary.in_window}

    async def nothing_changed(self, log: list[Any]) -> None:  # 1, 10
        asked = [message.text for message in log if message.role == "user"]
        assert asked == [text for text, _ in self.turns]
        assert [message.seq for message in await self.session.messages() if not message.is_summary] == sorted(
            message.seq for message in await self.session.messages() if not message.is_summary
        )

    async def prefix_holds(self, openai: list[dict[str, Any]]) -> None:  # 12
        events = [record.event for record in await self.session.events()]
        moves = sum(event in ("compaction.completed", "prune.completed") for event in events)
        if moves == self.compactions and self.before:
            *same, last = self.before
            assert openai[: len(same)] == same
            assert str(openai[len(same)]["content"]).startswith(str(last["content"]))
        self.before, self.compactions = openai, moves

    async def past_windows_are_rebuilt(self) -> None:  # 13
        for turn in {0, len(self.turns) // 2, len(self.turns) - 1} & set(range(len(self.turns))):
            window = await self.session.context(turn=turn)
            if (sent := self.turns[turn][1]) is not None:
                assert window.to_openai() == sent
        ids = await said(self.session)
        assert len(ids) == len(set(ids))


SETTINGS = settings(
    deadline=None,
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # a session that fails is short enough; to shrink it takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)

TestSessions = Sessions.TestCase
# So many by default, many more with --all.
TestSessions.settings = settings(SETTINGS, max_examples=min(settings().max_examples // 2, 24), stateful_step_count=20)


class LongSessions(Sessions):
    """The same, longer."""


TestLongSessions = pytest.mark.slow(pytest.mark.timeout(900)(LongSessions.TestCase))
TestLongSessions.settings = settings(SETTINGS, max_examples=15, stateful_step_count=80)
