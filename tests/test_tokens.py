"""Counting of text: exact where the encoding is known, conservative elsewhere, and never over the network."""

import base64
import inspect
import logging
import random
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from mnesis.tokens import TokenCounter, correction, counter_for, warm
from mnesis.tokens.encodings import ALLOWANCE, CL100K, Encoding, pieces
from mnesis.tokens.wheel import litellm_file

VOCABULARIES = "litellm_core_utils/tokenizers"
RANK_FILES = ("9b5ad71b2ce5302211f9c61530b329a4922fc6a4", "fb374d419588a4632f3f557e76b4b70aebbca790")
SEED = random.Random(7)

ENGLISH = (
    "The old man walked slowly down the road, thinking about everything that had happened. He remembered the summer "
    'they had spent by the lake, when the evenings seemed to last for ever. "You never told me," she said quietly, '
    "\"why you left.\" He didn't answer at first; there wasn't an easy answer to give.\n\n"
) * 5
SAMPLES = {
    "english": ENGLISH,
    "code": inspect.getsource(textwrap) + inspect.getsource(random),
    "digits": "".join(SEED.choices("0123456789", k=4000)),
    "table": "\n".join(f"{SEED.random():.4f},{SEED.random():.4f}" for _ in range(200)),
    "hex": SEED.randbytes(2000).hex(),
    "base64": base64.b64encode(SEED.randbytes(3000)).decode(),
    "letters": "".join(SEED.choices("abcdefghijklmnopqrstuvwxyz", k=3000)),
    "chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。" * 10,
    "rare han": "".join(chr(SEED.randrange(0x4E00, 0x9FFF)) for _ in range(1000)),
    "japanese": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。" * 10,
    "korean": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. " * 10,
    "russian": "Все люди рождаются свободными и равными в своем достоинстве и правах. " * 10,
    "greek": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. " * 10,
    "arabic": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميراً. " * 10,
    "hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। " * 10,
    "thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ " * 10,
    "vietnamese": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. " * 10,
    "german": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. " * 10,
    "emoji": "😀😂🎉🚀👍🏽❤️🔥🦄🧬🇩🇪👨‍👩‍👧✅" * 20,
    "spaces": " " * 3000,
    "newlines": "\n" * 3000,
    "tabs": "\t" * 3000,
    "rules": ("=" * 70 + "\n") * 20,
    "special": "<|endoftext|> is text, and so is <|im_start|>",
    "empty": "",
}

texts = st.text() | st.text("ab \n\t\r/.1Äé한漢😀'", max_size=400)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], int]:
    """Tokens by tiktoken's own encodings, `reference("o200k_base", text)`, read from its cache folder."""
    cache = tmp_path_factory.mktemp("tiktoken")
    for name in RANK_FILES:
        path = litellm_file(f"{VOCABULARIES}/{name}")
        assert path
        shutil.copy(path, cache / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        encodings = {name: tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")}
    return lambda name, text: len(encodings[name].encode_ordinary(text))


@pytest.fixture(scope="module")
def claude() -> Callable[[str], int]:
    """Tokens by the older Claude tokenizer."""
    tokenizer = Tokenizer.from_file(str(litellm_file(f"{VOCABULARIES}/anthropic_tokenizer.json")))
    return lambda text: len(tokenizer.encode(text).ids)


# -- which counter ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "o200k_base"),
        ("openai/gpt-4.1-mini", "o200k_base"),
        ("gpt-4.5-preview", "o200k_base"),
        ("azure/gpt-5.1-codex", "o200k_base"),
        ("openrouter/openai/gpt-4o:free", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("o1", "o200k_base"),
        ("o3-pro", "o200k_base"),
        ("openai/o4-mini-2025-04-16", "o200k_base"),
        ("groq/openai/gpt-oss-120b", "o200k_base"),
        ("bedrock/openai.gpt-oss-20b-1:0", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("GPT-4-Turbo", "cl100k_base"),
        ("azure/gpt-35-turbo", "cl100k_base"),
        ("gpt-3.5-turbo-16k", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("offline/demo", "cl100k_base"),
        ("anthropic/claude-sonnet-4-5", "estimate"),
        ("gemini/gemini-2.5-pro", "estimate"),
        ("ollama/llama3.1:8b", "estimate"),
        ("together_ai/gpt-4all-13b", "estimate"),
        ("azure/my-deployment", "estimate"),
        ("", "estimate"),
    ],
)
def test_the_counter_of_a_model_follows_from_its_litellm_string(model: str, name: str) -> None:
    counter = counter_for(model)
    assert counter.name == name
    assert counter.exact == (name != "estimate")
    assert counter_for(model) is counter


def test_an_estimated_model_reserves_more_for_the_wrapper_than_openai_needs() -> None:
    exact, estimated = counter_for("gpt-4o"), counter_for("claude-sonnet-4-5")
    assert (exact.message_overhead, exact.reply_priming) == (3, 3)
    assert estimated.message_overhead > exact.message_overhead


# -- exact counts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_known_encodings_are_counted_exactly(kind: str, model: str, reference: Callable[[str, str], int]) -> None:
    counter = counter_for(model)
    assert counter.count(SAMPLES[kind]) == reference(counter.name, SAMPLES[kind])


@given(texts)
@settings(deadline=None, max_examples=60)
def test_any_text_is_counted_exactly(reference: Callable[[str, str], int], text: str) -> None:
    for counter in (counter_for("gpt-4"), counter_for("gpt-4o")):
        assert counter.count(text) == reference(counter.name, text)


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
def test_long_text_with_spaces_or_lines_is_counted_exactly(model: str, reference: Callable[[str, str], int]) -> None:
    counter = counter_for(model)
    for text in (
        ENGLISH * 100,
        SAMPLES["code"] * 10,
        (SAMPLES["chinese"] + "\n") * 100,
        (SAMPLES["base64"] + " ") * 20,
    ):
        assert len(text) > 30_000
        assert counter.count(text) == reference(counter.name, text)


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
@pytest.mark.parametrize("unit", ["la", "kwu", "QmFzZTY0", " ", "\n", "漢字", "😀", "12"])
def test_long_text_without_a_seam_is_counted_barely_too_high_and_never_too_low(
    unit: str, model: str, reference: Callable[[str, str], int]
) -> None:
    counter = counter_for(model)
    text = unit * (50_000 // len(unit))
    whole = reference(counter.name, text)
    assert whole <= counter.count(text) <= whole * 1.04 + 2 * ALLOWANCE


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o", "claude-sonnet-4-5"])
@pytest.mark.parametrize("unit", ["a", " ", "\n", "龘", "😀", "aB3/x+Q"])
def test_long_text_without_a_break_are_counted_in_a_moment(unit: str, model: str) -> None:
    counter = counter_for(model)
    text = (unit * 200_000)[:200_000]
    counter.warm()
    started = time.thread_time()
    count = counter.count(text)
    assert time.thread_time() - started < 2
    assert count >= counter.count(text[:10_000]) * 19


@given(texts)
@settings(deadline=None, max_examples=150)
def test_pieces_are_the_text_and_never_count_for_less(reference: Callable[[str, str], int], text: str) -> None:
    parts = list(pieces(text, size=24, search=12))
    assert "".join(piece for piece, _ in parts) == text
    assert all(len(piece) <= 24 for piece, _ in parts)
    for name in ("cl100k_base", "o200k_base"):
        counted = sum(reference(name, piece) + (0 if clean else ALLOWANCE) for piece, clean in parts)
        whole = reference(name, text)
        assert counted >= whole
        assert counted == whole or not all(clean for _, clean in parts)


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o", "claude-sonnet-4-5"])
def test_a_lone_surrogate_counts_as_the_replacement_character(model: str) -> None:
    counter = counter_for(model)
    assert counter.count("half \ud83d of it \udc00") == counter.count("half \ufffd of it \ufffd")


# -- estimates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_estimate_is_never_below_a_real_tokenizer(
    kind: str, reference: Callable[[str, str], int], claude: Callable[[str], int]
) -> None:
    text = SAMPLES[kind]
    estimate = counter_for("claude-sonnet-4-5").count(text)
    assert estimate >= max(claude(text), reference("cl100k_base", text), reference("o200k_base", text))


@pytest.mark.parametrize(
    "kind", ["english", "code", "digits", "hex", "base64", "chinese", "korean", "hindi", "russian"]
)
def test_the_estimate_leaves_room_for_newer_claude_tokenizers(kind: str, claude: Callable[[str], int]) -> None:
    assert counter_for("claude-sonnet-4-5").count(SAMPLES[kind]) >= 1.35 * claude(SAMPLES[kind])


@pytest.mark.parametrize(
    ("kind", "most"), [("english", 1.6), ("code", 1.75), ("german", 1.6), ("russian", 2.2), ("chinese", 2.2)]
)
def test_the_estimate_stays_near_the_truth(kind: str, most: float, reference: Callable[[str, str], int]) -> None:
    assert counter_for("claude-sonnet-4-5").count(SAMPLES[kind]) <= most * reference("cl100k_base", SAMPLES[kind])


def test_the_estimate_covers_tokenizers_that_take_digits_singly_and_fall_back_to_bytes() -> None:
    counter = counter_for("ollama/llama2")
    assert counter.count("1234567890" * 10) >= 100
    assert counter.count("🦄" * 10) >= 40
    assert counter.count("\n" * 100) >= 100


@given(texts, texts)
@settings(deadline=None, max_examples=60)
def test_a_count_is_deterministic_and_at_most_one_per_byte(text: str, more: str) -> None:
    for counter in (counter_for("gpt-4o"), counter_for("claude-sonnet-4-5")):
        count = counter.count(text)
        assert 0 <= count <= len(text.encode(errors="surrogatepass")) + 1
        assert (count == 0) == (text == "")
        counter.count(more)
        assert counter.count(text) == count


# -- without rank files -------------------------------------------------------------------------------------------


def broken_encoding(file: str = "missing") -> Encoding:
    return Encoding("o200k_base", file=file, sha256="0" * 64, pattern=".")


@pytest.mark.parametrize("file", ["missing", RANK_FILES[0]])
def test_a_missing_or_altered_rank_file_means_an_estimate_and_one_warning(
    file: str, caplog: pytest.LogCaptureFixture
) -> None:
    counter = TokenCounter("o200k_base", message_overhead=3, reply_priming=3, encoding=broken_encoding(file))
    with caplog.at_level(logging.WARNING, "mnesis.tokens"):
        assert not counter.exact
        assert counter.count(ENGLISH) == counter_for("claude-sonnet-4-5").count(ENGLISH)
    assert [record.name for record in caplog.records] == ["mnesis.tokens"]
    assert "estimates" in caplog.text


@pytest.mark.parametrize(
    "kind", ["english", "code", "digits", "hex", "base64", "chinese", "russian", "emoji", "spaces"]
)
def test_without_any_rank_file_the_estimate_still_covers_real_tokenizers(
    kind: str, monkeypatch: pytest.MonkeyPatch, claude: Callable[[str], int], reference: Callable[[str, str], int]
) -> None:
    monkeypatch.setattr("mnesis.tokens.estimate.CL100K", broken_encoding())
    count = counter_for("claude-sonnet-4-5").count(SAMPLES[kind])
    assert count >= max(claude(SAMPLES[kind]), reference("cl100k_base", SAMPLES[kind]))


# -- the process around it ----------------------------------------------------------------------------------------


def test_counting_imports_no_litellm_opens_no_socket_and_leaves_the_environment_alone() -> None:
    script = """
        import os, socket, sys

        def refuse(*args, **kwargs):
            raise AssertionError("a socket was opened")

        socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
        before = dict(os.environ)
        from mnesis.tokens import counter_for, warm

        assert "tiktoken" not in sys.modules
        warm("gpt-4o")
        for model in ("gpt-4", "gpt-4o", "claude-sonnet-4-5"):
            assert counter_for(model).count("hello world") >= 2
        assert counter_for("gpt-4").exact and counter_for("gpt-4o").exact
        assert "litellm" not in sys.modules
        assert dict(os.environ) == before
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=30)


def test_many_threads_share_one_encoding() -> None:
    warm("gpt-4")
    with ThreadPoolExecutor(8) as threads:
        counts = set(threads.map(counter_for("gpt-4").count, [ENGLISH] * 32))
    assert counts == {CL100K.count(ENGLISH)}


# -- calibration --------------------------------------------------------------------------------------------------


def test_without_believable_pairs_there_is_no_correction() -> None:
    assert correction([]) == 1.0
    assert correction([(199, 300), (0, 5), (1000, 2001), (1000, 499)]) == 1.0


def test_the_correction_is_the_largest_of_the_last_eight_believed_ratios() -> None:
    assert correction([(1000, 900), (1000, 1200), (1000, 1100)]) == 1.2
    assert correction([(1000, 1900), *[(1000, 700)] * 8]) == 0.7
    assert correction([(1000, 1900), *[(1000, 700)] * 7, *[(10, 10)] * 20]) == 1.9


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))))
def test_the_correction_is_always_between_a_half_and_two(pairs: list[tuple[int, int]]) -> None:
    assert 0.5 <= correction(iter(pairs)) <= 2.0
