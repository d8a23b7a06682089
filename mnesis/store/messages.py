"""The `message` and `part` tables: the log. Rows are only ever added."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mnesis.models.message import Message, Part, Role
from mnesis.store.rows import MESSAGE_COLUMNS, messages_of, micros, part_columns

type Sizes = tuple[tuple[int, int], ...]
"""Per part: tokens of what it says (with its wrapper), and tokens of a tool's answer."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that is about to be stored. Ids are made beforehand, so that a retry can recognise them."""

    id: str
    role: Role
    parts: tuple[Part, ...]
    part_ids: tuple[str, ...]
    sizes: Sizes
    partial: bool = False

    @property
    def tokens(self) -> int:
        """Its size in the window."""
        return sum(map(sum, self.sizes))


def append(cx: sqlite3.Connection, session_id: str, turn_id: str, turn: int, message: NewMessage, now: datetime) -> int:
    """Add a message at the end of the log. Returns its sequence number."""
    (seq,) = cx.execute("SELECT coalesce(max(seq) + 1, 0) FROM message WHERE session_id = ?", (session_id,)).fetchone()
    cx.execute(
        "INSERT INTO message (id, session_id, turn_id, turn, seq, role, partial, tokens, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(message.id, session_id, turn_id, turn, seq, message.role),
            *(message.partial, message.tokens, micros(now)),
        ),
    )
    cx.executemany(
        "INSERT INTO part (id, message_id, idx, type, text, data, tokens, output_tokens) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (id, message.id, index, *part_columns(part), *sizes)
            for index, (id, part, sizes) in enumerate(zip(message.part_ids, message.parts, message.sizes, strict=True))
        ],
    )
    return int(seq)


def read_log(cx: sqlite3.Connection, session_id: str) -> list[Message]:
    """All messages of a session, in order."""
    rows = cx.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM message m LEFT JOIN part p ON p.message_id = m.id "
        "WHERE m.session_id = ? ORDER BY m.seq, p.idx",
        (session_id,),
    )
    return [message for message, _ in messages_of(rows)]


def read_window(cx: sqlite3.Connection, session_id: str, view: int | None) -> Iterator[tuple[Message, Sizes]]:
    """The messages that stand verbatim in a view (`None`: the current one), in the order of the window."""
    alive, parameters = alive_in(view)
    rows = cx.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM context_item c JOIN message m ON m.id = c.ref "
        f"LEFT JOIN part p ON p.message_id = m.id WHERE c.session_id = ? AND c.kind = 'message' AND {alive} "
        "ORDER BY c.pos, p.idx",
        (session_id, *parameters),
    )
    return messages_of(rows)


def alive_in(view: int | None) -> tuple[str, Sequence[int]]:
    """The condition on a context item `c` to stand in a view, and its parameters."""
    if view is None:
        return "c.died_view IS NULL", ()
    return "c.born_view <= ? AND (c.died_view IS NULL OR c.died_view > ?)", (view, view)
