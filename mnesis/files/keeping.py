"""Copies of files, named by what is in them: the same content is kept once, and a copy is whole or not there.

Beside a copy is a folder with an empty file for each reference to it, named by the reference's id: who takes away the
last of them takes the copy too. So any number of stores may share the copies, wherever they are.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mnesis.errors import FileError
from mnesis.files.source import Content, opened


class Keeping:
    """The folder of copies, `FileConfig.storage_dir`. Any number of processes may use one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_of(self, hash: str) -> Path:
        """Where the copy of a content is."""
        digest = hash.removeprefix("sha256:")
        return self._folder.expanduser() / digest[:2] / digest

    def put(self, content: Content, hash: str, id: str) -> None:
        """Keep a content for a reference, unless it is there. Raises `FileError`."""
        target = self.path_of(hash)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _alone(target):
                referrers = _referrers(target)
                referrers.mkdir(exist_ok=True)
                (referrers / id).touch()
            if not _holds(target, content, hash):
                self._write(content, target)
        except OSError as error:
            raise FileError(
                f"no copy of {content.path.name!r} could be kept in {str(self._folder)!r} ({error.strerror}); "
                "free some space there, or choose another FileConfig.storage_dir"
            ) from error

    def drop(self, hash: str, id: str) -> bool:
        """A reference is gone, and with the last one the copy. Returns whether that went. Raises `FileError`."""
        target = self.path_of(hash)
        referrers = _referrers(target)
        try:
            if not referrers.is_dir():
                return False
            with _alone(target):
                others = {each.name for each in referrers.iterdir()} - {id}
                is_last = not others and (referrers / id).exists()
                if is_last:
                    target.unlink(missing_ok=True)
                (referrers / id).unlink(missing_ok=True)  # last: who dies before it does all of this again
                if is_last:
                    referrers.rmdir()
                return is_last
        except OSError as error:
            raise FileError(
                f"the copy {str(target)!r} could not be removed ({error.strerror}); "
                "see to it, and erase the session again"
            ) from error

    def _write(self, content: Content, target: Path) -> None:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
            _sync(target.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _holds(target: Path, content: Content, hash: str) -> bool:
    """Whether a copy is there and undamaged."""
    if not target.is_file() or target.stat().st_size != content.size:
        return False
    with opened(target) as copy:
        return copy.digest(whole=True) == hash


def _referrers(target: Path) -> Path:
    return target.with_name(f"{target.name}.for")


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """For a moment nobody else changes who refers to this copy, or to others of its folder."""
    from filelock import FileLock  # it takes a moment to import

    with FileLock(target.with_name(".lock")):
        yield


def _sync(folder: Path) -> None:
    """Have the name on disk too, where the system can do that for folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
