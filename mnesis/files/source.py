"""A file's bytes: opened without surprises, and read in pieces, never as a whole."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mnesis.errors import FileError

CHUNK = 1 << 18
"""Bytes that are held at once."""

HASHED_WHOLE = 1 << 28
"""Up to here a file that is only pointed at is hashed whole; of a larger one blocks are, spread over it."""

_BLOCKS = 64
_OTHER_KINDS = (
    (stat.S_ISDIR, "a folder; name a file in it, or pack it into an archive"),
    (stat.S_ISFIFO, "a pipe, which can be read only once; write what comes out of it into a file"),
    (stat.S_ISSOCK, "a socket; name a file"),
    (stat.S_ISCHR, "a device, which may never end; name a file"),
    (stat.S_ISBLK, "a device; name a file"),
)


class Content:
    """An open file, as large as it was when it was opened: what is appended meanwhile is not read."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        found = os.fstat(file.fileno())
        self.file = file
        self.path = path
        self.size = found.st_size
        self.mtime_ns = found.st_mtime_ns

    def read(self, start: int, count: int) -> bytes:
        """Bytes from a place on."""
        self.file.seek(start)
        return self.file.read(max(0, min(count, self.size - start)))

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """All bytes from a place on, piece by piece."""
        while start < self.size and (chunk := self.read(start, CHUNK)):
            start += len(chunk)
            yield chunk

    def touched(self) -> bool:
        """Whether somebody wrote into it since it was opened."""
        now = os.fstat(self.file.fileno())
        return (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns)

    def digest(self, *, whole: bool = False) -> str:
        """What tells this content from any other: `sha256:…`, or `blocks:…` of a very large file."""
        if whole or self.size <= HASHED_WHOLE:
            digest = hashlib.sha256()
            for chunk in self.chunks():
                digest.update(chunk)
            return f"sha256:{digest.hexdigest()}"
        digest = hashlib.sha256(str(self.size).encode())
        for place in range(_BLOCKS):
            digest.update(self.read((self.size - CHUNK) * place // (_BLOCKS - 1), CHUNK))
        return f"blocks:{digest.hexdigest()}"


@contextmanager
def opened(path: Path) -> Iterator[Content]:
    """A regular file, open for reading. Raises `FileError` for anything else; never waits for anybody."""
    try:
        _check_regular(path, path.stat())  # before it is opened: opening some devices does something
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        file = os.fdopen(descriptor, "rb", buffering=0)
    except (OSError, ValueError) as error:
        raise _explained(path, error) from error
    with file:
        _check_regular(path, os.fstat(descriptor))
        try:
            yield Content(file, path)
        except OSError as error:
            raise _explained(path, error) from error


def _check_regular(path: Path, found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kind = next((words for is_it, words in _OTHER_KINDS if is_it(found.st_mode)), "no regular file; name one")
    raise FileError(f"{str(path)!r} is {kind}")


def _explained(path: Path, error: OSError | ValueError) -> FileError:
    shown = repr(os.fspath(path))
    if isinstance(error, ValueError):
        return FileError(f"{shown} is no path ({error}); check its characters")
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return FileError(f"there is no file {shown} (looked for from {str(Path.cwd())!r}); check the path")
        case errno.ELOOP:
            return FileError(f"{shown} is a symbolic link that leads back to itself; name the file it is meant to be")
        case errno.EACCES | errno.EPERM:
            return FileError(f"{shown} may not be read by this user; change its permissions, or copy it")
        case _:
            return FileError(f"{shown} cannot be read ({error.strerror}); check the file and its disk")
