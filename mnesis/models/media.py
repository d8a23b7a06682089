"""Images, sounds and documents as parts of a message."""

import base64
import binascii
import io
import mimetypes
import re
import struct
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mnesis.errors import InputError, describe_value
from mnesis.models.base import Checked

type MediaKind = Literal["image", "audio", "video", "document"]


class MediaPart(Checked):
    """An image, a sound or a document: its bytes in base64, or the URL from which the provider fetches it.

    `width` and `height` are in pixels. `alt` says what is to be seen, for whoever does not see it: summaries, search.
    `tokens` is what it costs, where you know better than the estimate. `from_bytes`, `from_path` and `from_url` find
    out what there is to know.
    """

    type: Literal["media"] = "media"
    media_type: str = Field(pattern=r"^[a-z]+/[a-zA-Z0-9][a-zA-Z0-9.+-]*$")
    data: str | None = Field(default=None, repr=False)
    url: str | None = Field(default=None, pattern=r"^(https?|gs)://\S+$")
    name: str | None = Field(default=None, min_length=1)
    alt: str = ""
    width: int | None = Field(default=None, gt=0)
    height: int | None = Field(default=None, gt=0)
    detail: Literal["auto", "low", "high"] | None = None
    tokens: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.data is None) == (self.url is None):
            raise InputError("MediaPart needs either data (base64) or url: MediaPart.from_bytes makes one of bytes")
        if self.data is not None:
            _decoded(self.data, "MediaPart.data")
        return self

    @classmethod
    def from_bytes(
        cls, data: bytes, media_type: str | None = None, *, name: str | None = None, alt: str = "", **fields: Any
    ) -> Self:
        """A part that holds these bytes. Without `media_type` the bytes tell; `fields` are further fields.

        Raises `InputError` for no bytes, and where the type can be neither told nor guessed by the name.
        """
        if not isinstance(data, bytes | bytearray | memoryview) or not data:
            raise InputError(f"data={describe_value(data)} is not usable; give some bytes")
        data = bytes(data)
        known = media_type or sniff(data) or (mimetypes.guess_type(name)[0] if name else None)
        if known is None:
            raise InputError(
                f"nothing tells what {len(data):,} bytes from {describe_value(data[:8])} on are; give media_type="
            )
        width, height = dimensions(data) or (None, None)
        given = {"width": width, "height": height} | fields
        return cls(media_type=known, data=base64.b64encode(data).decode(), name=name, alt=alt, **given)

    @classmethod
    def from_path(cls, path: str | Path, media_type: str | None = None, *, alt: str = "", **fields: Any) -> Self:
        """A part that holds a file. Raises `InputError` where it cannot be read."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"path={str(path)!r} cannot be read: {error.strerror or error}") from error
        return cls.from_bytes(data, media_type, alt=alt, **{"name": Path(path).name} | fields)

    @classmethod
    def from_url(cls, url: str, media_type: str | None = None, *, alt: str = "", **fields: Any) -> Self:
        """A part that names a URL, which is never fetched here; of a `data:` URL, one that holds its bytes.

        Without `media_type` the ending of the URL tells, and it counts as a JPEG where that says nothing.
        """
        if not isinstance(url, str):
            raise InputError(f"url={describe_value(url)} is a {type(url).__name__}; give a str")
        if found := _DATA_URL.match(url):
            data = _decoded(url[found.end() :], "the data of url")
            return cls.from_bytes(data, media_type or found["type"] or None, alt=alt, **fields)
        known = media_type or mimetypes.guess_type(url.partition("?")[0])[0] or "image/jpeg"
        return cls(media_type=known, url=url, alt=alt, **fields)

    @property
    def kind(self) -> MediaKind:
        """What it is by its type; whatever is no picture and no sound is a document."""
        match self.media_type.partition("/")[0]:
            case "image" | "audio" | "video" as kind:
                return kind
            case _:
                return "document"

    @property
    def size(self) -> int | None:
        """Its bytes; `None` where only the URL is known."""
        return None if self.data is None else len(self.data) // 4 * 3 - self.data[-2:].count("=")

    def content(self) -> bytes:
        """The bytes themselves. Raises `InputError` where only the URL is known."""
        if self.data is None:
            raise InputError(f"only the url of this part is known ({describe_value(self.url)}): nothing is fetched")
        return base64.b64decode(self.data)


_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?:;[^;,]+)*;base64,")


def _decoded(data: str, what: str) -> bytes:
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{what}={describe_value(data)} is not base64: {error}") from None
    if not decoded:
        raise InputError(f"{what} is empty; give some bytes")
    return decoded


# -- what bytes are ------------------------------------------------------------------------------------------------

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
)
"""Where a file of a type says so: the place, and the bytes there."""


def sniff(data: bytes) -> str | None:
    """The media type that the first bytes of a file tell; `None` where they tell none that models take."""
    for place, magic, media_type in _MAGIC:
        if data[place : place + len(magic)] == magic and (place != 8 or data[:4] == b"RIFF"):
            return media_type
    return None


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels by the header of a PNG, JPEG, GIF or WebP file, as it is to be seen."""
    if sniff(data) not in ("image/png", "image/jpeg", "image/gif", "image/webp"):
        return None
    import imagesize

    try:
        width, height = imagesize.get(io.BytesIO(data))
    except (ValueError, TypeError, LookupError, struct.error):  # a damaged header
        return None
    return (width, height) if width > 0 and height > 0 else None
