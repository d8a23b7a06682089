"""What holds for any conversation. Invariants by number: DESIGN section 5."""

import asyncio
import contextlib
import itertools
import json
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from pictures import png, wav
from provider_rules import answer_anthropic, answer_openai, check_anthropic, check_openai

from mnesis import (
    ContextOverflow,
    FileRefPart,
    LLMError,
    MediaPart,
    MnesisConfig,
    MnesisSession,
    ReasoningPart,
    TextPart,
    TokenUsage,
    ToolPart,
    ToolStatus,
    Unavailable,
)
from mnesis.llm.scripted import Reply, ScriptedProvider

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=60)
said = st.text(characters, min_size=1, max_size=60).filter(str.strip)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
tokens = st.integers(0, 2**40)
files = st.builds(FileRefPart, file_id=texts, path=texts, media_type=texts, size=tokens, tokens=tokens, summary=texts)
parts = st.one_of(
    st.builds(TextPart, text=texts),
    st.builds(ReasoningPart, text=texts),
    st.builds(
        ToolPart,
        tool_name=said,
        tool_call_id=said,
        input=st.dictionaries(texts, json_values, max_size=3),
        output=st.none() | texts,
        error_message=st.none() | texts,
        status=st.sampled_from(ToolStatus),
    ),
    files,
)
MEDIA = [
    MediaPart.from_bytes(png()),
    MediaPart.from_bytes(png(800, 600), name="a.png", alt="a grey wall", detail="low"),
    MediaPart.from_bytes(wav(0.01)),
    MediaPart.from_bytes(b"any", "application/x-any", tokens=5),
    MediaPart.from_url("https://example.org/cat.gif", width=30, height=40),
]
parts = parts | st.sampled_from(MEDIA)
asked = st.builds(TextPart, text=texts) | files | st.sampled_from(MEDIA)
part_lists = st.lists(parts, min_size=1, max_size=4)
questions = st.builds(lambda first, rest: [TextPart(text=first), *rest], said, st.lists(asked, max_size=2))
usages = st.none() | st.builds(TokenUsage, input=tokens, output=tokens, cache_read=tokens, total=tokens)

NUMBERS = {"numbers": [float("inf"), float("-inf"), 1e308, 5e-324, 10**30, -0.0]}


@contextlib.contextmanager
def a_store():
    with tempfile.TemporaryDirectory(prefix="mnesis-") as folder:
        yield Path(folder) / "sessions.db"


def create(path, script=(), **options):
    llm = ScriptedProvider(list(script))
    return MnesisSession.create(model="offline/quote", db_path=path, llm=llm, **options)


def load(id, path, config=None):
    return MnesisSession.load(id, config, db_path=path)


@given(st.lists(st.tuples(questions, part_lists, usages), min_size=1, max_size=3))
@example([([TextPart(text="hm")], [ToolPart(tool_name="f", tool_call_id="1", input=NUMBERS)], None)])
def test_any_parts_come_back_equal(turns):
    async def story(path):
        session = await create(path)
        usage = TokenUsage()
        for question, answer, reported in turns:
            usage += (await session.record(question, answer, tokens=reported)).tokens
        before, history = await session.messages(), session.history()
        assert [message.parts for message in before] == [tuple(said) for turn in turns for said in turn[:2]]
        await session.close()
        async with await load(session.id, path) as loaded:
            assert await loaded.messages() == before
            assert loaded.history() == history
            assert loaded.token_usage == usage == session.token_usage

    with a_store() as path:
        asyncio.run(story(path))


@given(st.lists(st.tuples(questions, part_lists), min_size=1, max_size=5), texts)
def test_the_context_after_load_is_the_one_before_close(turns, system_prompt):
    """Invariant 13 for all turns that went before."""

    async def story(path):
        config = MnesisConfig(model_overrides={"context_limit": 10**9})
        session = await create(path, system_prompt=system_prompt, config=config)
        for question, answer in turns:
            await session.record(question, answer)
        before = [await session.context(turn) for turn in [None, *range(len(turns))]]
        await session.close()
        async with await load(session.id, path) as loaded:
            assert [await loaded.context(turn) for turn in [None, *range(len(turns))]] == before
        for window in before:
            assert window.size == sum(item.tokens for item in window.items) == window.breakdown().total
            assert window.size <= window.budget
            assert all(item.tokens > 0 for item in window.items)

    with a_store() as path:
        asyncio.run(story(path))


@given(st.integers(256, 600), st.lists(st.tuples(said, st.integers(0, 300)), min_size=1, max_size=6))
def test_any_window_that_is_sent_fits_and_what_does_not_fit_is_not_lost(limit, turns):
    """Invariants 5 and 6."""

    async def story(path):
        length = 0
        llm = ScriptedProvider([lambda request: Reply("yes " * length)], cycle=True)
        overrides = {"context_limit": limit, "max_output_tokens": 100}
        config = MnesisConfig(model_overrides=overrides, compaction={"auto": False})
        session = await MnesisSession.create(model="offline/quote", db_path=path, llm=llm, config=config)
        log: list[str] = []
        for text, length in turns:
            stored = await session.messages()
            try:
                await session.send(text)
            except ContextOverflow:
                assert await session.messages() == stored
                assert len(llm.requests) == len(log) // 2
                continue
            log += [text, "yes " * length]
            assert len(llm.requests) == len(log) // 2
            sent = await session.context(len(log) // 2 - 1)
            assert sent.size <= sent.budget <= limit
            assert sent.to_openai() == llm.requests[-1].messages
            assert llm.requests[-1].messages[-1]["content"].endswith(text)
        assert [message.text for message in await session.messages()] == log
        for turn in session.history():
            assert turn.context_tokens.total <= sent.budget
        await session.close()

    with a_store() as path:
        asyncio.run(story(path))


@given(
    st.lists(
        st.tuples(
            st.tuples(said.map(lambda text: TextPart(text=text)), files | st.sampled_from(MEDIA)) | said,
            st.one_of(said, st.just(Unavailable("gone")), st.just(Reply("half", broken=True))),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_what_was_sent_is_a_prefix_of_what_is_sent_next(turns):
    """Invariant 12: item by item always; message by message wherever the turn before was answered."""

    async def story(path):
        session = await create(path, [reply for _, reply in turns])
        failed = []
        for question, _ in turns:
            try:
                await session.send(question)
                failed.append(False)
            except LLMError:
                failed.append(True)
        windows = [await session.context(turn) for turn in range(len(turns))]
        for turn, (earlier, later) in enumerate(itertools.pairwise(windows)):
            assert later.items[: len(earlier.items)] == earlier.items
            if not failed[turn]:
                assert later.to_openai()[: len(earlier.to_openai())] == earlier.to_openai()
        await session.close()

    with a_store() as path:
        asyncio.run(story(path))


@given(st.lists(st.tuples(questions, st.lists(parts, max_size=3)), min_size=1, max_size=4))
@example([([TextPart(text="hm")], [ToolPart(tool_name="f", tool_call_id="1", input=NUMBERS)])])
def test_the_wire_formats_keep_to_the_rules_of_providers_and_hold_every_text(turns):
    async def story(path):
        session = await create(path, config=MnesisConfig(model_overrides={"context_limit": 10**9}))
        for question, answer in turns:
            await session.record(question, answer)
        window = await session.context()
        await session.close()
        return window

    with a_store() as path:
        window = asyncio.run(story(path))
    openai, anthropic = window.to_openai(), window.to_anthropic()
    assert [message["role"] for message in openai].count("system") == 1
    check_openai(answer_openai(openai))
    check_anthropic(answer_anthropic(anthropic))
    for messages in (openai, anthropic["messages"]):
        everything = json.dumps(messages, ensure_ascii=False)
        for item in window.items:
            if (item.role == "tool" or item.kind in ("user", "assistant", "file")) and item.text.strip():
                assert json.dumps(item.text.rstrip(), ensure_ascii=False)[1:-1] in everything
        assert "a call that was not waiting]" not in everything
    calls = [call for message in openai for call in message.get("tool_calls", [])]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [
        json.loads(item.text, parse_constant=str)
        for item in window.items
        if item.tool_call_id is not None and item.role == "assistant"
    ]


@given(st.lists(part_lists, min_size=1, max_size=4))
def test_the_ids_of_a_store_are_unique_and_sort_in_the_order_of_making(answers):
    async def story(path):
        session = await create(path)
        for answer in answers:
            await session.record("question", answer)
        messages, events = await session.messages(), await session.events()
        await session.close()
        ids = [message.id for message in messages]
        assert ids == sorted(ids)
        assert [event.id for event in events] == sorted(event.id for event in events)
        for message in messages:
            assert list(message.part_ids) == sorted(message.part_ids)
        everything = [*ids, *(event.id for event in events), *(id for message in messages for id in message.part_ids)]
        assert len(set(everything)) == len(everything)
        assert [message.seq for message in messages] == list(range(len(messages)))

    with a_store() as path:
        asyncio.run(story(path))
