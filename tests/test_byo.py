"""Your own model, and conversations held elsewhere: record, import, export."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_rules import check_anthropic, check_openai
from summarisers import Model, config, covered, said, settled, talk

from mnesis import InputError, MnesisSession, ReasoningPart, TextPart, TokenUsage, ToolPart
from mnesis.llm.scripted import ScriptedProvider
from mnesis.models.message import Part
from mnesis.transcripts import Transcript, TranscriptMessage, TranscriptTurn, from_jsonl

WHEN = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)

OPENAI = [
    {"role": "system", "content": "You are a librarian."},
    {"role": "user", "content": "Where is the atlas?"},
    {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"title":"atlas"}'}},
            {"id": "c2", "type": "function", "function": {"name": "find", "arguments": '{"title":"map"}'}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "shelf 7"},
    {"role": "tool", "tool_call_id": "c2", "content": "nowhere"},
    {"role": "assistant", "content": "On shelf 7."},
    {"role": "user", "content": "Thank you."},
    {"role": "assistant", "content": "You are welcome."},
]

ANTHROPIC = {
    "system": "You are a librarian.",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Where is the atlas?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "c1", "name": "find", "input": {"title": "atlas"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "shelf 7"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "On shelf 7."}]},
    ],
}


async def imported(messages, **options) -> MnesisSession:
    options = {"model": "offline/quote", "db_path": ":memory:", **options}
    return await MnesisSession.from_messages(messages, **options)


# -- record ------------------------------------------------------------------------------------------------------


async def test_a_turn_with_the_key_of_a_stored_one_is_stored_once(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        first = await session.record("Hi.", "Hello.", key="evt-1", tokens=TokenUsage(input=3, output=2))
        again = await session.record("Something else.", "Another.", key="evt-1")
        other = await session.record("Hi.", "Hello.", key="evt-2")
        assert again == first
        assert other.turn == 1
        assert len(await session.messages()) == 4
    async with await MnesisSession.load(session.id, db_path=store_path) as session:
        assert (await session.record("Hi.", "Hello.", key="evt-1")).turn == 0
        assert len(await session.messages()) == 4
        assert (await session.verify(deep=True)).ok


async def test_every_batch_recorded_twice_is_in_the_log_once():
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:") as session:
        for _ in range(2):
            for number in range(10):
                await session.record(f"Question {number}", f"Answer {number}", key=f"k{number}")
        assert [message.text for message in await session.messages()] == [
            text for number in range(10) for text in (f"Question {number}", f"Answer {number}")
        ]


async def test_a_recorded_turn_has_the_time_it_was_said_at(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        await session.record("Hi.", "Hello.", at=WHEN)
        await session.record("Now.", "Yes.")
        old, _, new, _ = await session.messages()
        assert old.created_at == WHEN
        assert new.created_at > WHEN + timedelta(days=300)
        await session.record("Later.", "Yes.", at=datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5))))
        assert [message.text for message in await session.messages()][-2:] == ["Later.", "Yes."], "ordered by sequence"
    with sqlite3.connect(store_path) as cx:
        ((opened, finished),) = cx.execute("SELECT opened_at, finished_at FROM turn WHERE idx = 0")
    assert opened == finished == WHEN.timestamp() * 1_000_000


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"key": 3}, "key=3 is a int"),
        ({"at": "yesterday"}, "at='yesterday' is no time"),
        ({"at": datetime(2024, 1, 1)}, "is no time with a zone"),  # noqa: DTZ001
        ({"key": "\ud800"}, "lone surrogate"),
    ],
)
async def test_a_key_or_a_time_that_is_none_is_refused(wrong, says):
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:") as session:
        with pytest.raises(InputError, match=says):
            await session.record("Hi.", "Hello.", **wrong)
        assert await session.messages() == []


async def test_a_recorded_turn_may_hold_its_tool_calls_and_results():
    call = ToolPart(tool_name="find", tool_call_id="c1", input={"title": "atlas"}, output="7", status="completed")
    async with await MnesisSession.create(model="offline/quote", db_path=":memory:") as session:
        await session.record("Where?", [call, TextPart(text="On 7.")])
        window = await session.context()
        check_openai(window.to_openai())
        check_anthropic(window.to_anthropic())
        assert [message["role"] for message in window.to_openai()] == [
            "system",
            "user",
            "assistant",
            "tool",
            "assistant",
        ]


# -- import and export -------------------------------------------------------------------------------------------


async def test_a_chat_completion_list_comes_in_as_turns_and_goes_out_as_it_was():
    async with await imported(OPENAI) as session:
        assert session.system_prompt == "You are a librarian."
        assert [(m.turn, m.role) for m in await session.messages()] == [
            (0, "user"), (0, "assistant"), (0, "tool"), (0, "assistant"), (1, "user"), (1, "assistant"),
        ]  # fmt: skip
        assert await session.export() == OPENAI
        assert (await session.context()).to_openai() == OPENAI
        assert (await session.verify(deep=True)).ok


async def test_an_anthropic_request_comes_in_as_turns_and_goes_out_as_it_was():
    async with await imported(ANTHROPIC) as session:
        assert await session.export("anthropic") == ANTHROPIC
        assert (await session.context()).to_anthropic() == ANTHROPIC


async def test_json_lines_come_in_from_a_file_and_from_a_text(tmp_path):
    path = tmp_path / "talk.jsonl"
    path.write_text("".join(json.dumps(message) + "\n" for message in OPENAI))
    for source in (path, path.read_text(), json.dumps({"messages": OPENAI}) + "\n"):
        async with await imported(source) as session:
            assert await session.export() == OPENAI


async def test_our_own_export_keeps_all_that_was_said_and_when_and_the_keys_of_turns():
    transcript = Transcript(
        system_prompt="Be brief.",
        turns=(
            TranscriptTurn(
                user=(TextPart(text="Hi."),),
                messages=(TranscriptMessage(role="assistant", parts=(TextPart(text="Hello."),), created_at=WHEN),),
                created_at=WHEN,
                key="evt-1",
            ),
            TranscriptTurn(user=(TextPart(text="Bye."),), created_at=WHEN),
            TranscriptTurn(user=(TextPart(text="Are you there?"),), created_at=WHEN, key="evt-3"),
        ),
    )
    async with await imported(transcript) as session:
        line = await session.export("mnesis")
    assert from_jsonl(line) == [transcript]
    async with await imported(line) as again:
        assert await again.export("mnesis") == line
        assert [message.created_at for message in await again.messages()] == [WHEN] * 4
        assert (await again.record("Hi.", "Hello.", key="evt-1")).turn == 0
        assert await again.export("mnesis") == line


async def test_our_own_export_has_no_names_because_the_store_has_none():
    spoken = TranscriptMessage(role="assistant", parts=(TextPart(text="Hello."),), created_at=WHEN, name="Deep Thought")
    turn = TranscriptTurn(user=(TextPart(text="Hi."),), messages=(spoken,), created_at=WHEN, name="Arthur")
    async with await imported(Transcript(turns=(turn,))) as session:
        (exported,) = from_jsonl(await session.export("mnesis"))
    nameless = spoken.model_copy(update={"name": None})
    assert exported.turns == (turn.model_copy(update={"name": None, "messages": (nameless,)}),)


async def test_an_imported_conversation_goes_on_and_its_pending_calls_can_be_answered():
    llm = ScriptedProvider(["It is on shelf 7."])
    async with await imported(OPENAI[:3], llm=llm) as session:
        result = await session.submit_tool_results({"c1": "shelf 7", "c2": "nowhere"})
        assert (result.text, result.turn) == ("It is on shelf 7.", 1)
        check_openai(llm.requests[-1].messages)
        assert await session.export() == [*OPENAI[:5], {"role": "assistant", "content": "It is on shelf 7."}]


async def test_a_conversation_longer_than_the_window_is_compacted_as_it_comes_in(store_path):
    long = [
        {"role": role, "content": talk(2 * turn + index, 100)}
        for turn in range(100)
        for index, role in enumerate(("user", "assistant"))
    ]
    llm = Model()
    async with await imported(long, llm=llm, db_path=store_path, config=config(8_000)) as session:
        await settled(session)
        window = await session.context()
        assert window.size <= window.budget
        assert await session.summaries()
        assert await covered(session) == dict.fromkeys(await said(session), 1)
        assert await session.export() == [{"role": "system", "content": session.system_prompt}, *long]
        assert (await session.verify()).ok


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)


@st.composite
def chats(draw) -> list[dict]:
    """A canonical chat-completion list: turns with text answers, or with rounds of answered calls before them."""
    messages: list[dict] = [{"role": "system", "content": draw(TEXTS)}]
    ids = iter(range(1000))
    for _ in range(draw(st.integers(1, 4))):
        messages.append({"role": "user", "content": draw(TEXTS)})
        for _ in range(draw(st.integers(0, 2))):
            names = [f"call_{next(ids)}" for _ in range(draw(st.integers(1, 3)))]
            called = [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in names]
            messages.append({"role": "assistant", "content": draw(st.none() | TEXTS), "tool_calls": called})
            messages += [{"role": "tool", "tool_call_id": id, "content": draw(TEXTS)} for id in names]
        messages.append({"role": "assistant", "content": draw(TEXTS)})
    return messages


@given(chats())
async def test_any_chat_goes_out_as_it_came_in(messages):
    async with await imported(messages) as session:
        assert await session.export() == messages
        check_openai((await session.context()).to_openai())
        check_anthropic((await session.context()).to_anthropic())


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([{"role": "robot", "content": "Beep."}], "robot"),
        ([{"content": "Hi."}], "role"),
        ([3], r"messages\[0\]"),
        ("no such file.jsonl", "cannot be read"),
        (3, "messages=3"),
        ([{"role": "tool", "tool_call_id": "c9", "content": "x"}], "c9"),
        ('{"messages": []}\n{"messages": []}\n', "holds 2 conversations"),
    ],
)
async def test_what_is_no_conversation_is_refused_and_creates_nothing(messages, says, store_path):
    with pytest.raises(InputError, match=says):
        await imported(messages, db_path=store_path)
    assert not store_path.exists()


def a_turn(*parts: Part, said: tuple[Part, ...] = (), key: str | None = None) -> TranscriptTurn:
    messages = (TranscriptMessage(role="assistant", parts=said),) if said else ()
    return TranscriptTurn(user=parts, messages=messages, key=key)


@pytest.mark.parametrize(
    ("turn", "says"),
    [
        (a_turn(TextPart(text="\ud800")), r"turns\[1\]\.user\[0\]\.text has a lone surrogate"),
        (a_turn(TextPart(text="Hi."), key="\ud800"), r"turns\[1\]\.key has a lone surrogate"),
        (a_turn(TextPart(text="Hi."), ReasoningPart(text="Hm.")), r"turns\[1\]\.user\[1\] is a ReasoningPart"),
        (
            a_turn(said=(ToolPart(tool_name="f", tool_call_id="1", input={"a": object()}),)),
            r"turns\[1\]\.messages\[0\]\.parts\[0\]\.input cannot be kept as JSON",
        ),
    ],
)
async def test_a_conversation_that_cannot_be_stored_as_a_whole_leaves_no_half_of_it(turn, says, store_path):
    with pytest.raises(InputError, match=says):
        await imported(Transcript(turns=(a_turn(TextPart(text="Hi.")), turn)), db_path=store_path)
    assert not store_path.exists()


async def test_an_unknown_form_of_export_is_refused():
    async with await imported(OPENAI) as session:
        with pytest.raises(InputError, match="format='xml'"):
            await session.export("xml")  # type: ignore[arg-type]
