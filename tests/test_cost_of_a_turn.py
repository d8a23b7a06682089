"""What a turn costs the store does not depend on how many came before it."""

import statistics

from steps import Steps
from summarisers import config, settled

from mnesis import Database, MnesisSession, StoreConfig


def says(number: int) -> str:
    return (
        f"Visitor {number % 97} weighed {number * 31} grams of it, and put it back on the shelf by the window. "
        "Nobody asked about it since, as everybody knows. "
    )


async def test_a_turn_with_its_compactions_costs_as_many_steps_and_bytes_after_a_thousand_turns_as_after_a_hundred(
    store_path,
):
    async with await MnesisSession.create(
        model="offline/quote", pool=(db := await Database.open(StoreConfig(db_path=store_path))), config=config(4_000)
    ) as session:
        steps = await Steps.of(db)
        costs, pages = [], []
        for number in range(1_000):
            before = steps.taken
            await session.record(says(2 * number), says(2 * number + 1))
            await settled(session)
            costs.append(steps.taken - before)
            pages.append(await db.read(lambda cx: cx.execute("PRAGMA page_count").fetchone()[0]))
        assert len(await session.summaries()) > 100
    await db.close()
    early, late = statistics.mean(costs[100:300]), statistics.mean(costs[-200:])
    assert late <= 1.3 * early, f"{early:.0f} hundred steps a turn at first, {late:.0f} at the end"
    early, late = (pages[300] - pages[100]) / 200, (pages[-1] - pages[-201]) / 200
    assert late <= 1.3 * early, f"{early:.2f} pages a turn at first, {late:.2f} at the end"
