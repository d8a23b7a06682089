"""Copies of files, named by what is in them: the same content is kept once, and a copy is whole or not there."""

import os
import tempfile
from pathlib import Path

from mnesis.errors import FileError
from mnesis.files.source import Content


class Keeping:
    """The folder of copies, `FileConfig.storage_dir`. Any number of processes may use one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_of(self, hash: str) -> Path:
        """Where the copy of a content is."""
        digest = hash.removeprefix("sha256:")
        return self._folder.expanduser() / digest[:2] / digest

    def put(self, content: Content, hash: str) -> None:
        """Keep a content, unless it is there. Raises `FileError`."""
        target = self.path_of(hash)
        try:
            if target.is_file() and target.stat().st_size == content.size:
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            self._write(content, target)
        except OSError as error:
            raise FileError(
                f"no copy of {content.path.name!r} could be kept in {str(self._folder)!r} ({error.strerror}); "
                "free some space there, or choose another FileConfig.storage_dir"
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


def _sync(folder: Path) -> None:
    """Have the name on disk too, where the system can do that for folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
