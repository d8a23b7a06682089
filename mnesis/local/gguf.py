"""What a GGUF file says of the model in it, read without loading the model.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Only the header is read, through a memory map:
20 ms where a vocabulary of 50,000 tokens has to be stepped over. The package `gguf` makes an array of every value
and takes 2 s for the same file.
"""

import mmap
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mnesis.errors import BadRequest

_SCALARS = {
    number: struct.Struct(f"<{code}")
    for number, code in {
        0: "B",
        1: "b",
        2: "H",
        3: "h",
        4: "I",
        5: "i",
        6: "f",
        7: "?",
        10: "Q",
        11: "q",
        12: "d",
    }.items()
}
_STRING, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")
_MOST_ELEMENTS = 1 << 24
"""An array that claims more is damage: the largest vocabularies have some 300,000 tokens."""
_MOST_DIMENSIONS = 4


@dataclass(frozen=True, slots=True)
class _Array:
    """An array that was stepped over: the type of its elements, where they begin, how many there are."""

    type: int
    offset: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """The metadata of a GGUF file, the same object as long as the file is the same.

    `values` has its scalars and strings, by the names of the format.
    """

    path: Path
    values: Mapping[str, Any]
    arrays: Mapping[str, _Array]

    @property
    def context_length(self) -> int:
        """How many tokens the model was trained to take."""
        return int(self.values[f"{self.values['general.architecture']}.context_length"])

    @property
    def chat_template(self) -> str:
        """The Jinja template of its prompts; empty where the file has none."""
        return str(self.values.get("tokenizer.chat_template", ""))

    @property
    def takes_tools(self) -> bool:
        """Whether its template has a place for tools."""
        named = "tokenizer.chat_template.tool_use" in self.values
        return named or re.search(r"\btools\b", self.chat_template) is not None

    def array(self, key: str) -> list[Any]:
        """An array, read now. Raises `KeyError` where there is none of this name."""
        found = self.arrays[key]
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            reader = _Reader(data, found.offset)
            return [reader.value(found.type) for _ in range(found.count)]


def read_header(path: Path) -> Header:
    """The header of a file. Raises `BadRequest` where it is none of a language model, or damaged."""
    try:
        stat = path.stat()
        return _read(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise BadRequest(f"{path} cannot be read ({error.strerror}); check its permissions") from error


@lru_cache(maxsize=32)
def _read(path: Path, mtime_ns: int, size: int) -> Header:  # a file that changed is another file
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise BadRequest(f"{path} is not a GGUF file: it does not begin with 'GGUF'; convert the model, or get one")
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(path, data)
        except (struct.error, IndexError, UnicodeDecodeError, _Damage) as error:
            raise BadRequest(f"{path} is a damaged GGUF file ({error}); download it again") from error


class _Damage(ValueError):
    pass


class _Reader:
    """Steps through the file. What lies beyond its end raises `struct.error` or `_Damage`."""

    __slots__ = ("_data", "at")

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self._data, self.at = data, at

    def scalar(self, number: int) -> Any:
        if (kind := _SCALARS.get(number)) is None:
            raise _Damage(f"a value of the unknown type {number}")
        (value,) = kind.unpack_from(self._data, self.at)
        self.at += kind.size
        return value

    def string(self) -> str:
        start = self.at + 8
        self.skip_string()
        return self._data[start : self.at].decode()

    def skip_string(self) -> None:
        self.at += 8 + _LENGTH.unpack_from(self._data, self.at)[0]
        self._check()

    def value(self, number: int) -> Any:
        return self.string() if number == _STRING else self.scalar(number)

    def skip_array(self) -> _Array:
        """Step over an array; what is returned is where to find it."""
        number, count = self.scalar(4), self.scalar(10)
        if count > _MOST_ELEMENTS:
            raise _Damage(f"an array of {count:,} elements")
        found = _Array(number, self.at, count)
        if number == _STRING:
            for _ in range(count):
                self.skip_string()
        elif number in _SCALARS:
            self.skip(count * _SCALARS[number].size)
        else:
            raise _Damage(f"an array of the unknown type {number}")
        return found

    def skip(self, size: int) -> None:
        self.at += size
        self._check()

    def _check(self) -> None:
        if self.at > len(self._data):
            raise _Damage(f"it ends after {len(self._data):,} bytes, in the middle of its header")


def _parse(path: Path, data: mmap.mmap) -> Header:
    reader = _Reader(data, 4)
    version, tensors, pairs = reader.scalar(4), reader.scalar(10), reader.scalar(10)
    if version not in (2, 3):
        raise BadRequest(f"{path} is of GGUF version {version}; versions 2 and 3 are read, convert the model again")
    values: dict[str, Any] = {}
    arrays: dict[str, _Array] = {}
    for _ in range(pairs):
        key, number = reader.string(), reader.scalar(4)
        if number == _ARRAY:
            arrays[key] = reader.skip_array()
        else:
            values[key] = reader.value(number)
    if f"{values.get('general.architecture')}.context_length" not in values:
        raise BadRequest(f"{path} holds no language model: it names no context length; give another file")
    _check_tensors(reader, tensors, int(values.get("general.alignment", 32)), len(data))
    return Header(path, values, arrays)


def _check_tensors(reader: _Reader, count: int, alignment: int, size: int) -> None:
    """Whether the file reaches to its last tensor: most damaged files are downloads that broke off."""
    last = 0
    for _ in range(count):
        reader.skip_string()
        if (dimensions := reader.scalar(4)) > _MOST_DIMENSIONS:
            raise _Damage(f"a tensor of {dimensions:,} dimensions")
        reader.skip(8 * dimensions + 4)
        last = max(last, reader.scalar(10))
    begins = reader.at + -reader.at % max(1, alignment) + last
    if count and begins >= size:
        raise _Damage(f"it ends after {size:,} bytes, before its last tensor begins at {begins:,}")
