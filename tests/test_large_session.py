"""50,000 messages in one session."""

import asyncio
import time

import pytest

from mnesis import MnesisConfig, MnesisSession
from mnesis.llm.scripted import ScriptedProvider

TURNS = 25_000


@pytest.mark.slow
async def test_fifty_thousand_messages_are_kept_loaded_and_sent(store_path):
    """No statement grows with the session, and a turn costs the same at its end as at its beginning."""
    config = MnesisConfig(model_overrides={"context_limit": 10_000_000})
    llm = ScriptedProvider(["fine"])
    session = await MnesisSession.create(model="offline/quote", db_path=store_path, llm=llm, config=config)
    times = []
    for turn in range(TURNS):
        start = time.perf_counter()
        await session.record(f"question {turn}", f"answer {turn}")
        times.append(time.perf_counter() - start)
    early, late = sorted(times[1_000:3_000])[1_000], sorted(times[-2_000:])[1_000]
    assert late < 2 * early, f"a turn took {early * 1e3:.2f} ms at first and {late * 1e3:.2f} ms in the end"
    usage, digest = session.token_usage, (await session.context()).request_hash
    await session.close()

    start = time.perf_counter()
    session = await MnesisSession.load(session.id, db_path=store_path, llm=llm)
    assert time.perf_counter() - start < 5
    assert session.token_usage == usage
    window = await asyncio.wait_for(session.context(), 60)
    assert len(window.items) == 1 + 2 * TURNS
    assert window.request_hash == digest
    assert (await session.send("and now?")).turn == TURNS
    messages = await session.messages()
    assert [message.seq for message in messages] == list(range(2 * TURNS + 2))
    assert messages[2 * 12_345].text == "question 12345"
    assert len(await session.events()) == 1 + 3 * TURNS + 1 + 3
    past = await session.context(TURNS - 1)
    assert len(past.items) == 2 * TURNS
    await session.close()
