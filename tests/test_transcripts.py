"""Transcripts come in from anywhere, and go out as they came."""

import datetime
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pictures import png, wav
from provider_rules import check_anthropic, check_openai

from mnesis import (
    FileRefPart,
    InputError,
    MediaPart,
    MnesisSession,
    ReasoningPart,
    TextPart,
    ToolPart,
    ToolStatus,
)
from mnesis.transcripts import (
    Transcript,
    TranscriptMessage,
    TranscriptTurn,
    from_jsonl,
    from_messages,
    to_anthropic_messages,
    to_jsonl,
    to_openai_messages,
)

IMAGE = MediaPart.from_bytes(png())
DATA_URL = f"data:image/png;base64,{IMAGE.data}"


def text(words: str) -> TextPart:
    return TextPart(text=words)


def call(id: str = "c1", name: str = "look", **input: Any) -> ToolPart:
    return ToolPart(tool_name=name, tool_call_id=id, input=input)


def done(part: ToolPart, output: str = "Seen.") -> ToolPart:
    return part.model_copy(update={"output": output, "status": ToolStatus.COMPLETED})


def failed(part: ToolPart, message: str) -> ToolPart:
    return part.model_copy(update={"error_message": message, "status": ToolStatus.ERROR})


def said(*parts: Any, **fields: Any) -> TranscriptMessage:
    return TranscriptMessage(role="assistant", parts=parts, **fields)


def answered(*parts: Any, **fields: Any) -> TranscriptMessage:
    return TranscriptMessage(role="tool", parts=parts, **fields)


def turn(*user: Any, then: tuple[TranscriptMessage, ...] = (), **fields: Any) -> TranscriptTurn:
    return TranscriptTurn(user=user, messages=then, **fields)


# -- anything ----------------------------------------------------------------------------------------------------

characters = st.characters(exclude_categories=["Cs"])
words = st.text(characters, max_size=12)
something = st.text(characters, min_size=1, max_size=12)
names = st.none() | st.sampled_from(["ada", "bob"])
values = st.recursive(st.none() | st.booleans() | st.integers() | words, lambda inner: st.lists(inner, max_size=2))
inputs = st.dictionaries(words, values, max_size=2)
thoughts = {
    "openai": st.builds(ReasoningPart, text=words),
    "anthropic": st.one_of(
        st.builds(ReasoningPart, text=words),
        st.builds(lambda t, s: ReasoningPart(text=t, data={"type": "thinking", "signature": s}), words, something),
        st.builds(lambda d: ReasoningPart(text="", data={"type": "redacted_thinking", "data": d}), something),
    ),
}
shown = {
    "openai": st.sampled_from(
        [
            IMAGE,
            MediaPart.from_bytes(png(7, 8), detail="low"),
            MediaPart.from_bytes(wav(0.01)),
            MediaPart.from_bytes(b"ID3 any", "audio/mpeg"),
            MediaPart.from_bytes(b"%PDF-1", name="a.pdf"),
            MediaPart.from_url("https://example.org/a.png"),
            MediaPart.from_url("https://example.org/a", "application/pdf"),
        ]
    ),
    "anthropic": st.sampled_from(
        [
            IMAGE,
            MediaPart.from_bytes(b"%PDF-1", name="a.pdf"),
            MediaPart.from_url("https://example.org/a.webp"),
            MediaPart.from_url("https://example.org/a", "application/pdf"),
        ]
    ),
}


@st.composite
def transcripts(draw: st.DrawFn, form: str) -> Transcript:
    """A transcript of which this form can say all."""
    number = 0
    turns = []
    for place in range(draw(st.integers(0, 3))):
        messages: list[TranscriptMessage] = []
        for _ in range(draw(st.integers(0, 3))):
            parts: list[Any] = draw(st.lists(thoughts[form], max_size=2 if form == "anthropic" else 1))
            parts += [text(each) for each in draw(st.lists(something, max_size=2))]
            calls = [call(f"c{number + at}", draw(something)) for at in range(draw(st.integers(0, 3)))]
            calls = [each.model_copy(update={"input": draw(inputs)}) for each in calls]
            number += draw(st.integers(0, len(calls)))  # some ids are used again
            messages.append(said(*parts, *calls, name=draw(names) if form == "openai" else None))
            results: list[Any] = []
            for each in draw(st.permutations(calls))[: draw(st.integers(0, len(calls)))]:
                if form == "anthropic" and draw(st.booleans()):
                    results += [failed(each, draw(words))]
                else:
                    results += [done(each, draw(words))]
                if form == "anthropic":
                    results += draw(st.lists(shown[form], max_size=1))
            if results:
                messages.append(answered(*results))
        first = place == 0 and bool(messages)
        user: list[Any] = draw(
            st.lists(st.builds(TextPart, text=words) | shown[form], min_size=0 if first else 1, max_size=3)
        )
        name = draw(names) if form == "openai" and user else None
        turns.append(turn(*user, then=tuple(messages), name=name))
    return Transcript(system_prompt=draw(st.none() | words), turns=tuple(turns))


moments = st.none() | st.datetimes(timezones=st.just(datetime.UTC))
any_part = st.one_of(
    st.builds(TextPart, text=words),
    thoughts["anthropic"],
    st.builds(
        ToolPart,
        tool_name=something,
        tool_call_id=something,
        input=st.dictionaries(words, values | st.floats(allow_nan=False), max_size=2),
        output=st.none() | words,
        status=st.sampled_from(ToolStatus),
        recalled=st.booleans(),
    ),
    st.builds(FileRefPart, file_id=words, path=words, size=st.integers(0, 9), tokens=st.integers(0, 9), summary=words),
    shown["openai"],
)
part_tuples = st.lists(any_part, max_size=3).map(tuple)
any_message = st.builds(
    TranscriptMessage, role=st.sampled_from(["assistant", "tool"]), parts=part_tuples, name=names, created_at=moments
)
any_transcript = st.builds(
    Transcript,
    system_prompt=st.none() | words,
    turns=st.lists(
        st.builds(
            TranscriptTurn,
            user=part_tuples,
            messages=st.lists(any_message, max_size=3).map(tuple),
            name=names,
            created_at=moments,
            key=st.none() | words,
        ),
        max_size=3,
    ).map(tuple),
)


@given(transcripts("openai"))
def test_what_openais_form_can_say_comes_back_equal_and_is_written_equal_again(transcript):
    messages = to_openai_messages(transcript)
    assert from_messages(messages, format="openai") == transcript
    assert to_openai_messages(from_messages(messages, format="openai")) == messages


@given(transcripts("anthropic"))
def test_what_anthropics_form_can_say_comes_back_equal_and_is_written_equal_again(transcript):
    request = to_anthropic_messages(transcript)
    assert from_messages(request, format="anthropic") == transcript
    assert to_anthropic_messages(from_messages(request, format="anthropic")) == request


@given(st.lists(any_transcript, max_size=3))
@example([Transcript(turns=(turn(call(n=float("inf"))),))])
def test_our_own_lines_keep_everything(some):
    assert from_jsonl(to_jsonl(some) or "\n") == some


@given(st.lists(transcripts("openai"), min_size=1, max_size=3))
def test_lines_of_conversations_come_back_equal(some):
    assert from_jsonl(to_jsonl(some, format="openai"), format="openai") == some


@given(transcripts("anthropic"))
def test_each_form_can_say_what_the_other_said(transcript):
    assert len(from_messages(to_openai_messages(transcript), format="openai").turns) >= len(transcript.turns)


@given(any_transcript)
def test_whatever_a_transcript_holds_can_be_written(transcript):
    json.dumps(to_openai_messages(transcript)).encode()
    json.dumps(to_anthropic_messages(transcript)).encode()


# -- OpenAI ------------------------------------------------------------------------------------------------------

CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "name": "ada",
        "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"where":"left"}'}},
            {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
        ],
    },
    {"role": "tool", "tool_call_id": "c2", "content": "A wall."},
    {"role": "tool", "tool_call_id": "c1", "content": "A cat."},
    {"role": "assistant", "content": "A cat by a wall."},
    {"role": "user", "content": "And"},
    {"role": "user", "content": "now?"},
    {
        "role": "assistant",
        "reasoning_content": "Hm.",
        "content": "I look.",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    },
]


def test_a_chat_becomes_turns_of_typed_parts():
    left, right = call("c1", where="left"), call("c2")
    photo = MediaPart.from_bytes(png(), detail="low")
    assert from_messages(CHAT) == Transcript(
        system_prompt="Be brief.",
        turns=(
            turn(
                text("What is it?"),
                photo,
                name="ada",
                then=(
                    said(left, right),
                    answered(done(right, "A wall."), done(left, "A cat.")),
                    said(text("A cat by a wall.")),
                ),
            ),
            turn(text("And")),
            turn(text("now?"), then=(said(ReasoningPart(text="Hm."), text("I look."), call("c1")),)),
        ),
    )
    assert to_openai_messages(from_messages(CHAT)) == CHAT


def test_what_is_written_of_a_whole_conversation_keeps_to_the_rules_of_providers():
    plain = [{key: value for key, value in message.items() if key != "name"} for message in CHAT[:6]]
    check_openai(to_openai_messages(from_messages(plain)))
    check_anthropic(to_anthropic_messages(from_messages(plain)))


def test_an_old_function_call_gets_an_id_and_its_answer():
    transcript = from_messages(
        [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": '{"n":1}'}},
            {"role": "function", "name": "look", "content": "Seen."},
        ]
    )
    made = call("call_1", n=1)
    assert transcript.turns == (turn(text("Look."), then=(said(made), answered(done(made)))),)


def test_calls_and_results_without_ids_find_each_other():
    made = {"type": "function", "function": {"name": "look", "arguments": {"n": 1}}}
    transcript = from_messages(
        [
            {"role": "assistant", "content": "", "tool_calls": [made, made]},
            {"role": "tool", "tool_name": "look", "content": "one"},
            {"role": "tool", "content": [{"type": "text", "text": "two"}]},
        ]
    )
    first, second = call("call_1", n=1), call("call_2", n=1)
    assert transcript.turns == (turn(then=(said(first, second), answered(done(first, "one"), done(second, "two")))),)


def test_an_id_that_is_used_again_answers_the_newest_call():
    one, two = call("c1", n=1), call("c1", n=2)
    messages = to_openai_messages(
        Transcript(turns=(turn(text("?"), then=(said(one), said(two), answered(done(two, "2"), done(one, "1")))),))
    )
    (read,) = from_messages(messages).turns
    assert read.messages[-1].parts == (done(two, "2"), done(one, "1"))


def test_a_refusal_and_the_developers_prompt_are_read():
    transcript = from_messages(
        [
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "system", "content": "And kind."},
            {"role": "user", "content": "Do it."},
            {"role": "assistant", "content": None, "refusal": "I will not."},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]
    )
    assert transcript.system_prompt == "Be brief.\n\nAnd kind."
    assert transcript.turns[0].messages == (said(text("I will not.")), said(text("No.")))


def test_arguments_that_are_no_object_are_kept_as_the_model_wrote_them():
    function = {"name": "look", "arguments": '{"n": '}
    transcript = from_messages([{"role": "assistant", "tool_calls": [{"id": "c1", "function": function}]}])
    assert transcript.turns[0].messages[0].parts == (call("c1", _unparsed='{"n": '),)


def test_the_objects_of_an_sdk_are_read_with_all_their_empty_fields():
    class Message:
        def model_dump(self) -> dict[str, Any]:
            nothing = dict.fromkeys(("refusal", "audio", "function_call", "tool_calls", "reasoning_content"))
            return {"role": "assistant", "content": "Hello.", "annotations": [], **nothing}

    transcript = from_messages([{"role": "user", "content": "Hi."}, Message()])
    assert transcript.turns == (turn(text("Hi."), then=(said(text("Hello.")),)),)


def test_times_are_read_where_they_are_there():
    noon = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    transcript = from_messages([{"role": "user", "content": "Hi.", "created_at": "2026-01-01T13:00:00+01:00"}])
    assert transcript.turns[0].created_at == noon
    with pytest.raises(InputError, match=r"messages\[0\] \(role 'user'\).created_at='yesterday' is not usable"):
        from_messages([{"role": "user", "content": "Hi.", "created_at": "yesterday"}])


# -- Anthropic ---------------------------------------------------------------------------------------------------

REQUEST: dict[str, Any] = {
    "system": "Be brief.",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE.data}},
                {"type": "text", "text": "What is it?"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"where": "left"}},
                {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [
                        {"type": "text", "text": "See:"},
                        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                    ],
                },
                {"type": "tool_result", "tool_use_id": "t2", "content": "It is dark.", "is_error": True},
                {"type": "text", "text": "And behind you?"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "Nothing."}]},
    ],
}


def test_a_request_of_anthropic_becomes_turns_of_typed_parts():
    left, right = call("t1", where="left"), call("t2")
    transcript = from_messages(REQUEST)
    assert transcript == Transcript(
        system_prompt="Be brief.",
        turns=(
            turn(
                IMAGE,
                text("What is it?"),
                then=(
                    said(
                        ReasoningPart(text="Hm.", data={"type": "thinking", "signature": "sig"}),
                        ReasoningPart(text="", data={"type": "redacted_thinking", "data": "xyz"}),
                        text("I look."),
                        left,
                        right,
                    ),
                    answered(
                        done(left, "See:"),
                        MediaPart.from_url("https://example.org/a.png"),
                        failed(right, "It is dark."),
                    ),
                ),
            ),
            turn(text("And behind you?"), then=(said(text("Nothing.")),)),
        ),
    )
    assert to_anthropic_messages(transcript) == REQUEST


def test_plain_strings_are_read_and_the_system_prompt_may_come_by_itself():
    messages = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}]},
        {"role": "assistant", "content": "Done."},
    ]
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    transcript = from_messages(messages, system=system)
    assert transcript.system_prompt == "Be brief."
    assert transcript.turns == (
        turn(text("Look."), then=(said(call("t1")), answered(done(call("t1"), "")), said(text("Done.")))),
    )


# -- a session's own log -----------------------------------------------------------------------------------------


async def test_the_log_of_a_session_is_a_transcript(store_path):
    calls = [done(call("c1"), "one"), done(call("c2"), "two")]
    async with MnesisSession.open(model="offline/quote", db_path=store_path) as session:
        await session.record("Look.", [text("I look."), *calls, text("Two things.")])
        await session.record("And?", "No more.")
        transcript = Transcript.of(await session.messages(), session.system_prompt)
        times = [message.created_at for message in await session.messages()]
    assert [each.user for each in transcript.turns] == [(text("Look."),), (text("And?"),)]
    assert transcript.turns[0].messages == (said(text("I look."), *calls, text("Two things."), created_at=times[1]),)
    assert from_jsonl(to_jsonl([transcript])) == [transcript]
    messages = to_openai_messages(transcript)
    check_openai(messages)
    check_anthropic(to_anthropic_messages(transcript))
    assert [message["role"] for message in messages] == [
        *("system", "user", "assistant", "tool", "tool", "assistant", "user", "assistant")
    ]


# -- lines -------------------------------------------------------------------------------------------------------


def test_a_file_has_a_message_a_line_or_a_conversation_a_line(tmp_path):
    path = tmp_path / "chat.jsonl"
    path.write_text("".join(json.dumps(message) + "\n\n" for message in CHAT))
    assert from_jsonl(path) == from_jsonl(str(path)) == [from_messages(CHAT)]
    path.write_text(json.dumps({"messages": CHAT, "tools": []}) + "\n" + json.dumps(REQUEST))
    assert from_jsonl(path) == [from_messages(CHAT), from_messages(REQUEST)]
    assert from_jsonl(json.dumps(REQUEST)) == [from_messages(REQUEST)]


# -- what is no transcript ---------------------------------------------------------------------------------------

ASKED = {"role": "user", "content": "Hi."}
CALLED = CHAT[2]


def test_what_is_no_transcript_is_refused_with_the_place_the_value_and_what_is_allowed():
    cases: list[tuple[Any, str]] = [
        ("hello", "messages='hello' is not usable; give a list"),
        (7, "messages=7 is not usable; give a list"),
        ({"system": "x"}, "messages has no 'messages'"),
        (["hello"], "messages[0]='hello' is not usable; give a dict with 'role' and 'content'"),
        ([{"content": "x"}], "messages[0] has no 'role'"),
        (
            [ASKED, {"role": "robot", "content": "x"}],
            "messages[1] (role 'robot').role='robot' is not usable; a role is one of: system, developer, user, ",
        ),
        ([{"role": ["user"]}], "messages[0].role=['user'] is not usable; a role is one of"),
        ([{"role": "user", "content": 7}], "messages[0] (role 'user').content=7 is not usable; give a str"),
        (
            [{"role": "user", "content": [{"type": "video"}]}],
            "messages[0] (role 'user').content[0].type='video' is not usable; here are known: text, image_url, ",
        ),
        ([{"role": "user", "content": ["x"]}], "messages[0] (role 'user').content[0]='x' is not usable; give a dict"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}],
            "messages[0] (role 'user').content[0].image_url.url: MediaPart.url='file:///x' is not usable",
        ),
        (
            [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}],
            "content[0].file={'file_id': 'file-1'} is not usable; give its file_data",
        ),
        ([ASKED, {"role": "system", "content": "x"}], "messages[1] (role 'system') has a system prompt after"),
        ([ASKED, {"role": "tool", "tool_call_id": "c9", "content": "x"}], "answers call 'c9', which does not wait"),
        (
            [CALLED, {"role": "tool", "tool_call_id": "c9", "content": "x"}],
            "those that wait: 'c1' of look, 'c2' of look",
        ),
        ([CALLED, *[{"role": "tool", "tool_call_id": "c1", "content": "x"}] * 2], "messages[2] (role 'tool') answers"),
        (
            [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": ""}}]}],
            "tool_calls[0].function.name='' is not usable; give the name of the tool",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"type": "custom", "custom": {}}]}],
            "tool_calls[0].type='custom' is not usable; here are known: function",
        ),
        ([{"role": "user", "content": "\ud800"}], "messages[0] (role 'user').content has a lone surrogate"),
        (
            [{"role": "assistant", "content": [{"type": "tool_use", "id": "t"}]}],
            "messages[0] (role 'assistant').content[0] has no 'name'",
        ),
        (
            [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t9"}]}],
            "messages[0] (role 'user').content[0] answers call 't9', which does not wait",
        ),
        (
            [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "x"}}]}],
            "content[0].source.type='file' is not usable; here are known: base64, url",
        ),
    ]
    for messages, complaint in cases:
        with pytest.raises(InputError) as caught:
            from_messages(messages)
        assert complaint in str(caught.value)
    with pytest.raises(InputError, match="format='xml' is not known"):
        from_messages([], format=unchecked("xml"))


def test_lines_that_are_no_transcript_are_refused_with_their_number(tmp_path):
    cases: list[tuple[Any, str]] = [
        ("{}\n{", "line 2='{' is not JSON"),
        ("\n[1]\n", "line 2=[1] is a list; give one object a line"),
        (json.dumps(ASKED) + '\n{"messages": []}', "line 2 has no 'role', other lines have"),
        ('{"messages": [{"role": "robot"}]}', "line 1: messages[0] (role 'robot').role='robot' is not usable"),
        ('{"turns": 7}', "line 1: Transcript.turns=7 is not usable"),
        ('{"surprise": 7}', "line 1={'surprise': 7} is no transcript; give an object with 'messages'"),
        ('{"turns": [], "surprise": 7}', "line 1: Transcript.surprise is not known"),
        (str(tmp_path / "none.jsonl"), "cannot be read: [Errno 2]"),
        ("\0", "cannot be read"),
        (7, "source=7 is a int; give a path, or JSON lines"),
    ]
    for source, complaint in cases:
        with pytest.raises(InputError) as caught:
            from_jsonl(source)
        assert complaint in str(caught.value)
    with pytest.raises(InputError, match="format='xml' is not known"):
        to_jsonl([], format=unchecked("xml"))


def unchecked(value: Any) -> Any:
    """A value whose type is nobody's business."""
    return value
