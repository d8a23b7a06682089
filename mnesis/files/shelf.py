"""The files of one session: attached, listed, read, and looked after when they change."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mnesis.errors import FileError, InputError, NotFound, describe_value
from mnesis.files.handler import Keep, LargeFileHandler
from mnesis.files.source import HASHED_WHOLE, Content, opened
from mnesis.files.text import Excerpt, LineIndex, Lines, TextLines, encoding_of
from mnesis.ids import kind_of
from mnesis.models.file import FileRecord, FileState
from mnesis.models.message import FileRefPart, TextPart
from mnesis.store import Tx, files
from mnesis.store.rows import SessionRow
from mnesis.tasks import in_thread
from mnesis.tokens import TokenCounter

_REHASHED = 1 << 24
"""Up to so many bytes the content is compared each time, not only the size and the time."""

_INDEXES = 16
_SECONDS = 30.0
"""In which a file is read or searched, whatever its parser does."""


class Record(Protocol):
    """What is needed of a session's record in the store."""

    row: SessionRow
    counter: TokenCounter

    def now(self) -> Any: ...
    async def read[T](self, work: Callable[[Tx], T]) -> T: ...
    async def write[T](self, work: Callable[[Tx, Any], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it is now: where, and what is to be said where it is not as it was."""

    path: Path
    notice: str = ""


class _Remembered[T]:
    """What is known of the contents of some files, as long as these are what they were."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int], T]] = {}

    def of(self, id: str, content: Content, make: Callable[[], T]) -> T:
        """What is known of a file, which is at first what `make` makes."""
        key = (content.size, content.mtime_ns)
        if id not in self._known or self._known[id][0] != key:
            while len(self._known) >= _INDEXES:
                self._known.pop(next(iter(self._known)))
            self._known[id] = (key, make())
        return self._known[id][1]


class Shelf:
    """The files that a session refers to. Each method is that of `MnesisSession`, documented there."""

    def __init__(self, record: Record, handler: LargeFileHandler) -> None:
        self._record = record
        self._handler = handler
        self._indexes = _Remembered[LineIndex]()
        self._units = _Remembered[list[int]]()

    async def attach(self, source: Any, name: str | None, keep: Keep) -> TextPart | FileRefPart:
        """Take a file in, and remember it where it stays outside."""
        if keep not in ("reference", "copy"):
            raise InputError(f"keep={describe_value(keep)} is not known; give 'reference' or 'copy'")
        taken = await self._handler.take(source, name=name, keep=keep)
        if isinstance(taken.part, TextPart):
            return taken.part
        part = taken.part
        record = FileRecord(
            id=part.file_id,
            session_id=self._record.row.id,
            name=part.path,
            path=taken.path,
            media_type=part.media_type,
            encoding=taken.encoding,
            size=part.size,
            tokens=part.tokens,
            counted=part.counted,
            hash=taken.hash,
            kept=taken.kept,
            modified_ns=taken.modified_ns,
            summary=part.summary,
            created_at=self._record.now(),
        )
        await self._record.write(lambda cx, _: files.insert(cx, record))
        return part

    async def all(self) -> list[FileRecord]:
        """Those that were attached, in order."""
        return await self._record.read(lambda cx: files.read_all(cx, self._record.row.id))

    async def known(self, id: str) -> FileRecord | None:
        """A file by its id."""
        return await self._record.read(lambda cx: files.find(cx, self._record.row.id, id))

    async def find(self, id: object) -> FileRecord:
        """A file by its id. Raises `InputError`, and `NotFound` also for another session's."""
        if not isinstance(id, str) or kind_of(id) != "file":
            raise InputError(f"id={describe_value(id)} does not name a file; give an id as it is printed: file_…")
        if record := await self.known(id):
            return record
        raise NotFound("file", id, f"session {self._record.row.id} has none of this id; session.files() lists them")

    async def state(self, record: FileRecord) -> FileState:
        """Where the content is, and whether it is as it was."""
        where = "a copy is kept" if record.kept else f"it stays at {record.path}"
        try:
            found = await in_thread(lambda: self._found(record))
        except FileError as error:
            return FileState(status="missing", sentence=f"{where}, and cannot be read now: {error}")
        told = found.notice or "it is as it was when it was attached"
        return FileState(status="changed" if found.notice else "same", sentence=f"{where}; {told}")

    async def text(self, id: object, work: Callable[[Lines], Excerpt]) -> tuple[FileRecord, Excerpt, str]:
        """Do something with the lines of a file. With it comes what is to be said where the file has changed.

        Raises `FileError` for what holds no text, is damaged, or gone.
        """
        record = await self.find(id)
        try:
            async with asyncio.timeout(_SECONDS):  # a parser that does not come to its end is left to itself
                excerpt, notice = await in_thread(lambda: self._text(record, work))
        except TimeoutError as error:
            raise FileError(f"{record.name} could not be read within {_SECONDS:g} s; read less of it") from error
        return record, excerpt, notice

    def _text(self, record: FileRecord, work: Callable[[Lines], Excerpt]) -> tuple[Excerpt, str]:
        found = self._found(record)
        try:
            with opened(found.path) as content, self._lines(record, content) as lines:
                excerpt = work(lines)
                again = "it was written to while it was read" if content.touched() else ""
        except FileError as error:
            if not found.notice:
                raise
            raise FileError(f"{error} ({found.notice})") from error
        return excerpt, "; ".join(filter(None, (found.notice, again)))

    @contextmanager
    def _lines(self, record: FileRecord, content: Content) -> Iterator[Lines]:
        from mnesis.files import documents  # on first use: it is nothing that `import mnesis` needs

        if documents.is_document(record.media_type):
            with documents.opened_document(content, record.media_type, record.name) as document:
                yield documents.DocumentLines(document, self._units.of(record.id, content, lambda: [0]))
            return
        encoding = encoding_of(content)
        if encoding is None:
            raise FileError(
                f"{record.name} ({record.media_type}) holds no text; describe its id for what is known of it"
            )
        yield TextLines(content, encoding, self._indexes.of(record.id, content, lambda: LineIndex(encoding)))

    def _found(self, record: FileRecord) -> Found:
        """Where the content of a file is now. Raises `FileError` where it is not there any more."""
        path = self._handler.keeping.path_of(record.hash) if record.kept else files.path_of(record.path or "")
        try:
            with opened(path) as content:
                notice = _changed(record, content)
                if notice and record.kept:
                    raise FileError(f"{str(path)!r} is damaged; restore it from a backup, or attach the file again")
                return Found(path, notice)
        except FileError as error:
            what = "its copy" if record.kept else "the file"
            raise FileError(f"{what} is not there as it was when {record.name} was attached: {error}") from error


def _changed(record: FileRecord, content: Content) -> str:
    """What is to be said of a content that is not the one that was attached."""
    if content.size != record.size:
        return f"{_CHANGED}: it had {record.size:,} bytes and has {content.size:,}"
    same_time = content.mtime_ns == record.modified_ns or record.kept
    if (same_time and content.size > _REHASHED) or content.digest(whole=_is_whole(record)) == record.hash:
        return ""
    return f"{_CHANGED}: it has as many bytes, and they are others"


_CHANGED = "the file has changed since it was attached, and this is what it holds now"


def _is_whole(record: FileRecord) -> bool:
    return record.hash.startswith("sha256:") and record.size > HASHED_WHOLE
