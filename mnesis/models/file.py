"""Files that a session refers to."""

from datetime import datetime
from typing import Literal

from mnesis.models.base import Value

type Counted = Literal["exact", "estimate", "none"]


class FileRecord(Value):
    """A file as it was when it was attached. `size` in bytes, `modified_ns` in nanoseconds since 1970.

    `path` is `None` where it came as bytes or as a table; its content is then `kept` under `FileConfig.storage_dir`, by
    its `hash`. `encoding` is `None` where it is no text. `counted` says what `tokens` is (see `FileRefPart`).
    """

    id: str
    session_id: str
    name: str
    path: str | None
    media_type: str
    encoding: str | None
    size: int
    tokens: int
    counted: Counted
    hash: str
    kept: bool
    modified_ns: int
    summary: str
    created_at: datetime


class FileState(Value):
    """Whether a file is as it was when it was attached; `sentence` says where its content is, and what came of it."""

    status: Literal["same", "changed", "missing"]
    sentence: str
