"""`session.preview`: what `send` would send."""

import pytest

from mnesis import CompactionConfig, ContextOverflow, InputError, MnesisConfig, MnesisSession
from mnesis.llm.base import ModelLimits
from mnesis.llm.scripted import ScriptedProvider


async def test_a_preview_is_the_window_that_send_then_sends_and_stores_nothing(store_path):
    async with MnesisSession.open(model="offline/quote", db_path=store_path) as session:
        await session.send("My name is Ada.")
        before = await session.events()
        preview = await session.preview("What is my name?", system_prompt="Be brief.")
        assert await session.events() == before
        assert len(session.history()) == 1
        await session.send("What is my name?", system_prompt="Be brief.")
        sent = await session.context(1)
    assert preview.request_hash == sent.request_hash
    assert preview.size == sent.size
    assert [item.text for item in preview.items] == [item.text for item in sent.items]


async def test_a_preview_refuses_what_send_refuses(store_path):
    llm = ScriptedProvider(["ok"], limits=ModelLimits(context=300, output=50))
    config = MnesisConfig(compaction=CompactionConfig(auto=False))
    async with MnesisSession.open(model="test/small", llm=llm, db_path=store_path, config=config) as session:
        with pytest.raises(InputError):
            await session.preview("")
        with pytest.raises(ContextOverflow):
            await session.preview("word " * 1000)
    assert llm.requests == []


async def test_a_session_says_which_file_it_is_kept_in(store_path):
    async with MnesisSession.open(model="offline/quote", db_path=store_path) as session:
        assert session.db_path == store_path
    async with MnesisSession.open(model="offline/quote", db_path=":memory:") as session:
        assert session.db_path is None
