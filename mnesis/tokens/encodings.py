"""OpenAI's encodings `cl100k_base` and `o200k_base`, exact and without a network.

The rank files are the ones litellm's wheel carries, checked against the hashes tiktoken pins. The patterns are those
of `tiktoken_ext.openai_public` (tiktoken 0.14); calling that module would download the ranks.
"""

import binascii
import hashlib
import logging
import re
import threading
from collections.abc import Callable, Iterator

from mnesis.tokens.wheel import litellm_file

logger = logging.getLogger("mnesis.tokens")

PIECE = 16_384
"""The longest text, in characters, that is encoded in one go."""

ALLOWANCE = 4
"""Tokens added for a cut that may split a token. A cut can also lower the count, as byte pair merges are not monotone:
by up to 2 in 300,000 random and periodic texts (worst: "lalala…")."""

_SEARCH = 4_096
_SEAM = re.compile(r"\S(?= )|\n(?=[^\s/])")
"""After a match a new token begins in both encodings, whatever stands around it: no token continues from
non-whitespace into a space, and none from a newline into anything but whitespace (o200k also: "/")."""


def pieces(text: str, size: int = PIECE, search: int = _SEARCH) -> Iterator[tuple[str, bool]]:
    """The text in pieces of at most `size` characters, each with whether the cut after it is a clean one.

    A cut is clean at a seam among the piece's last `search` characters: the tokens on both sides are those of the
    whole text. Only where there is none (base64, minified code, a long whitespace run) is a piece cut at its size.
    """
    start = 0
    while len(text) - start > size:
        seam = _SEAM.search(text, start + size - search, start + size)
        end = seam.end() if seam else start + size
        yield text[start:end], seam is not None
        start = end
    yield text[start:], True


class Codec:
    """Counts tokens by a vocabulary that is built on first use, once (0.2 to 0.4 s); safe to use from several threads.

    A subclass says how to build it, and what to do where that fails.
    """

    __slots__ = ("_count", "_lock", "_tried", "name")

    advice: str

    def __init__(self, name: str) -> None:
        self.name = name
        self._count: Callable[[str], int] | None = None
        self._tried = False
        self._lock = threading.Lock()

    @property
    def available(self) -> bool:
        """Whether it could be built. Builds it; where that fails, one warning is logged."""
        return self._load() is not None

    def warm(self) -> None:
        """Begin to build in the background and return at once."""
        if not self._tried:
            threading.Thread(target=self._load, name=f"mnesis-{self.name}", daemon=True).start()

    def count(self, text: str) -> int | None:
        """Tokens of the text, `None` when it is not available. Text like `<|endoftext|>` is just text.

        Long texts are encoded in pieces: tiktoken panics on whitespace runs near a million characters and slows down
        on long words. Exact where all cuts are clean; each other one, at most one per 16,384 characters, costs
        `ALLOWANCE`, so that the count is never too small. Too many: 0.05 % on base64, 3 % on nothing but spaces.
        """
        if (count := self._load()) is None:
            return None
        if len(text) <= PIECE:
            return count(text)
        return sum(count(piece) + (0 if clean else ALLOWANCE) for piece, clean in pieces(text))

    def _load(self) -> Callable[[str], int] | None:
        if self._tried:  # set last, so the usual call takes no lock
            return self._count
        with self._lock:
            if not self._tried:
                try:
                    self._count = self._build()
                except (ImportError, OSError, ValueError) as error:
                    logger.warning(
                        "token counts in %s are conservative estimates: %s; %s to count exactly",
                        self.name,
                        error,
                        self.advice,
                    )
                self._tried = True
            return self._count

    def _build(self) -> Callable[[str], int]:
        """How many tokens a text has. Raises `ImportError`, `OSError` or `ValueError` where something is missing."""
        raise NotImplementedError


class Encoding(Codec):
    """One of OpenAI's encodings."""

    __slots__ = ("_file", "_pattern", "_sha256")

    advice = "reinstall litellm and tiktoken"

    def __init__(self, name: str, *, file: str, sha256: str, pattern: str) -> None:
        super().__init__(name)
        self._file, self._sha256, self._pattern = file, sha256, pattern

    def _build(self) -> Callable[[str], int]:
        import tiktoken

        fields = self._read().split()
        ranks = dict(zip(map(binascii.a2b_base64, fields[::2]), map(int, fields[1::2]), strict=True))
        encode = tiktoken.Encoding(
            self.name, pat_str=self._pattern, mergeable_ranks=ranks, special_tokens={}
        ).encode_ordinary
        return lambda text: len(encode(text))

    def _read(self) -> bytes:
        if (path := litellm_file(f"litellm_core_utils/tokenizers/{self._file}")) is None:
            raise FileNotFoundError(f"the installed litellm holds no rank file {self._file}")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self._sha256:
            raise ValueError(f"{path} is not the rank file that tiktoken pins")
        return data


CL100K = Encoding(
    "cl100k_base",
    file="9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    pattern=r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
)
"""GPT-4, GPT-3.5."""

O200K = Encoding(
    "o200k_base",
    file="fb374d419588a4632f3f557e76b4b70aebbca790",
    sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    pattern=r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
"""GPT-4o and everything after it."""
