"""Searching a session: by words, by substring, by regular expression."""

import asyncio
import re
import sqlite3
import sys
import time
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_windows import all_matches, answered, chatter, settled, small
from steps import lines_of

from mnesis import CompactionConfig, InputError, MnesisConfig, MnesisSession, NotFound, SessionClosed, Unavailable
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.config import StoreConfig
from mnesis.recall.query import query_of
from mnesis.recall.snippet import densest, snippet
from mnesis.store.database import opened
from mnesis.store.migrations import APPLICATION_ID, MIGRATIONS

OTHER_SUMMARY = "sum_01ARZ3NDEKTSV4RRFFQ69G5FAV"


async def ids(session: MnesisSession, pattern: str, **options) -> list[str]:
    return [match.id for match in (await session.grep(pattern, **options)).matches]


async def first(session: MnesisSession, pattern: str, **options) -> str:
    return (await session.grep(pattern, **options)).matches[0].snippet


# -- questions ---------------------------------------------------------------------------------------------------


async def test_a_question_in_plain_words_finds_the_answer():
    async with small() as session:
        await session.record("When do we ship?", "We agreed that the deploy deadline is the 3rd of May.")
        await session.record("And what about lunch?", "The canteen closes at two.")
        await session.record("What was the weather like?", "It was raining all day, we were inside.")
        assert "3rd of May" in await first(session, "What was the deploy deadline we agreed on?")


async def test_other_forms_of_a_word_count():
    async with small() as session:
        await session.record("I went to Lisbon and bought three paintings.", "Lovely.")
        await session.record("The office is closed.", "Noted.")
        assert "Lisbon" in await first(session, "where did I go")
        assert "Lisbon" in await first(session, "what did I buy, which painting?")


async def test_rare_words_weigh_more_than_common_ones():
    async with small() as session:
        for number in range(30):
            await session.record(f"the project meeting about the project plan number {number}", "yes, the project")
        await session.record("the walrus meeting", "fine")
        assert "walrus" in await first(session, "which project meeting was about the walrus?")


async def test_what_stands_beside_the_words_of_a_question_is_found_too():
    async with small() as session:
        await session.record("hello there", "hi")
        await session.record("Which agency did you finally choose for the adoption?", "Sunbeam, they were kind.")
        assert any(
            "Sunbeam" in match.snippet for match in (await session.grep("adoption agency choose", limit=3)).matches
        )
        assert len(await ids(session, "adoption")) == 1  # a single word is not a question


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("which colour did we choose", "The color will be teal."),
        ("how do we organize the theater", "We organised it with the theatre people."),
        ("who broke the window", "Max says that he will break no windows again."),
        ("what did we hear about the mice", "I heard a mouse last night."),
        ("what does the new apartment cost", "The price of the flat is 900."),
        ("which pets does Ann have", "Ann feeds her cat twice a day."),
    ],
)
async def test_other_spellings_and_everyday_words_for_the_same_count(question, answer):
    async with small() as session:
        for number in range(6):
            await session.record(f"Note {number} on the roadmap of the quarter.", "Noted, the roadmap is there.")
        await session.record(answer, "I see.")
        await session.record("Who is in the office on Monday?", "Nobody.")
        assert await first(session, question) == answer


@pytest.mark.slow
async def test_a_word_in_a_thousand_messages_is_found_also_where_one_for_the_same_is_as_common():
    config = MnesisConfig(model_overrides={"context_limit": 1_000_000}, compaction=CompactionConfig(auto=False))
    async with MnesisSession.open(model="offline/quote", db_path=":memory:", config=config) as session:
        for number in range(600):
            await session.record(f"home and house {number}", f"house and home {number}")
        for question in ("home xylophone", "home at the xylophone", "home house"):
            found = (await session.grep(question, limit=50)).matches
            assert len(found) == 50, question
            assert {match.turn for match in found} <= set(range(500, 600))


async def test_the_word_itself_weighs_more_than_one_for_the_same():
    async with small() as session:
        await session.record("The apartment in Ghent is small.", "ok")
        await session.record("The flat in Ghent is small.", "ok")
        assert "apartment" in await first(session, "apartment in Ghent")
        assert "flat" in await first(session, "flat in Ghent")


async def test_an_answer_stands_above_the_same_question_asked_before():
    async with small() as session:
        await session.record("Our deploy deadline is the 3rd.", "Noted, thank you very much.")
        await session.record("By the way, how was lunch today?", "Good.")
        await session.record("When is our deploy deadline?", "I do not remember that, sorry.")
        assert "the 3rd" in await first(session, "When is our deploy deadline?")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When did the parcel arrive?", "The parcel did arrive on Tuesday, downstairs."),
        ("How many parcels did arrive?", "Parcels did arrive, seven in all."),
    ],
)
async def test_what_looks_like_an_answer_stands_above_what_does_not(question, answer):
    async with small() as session:
        await session.record(answer, "Fine with me, thanks.")
        await session.record("Something else entirely.", "Yes, that as well.")
        await session.record("The parcels did arrive, the parcel as well, downstairs.", "Fine with me, thanks.")
        assert await first(session, question) == answer


async def test_what_the_speaker_of_the_question_said_stands_above_what_others_said():
    async with small() as session:
        for speaker in ("Ann", "Bob", "Cleo"):
            await session.record(f"{speaker}: I painted the kitchen, as Ann, Bob and Cleo know.", "Fine.")
        for speaker in ("Ann", "Bob", "Cleo"):
            assert (await first(session, f"What did {speaker} paint?")).startswith(speaker)
        await session.record("blue paint for the shed", "blue paint for the shed")
        for role in ("user", "assistant"):
            (match,) = (await session.grep(f"blue paint of the shed by the {role}", limit=1)).matches
            assert match.role == role


async def test_what_was_said_in_the_month_of_the_question_stands_above():
    now = datetime(2023, 8, 15, tzinfo=UTC)
    async with small(clock=lambda: now) as session:
        await session.record("We went camping by the lake.", "Nice, camping is fun.")
        now = datetime(2025, 5, 15, tzinfo=UTC)
        await session.record("Something else.", "Yes.")
        await session.record("We went camping by the lake.", "Nice, camping is fun.")
        turns = {"": 2, " in August 2023": 0, " last August": 0, " in 2023": 0, " on August 3rd, 2023": 0, " in May": 2}
        for when, turn in turns.items():
            match = (await session.grep(f"Where did we go camping{when}?")).matches[0]
            assert (match.turn, match.role) == (turn, "user"), when


async def test_hits_do_not_crowd_around_one_place():
    async with small() as session:
        await session.record("The walrus, yes, the walrus by the sea.", "What a day.")
        for _ in range(4):
            await session.record("Small talk of no use.", "More of the same.")
        await session.record("There is a walrus by the sea.", "There is a walrus by the sea.")
        assert {match.turn for match in (await session.grep("walrus sea", limit=2)).matches} == {0, 5}


async def test_quoted_words_stand_together():
    async with small() as session:
        await session.record("the deadline for the deploy", "ok")
        await session.record("the deploy deadline", "ok")
        assert await first(session, '"deploy deadline"') == "the deploy deadline"
        assert len(await ids(session, '"deploy deadline"')) == 1


async def test_stop_words_alone_are_looked_for():
    async with small() as session:
        await session.record("to be or not to be", "that is the question")
        await session.record("something else entirely", "yes")
        assert "to be or not" in await first(session, "to be or not to be")


@given(st.text(min_size=1).filter(str.strip))
def test_no_pattern_is_syntax(pattern):
    async def run():
        async with small() as session:
            await session.record("plain words", 'AND OR NOT NEAR ( ) * ^ : "')
            await session.grep(pattern)

    asyncio.run(run())


@pytest.mark.parametrize(
    "pattern", ['"', '""', "a OR", "NEAR(", "*", "body:x", "-x", "^", "(", "a AND (b", "'; --", "%_"]
)
async def test_signs_of_other_query_languages_are_harmless(pattern):
    async with small() as session:
        await session.record("a b x", "nothing")
        assert (await session.grep(pattern)).pattern == pattern


# -- substrings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "ledger.py:42",
        "LEDGER.py",
        "edger.p",
        "mnesis/le",
        "https://a.example/x?y=1",
        "snake_ca",
        "_case",
        "截止日期",
        "期",
        "€",
    ],
)
async def test_a_run_with_signs_or_without_spaces_is_found_literally(pattern):
    async with small() as session:
        text = "See mnesis/ledger.py:42, snake_case, https://a.example/x?y=1, €5; 我们约定的截止日期是五月。"
        await session.record(text, "ok")
        await session.record("See mnesis, ledger.txt and snakes, a cased thing, 截止。", "约定")
        (match,) = (await session.grep(pattern, limit=2)).matches
        assert match.id == (await session.messages())[0].id


async def test_a_piece_of_a_word_is_found_where_no_word_matches():
    async with small() as session:
        await session.record("We reconfigured the thermostat.", "ok")
        assert "reconfigured" in await first(session, "config")
        assert "thermostat" in await first(session, "RMOSTA")


@pytest.mark.parametrize("length", [2_048, 2_049, 20_000])
async def test_a_piece_from_the_middle_of_a_giant_word_is_found(length):
    """As in a pasted certificate, or a picture in base 64."""
    blob = "".join(f"{number:x}q" for number in range(length))[:length]
    middle = blob[length // 2 : length // 2 + 50]
    async with small() as session:
        await session.record(f"the key is {blob} keep it", "ok")
        await session.record("something else", "entirely")
        key = (await session.messages())[0].id
        for piece in (middle, middle[3:20], middle.upper(), blob[-1500:], blob[400:-9]):
            assert await ids(session, piece) == [key], piece
        assert await ids(session, f"{middle[:30]}[0-9a-f]", regex=True) == [key]
        assert await ids(session, f"{middle}nowhere") == []


WORDS = st.sampled_from(
    ["foo/bar", "x_y", "ÄÖü-ß", "日本語の本", "a.b.c", "deadbeef" * 12, "café", "cafe\u0301s", "1,234.5"]
)


@given(st.lists(WORDS, min_size=1, max_size=6).map("".join), st.data())
def test_every_substring_is_found(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))

    async def run():
        async with small() as session:
            await session.record(f"before {text} after", "something else")
            literal = re.escape(text[start:end])
            (asked, _) = [message.id for message in await session.messages()]
            assert asked in await ids(session, literal, regex=True), literal
            if "/" in text[start:end].strip("/.,"):
                assert asked in await ids(session, text[start:end])

    asyncio.run(run())


# -- regular expressions -----------------------------------------------------------------------------------------


async def test_a_regular_expression_finds_the_newest_first():
    async with small() as session:
        for number in range(5):
            await session.record(f"build {number + 100} failed", "again")
        found = (await session.grep(r"build 10[1-3] \w+", regex=True)).matches
        assert [match.turn for match in found] == [3, 2, 1]
        assert all(match.score == 0 for match in found)


@pytest.mark.parametrize(
    "pattern", [r"(?i)BUILD", r"bui|xyz", r"buil[d]", r"bu(il)d", r"buildx?", r"builx*d", r"\bbuild\b", r"buil.{1,2}1"]
)
async def test_what_narrows_a_regular_expression_down_loses_nothing(pattern):
    async with small() as session:
        await session.record("build 1", "no")
        assert len(await ids(session, pattern, regex=True)) == 1


async def test_a_hostile_regular_expression_is_cut_short_and_says_where():
    async with small() as session:
        await session.record("a" * 5000 + "!", "ok")
        await session.record("aaa", "ok")
        begun = time.monotonic()
        result = await session.grep(r"^(a|aa)+$", regex=True)
        assert time.monotonic() - begun < 5
        assert [match.turn for match in result.matches] == [1]
        assert result.skipped == ((await session.messages())[0].id,)


async def test_turns_go_on_while_a_regular_expression_is_hard_at_work():
    async with small() as session:
        await session.record("a" * 5000 + "!", "ok")
        hard = asyncio.create_task(session.grep(r"^(a|aa)+$", regex=True))
        await asyncio.sleep(0.05)
        await session.record("short", "turn")
        assert not hard.done()
        await hard


@pytest.mark.parametrize("pattern", [r"^(a|aa)+$", r"(a+)+$", r"(a*)*b", r"(.*a){20}z", r"(a|b|ab)*c"])
async def test_turns_of_another_session_go_on_at_their_speed_beside_a_hostile_regular_expression(pattern, store_path):
    """All of ten turns but one: a turn takes milliseconds, what would wait for the search takes half a second."""
    async with small(store_path) as hostile, small(store_path) as other:
        for _ in range(3):
            await hostile.record("ab" * 40 + "a" * 4000 + "!", "ok")
        hard = asyncio.create_task(hostile.grep(pattern, regex=True))
        await asyncio.sleep(0.05)
        taken = []
        for number in range(10):
            begun = time.monotonic()
            await other.record(f"short {number}", "turn")
            assert (await other.grep(f'"short {number}"')).matches
            taken.append(time.monotonic() - begun)
        begun = time.monotonic()
        await hard
        assert time.monotonic() - begun < 4
        assert sorted(taken)[-2] < 0.4


# -- what matched ------------------------------------------------------------------------------------------------


def marked(match) -> str:
    pieces, at = [], 0
    for start, end in match.spans:
        pieces += [match.snippet[at:start], "«", match.snippet[start:end], "»"]
        at = end
    return "".join([*pieces, match.snippet[at:]])


@pytest.mark.parametrize(
    ("text", "pattern", "regex", "shown"),
    [
        ("The gates were green.", "which gate was green?", False, "The «gates» were «green»."),
        ("We went home  and\n bought milk.", "buy where go", False, "We «went» home and «bought» milk."),
        ("The colour of the sofa", "color", False, "The «colour» of the sofa"),
        ("It is in the flat.", "the apartment key", False, "It is in the «flat»."),
        ("a deploy\ndeadline, deploy", '"deploy deadline"', False, "a «deploy» «deadline», «deploy»"),
        ("a Deploy Deadline here", '"deploy deadline"', False, "a «Deploy Deadline» here"),
        ("see src/a.py and src/a.py", "src/a.py", False, "see «src/a.py» and «src/a.py»"),
        ("STRASSE, Straße", "traß", False, "S«TRASS»E, S«traß»e"),
        ("reconfigured", "config", False, "re«config»ured"),
        ("我们的截止日期是五月。", "截止日期", False, "我们的«截止日期»是五月。"),
        ("截止,日期，是五月。", "截止 日期", False, "«截止»,«日期»，是五月。"),
        ("build 12 and build  7", r"build\s+\d+", True, "«build 12» and «build 7»"),
        ("nothing of it", r"x*", True, "nothing of it"),
        ("x " * 400 + "the needle is here" + " y" * 400, "needle", False, "«needle»"),
        ("z" * 400 + "\n\n \t" + "the needle", r"\s+the needle", True, "«the needle»"),
    ],
)
async def test_a_hit_says_what_matched_in_its_snippet(text, pattern, regex, shown):
    async with small() as session:
        await session.record(text, "ok")
        match = (await session.grep(pattern, regex=regex)).matches[-1 if regex else 0]
        assert shown in marked(match)
        assert marked(match).count("«") == shown.count("«")


@given(
    st.text("ab ß\n截", min_size=1, max_size=600).filter(str.strip),
    st.text("ab ß截", min_size=1, max_size=5).filter(str.strip),
    st.booleans(),
)
def test_spans_are_in_order_inside_the_snippet_and_hold_the_pattern(text, pattern, regex):
    async def run():
        async with small() as session:
            await session.record(text, "z")
            for match in (await session.grep(re.escape(pattern) if regex else pattern, regex=regex)).matches:
                edges = [edge for span in match.spans for edge in span]
                assert edges == sorted(edges)
                assert all(start < end <= len(match.snippet) for start, end in match.spans)
                if regex and len(match.spans) == 1:
                    (start, end), *_ = match.spans
                    assert match.snippet[start:end] == " ".join(pattern.split())

    asyncio.run(run())


LOG = "错误：数据库连接超时，正在重试。"


async def test_the_snippets_of_a_search_for_words_are_not_made_on_the_thread_of_the_store():
    made: set[str] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code.co_filename == snippet.__code__.co_filename:
            made.add(frame.f_code.co_name)

    async with opened(StoreConfig(db_path=":memory:"), create=True) as db, small(pool=db) as session:
        await session.record(LOG * 20, f"Noted: {LOG}")
        await db.read(lambda _: sys.setprofile(watch))
        assert (await session.grep("数据库 超时")).matches
        assert not made


def test_the_place_with_most_words_is_found_in_steps_that_grow_as_the_text_does():
    """A pair of characters that repeats is a hit each time."""

    def lines(times: int) -> int:
        return lines_of(lambda: densest(LOG * times, query_of("数据库 超时"), 100))

    assert lines(200) < 2.5 * lines(100)


@given(st.lists(st.sampled_from(["red", "green", "blue", "sand"]), max_size=40), st.integers(1, 60))
def test_the_place_with_most_words_is_the_first_of_those_with_as_many(said, within):
    text = " ".join(said)
    places = [(found.start(), found[0]) for found in re.finditer("red|green|blue", text)]
    held = [len({word for at, word in places if start <= at < start + within}) for start, _ in places]
    first = held.index(max(held)) if held else 0
    best, spans = densest(text, query_of("red green blue"), within)
    assert best == max(held, default=0)
    assert spans == tuple((at, at + len(word)) for at, word in places[first:])


async def test_what_only_stands_beside_the_words_has_nothing_marked():
    async with small() as session:
        await session.record("Which agency did you choose for the adoption?", "Sunbeam, they were kind.")
        found = (await session.grep("adoption agency choose")).matches
        assert {match.role: bool(match.spans) for match in found} == {"user": True, "assistant": False}


async def test_marking_more_of_a_hostile_expression_does_not_hold_up_a_search():
    async with small() as session:
        await session.record("b! " + "a" * 5000 + "!", "ok")
        begun = time.monotonic()
        (match,) = (await session.grep(r"b!|(a|aa)+$", regex=True)).matches
        assert match.spans == ((0, 2),)
        assert time.monotonic() - begun < 2


# -- what a hit says ---------------------------------------------------------------------------------------------


async def test_a_hit_comes_with_two_messages_each_side():
    async with small() as session:
        for number in range(4):
            await session.record(f"asked {number}", f"answer {number}")
        (match,) = (await session.grep("answer 1 ", regex=True)).matches or (await session.grep('"answer 1"')).matches
        assert [near.text for near in match.before] == ["answer 0", "asked 1"]
        assert [near.text for near in match.after] == ["asked 2", "answer 2"]


async def test_tools_are_found_by_name_arguments_and_answer_under_the_id_of_the_part():
    async with small() as session:
        await session.record("go", answered("looking", "the thermometer says 42", path="/var/log/furnace.log"))
        message = (await session.messages())[1]
        for pattern in ("look", "/var/log/furnace", "thermometer"):
            match = (await session.grep(pattern)).matches[0]
            if pattern != "look":
                assert (match.id, match.kind, match.message_id) == (message.part_ids[1], "tool", message.id)


async def test_a_hit_names_the_summary_that_covers_it_now(store_path):
    async with small(store_path) as session:
        await chatter(session, 60)
        old = (await session.grep("needle00000u")).matches[0]
        new = (await session.grep("needle00059u")).matches[0]
        in_window = {item.id for item in (await session.context()).items}
        assert old.covered_by in in_window
        assert old.id not in in_window
        assert new.covered_by is None
        assert new.id in in_window


async def test_hits_are_grouped_by_the_summary_that_covers_them():
    async with small() as session:
        await chatter(session, 60)
        result = await session.grep("needle", regex=True, limit=100)
        groups = result.by_summary()
        assert len(groups) > 1
        assert sum(map(len, groups.values())) == len(result.matches)
        for summary, matches in groups.items():
            assert {match.covered_by for match in matches} == {summary}
            assert summary is None or f"covered by {summary}" in str(result)
        assert all(match.id in str(result) for match in result.matches)


async def test_a_search_can_be_kept_to_what_a_summary_stands_for():
    async with small() as session:
        needles = await chatter(session, 30)
        summaries = await session.summaries()
        assert len(summaries) > 2
        for summary in summaries:
            inside = [needle for needle in needles if await ids(session, needle, summary_id=summary.id, role="user")]
            spoken = [n for n in needles if n.endswith("u")]
            turns = range(summary.first_turn, summary.last_turn + 1)
            assert inside == [spoken[turn] for turn in turns]


async def test_a_search_can_be_kept_to_a_role():
    async with small() as session:
        await chatter(session, 60)
        for role in ("user", "assistant", "summary"):
            found = (await session.grep("noted turn said word", role=role)).matches
            assert {match.role for match in found} == {role}


async def test_a_partial_reply_is_found_and_marked(store_path):
    script: list[str | Reply] = ["fine", Reply("half a platypus", then=Unavailable("gone"))]
    async with MnesisSession.open(model="x", llm=ScriptedProvider(script), db_path=store_path) as session:
        await session.send("one")
        with pytest.raises(Unavailable):
            await session.send("two")
        (match,) = (await session.grep("platypus")).matches
        assert match.partial
        assert match.covered_by is None


async def test_other_sessions_are_not_searched(store_path):
    async with small(store_path) as mine:
        await mine.record("the secret of mine", "ok")
    async with small(store_path) as other:
        await other.record("the secret of others", "ok")
        for regex in (False, True):
            assert [match.turn for match in (await other.grep("secret", regex=regex)).matches] == [0]
        assert not await ids(other, "mine")


async def test_an_empty_session_has_no_hits():
    async with small() as session:
        for pattern, regex in (("word", False), ("a/b", False), ("x.*", True)):
            result = await session.grep(pattern, regex=regex)
            assert (result.matches, result.next_cursor) == ((), None)


@given(st.integers(0, 2**32))
def test_every_needle_is_found_whatever_was_compacted(seed):
    async def run():
        async with small() as session:
            needles = await chatter(session, 25, seed)
            for needle in needles:
                assert needle in (await session.grep(needle)).matches[0].snippet
                assert needle in (await session.grep(needle[3:])).matches[0].snippet

    asyncio.run(run())


# -- pages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "options"), [("alpha beta", {}), ("al/pha", {}), (r"al\W?pha", {"regex": True})])
async def test_pages_hold_every_hit_once_also_while_messages_are_added(pattern, options):
    async with small() as session:
        for number in range(15):
            await session.record(f"alpha al/pha {number}", f"beta, alpha al/pha, {number}")
        await settled(session)
        whole = [m.id for m in await all_matches(session, pattern, limit=100, role="user", **options)]
        cursor, found = None, []
        while True:
            page = await session.grep(pattern, cursor=cursor, limit=4, role="user", **options)
            assert len(page.matches) <= 4
            found += [match.id for match in page.matches]
            await session.record("alpha beta al/pha", "alpha beta al/pha")
            if (cursor := page.next_cursor) is None:
                break
        assert found == whole
        assert len(set(found)) == 15


async def test_a_cursor_of_another_search_is_refused():
    async with small() as session:
        for number in range(5):
            await session.record(f"alpha {number}", "ok")
        cursor = (await session.grep("alpha", limit=1)).next_cursor
        assert cursor
        others: tuple[dict[str, Any], ...] = ({"pattern": "alpha!"}, {"pattern": "alpha", "role": "user"})
        for other in (*others, {"pattern": "alpha", "regex": True}):
            with pytest.raises(InputError, match="another question"):
                await session.grep(cursor=cursor, **other)
        wrongs: tuple[Any, ...] = ("", "x", "WzFd", cursor[:-3], 7)
        for wrong in wrongs:
            with pytest.raises(InputError, match="cursor"):
                await session.grep("alpha", cursor=wrong)


# -- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pattern": ""}, "pattern=''"),
        ({"pattern": " \n"}, "pattern"),
        ({"pattern": None}, "pattern=None"),
        ({"pattern": "x", "limit": 0}, "limit=0.*1 to 100"),
        ({"pattern": "x", "limit": 101}, "limit=101"),
        ({"pattern": "x", "limit": True}, "limit=True"),
        ({"pattern": "x", "role": "system"}, "role='system'.*user"),
        ({"pattern": "x", "role": ["user"]}, "role="),
        ({"pattern": "x", "summary_id": 5}, "summary_id=5"),
        ({"pattern": "(", "regex": True}, r"pattern='\('.*not a regular expression"),
        ({"pattern": "[z-a]", "regex": True}, "not a regular expression"),
    ],
)
async def test_bad_arguments_are_refused_with_the_value(arguments, said):
    async with small() as session:
        with pytest.raises(InputError, match=said):
            await session.grep(**arguments)


async def test_summaries_of_nobody_and_of_other_sessions_are_not_found(store_path):
    async with small(store_path) as other:
        await chatter(other, 40)
        foreign = (await other.summaries())[0].id
    async with small(store_path) as session:
        for id in (OTHER_SUMMARY, foreign, "msg_1", "nonsense"):
            with pytest.raises(NotFound, match=id):
                await session.grep("x", summary_id=id)
    with pytest.raises(SessionClosed):
        await session.grep("x")


# -- stores of version 1 -----------------------------------------------------------------------------------------


async def test_what_an_older_version_stored_is_found(store_path):
    async with small(store_path) as session:
        await session.record("the capybara, 截止日期", answered("see", "in the pond/lake", where="northern"))
        await session.record("second", "message")
    copied = "session turn message part view context_item event".split()
    older = store_path.with_name("older.db")
    with sqlite3.connect(older) as connection:
        connection.executescript(MIGRATIONS[0])
        connection.execute("ATTACH ? AS newer", (str(store_path),))
        for table in copied:
            names = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newer.{table}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
    async with await MnesisSession.load(session.id, db_path=older) as loaded:
        for pattern in ("capybara", "截止", "pond/lake", "northern", "apybar"):
            assert len(await ids(loaded, pattern)) == 1, pattern
        report = await loaded.verify(deep=True)
        assert report.ok, report
