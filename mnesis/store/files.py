"""The `file` table: files that sessions refer to, as they were when they were attached."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from mnesis.errors import Corrupt
from mnesis.models.file import FileRecord
from mnesis.store.rows import micros, moment

_COLUMNS = (
    "id, session_id, name, path, media_type, encoding, size, tokens, counted, hash, kept, modified_ns, summary, "
    "created_at"
)

_RAW = "file:"
"""Before a path that no encoding can carry, percent-encoded."""


def insert(cx: sqlite3.Connection, file: FileRecord) -> None:
    """Store a file."""
    cx.execute(
        f"INSERT INTO file ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(file.id, file.session_id, file.name, file.path, file.media_type, file.encoding, file.size, file.tokens),
            *(file.counted, file.hash, file.kept, file.modified_ns, file.summary, micros(file.created_at)),
        ),
    )


def find(cx: sqlite3.Connection, session_id: str, id: str) -> FileRecord | None:
    """A file of a session, or of the past that it shares."""
    query = f"SELECT {_COLUMNS} FROM branch_file WHERE branch_id = ? AND id = ?"
    return next(_read(cx.execute(query, (session_id, id))), None)


def read_all(cx: sqlite3.Connection, session_id: str) -> list[FileRecord]:
    """The files of a session, in the order in which they were attached."""
    query = f"SELECT {_COLUMNS} FROM branch_file WHERE branch_id = ? ORDER BY id"
    return list(_read(cx.execute(query, (session_id,))))


def kept_by(cx: sqlite3.Connection, session_id: str) -> list[tuple[str, str]]:
    """Hash and id of each copy that a session has had kept itself."""
    return cx.execute("SELECT hash, id FROM file WHERE session_id = ? AND kept ORDER BY id", (session_id,)).fetchall()


def stored_path(path: Path) -> str:
    """A path as it is stored; also where its bytes are no text."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _RAW + quote_from_bytes(os.fsencode(path))
    return text


def path_of(stored: str) -> Path:
    """The path behind `stored_path`."""
    return Path(os.fsdecode(unquote_to_bytes(stored.removeprefix(_RAW))) if stored.startswith(_RAW) else stored)


def _read(rows: Iterator[tuple[Any, ...]]) -> Iterator[FileRecord]:
    names = _COLUMNS.split(", ")
    for row in rows:
        fields = dict(zip(names, row, strict=True))
        try:
            yield FileRecord(**fields | {"kept": bool(fields["kept"]), "created_at": moment(fields["created_at"])})
        except ValueError as error:
            raise Corrupt("file", str(fields["id"]), str(error).splitlines()[0]) from error
