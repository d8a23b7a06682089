"""Images, sounds and documents: kept whole, sent as what they are, counted, and told of where they are not sent."""

import base64
import json
import re
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_server import Answer, OpenAIServer
from pictures import gif, jpeg, pdf, png, wav, webp
from provider_rules import check_anthropic, check_openai
from summarisers import Model, create, talk

from mnesis import InputError, MediaPart, MnesisSession, TextPart, ToolPart, ToolStatus
from mnesis.intake import check_media
from mnesis.llm.litellm import LiteLLMProvider
from mnesis.models.media import dimensions, sniff
from mnesis.models.summary import Fidelity
from mnesis.tokens import counter_for
from mnesis_jupyter import frames, views

GPT = counter_for("openai/gpt-4o")


def open_session(path, **options):
    return MnesisSession.open(model="offline/quote", db_path=path, **options)


def some(value: Any) -> Any:
    """A value whose type is nobody's business."""
    return value


def photo(width=1024, height=768, **fields) -> MediaPart:
    return MediaPart.from_bytes(png(width, height), name="cat.png", alt="A cat on a mat.", **fields)


# -- what bytes are ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "media_type", "size"),
    [
        (png(40, 30), "image/png", (40, 30)),
        (jpeg(640, 480), "image/jpeg", (640, 480)),
        (gif(10, 20), "image/gif", (10, 20)),
        (webp(1000, 999), "image/webp", (1000, 999)),
        (wav(0.1), "audio/wav", None),
        (pdf(1), "application/pdf", None),
        (b"ID3\x04" + bytes(20), "audio/mpeg", None),
        (bytes(4) + b"ftypheic" + bytes(20), "image/heic", None),
        (b"Just words.", None, None),
        (b"", None, None),
    ],
)
def test_the_first_bytes_tell_the_type_and_the_size(data, media_type, size):
    assert sniff(data) == media_type
    assert dimensions(data) == size
    if media_type:
        part = MediaPart.from_bytes(data)
        assert (part.media_type, part.size) == (media_type, len(data))
        assert part.content() == data


@given(st.sampled_from([png(), jpeg(9, 9), gif(9, 9), webp(9, 9)]), st.data())
def test_a_damaged_picture_is_a_picture_of_unknown_size(whole, data):
    cut = data.draw(st.integers(0, len(whole)))
    at, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.binary(min_size=1, max_size=4))
    for damaged in (whole[:cut], whole[:at] + byte + whole[at + len(byte) :]):
        size = dimensions(damaged)
        assert size is None or min(size) > 0


def test_a_file_is_read_and_bears_its_name(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(png())
    part = MediaPart.from_path(path, alt="A cat.")
    assert (part.name, part.media_type, part.width, part.height, part.alt) == ("cat.png", "image/png", 40, 30, "A cat.")
    (tmp_path / "notes.csv").write_text("a,b")
    assert MediaPart.from_path(tmp_path / "notes.csv").media_type == "text/csv"


def test_a_url_is_kept_and_a_data_url_is_bytes():
    assert MediaPart.from_url("https://example.org/a/cat.webp?x=1") == MediaPart(
        media_type="image/webp", url="https://example.org/a/cat.webp?x=1"
    )
    data = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    assert MediaPart.from_url(data) == MediaPart.from_bytes(png())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MediaPart(media_type="image/png"), "either data"),
        (lambda: MediaPart(media_type="image/png", data="aaaa", url="https://x.y/z"), "either data"),
        (lambda: MediaPart(media_type="image/png", data="not base64!"), "is not base64"),
        (lambda: MediaPart(media_type="image/png", data=""), "is empty"),
        (lambda: MediaPart(media_type="png", data="aaaa"), "media_type='png'"),
        (lambda: MediaPart(media_type="image/png", url="file:///etc/passwd"), "MediaPart.url"),
        (lambda: MediaPart(media_type="image/png", url="data:image/png;base64,aaaa"), "MediaPart.url"),
        (lambda: MediaPart(media_type="image/png", data="aaaa", width=0), "MediaPart.width=0"),
        (lambda: MediaPart.from_bytes(b""), "give some bytes"),
        (lambda: MediaPart.from_bytes(some("text")), "give some bytes"),
        (lambda: MediaPart.from_bytes(b"Just words."), "give media_type="),
        (lambda: MediaPart.from_path("/no/such/file.png"), "cannot be read"),
        (lambda: MediaPart.from_url(some(7)), "give a str"),
        (lambda: MediaPart.from_url("https://x.y/z.png").content(), "nothing is fetched"),
    ],
)
def test_what_is_no_medium_is_refused_with_a_reason(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_bytes_are_not_printed():
    assert "iVBOR" not in repr(photo())


# -- what they cost ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        ("gpt-4o", (1024, 1024), 765),  # the provider's own examples
        ("gpt-4o", (2048, 4096), 1105),
        ("gpt-4o", (512, 512), 255),
        ("gpt-4o", (513, 512), 425),
        ("azure/gpt-4o-mini", (1024, 1024), 25_501),
        ("openai/gpt-4.1-mini", (1024, 1024), 1659),
        ("gpt-5-nano", (4096, 4096), 3779),
        ("o1", (1024, 1024), 675),
        ("gpt-5", (1024, 1024), 630),
        ("claude-sonnet-4-5", (1000, 1000), 1334),
        ("claude-sonnet-4-5", (4000, 4000), 4784),
        ("gemini/gemini-2.5-pro", (100, 100), 258),
    ],
)
def test_an_image_costs_what_the_provider_says(model, size, tokens):
    width, height = size
    part = MediaPart(media_type="image/png", url="https://x.y/z", width=width, height=height)
    assert counter_for(model).count_media(part) == tokens


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "gpt-4.1-nano", "gpt-5", "claude-sonnet-4-5"])
def test_an_image_of_unknown_size_costs_as_much_as_the_largest(model):
    counter = counter_for(model)
    unknown = counter.count_media(MediaPart.from_url("https://x.y/z.png"))
    for width, height in [(1, 1), (768, 2048), (8000, 8000), (30, 8000), (1568, 1568)]:
        part = MediaPart(media_type="image/png", url="https://x.y/z", width=width, height=height)
        assert 0 < counter.count_media(part) <= unknown


def test_less_detail_costs_less_where_the_provider_says_so():
    assert GPT.count_media(photo(detail="low")) == 85
    assert counter_for("gpt-4.1-mini").count_media(photo(detail="low")) > 1000


def test_a_sound_costs_by_its_length_and_a_document_by_its_pages():
    assert GPT.count_media(MediaPart.from_bytes(wav(10))) == pytest.approx(320, abs=2)
    assert GPT.count_media(MediaPart.from_bytes(b"ID3\x04" + bytes(2_000 * 60))) == pytest.approx(32 * 60, abs=2)
    assert GPT.count_media(MediaPart.from_bytes(pdf(7))) == 7 * 4_600
    assert GPT.count_media(MediaPart.from_bytes(pdf(7, packed=True))) == 7 * 4_600
    assert GPT.count_media(MediaPart.from_bytes(b"%PDF-1.7 damaged" * 9)) == 144
    assert GPT.count_media(MediaPart.from_url("https://x.y/z.pdf")) == 20_000


def packed_pdf(times: int, objects: bytes, after: bytes = b"\nendstream ") -> bytes:
    """A PDF with so many streams of the same packed objects."""
    return b"%PDF-1.7 " + (b"<</Type /ObjStm>> stream\n" + zlib.compress(objects) + after) * times


@pytest.mark.parametrize(
    "data",
    [
        packed_pdf(20, b"/Type /Page " + bytes(1 << 21)),
        packed_pdf(40_000, b"/Type /Page ", b" "),
        packed_pdf(100, b"/Type /Page ", b" ") + bytes(1 << 22),
        b"%PDF-1.7 /Type /Page " + b"/ObjStm " * 40_000,
    ],
    ids=["large", "many", "without an end", "without streams"],
)
def test_a_document_that_would_take_long_to_unpack_costs_by_its_size(data):
    assert GPT.count_media(MediaPart.from_bytes(data)) == len(data)


def test_the_rest_of_a_document_is_not_copied_for_each_of_its_streams():
    data = packed_pdf(100, b"/Type /Page ") + bytes(10_000_000)
    part = MediaPart.from_bytes(data)
    tracemalloc.start()
    try:
        part.content()
        _, read = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        tokens = GPT.count_media(part)
        _, counted = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert tokens == 100 * 4_600
    assert counted < 1.1 * read


def test_whoever_knows_better_says_what_it_costs():
    assert GPT.count_media(photo(tokens=77)) == 77


# -- what is sent ------------------------------------------------------------------------------------------------


async def test_each_provider_gets_them_in_its_own_form(store_path):
    image, sound, document = photo(detail="low"), MediaPart.from_bytes(wav(0.01)), MediaPart.from_bytes(pdf(1))
    linked = MediaPart.from_url("https://example.org/dog.jpg")
    async with open_session(store_path) as session:
        await session.record(
            [TextPart(text="Look."), image, linked, TextPart(text="And listen."), sound, document], "Ok."
        )
        window = await session.context()
    openai, anthropic = window.to_openai(), window.to_anthropic()
    check_openai(openai)
    check_anthropic(anthropic)
    said = openai[1]["content"]
    assert [part["type"] for part in said] == ["text", "image_url", "image_url", "text", "input_audio", "file"]
    assert said[1]["image_url"] == {"url": f"data:image/png;base64,{image.data}", "detail": "low"}
    assert said[2]["image_url"] == {"url": linked.url}
    assert said[4]["input_audio"] == {"data": sound.data, "format": "wav"}
    assert said[5]["file"]["file_data"] == f"data:application/pdf;base64,{document.data}"
    told = anthropic["messages"][0]["content"]
    assert [block["type"] for block in told] == ["text", "image", "image", "text", "text", "document"]
    assert told[1]["source"] == {"type": "base64", "media_type": "image/png", "data": image.data}
    assert told[2]["source"] == {"type": "url", "url": linked.url}
    assert told[4]["text"].startswith("[audio audio/wav · 364 bytes · part_")
    assert told[5]["source"]["media_type"] == "application/pdf"


async def test_what_the_assistant_shows_is_told_in_words(store_path):
    async with open_session(store_path) as session:
        await session.record("Draw.", [photo()])
        window = await session.context()
    check_openai(window.to_openai())
    check_anthropic(window.to_anthropic())
    assert window.to_openai()[-1]["content"].startswith("[image image/png · 1,024×768 · ")
    assert window.items[-1].tokens < 60


async def test_an_image_goes_through_litellm(store_path):
    async with OpenAIServer(Answer("A cat.")) as server:
        llm = LiteLLMProvider(api_base=server.url, api_key="any")
        async with MnesisSession.open(model="openai/gpt-4o", db_path=store_path, llm=llm) as session:
            await session.send([TextPart(text="What is it?"), photo()])
            window = await session.context(0)
        sent = server.requests[0].body["messages"]
    assert sent[1]["content"][1]["image_url"]["url"] == f"data:image/png;base64,{photo().data}"
    assert window.items[-1].tokens == GPT.count_media(photo()) + GPT.message_overhead == 768


async def test_a_data_url_in_plain_text_stays_text(store_path):
    text = f"Look: data:image/png;base64,{base64.b64encode(png(900, 900)).decode()}"
    async with open_session(store_path) as session:
        await session.record(text, "I see only letters.")
        window = await session.context()
    assert window.to_openai()[1]["content"] == text
    assert window.items[1].tokens == counter_for("offline/quote").count(text) + 3


async def test_the_hash_of_a_window_tells_one_image_from_another(store_path):
    async def hash_with(part):
        async with open_session(":memory:") as session:
            return (await session.preview([TextPart(text="Look."), part])).request_hash

    light, dark = (MediaPart.from_bytes(png(shade=shade)) for shade in (200, 100))
    one = MediaPart(media_type="image/png", url="https://x.y/z")
    hashes = [await hash_with(part) for part in (light, dark, one, one.model_copy(update={"detail": "low"}))]
    assert len(set(hashes)) == 4


async def test_a_window_with_media_is_the_same_after_load(store_path):
    async with open_session(store_path) as session:
        await session.record([TextPart(text="Look."), photo()], "A cat.")
        await session.record([MediaPart.from_url("https://x.y/z.png")], "A dog.")
        before = [await session.context(turn) for turn in (None, 0, 1)]
    async with await MnesisSession.load(session.id, db_path=store_path) as loaded:
        assert [await loaded.context(turn) for turn in (None, 0, 1)] == before
        assert (await loaded.messages())[0].parts == (TextPart(text="Look."), photo())
        report = await loaded.verify(deep=True)
        assert report.ok, report.problems


async def test_what_a_tool_shows_is_sent_behind_the_results_of_its_round():
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    calls: list[dict[str, Any]] = [{"type": "tool_use", "id": id, "name": "look", "input": {}} for id in ("t1", "t2")]
    results = [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "See:"}, image]},
        {"type": "tool_result", "tool_use_id": "t2", "content": "It is dark."},
    ]
    messages = [
        {"role": "user", "content": "What is left and right of you?"},
        {"role": "assistant", "content": calls},
        {"role": "user", "content": results},
        {"role": "assistant", "content": "A cat, and nothing."},
    ]
    async with await MnesisSession.from_messages(messages, model="offline/quote", db_path=":memory:") as session:
        window = await session.context()
        exported = await session.export("anthropic")
    assert exported["messages"][2]["content"] == results
    openai, anthropic = window.to_openai(), window.to_anthropic()
    check_openai(openai)
    check_anthropic(anthropic)
    assert openai[3:6] == [
        {"role": "tool", "tool_call_id": "t1", "content": "See:"},
        {"role": "tool", "tool_call_id": "t2", "content": "It is dark."},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]},
    ]
    assert anthropic["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "t1", "content": "See:"},
        {"type": "tool_result", "tool_use_id": "t2", "content": "It is dark."},
        image,
    ]


async def test_media_between_the_finished_calls_of_a_recorded_answer_part_no_call_from_its_result(store_path):
    first, second = (
        ToolPart(tool_name="look", tool_call_id=id, output=seen, status=ToolStatus.COMPLETED)
        for id, seen in (("c1", "A cat."), ("c2", "A dog."))
    )
    async with open_session(store_path) as session:
        await session.record("Look.", [first, photo(), second, TextPart(text="There.")])
        window = await session.context()
    check_openai(window.to_openai())
    check_anthropic(window.to_anthropic())
    said = [(m["role"], m["content"], [c["id"] for c in m.get("tool_calls", [])]) for m in window.to_openai()[2:]]
    label = "[image image/png · 1,024×768 · 2 kB · cat.png]\nA cat on a mat."
    assert said == [
        ("assistant", None, ["c1"]),
        ("tool", "A cat.", []),
        ("assistant", label, ["c2"]),
        ("tool", "A dog.", []),
        ("assistant", "There.", []),
    ]


# -- where they are not sent -------------------------------------------------------------------------------------


async def test_what_is_larger_than_the_room_stands_there_as_its_label_and_is_kept_whole(store_path):
    document = MediaPart.from_bytes(pdf(9), name="report.pdf", alt="The yearly report.")
    async with await create(store_path, Model(), 16_000) as session:
        await session.send([TextPart(text="Read it."), document])
        window = await session.context()
        (item,) = [item for item in window.items if item.kind == "media"]
        assert item.media is None
        why = "not sent: 41,403 tokens are more than fit"
        label = f"[document application/pdf · 100 kB · report.pdf · {item.id} · {why}]"
        assert item.text == f"{label}\nThe yearly report."
        assert (await session.messages())[0].parts[1] == document
        assert (await session.why(item.id)).state == "excerpt"
        check_openai(window.to_openai())
        assert "✂ not sent" in views.window_text(window)


async def test_a_summary_is_made_of_the_label_and_says_that_it_was_given_no_more(store_path):
    llm = Model()
    async with await create(store_path, llm) as session:
        await session.record([TextPart(text=f"Look. {talk(1, 200)}"), photo()], "A cat.")
        await session.record("And?", "Nothing.")
        await session.compact()
        (summary,) = await session.summaries()
        messages = await session.messages()
        assert f"[image image/png · 1,024×768 · 2 kB · cat.png · {messages[0].part_ids[1]}]" in llm.orders[0].material
        assert "A cat on a mat." in llm.orders[0].material
        assert "iVBOR" not in llm.orders[0].material
        fidelity = {source.id: source.fidelity for source in summary.sources}
        assert fidelity[messages[0].id] is Fidelity.CLIPPED
        assert fidelity[messages[1].id] is Fidelity.FULL
        assert "A cat on a mat." in (await session.expand(summary.id)).text


async def test_it_is_found_by_what_is_told_of_it_and_not_by_its_bytes(store_path):
    data = photo().data
    assert data is not None
    async with open_session(store_path) as session:
        await session.record([TextPart(text="Look."), photo()], "Yes.")
        (hit,) = (await session.grep("mat")).matches
        assert (hit.kind, hit.role) == ("media", "user")
        assert (await session.grep("cat.png")).matches
        assert not (await session.grep(data[:24])).matches
        assert not (await session.grep(data[:24], regex=True)).matches
        described = await session.describe((await session.messages())[0].part_ids[1])
        assert described.text.startswith("[image image/png · 1,024×768")


async def test_a_search_does_not_read_the_bytes_of_what_it_finds_nor_of_what_stands_beside_it(monkeypatch):
    read: list[int] = []
    loads = json.loads

    def watched(text: str) -> Any:
        read.append(len(text))
        return loads(text)

    heavy = MediaPart.from_bytes(png(40, 30) + bytes(1_000_000), name="cat.png", alt="A cat on a mat.")
    async with open_session(":memory:") as session:
        await session.record([TextPart(text="Look."), heavy], "Yes.")
        monkeypatch.setattr(json, "loads", watched)
        for pattern, regex in (("mat", False), ("yes", False), ('"mat"', False), ("m.t", True)):
            assert (await session.grep(pattern, regex=regex)).matches
    assert read
    assert max(read) < 1_000


async def test_a_notebook_shows_the_label_and_loads_nothing(store_path):
    linked = MediaPart.from_url("https://example.org/dog.jpg", alt="<img src=x>")
    async with open_session(store_path) as session:
        empty = await session.context()
        await session.record([photo(), linked], "Nice.")
        window = await session.context()
        html = views.window_html(window)
        frame = frames.context(session.id, db=store_path)
        parts = frames.parts(session.id, db=store_path)
    assert "<img" not in html
    assert "src=" not in html.replace("src=x", "")
    assert "iVBOR" not in html
    assert re.search(r"▣|■</span> media", views.budget_html(window))
    assert "media" not in views.budget_html(empty)
    assert frame["kind"].tolist() == [item.kind for item in window.items]
    assert frame["tokens"].tolist() == [item.tokens for item in window.items]
    assert frame["id"].tolist() == [item.id for item in window.items]
    assert "iVBOR" not in parts.to_csv()
    assert parts["data"].iloc[0].startswith('{"media_type":"image/png","name":"cat.png"')


def test_a_model_that_is_known_not_to_take_it_is_not_asked():
    check_media([TextPart(text="Hi."), photo()], "openai/gpt-4o", "message")
    check_media([photo()], "my/own-model", "message")
    with pytest.raises(InputError, match=r"message\[1\] is of kind 'image' \(cat.png\), and openai/o3-mini does not"):
        check_media([TextPart(text="Hi."), photo()], "openai/o3-mini", "message")


async def test_a_session_refuses_what_its_model_is_known_not_to_take_before_anything_is_stored(store_path):
    async with MnesisSession.open(model="openai/o3-mini", db_path=store_path) as session:
        for ask in (session.send, session.preview):
            with pytest.raises(InputError, match="o3-mini does not take that"):
                await ask([TextPart(text="What is it?"), photo()])
        assert await session.messages() == []
    async with MnesisSession.open(model="openai/o3-mini", db_path=store_path, llm=Model()) as session:
        assert (await session.send([TextPart(text="What is it?"), photo()])).text == "Noted."


async def test_a_conversation_with_what_its_model_does_not_take_is_not_imported(store_path):
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    asked = [{"role": "user", "content": [image]}]
    looked: list[dict[str, Any]] = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [image]}]},
    ]
    for messages, where in ((asked, "turns[0].user[0]"), (looked, "turns[0].messages[1].parts[1]")):
        with pytest.raises(InputError, match=re.escape(where) + r".*o3-mini does not take that"):
            await MnesisSession.from_messages(messages, model="openai/o3-mini", db_path=store_path)
    assert not store_path.exists()
    model = Model()
    async with await MnesisSession.from_messages(asked, model="openai/o3-mini", llm=model, db_path=store_path) as own:
        assert len(await own.messages()) == 1
