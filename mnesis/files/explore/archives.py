"""Archives: what they list. Nothing is unpacked but the headers of a tar file, and of these not too much."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from mnesis.files.explore.subject import Subject, Unreadable

_MOST_LISTED = 60
_UNPACKED = 1 << 27
_BOMB = 100
_MOST_ENTRIES = 100_000


def zip_listing(subject: Subject) -> Iterator[str]:
    """The central directory: names and sizes as it says them."""
    try:
        with zipfile.ZipFile(subject.content.file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Unreadable(str(error)) from error
    packed, unpacked = sum(each.compress_size for each in entries), sum(each.file_size for each in entries)
    yield f"{len(entries):,} entries, {unpacked:,} bytes unpacked"
    if unpacked > _BOMB * max(packed, 1) and unpacked > _UNPACKED:
        yield f"it unpacks to {unpacked // max(packed, 1):,} times its size: unpack it with care"
    if any(each.flag_bits & 1 for each in entries):
        yield "encrypted: it needs a password"
    yield from (f"  {each.filename} ({each.file_size:,} bytes)" for each in entries[:_MOST_LISTED])


def tar_listing(subject: Subject) -> Iterator[str]:
    """The headers of a tar file, packed or not; of another file that is packed its beginning."""
    stream = _Bounded(_unpacking(subject), subject)
    entries: list[tuple[str, int]] = []
    try:
        if stream.read(1) == b"":
            raise Unreadable("it holds nothing")
        stream = _Bounded(_unpacking(subject), subject)
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]  # it only reads
            for member in archive:
                entries.append((f"{member.name}{'/' * member.isdir()}", member.size))
                if len(entries) >= _MOST_ENTRIES or subject.late():
                    break
    except tarfile.TarError:
        if not entries and not stream.stopped:
            yield from _one_file(subject)
            return
    except _DAMAGES as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    if not entries and _magic(subject):  # zeros are an empty tar file as well
        yield from _one_file(subject)
        return
    more = "at least " if stream.stopped or subject.late() else ""
    yield f"{more}{len(entries):,} entries, {more}{sum(size for _, size in entries):,} bytes unpacked"
    if stream.stopped:
        yield f"(more than {_UNPACKED:,} bytes would have to be unpacked to list the rest)"
    yield from (f"  {name} ({size:,} bytes)" for name, size in entries[:_MOST_LISTED])


_DAMAGES = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


def _one_file(subject: Subject) -> Iterator[str]:
    if subject.head[257:262] == b"ustar" or _magic(subject) is None:
        raise Unreadable("its headers are damaged")
    try:
        data = _unpacking(subject).read(4096)
    except _DAMAGES as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    yield f"one file, packed by {_magic(subject)}; it begins:"
    text = data.decode("utf-8", "replace")
    yield from (f"  {each}" for each in text.splitlines()[:6]) if "\0" not in text else ("  (no text)",)


def _magic(subject: Subject) -> str | None:
    known = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"))
    return next((name for magic, name in known if subject.head.startswith(magic)), None)


def _unpacking(subject: Subject) -> Any:
    file = subject.content.file
    file.seek(0)
    match _magic(subject):
        case "gzip":
            return gzip.GzipFile(fileobj=file)
        case "bzip2":
            return bz2.BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
        case _:
            return file


class _Bounded:
    """Gives no more than so many bytes of an unpacked stream."""

    def __init__(self, stream: Any, subject: Subject) -> None:
        self._stream, self._subject = stream, subject
        self._left = _UNPACKED if _magic(subject) else subject.size
        self.stopped = False

    def read(self, size: int) -> bytes:
        if self._left <= 0 or self._subject.late():
            self.stopped = self._left <= 0 or self._subject.late()
            return b""
        data: bytes = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return data
