"""What a GGUF file says of its model, and what its vocabulary counts, without running it."""

import contextlib
import logging
import os
import struct
import sys
import time

import pytest
from gguf_files import MODEL, tiny
from hypothesis import given
from hypothesis import strategies as st

from mnesis import BadRequest, MnesisSession
from mnesis.llm.local import LocalProvider
from mnesis.llm.select import provider_for
from mnesis.local import find, installed, read_header
from mnesis.tokens import counter_for

BYTES = [chr(code) for code in [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x1A0)]]
"""Stand-ins for bytes in byte-level vocabularies; `Ġ` is a space."""

VOCABULARY = {
    **MODEL,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": [*BYTES, "Ġt", "Ġth", "Ġthe"],
    "tokenizer.ggml.merges": ["Ġ t", "Ġt h", "Ġth e"],
}


@pytest.fixture
def models(home):
    """The folder in which models have names."""
    folder = home / ".mnesis" / "models"
    folder.mkdir(parents=True)
    return folder


def test_a_header_tells_the_context_length_the_template_and_whether_it_takes_tools(tmp_path):
    plain = read_header(tiny(tmp_path / "a.gguf", {**MODEL, "tokenizer.chat_template": "{{ messages[0].content }}"}))
    assert plain.context_length == 2048
    assert plain.chat_template == "{{ messages[0].content }}"
    assert not plain.takes_tools
    for values in (
        {"tokenizer.chat_template": "{% if tools %}{{ tools }}{% endif %}"},
        {"tokenizer.chat_template": "plain", "tokenizer.chat_template.tool_use": "{{ tools }}"},
    ):
        assert read_header(tiny(tmp_path / "b.gguf", {**MODEL, **values})).takes_tools


def test_arrays_are_read_when_they_are_asked_for(tmp_path):
    header = read_header(tiny(tmp_path / "a.gguf", {**MODEL, "some.words": ["one", "zwei", "三"], "some.last": "x"}))
    assert header.array("some.words") == ["one", "zwei", "三"]
    assert header.values["some.last"] == "x"


def test_a_file_that_was_replaced_is_read_again(tmp_path):
    path = tiny(tmp_path / "a.gguf", MODEL)
    assert read_header(path) is read_header(path)
    tiny(path, {**MODEL, "llama.context_length": 4096})
    os.utime(path, ns=(0, time.time_ns()))
    assert read_header(path).context_length == 4096


def test_a_file_that_is_not_gguf_is_refused(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(BadRequest, match=r"a\.gguf is not a GGUF file"):
        read_header(tmp_path / "a.gguf")
    (tmp_path / "b.gguf").touch()
    with pytest.raises(BadRequest, match="is not a GGUF file"):
        read_header(tmp_path / "b.gguf")


@pytest.mark.parametrize("version", [1, 4, 0x03000000])
def test_a_version_that_is_not_known_is_refused(tmp_path, version):
    with pytest.raises(BadRequest, match=f"version {version}"):
        read_header(tiny(tmp_path / "a.gguf", MODEL, version=version))


def test_a_file_without_a_language_model_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="holds no language model"):
        read_header(tiny(tmp_path / "a.gguf", {"general.architecture": "clip"}))


def test_a_file_cut_off_anywhere_is_damaged(tmp_path):
    whole = tiny(tmp_path / "whole.gguf", {**MODEL, "some.words": ["one", "two"], "some.last": "x"}).read_bytes()
    path = tmp_path / "cut.gguf"
    for size in range(5, len(whole) - 31):
        path.write_bytes(whole[:size])
        with pytest.raises(BadRequest, match="damaged GGUF file"):
            read_header(path)


@given(position=st.integers(4, 400), byte=st.integers(0, 255))
def test_a_flipped_byte_is_refused_or_harmless(tmp_path_factory, position, byte):
    folder = tmp_path_factory.mktemp("flipped")
    data = bytearray(tiny(folder / "a.gguf", VOCABULARY).read_bytes())
    data[position] = byte
    (folder / "a.gguf").write_bytes(data)
    began = time.monotonic()
    with contextlib.suppress(BadRequest):
        assert read_header(folder / "a.gguf").context_length >= 0
    assert time.monotonic() - began < 5


def test_an_array_that_claims_to_be_endless_is_damage(tmp_path):
    data = bytearray(tiny(tmp_path / "a.gguf", {**MODEL, "some.words": ["one"]}).read_bytes())
    at = data.index(struct.pack("<IIQ", 9, 8, 1)) + 8
    data[at : at + 8] = struct.pack("<Q", 1 << 60)
    (tmp_path / "a.gguf").write_bytes(data)
    with pytest.raises(BadRequest, match=r"damaged.*array of 1,152"):
        read_header(tmp_path / "a.gguf")


# -- names -------------------------------------------------------------------------------------------------------


def test_a_name_means_a_file_in_the_models_folder_and_a_path_means_itself(models, tmp_path, monkeypatch):
    named = tiny(models / "tiny-1.5.gguf", MODEL)
    elsewhere = tiny(tmp_path / "other.gguf", MODEL)
    monkeypatch.chdir(tmp_path)
    assert find("local/tiny-1.5") == named
    assert find("local/~/.mnesis/models/tiny-1.5.gguf") == named
    assert find(f"local/{elsewhere}") == find("local/other.gguf") == elsewhere
    assert installed() == [named]


def test_the_models_folder_can_be_set(tmp_path, monkeypatch):
    monkeypatch.setenv("MNESIS_MODELS_DIR", str(tmp_path))
    made = tiny(tmp_path / "tiny.gguf", MODEL)
    assert find("local/tiny") == made


def test_an_unknown_name_says_what_is_here_and_how_to_get_a_first_model(models):
    tiny(models / "other.gguf", MODEL)
    with pytest.raises(BadRequest, match=r"holds no smollm2\.gguf \(other\); `mnesis models get smollm2`"):
        provider_for("local/smollm2")
    with pytest.raises(BadRequest, match="mnesis models get smollm2"):
        provider_for("local/")


def test_a_path_without_a_file_is_refused(tmp_path):
    with pytest.raises(BadRequest, match=r"there is no file .*nothing\.gguf"):
        provider_for(f"local/{tmp_path}/nothing.gguf")


def test_without_the_extra_a_local_model_says_how_to_install_it(models, monkeypatch):
    tiny(models / "tiny.gguf", MODEL)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(BadRequest, match=r'pip install "mnesis\[local\]"'):
        provider_for("local/tiny")


async def test_a_session_on_a_model_that_is_not_here_is_not_created(store_path):
    with pytest.raises(BadRequest, match="mnesis models get"):
        await MnesisSession.create(model="local/nothing", db_path=store_path)
    assert not store_path.exists()


async def test_the_offline_switch_answers_for_local_models_as_well(monkeypatch):
    monkeypatch.setenv("MNESIS_MOCK_LLM", "1")
    async with MnesisSession.open(model="local/nothing", db_path=":memory:") as session:
        assert (await session.send("My name is Ada.")).text


def test_limits_come_from_the_file_and_leave_room_for_the_question(models):
    tiny(models / "small.gguf", MODEL)
    tiny(models / "large.gguf", {**MODEL, "llama.context_length": 131_072, "tokenizer.chat_template": "{{ tools }}"})
    small, large = (LocalProvider().limits(f"local/{name}") for name in ("small", "large"))
    assert (small.context, small.output, small.known, small.tools) == (2048, 512, True, False)
    assert (large.context, large.output, large.tools) == (32_768, 4096, True)
    assert LocalProvider(context=65_536).limits("local/large").context == 65_536
    assert LocalProvider(context=65_536).limits("local/small").context == 2048


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"threads": "two"}, {"context": 10}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LocalProvider(**wrong)


# -- counting ----------------------------------------------------------------------------------------------------


def test_a_vocabulary_of_a_known_kind_counts_exactly(models):
    tiny(models / "words.gguf", VOCABULARY)
    counter = counter_for("local/words")
    assert counter.exact
    assert counter.name == "words:gpt-2"
    assert counter.count("") == 0
    assert counter.count("the") == 3
    assert counter.count(" the the") == 2
    assert counter.count("é") == 2  # its bytes
    assert counter.count("\ud800") == counter.count("\ufffd") == 3
    assert counter_for("local/words") is counter


@pytest.mark.parametrize(
    "other",
    [{"tokenizer.ggml.pre": "unheard-of"}, {"tokenizer.ggml.model": "llama"}, {"tokenizer.ggml.pre": ""}],
)
def test_another_vocabulary_is_estimated(models, other):
    tiny(models / "words.gguf", {**VOCABULARY, **other})
    assert not counter_for("local/words").exact
    assert counter_for("local/words").count("the the") == counter_for("ollama/llama3").count("the the")


def test_a_model_that_is_not_here_is_estimated():
    assert counter_for("local/nothing") is counter_for("ollama/llama3")


@pytest.mark.parametrize("damage", [{"tokenizer.ggml.merges": ["no such"]}, {"tokenizer.ggml.tokens": []}])
def test_a_vocabulary_that_makes_no_sense_means_an_estimate_and_one_warning(models, damage, caplog):
    tiny(models / "words.gguf", {**VOCABULARY, **damage})
    with caplog.at_level(logging.WARNING, "mnesis.tokens"):
        counter = counter_for("local/words")
        assert counter.count("the the") == counter_for("ollama/llama3").count("the the")
        assert not counter.exact
    assert len(caplog.records) == 1
    assert "words" in caplog.text
