"""Bringing originals back, page by page; and what an id names."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_windows import answered, chatter, expanded, pages, reachable, settled, small, window_text

from mnesis import InputError, Message, MnesisSession, NotFound, ReasoningPart, TextPart, ToolPart
from mnesis.tokens import counter_for

UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

count = counter_for("offline/quote").count


async def whole(session: MnesisSession, id: str, max_tokens: int) -> dict[str, str]:
    """The texts of all items of all pages, put together again; each page is checked."""
    texts: dict[str, str] = {}
    async for page in pages(session, id, max_tokens):
        assert page.tokens == count(page.text) <= max_tokens
        assert page.items
        for item in page.items:
            assert item.start == len(texts.get(item.id, ""))
            assert item.text in page.text
            assert item.id in page.text
            texts[item.id] = texts.get(item.id, "") + item.text
    return texts


def originals(message: Message) -> dict[str, str]:
    """Per id what must come back of a message, at least."""
    found: dict[str, str] = {}
    for id, part in zip(message.part_ids, message.parts, strict=True):
        match part:
            case TextPart() if message.id not in found:
                found[message.id] = part.text
            case TextPart() | ReasoningPart():
                found[id] = part.text
            case ToolPart():
                found[id] = part.output or ""
    return found


PARTS = st.one_of(
    st.text(min_size=1, max_size=400).map(lambda text: TextPart(text=text)),
    st.sampled_from(["word ", "截止", "🦉", "\n", "=" * 50]).flatmap(
        lambda piece: st.integers(1, 1500).map(lambda times: TextPart(text=piece * times))
    ),
    st.text(max_size=300).map(lambda text: ReasoningPart(text=text)),
    st.tuples(st.text(min_size=1, max_size=80), st.text(max_size=3000)).map(
        lambda pair: answered("", pair[1], name=pair[0])[1]
    ),
)


@given(st.lists(PARTS, min_size=1, max_size=5), st.integers(128, 3000))
def test_all_pages_hold_every_original_whole_and_none_is_too_large(parts, max_tokens):
    async def run():
        async with small() as session:
            await session.record("go on", parts)
            message = (await session.messages())[1]
            turn = await whole(session, message.turn_id, max_tokens)
            for id in (message.id, *message.part_ids):
                texts = await whole(session, id, max_tokens)
                for original, text in originals(message).items():
                    if id in (message.id, original):
                        assert text in texts[original]
                        assert text in turn[original]

    asyncio.run(run())


@given(st.integers(0, 2**32), st.sampled_from([128, 300, 2000, 50_000]))
def test_summaries_come_back_as_their_direct_sources_in_order(seed, max_tokens):
    async def run():
        async with small() as session:
            await chatter(session, 20, seed)
            said = {message.id: message for message in await session.messages()}
            for summary in await session.summaries():
                texts = await whole(session, summary.id, max_tokens)
                expected: dict[str, str] = {}
                for source in summary.sources:
                    message = said[source.id]
                    expected |= {source.id: message.text} if message.is_summary else originals(message)
                assert list(texts) == list(expected)
                assert all(text in texts[id] for id, text in expected.items())

    asyncio.run(run())


@given(st.integers(0, 2**32))
def test_invariant_4_every_original_is_reached_by_ids_printed_in_the_window(seed):
    async def run():
        async with small() as session:
            needles = await chatter(session, 30, seed)
            text = await reachable(session, window_text((await session.context()).items))
            assert [needle for needle in needles if needle not in text] == []

    asyncio.run(run())


async def test_what_stands_in_the_window_as_an_excerpt_comes_back_whole():
    async with small() as session:
        log = "\n".join(f"line {number}: all is well" for number in range(4000))
        await session.record(log, "noted")
        item = next(item for item in (await session.context()).items if "expand part_" in item.text)
        id = item.text[item.text.index("expand part_") + 7 :].split()[0]
        assert (await whole(session, id, 1000))[id] == log


async def test_a_pruned_output_comes_back_whole():
    async with small() as session:
        await chatter(session, 40)
        stones = [event for event in await session.events() if event.event == "prune.completed"]
        assert stones
        for message in await session.messages():
            for id, part in zip(message.part_ids, message.parts, strict=True):
                if isinstance(part, ToolPart):
                    assert (part.output or "") in (await whole(session, id, 500))[id]


async def test_the_size_of_a_page_may_change_on_the_way():
    async with small() as session:
        await session.record("x" * 3 + " word" * 3000, "ok")
        id = (await session.messages())[0].id
        first = await session.expand(id, max_tokens=200)
        second = await session.expand(id, max_tokens=9000, cursor=first.next_cursor)
        assert second.next_cursor is None
        assert first.items[0].text + second.items[0].text == "x" * 3 + " word" * 3000
        assert "from character" in second.text


async def test_an_empty_reply_is_a_page_with_its_label():
    async with small() as session:
        await session.record("hello", [])
        message = (await session.messages())[1]
        assert message.id in await expanded(session, message.id)


@pytest.mark.parametrize("max_tokens", [0, -1, 127, 1.5, "2000", None, True])
async def test_pages_too_small_for_a_label_are_refused(max_tokens):
    async with small() as session:
        await session.record("hello", "hi")
        with pytest.raises(InputError, match=f"max_tokens={max_tokens!r}.*128"):
            await session.expand((await session.messages())[0].id, max_tokens=max_tokens)


async def test_a_cursor_of_another_id_is_refused():
    async with small() as session:
        await session.record("word " * 2000, "word " * 2000)
        asked, reply = await session.messages()
        cursor = (await session.expand(asked.id)).next_cursor
        with pytest.raises(InputError, match="another question"):
            await session.expand(reply.id, cursor=cursor)
        with pytest.raises(InputError, match="cursor='nonsense'"):
            await session.expand(asked.id, cursor="nonsense")


@pytest.mark.parametrize("method", ["expand", "describe", "why"])
async def test_ids_of_nobody_and_of_other_sessions_are_not_found(method, store_path):
    async with small(store_path) as other:
        await chatter(other, 30)
        message = (await other.messages())[0]
        foreign = [message.id, message.part_ids[0], (await other.summaries())[0].id]
    async with small(store_path) as session:
        await session.record("hello", "hi")
        ask = getattr(session, method)
        for id in [*foreign, f"msg_{UNKNOWN}", f"part_{UNKNOWN}", f"sum_{UNKNOWN}"]:
            with pytest.raises(NotFound, match=id):
                await ask(id)
        for wrong in ("", "nonsense", "map_1", None, 7, f"run_{UNKNOWN}"):
            with pytest.raises(InputError, match="id="):
                await ask(wrong)


# -- describe ----------------------------------------------------------------------------------------------------


async def test_every_kind_of_id_is_described(store_path):
    async with small(store_path) as session:
        await chatter(session, 60)
        message = (await session.messages())[1]
        tool = message.part_ids[1]
        summaries = await session.summaries()
        event = (await session.events())[0]
        for id, kind in (
            (message.id, "message"),
            (tool, "part"),
            (summaries[0].id, "summary"),
            (message.turn_id, "turn"),
            (session.id, "session"),
            (event.id, "event"),
        ):
            told = await session.describe(id)
            assert (told.id, told.kind) == (id, kind)
            assert id in told.sentence
        told = await session.describe(message.id)
        assert (told.role, told.turn, told.tokens) == ("assistant", 0, message.tokens)
        assert told.covered_by in {summary.id for summary in summaries if summary.in_window}
        assert not told.in_window


async def test_a_summary_is_described_with_its_sources_and_its_losses():
    async with small() as session:
        await chatter(session, 60)
        summaries = await session.summaries()
        for summary in summaries:
            told = await session.describe(summary.id)
            assert told.sources == summary.sources
            assert told.certificate == summary.certificate
            assert told.in_window == summary.in_window
            assert (told.covered_by is None) == summary.in_window


async def test_a_session_is_described_with_its_budget_and_why_it_is_so():
    async with small() as session:
        told = await session.describe(session.id)
        assert told.budget == (await session.context()).limits
        assert told.budget.note in told.sentence
        assert f"{told.budget.usable:,} are usable" in told.sentence
        await settled(session)
