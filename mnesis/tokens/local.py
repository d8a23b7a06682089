"""The vocabulary in a GGUF file, with the library `tokenizers`: exact counts for models on this machine.

Byte-level BPE only, in the kinds of pre-tokenization below; others (SentencePiece: Llama 2, Gemma, Mistral 7B) are
estimated. The kinds are named by `tokenizer.ggml.pre`; the patterns are those of llama.cpp (`src/llama-vocab.cpp`).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from mnesis.errors import BadRequest
from mnesis.local import Header, find, read_header
from mnesis.tokens.encodings import Codec

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_DIGIT = r"\p{N}"
_TIKTOKEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS: dict[str, tuple[str, ...]] = {
    "gpt-2": (_GPT2,),
    "smollm": (_DIGIT, _GPT2),
    "starcoder": (_DIGIT, _GPT2),
    "llama-bpe": (_TIKTOKEN.format("{1,3}"),),
    "qwen2": (_TIKTOKEN.format(""),),
}
"""The patterns that a text is split by, one after the other."""

_WHOLE_WORDS_FIRST = {"llama-bpe"}
"""Kinds in which a word that is a token is that token, whatever its merges would give."""


def vocabulary_of(model: str) -> Codec | None:
    """The vocabulary of `local/…`. `None` where it is of no known kind, or there is no such file: whoever is asked to
    answer will say so."""
    try:
        header = read_header(find(model))
    except BadRequest:
        return None
    known = header.values.get("tokenizer.ggml.model") == "gpt2" and _kind(header) in _SPLITS
    return _vocabulary(header) if known else None


@lru_cache(maxsize=8)
def _vocabulary(header: Header) -> "FileVocabulary":
    return FileVocabulary(header)


class FileVocabulary(Codec):
    """The vocabulary of one file."""

    __slots__ = ("_header",)

    advice = 'pip install "mnesis[local]"'

    def __init__(self, header: Header) -> None:
        super().__init__(f"{header.path.stem}:{_kind(header)}")
        self._header = header

    def _build(self) -> Callable[[str], int]:
        from tokenizers import Regex, Tokenizer
        from tokenizers.models import BPE
        from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

        kind = _kind(self._header)
        try:
            tokens = self._header.array("tokenizer.ggml.tokens")
            merges = [_pair(line) for line in self._header.array("tokenizer.ggml.merges")]
            vocabulary = {token: number for number, token in enumerate(tokens)}
            bpe = BPE(vocab=vocabulary, merges=merges, ignore_merges=kind in _WHOLE_WORDS_FIRST)
        except Exception as error:  # tokenizers raises nothing more special
            raise ValueError(f"{self._header.path} holds no usable vocabulary: {error!r}") from error
        tokenizer: Any = Tokenizer(bpe)
        splits = [Split(Regex(pattern), "isolated") for pattern in _SPLITS[kind]]
        tokenizer.pre_tokenizer = Sequence([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])
        encode = tokenizer.encode
        return lambda text: len(encode(text, add_special_tokens=False))


def _kind(header: Header) -> str:
    return str(header.values.get("tokenizer.ggml.pre", ""))


def _pair(line: str) -> tuple[str, str]:
    left, _, right = line.partition(" ")
    return left, right
