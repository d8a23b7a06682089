"""The `message` and `part` tables: the log. Rows are only ever added."""

import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mnesis.models.message import Message, Part, Role
from mnesis.store import branches, search
from mnesis.store.rows import MESSAGE_COLUMNS, StandIns, messages_of, micros, one, part_columns, searchable


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stands in the window for a part that is not sent whole: a pruned tool output, or an excerpt."""

    part_id: str
    kind: Literal["pruned", "excerpt"]
    text: str
    tokens: int


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
    excerpts: Mapping[int, Tombstone] = field(default_factory=dict)
    """Texts in the place of parts that are too large for the window, by index."""
    partial: bool = False
    at: datetime | None = None
    """When it was said, where that is not when it is stored."""

    @property
    def tokens(self) -> int:
        """Its whole size."""
        return sum(map(sum, self.sizes))

    @property
    def window_tokens(self) -> int:
        """Its size in the window: an excerpt takes the place of a tool's answer, or of the whole part."""
        return self.tokens - sum(
            (output or own) - self.excerpts[index].tokens
            for index, (own, output) in enumerate(self.sizes)
            if index in self.excerpts
        )


def append(cx: sqlite3.Connection, session_id: str, turn_id: str, turn: int, message: NewMessage, now: datetime) -> int:
    """Add a message at the end of the log. Returns its sequence number."""
    seq = branches.next_number(cx, session_id, "message")
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
    search.add_message(cx, session_id, seq, (searchable(*part_columns(part)) for part in message.parts))
    return seq


def read_log(cx: sqlite3.Connection, session_id: str) -> list[Message]:
    """All messages of a session, in order."""
    rows = cx.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM branch_message m LEFT JOIN part p ON p.message_id = m.id "
        "WHERE m.branch_id = ? ORDER BY m.segment, m.seq, p.idx",
        (session_id,),
    )
    return [message for message, _, _ in messages_of(rows)]


def find(cx: sqlite3.Connection, session_id: str, ids: Iterable[str]) -> dict[str, Message]:
    """The messages of a session with these ids, as far as there are any."""
    rows = cx.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM json_each(?) k "
        "CROSS JOIN branch_message m ON m.id = k.value AND m.branch_id = ? "
        "LEFT JOIN part p ON p.message_id = m.id ORDER BY m.seq, p.idx",
        (json.dumps(list(ids)), session_id),
    )
    return {message.id: message for message, _, _ in messages_of(rows)}


def of_part(cx: sqlite3.Connection, session_id: str, part_id: str) -> Message | None:
    """The message of a session that holds a part."""
    row = one(cx.execute("SELECT message_id FROM part WHERE id = ?", (part_id,)))
    return find(cx, session_id, [row[0]]).get(row[0]) if row else None


def of_file(cx: sqlite3.Connection, session_id: str, file_id: str) -> tuple[Message, str] | None:
    """The first message of a session that refers to a file, and the part that does."""
    row = one(
        cx.execute(
            "SELECT m.id, p.id FROM branch_message m JOIN part p ON p.message_id = m.id WHERE m.branch_id = ? "
            "AND p.type = 'file_ref' AND p.data ->> 'file_id' = ? ORDER BY m.segment, m.seq LIMIT 1",
            (session_id, file_id),
        )
    )
    return (find(cx, session_id, [row[0]])[row[0]], row[1]) if row else None


def of_turn(cx: sqlite3.Connection, session_id: str, turn_id: str) -> list[Message]:
    """The messages of a turn of a session, in order."""
    rows = cx.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM branch_message m LEFT JOIN part p ON p.message_id = m.id "
        "WHERE m.turn_id = ? AND m.branch_id = ? ORDER BY m.seq, p.idx",
        (turn_id, session_id),
    )
    return [message for message, _, _ in messages_of(rows)]


def read_window(cx: sqlite3.Connection, session_id: str, view: int | None) -> Iterator[tuple[Message, Sizes, StandIns]]:
    """The messages that stand in a view of a session's own (`None`: the current one), in the order of the window.

    With each come the texts that stand for those of its parts that are not sent whole in that view.
    """
    items, alive, parameters = items_in(view)
    newest = sys.maxsize if view is None else view
    rows = cx.execute(
        f"SELECT {MESSAGE_COLUMNS}, t.text, t.tokens FROM {items} JOIN message m ON m.id = c.ref "
        "LEFT JOIN part p ON p.message_id = m.id "
        "LEFT JOIN tombstone t ON t.session_id = c.session_id AND t.part_id = p.id AND t.born_view = "
        "(SELECT max(born_view) FROM tombstone WHERE session_id = c.session_id AND part_id = p.id AND born_view <= ?) "
        f"WHERE c.session_id = ? AND c.kind = 'message' AND {alive} ORDER BY c.pos, p.idx",
        (newest, session_id, *parameters),
    )
    return messages_of(rows)


def items_in(view: int | None) -> tuple[str, str, Sequence[int]]:
    """The context items `c`, the condition on them to stand in a view (`None`: the current one), its parameters."""
    if view is None:
        # Left to itself SQLite walks the primary key: all the items that the session ever had, on every compaction.
        return "context_item c INDEXED BY context_item_alive", "c.died_view IS NULL", ()
    return "context_item c", "c.born_view <= ? AND (c.died_view IS NULL OR c.died_view > ?)", (view, view)
