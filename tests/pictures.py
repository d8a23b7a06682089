"""Small real files of each type that models take, made here."""

import struct
import zlib


def png(width: int = 40, height: int = 30, shade: int = 200) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\x00" + bytes([shade]) * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """The headers of a picture from a camera: an application segment stands before the frame."""
    app = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    return b"\xff\xd8" + app + frame + b"\xff\xd9"


def gif(width: int, height: int) -> bytes:
    """The header of an animation."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x00\x00\x00;" + b"\x00" * 16


def webp(width: int, height: int) -> bytes:
    """The header of a picture in the extended format."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + size + b"\x00" * 4


def wav(seconds: float, rate: int = 16_000) -> bytes:
    """Silence."""
    data = bytes(int(seconds * rate) * 2)
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", len(data)) + data


def pdf(pages: int, *, packed: bool = False) -> bytes:
    """A document of empty pages, the objects in clear or packed into a stream, as writers since PDF 1.5 do."""
    objects = b"".join(b"<< /Type /Page /Parent 1 0 R >>\n" for _ in range(pages))
    if packed:
        objects = (
            b"2 0 obj << /Type /ObjStm /Filter /FlateDecode >>\nstream\n" + zlib.compress(objects) + b"\nendstream"
        )
    return (
        b"%PDF-1.7\n1 0 obj << /Type /Pages /Count "
        + str(pages).encode()
        + b" >>\n"
        + objects
        + b"\n%%EOF"
        + b" " * 99_999
    )
