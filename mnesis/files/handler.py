"""Taking a file in: its text where it is small, else a reference that says what is in it."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnesis.errors import FileError, InputError, describe_value
from mnesis.files.keeping import Keeping
from mnesis.files.labels import enclosed, shown
from mnesis.files.source import Content, opened
from mnesis.files.text import beginning, count_tokens, encoding_of
from mnesis.ids import new_id
from mnesis.llm.redact import redact_secrets
from mnesis.models.config import FileConfig
from mnesis.models.message import FileRefPart, TextPart
from mnesis.store.files import stored_path
from mnesis.tasks import in_thread
from mnesis.tokens import TokenCounter, counter_for

if TYPE_CHECKING:
    from mnesis.files.explore import Exploration

type Keep = Literal["reference", "copy"]
type Prose = Callable[[str], Awaitable[str | None]]
"""What a model says of the beginning of a text; `None` where it says nothing."""

_SECONDS = 30.0
_SUMMARY_TOKENS = 1_500
_BYTES_PER_TOKEN = 16
"""More than a text has: one of so many bytes is not counted to see that it is too large."""

_PROSE = 24_000
"""Characters that a model is shown of a text."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a file: the part to send; and of a reference what is to be known of the file later."""

    part: TextPart | FileRefPart
    path: str | None = None
    hash: str = ""
    kept: bool = False
    encoding: str | None = None
    modified_ns: int = 0


class LargeFileHandler:
    """Makes parts of files. `counter` counts their tokens; `prose` may add what a model says of a text.

    `MnesisSession.attach` uses one, and remembers what it made: only then can the model read on in the file.

    Examples:
        >>> part = await LargeFileHandler(FileConfig(inline_threshold=10_000)).part("data.csv")
    """

    def __init__(
        self, config: FileConfig | None = None, *, counter: TokenCounter | None = None, prose: Prose | None = None
    ) -> None:
        self._config = config or FileConfig()
        self._counter = counter or counter_for("offline/quote")
        self._prose = prose
        self.keeping = Keeping(self._config.storage_dir)

    async def part(self, source: Any, *, name: str | None = None) -> TextPart | FileRefPart:
        """What `MnesisSession.attach` would give, with nothing kept. Raises `FileError`, `InputError`."""
        return (await self.take(source, name=name, keep=None)).part

    async def take(self, source: Any, *, name: str | None = None, keep: Keep | None = "reference") -> Taken:
        """Take in a path, bytes, or a table that can write itself as CSV. With `keep=None` nothing is kept.

        Raises `FileError` where it cannot be read, `InputError` where it is none of these.
        """
        if keep not in ("reference", "copy", None):
            raise InputError(f"keep={describe_value(keep)} is not known; give 'reference' or 'copy'")
        if name is not None and not isinstance(name, str):
            raise InputError(f"name={describe_value(name)} is a {type(name).__name__}; give a str")
        label = shown(name or default_name(source))
        if isinstance(source, str | os.PathLike):
            return await self._take(path_of(source), label, keep, is_own=False)
        with tempfile.TemporaryDirectory(prefix="mnesis-") as folder:
            path = Path(folder) / "content"
            await in_thread(lambda: _write(source, path))
            return await self._take(path, label, keep, is_own=True)

    async def _take(self, path: Path, label: str, keep: Keep | None, *, is_own: bool) -> Taken:
        """A file. One `is_own` that goes away: what is in it has to be kept."""
        name = label if is_own else path.name
        found, seen = await self._explored(path, name)

        def finish() -> Taken:
            with opened(path) as content:
                if (content.size, content.mtime_ns) != seen:
                    raise _written_to(label)
                return self._inline(content, found, label) or self._reference(
                    content, found, label, keep, is_own=is_own
                )

        taken = await in_thread(finish)
        if self._prose and isinstance(taken.part, FileRefPart) and found.is_prose:
            told = await self._prose(await in_thread(lambda: _beginning(path, found)))
            taken = replace(taken, part=_with_words(taken.part, told)) if told else taken
        return replace(taken, part=self._labelled(taken.part)) if isinstance(taken.part, FileRefPart) else taken

    async def _explored(self, path: Path, name: str) -> "tuple[Exploration, tuple[int, int]]":
        """What is in a file, and its size and time. A parser that does not come to its end is left to itself."""

        from mnesis.files.explore import explore  # on first use: it is nothing that `import mnesis` needs

        def look() -> "tuple[Exploration, tuple[int, int]]":
            with opened(path) as content:
                return explore(content, name), (content.size, content.mtime_ns)

        def look_less() -> "tuple[Exploration, tuple[int, int]]":
            with opened(path) as content:
                encoding = encoding_of(content)
                media_type = "text/plain" if encoding else "application/octet-stream"
                said = "(exploring it took too long, and was given up)"
                return Exploration(media_type, said, encoding), (content.size, content.mtime_ns)

        try:
            async with asyncio.timeout(_SECONDS):
                return await in_thread(look)
        except TimeoutError:
            return await in_thread(look_less)

    def _inline(self, content: Content, found: "Exploration", label: str) -> Taken | None:
        """Its text, where that is small enough to go into the window as it is."""
        from mnesis.files.documents import is_document

        if content.size == 0:
            return Taken(TextPart(text=enclosed(f"{label}, an empty file", "")))
        most = self._config.inline_threshold
        if found.encoding is None or is_document(found.media_type) or content.size > most * _BYTES_PER_TOKEN:
            return None
        text = enclosed(label, beginning(content, found.encoding, content.size)[0])
        return Taken(TextPart(text=text)) if self._counter.count(text) <= most else None

    def _reference(
        self, content: Content, found: "Exploration", label: str, keep: Keep | None, *, is_own: bool
    ) -> Taken:
        kept = keep == "copy" or (is_own and keep is not None)
        digest = content.digest(whole=kept)
        id = new_id("file")
        if kept:
            self.keeping.put(content, digest, id)
        tokens, whole = count_tokens(content, found.encoding, self._counter) if found.encoding else (0, True)
        if content.touched():
            raise _written_to(label)
        part = FileRefPart(
            file_id=id,
            path=label,
            media_type=found.media_type,
            size=content.size,
            tokens=tokens,
            counted="none" if found.encoding is None else "exact" if whole else "estimate",
            summary=redact_secrets(found.summary),
        )
        path = None if is_own else stored_path(content.path.absolute())
        codec = found.encoding.codec if found.encoding else None
        return Taken(part, path, digest, kept, codec, content.mtime_ns)

    def _labelled(self, part: FileRefPart) -> FileRefPart:
        """Its summary as data that nothing in it can end: the id is newer than the file."""
        lines = part.summary.split("\n")
        while len(lines) > 1 and self._counter.count("\n".join(lines)) > _SUMMARY_TOKENS:
            lines = [*lines[: len(lines) * 3 // 4], "… (more is in it)"]
        lines = ["(what is in it, as data; not said by anybody)", *lines, f"[end of {part.file_id}]"]
        return part.model_copy(update={"summary": "\n".join(lines)})


def _with_words(part: FileRefPart, words: str) -> FileRefPart:
    return part.model_copy(update={"summary": f"{part.summary}\n{words}"})


def _beginning(path: Path, found: "Exploration") -> str:
    with opened(path) as content:
        assert found.encoding is not None, "prose is text"
        return redact_secrets(beginning(content, found.encoding, _PROSE)[0])


def _written_to(label: str) -> FileError:
    return FileError(f"{label!r} was written to while it was read; attach it when that is over")


def default_name(source: Any) -> str:
    """What a file is called where nobody says."""
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(os.fspath(source))
    return "data" if isinstance(source, bytes | bytearray | memoryview) else "table.csv"


def check(source: Any) -> None:
    """Raises `FileError` or `InputError` for what cannot be attached, without reading it."""
    if isinstance(source, str | os.PathLike):
        with opened(path_of(source)):
            return
    if not isinstance(source, bytes | bytearray | memoryview) and _writer(source) is None:
        raise InputError(
            f"a {type(source).__name__} cannot be attached; give a path, bytes, or a table with to_csv or write_csv"
        )


def path_of(source: str | os.PathLike[Any]) -> Path:
    """The path that a caller means, `~` included."""
    try:
        return Path(os.fsdecode(os.fspath(source))).expanduser()
    except RuntimeError as error:
        raise FileError(f"{source!r}: {error}; give the whole path") from error


def _write(source: Any, path: Path) -> None:
    """Write bytes, or a table as CSV, to a file."""
    if isinstance(source, bytes | bytearray | memoryview):
        path.write_bytes(source)
        return
    check(source)
    writer = _writer(source)
    assert writer is not None
    try:
        writer(path)
    except Exception as error:
        raise FileError(
            f"the {type(source).__name__} could not be written as CSV ({error}); write it yourself"
        ) from error


def _writer(source: Any) -> Callable[[Path], object] | None:
    """How a table writes itself as CSV: pandas and what is like it, polars, Arrow."""
    if callable(to_csv := getattr(source, "to_csv", None)):
        plain = type(getattr(source, "index", None)).__name__ in ("RangeIndex", "NoneType")
        return lambda path: to_csv(path, **({"index": False} if plain and hasattr(source, "index") else {}))
    if callable(write_csv := getattr(source, "write_csv", None)):
        return lambda path: write_csv(str(path))
    if hasattr(source, "to_batches") and hasattr(source, "schema"):
        return lambda path: _write_arrow(source, path)
    return None


def _write_arrow(table: Any, path: Path) -> None:
    from pyarrow import csv

    csv.write_csv(table, path)
