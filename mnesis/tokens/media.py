"""What media cost: by the provider's own formula where it is known, conservative elsewhere.

Images: https://platform.openai.com/docs/guides/images-vision#calculating-costs (tiles of 512 px and patches of 32 px,
both with the factors of single models) and https://docs.anthropic.com/en/docs/build-with-claude/vision (pixels / 750;
the largest, 2,576 px on the long edge, cost 4,784). Sound: 32 tokens a second,
https://ai.google.dev/gemini-api/docs/tokens; OpenAI takes 10. Documents: each page as text (up to 3,000 tokens) and
as an image (1,600), https://docs.anthropic.com/en/docs/build-with-claude/pdf-support.
"""

import math
import re
import struct
import zlib
from dataclasses import dataclass
from typing import Literal, assert_never

from mnesis.models.media import MediaPart

type Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tiles:
    """So many tokens, and so many for each tile of 512 px of the image, made to fit 2,048 px and then 768 px."""

    base: int
    tile: int

    def cost(self, size: Size | None, detail: Literal["auto", "low", "high"] | None = None) -> int:
        """Tokens of an image; of one whose size is not known, those of the largest."""
        if detail == "low":
            return self.base
        return self.base + self.tile * (8 if size is None else _tiles(size))


def _tiles(size: Size) -> int:
    scale = min(1, 2048 / max(size), 768 / min(size))
    return math.prod(math.ceil(max(1, side * scale - 1e-6) / 512) for side in size)


@dataclass(frozen=True, slots=True)
class Patches:
    """So many tokens for each patch of 32 px; an image of more than 1,536 is scaled down to them."""

    factor: float

    def cost(self, size: Size | None, detail: Literal["auto", "low", "high"] | None = None) -> int:
        """Tokens of an image; `detail` makes no difference."""
        patches = _MOST_PATCHES if size is None else math.prod(math.ceil(side / 32) for side in size)
        return math.ceil(min(patches, _MOST_PATCHES) * self.factor)


_MOST_PATCHES = 1536


@dataclass(frozen=True, slots=True)
class Largest:
    """The most that any of the known formulas gives; for models whose own is not known."""

    def cost(self, size: Size | None, detail: Literal["auto", "low", "high"] | None = None) -> int:
        """Tokens of an image; `detail` is not relied on."""
        if size is None:
            return _LARGEST_IMAGE
        return min(max(math.ceil(math.prod(size) / 750), _USUAL.cost(size), _SMALLEST_IMAGE), _LARGEST_IMAGE)


_USUAL = Tiles(85, 170)
_LARGEST_IMAGE = 4784
_SMALLEST_IMAGE = 258  # Gemini, for one that is at most 384 px on each side

LARGEST = Largest()

type ImageCost = Tiles | Patches | Largest

_OF_MODELS: tuple[tuple[re.Pattern[str], ImageCost], ...] = (
    (re.compile(r"gpt-4o-mini\b"), Tiles(2833, 5667)),
    (re.compile(r"gpt-(4\.1|5)-mini\b"), Patches(1.62)),
    (re.compile(r"gpt-(4\.1|5)-nano\b"), Patches(2.46)),
    (re.compile(r"o4-mini\b"), Patches(1.72)),
    (re.compile(r"o[13]\b"), Tiles(75, 150)),
    (re.compile(r"gpt-5(?![.\w])"), Tiles(70, 140)),
    (re.compile(r"(chat)?gpt-4(o|\.1|\.5|-turbo)(?![.\w])"), _USUAL),
)


def image_cost(name: str) -> ImageCost:
    """How a model counts images, by its name without the provider."""
    return next((cost for pattern, cost in _OF_MODELS if pattern.match(name)), LARGEST)


def media_tokens(part: MediaPart, images: ImageCost) -> int:
    """The tokens of a part, without any wrapper: those that it says itself, else an estimate that is rather too high.

    What is only known by its URL, and is no image, counts as 20,000.
    """
    if part.tokens is not None:
        return part.tokens
    if part.kind == "image":
        return images.cost((part.width, part.height) if part.width and part.height else None, part.detail)
    if part.data is None:
        return _UNSEEN
    match part.kind:
        case "audio":
            return math.ceil(_SOUND * _seconds(part.content()))
        case "video":
            return math.ceil(_FILM * (part.size or 0) / _SLOWEST_FILM)
        case "document":
            return _document_tokens(part.content())
        case _:
            assert_never(part.kind)


_UNSEEN = 20_000
_SOUND = 32  # tokens a second
_SLOWEST_SOUND = 2_000  # bytes a second: speech at 16 kbit/s
_FILM = 300  # tokens a second: Gemini takes 263 for a picture a second, and 32 for the sound
_SLOWEST_FILM = 30_000  # bytes a second: 240 kbit/s
_PAGE = 4_600


def _seconds(data: bytes) -> float:
    """How long a sound lasts: a WAV file says how many bytes a second has, of others the slowest are assumed."""
    rate = struct.unpack_from("<I", data, 28)[0] if data[8:16] == b"WAVEfmt " and len(data) >= 32 else 0
    return len(data) / max(rate, _SLOWEST_SOUND)


def _document_tokens(data: bytes) -> int:
    """By its pages, as far as they can be counted; a byte is never more than a token."""
    pages = _pdf_pages(data) if data[:5] == b"%PDF-" else None
    return min(len(data), pages * _PAGE) if pages else len(data)


_PAGE_OBJECT = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_PACKED = re.compile(rb"/ObjStm\b")
_STREAM = re.compile(rb"stream\r?\n")
_HEAD = 200  # bytes between the two
_LONGEST_PACKED = 1 << 22
_MOST_PACKED = 1 << 25
_EACH_PACKED = 1 << 10  # what looking at one counts as, however short it is


def _pdf_pages(data: bytes) -> int | None:
    """The page objects that stand in a PDF or are packed into its streams; `None` where that is too much to unpack."""
    pages, left = len(_PAGE_OBJECT.findall(data)), _MOST_PACKED
    for packed in _PACKED.finditer(data):
        objects, read = _unpacked(data, packed.end())
        left -= read + len(objects) + _EACH_PACKED
        if left < 0:
            return None
        pages += len(_PAGE_OBJECT.findall(objects))
    return pages


def _unpacked(data: bytes, at: int) -> tuple[bytes, int]:
    """The objects of the stream whose dictionary is here, and how many bytes were read for them."""
    stream = _STREAM.search(data, at, at + _HEAD)
    if stream is None:
        return b"", 0
    start, most = stream.end(), stream.end() + _LONGEST_PACKED
    end = data.find(b"endstream", start, most)
    with memoryview(data)[start : most if end < 0 else end] as packed:
        try:
            return zlib.decompressobj().decompress(packed, _LONGEST_PACKED), len(packed)
        except zlib.error:
            return b"", len(packed)
