"""Long sessions: a needle in every message, and what a turn costs after ten thousand of them."""

import itertools
import math
import statistics
import time

import pytest
from steps import Steps
from summarisers import Model, config, count, needle, needles, said, settled

from mnesis import Database, MnesisSession, StoreConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


def says(number: int) -> str:
    """Message `number`: some sentences, and a needle that no other one has."""
    return (
        f"The value of {needle(number)} is {number * 31}, and it was checked by visitor {number % 97}. "
        "It stands on the shelf by the window, as everybody knows. Nobody asked about it since. "
    )


class Watcher(Model):
    """Keeps what was ever shown to a summariser or stood in a request, and checks every request."""

    def __init__(self, budget: int) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.summarised = 0
        self.budget = budget

    async def stream(self, request):
        async for chunk in super().stream(request):
            yield chunk
        if self.orders:
            for order in self.orders:
                self.seen |= needles(order.material)
                self.summarised += order.tokens
            self.orders.clear()


async def reachable(session: MnesisSession) -> set[str]:
    """The needles that are in the window, or reached from it by ids that are printed in it, within depth hops."""
    window = await session.context()
    printed = " ".join(item.text for item in window.items)
    summaries = {summary.id: summary for summary in await session.summaries()}
    texts = {message.id: message.text for message in await session.messages() if not message.is_summary}
    found = needles(printed)
    todo = [(summary, summary.depth) for summary in summaries.values() if summary.id in printed]
    while todo:
        summary, hops = todo.pop()
        assert hops >= 0
        for source in summary.sources:
            if source.kind == "summary":
                todo.append((summaries[source.id], hops - 1))
            else:
                found |= needles(texts[source.id])
    return found


async def test_each_of_two_thousand_needles_is_in_the_window_or_reachable_and_was_seen_by_a_summariser(store_path):
    turns = 2_000
    llm = Watcher(16_001)
    session = await MnesisSession.create(model="offline/quote", db_path=store_path, llm=llm, config=config(32_000))
    began = time.perf_counter()
    ingested = 0
    for number in range(turns):
        text = says(2 * number)
        llm.chat = says(2 * number + 1)
        await session.send(text)
        request = llm.chats.pop()
        assert request.messages[-1] == {"role": "user", "content": text}, "invariant 6"
        ingested += count(text) + count(llm.chat)
        if number % 10 == 9:
            await settled(session)
            window = await session.context()
            assert window.size <= window.budget == llm.budget
            assert [item.text for item in window.items[-2:]] == [text, llm.chat]
    await settled(session)
    assert all(snapshot.context_tokens.total <= llm.budget for snapshot in session.history()), "invariant 5"

    everything = {needle(number) for number in range(2 * turns)}
    window = await session.context()
    visible = needles(" ".join(item.text for item in window.items if item.kind != "summary"))
    assert llm.seen | visible == everything, "seen or visible = 1.0"
    assert await reachable(session) == everything
    await check_by_expanding(session, everything)
    compactions = sum(snapshot.compaction_triggered for snapshot in session.history())
    ratio = llm.summarised / ingested
    print(
        f"\n{turns} turns at 32k in {time.perf_counter() - began:.0f} s: {100 * compactions / turns:.1f} compactions "
        f"per 100 turns, {ratio:.2f} summariser tokens per ingested token, "
        f"depth {max(summary.depth for summary in await session.summaries())}"
    )
    assert ratio <= 1.5
    await session.close()


async def check_by_expanding(session: MnesisSession, everything: set[str]) -> None:
    """Invariant 4 with the public tool: only ids that stand in the window, or on a page that was read."""
    window = await session.context()
    found = needles(" ".join(item.text for item in window.items))
    todo = [item.id for item in window.items if item.kind == "summary"]
    while todo:
        id, cursor = todo.pop(), None
        while True:
            page = await session.expand(id, max_tokens=20_000, cursor=cursor)
            assert page.tokens <= 20_000
            found |= needles(page.text)
            todo += [item.id for item in page.items if item.id.startswith("sum_")]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert found == everything


async def test_ten_thousand_turns_cost_the_same_at_the_end_as_at_the_beginning(store_path):
    turns = 10_000
    db = await Database.open(StoreConfig(db_path=store_path))
    session = await MnesisSession.create(model="offline/quote", pool=db, config=config(8_000))
    steps = await Steps.of(db)
    times, costs, sizes, items = [], [], [], []
    for number in range(turns):
        began, before = time.perf_counter(), steps.taken
        await session.record(says(2 * number), says(2 * number + 1))
        times.append(time.perf_counter() - began)
        await settled(session)
        costs.append(steps.taken - before)
        if number % 100 == 99:
            items.append(len((await session.context()).items))
        if number % 1_000 == 999:
            sizes.append(store_path.stat().st_size)
    window = await session.context()
    summaries = [item for item in window.items if item.kind == "summary"]
    fan_out = 8
    tail = window.limits.soft // (2 * count(says(0))) * 2 + 4
    assert max(items) <= tail + fan_out * math.log2(turns)
    assert len(summaries) <= fan_out * math.log2(turns)
    early, late = statistics.median(times[:1_000]), statistics.median(times[-1_000:])
    grown = [after - before for before, after in itertools.pairwise(sizes)]
    ids = await said(session)
    print(
        f"\n{turns} turns at 8k: items in the window at most {max(items)}; {early * 1e3:.2f} ms a turn in the first "
        f"thousand, {late * 1e3:.2f} ms in the last; {grown[0] / 1e3:.0f} then {grown[-1] / 1e3:.0f} bytes a turn"
    )
    assert len(ids) == 2 * turns
    assert statistics.mean(costs[-1_000:]) <= 1.3 * statistics.mean(costs[1_000:2_000])
    assert max(grown[-3:]) <= 1.5 * max(grown[:3])
    await session.close()
    await db.close()
