"""GGUF files for tests: tiny ones made here, and copies of a real one that say something else."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

_ALIGNMENT = 32


type Values = dict[str, str | int | Sequence[str]]

MODEL: Values = {"general.architecture": "llama", "llama.context_length": 2048}
"""What a language model's file says at least."""


def tiny(path: Path, values: Values, *, version: int = 3) -> Path:
    """A file with these metadata and one tensor of 32 bytes; nothing that could be run."""
    pairs = b"".join(_text(key) + _value(value) for key, value in values.items())
    tensor = _text("output.weight") + struct.pack("<IQIQ", 1, 8, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", version, 1, len(values)) + pairs + tensor
    path.write_bytes(head + bytes(-len(head) % _ALIGNMENT) + bytes(32))
    return path


def copied(source: Path, target: Path, changes: Mapping[str, str]) -> Path:
    """A copy of a file in which these strings are others. `general.name` takes up the difference in length."""
    data = source.read_bytes()
    before = len(data)
    for key, value in changes.items():
        data = _spliced(data, key, value)
    padding = " " * ((before - len(data)) % _ALIGNMENT)
    data = _spliced(data, "general.name", _string_at(data, "general.name") + padding)
    target.write_bytes(data)
    return target


def _spliced(data: bytes, key: str, value: str) -> bytes:
    start = _start_of_value(data, key)
    (length,) = struct.unpack_from("<Q", data, start)
    return data[:start] + _text(value) + data[start + 8 + length :]


def _string_at(data: bytes, key: str) -> str:
    start = _start_of_value(data, key)
    (length,) = struct.unpack_from("<Q", data, start)
    return data[start + 8 : start + 8 + length].decode()


def _start_of_value(data: bytes, key: str) -> int:
    return data.index(_text(key) + struct.pack("<I", 8)) + len(_text(key)) + 4


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: str | int | Sequence[str]) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
