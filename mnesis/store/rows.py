"""The only place where a row becomes a value and a value a row."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from pydantic import TypeAdapter

from mnesis.errors import Corrupt
from mnesis.events.payloads import PAYLOADS, EventRecord, MnesisEvent
from mnesis.models.config import MnesisConfig
from mnesis.models.message import Message, Part, TextPart, TokenUsage

_PART: TypeAdapter[Part] = TypeAdapter(Part, config={"defer_build": True})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as it was created."""

    id: str
    parent_id: str | None
    forked_from: str | None
    forked_turn: int | None
    model: str
    agent: str
    system_prompt: str
    system_tokens: int
    config: MnesisConfig
    title: str | None
    created_at: datetime


def micros(moment: datetime) -> int:
    """Microseconds since 1970, UTC: how times are stored."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(stored: int) -> datetime:
    """The time behind `micros`."""
    try:
        return _EPOCH + timedelta(microseconds=stored)
    except OverflowError as error:
        raise ValueError(f"{stored} is no time") from error


def part_columns(part: Part) -> tuple[str, str | None, str | None]:
    """`type`, `text`, `data`: the text by itself, so that it can be searched; everything else as JSON."""
    fields = part.model_dump(exclude={"type", "text"}, exclude_defaults=True)  # mode="json" would make inf a null
    return part.type, getattr(part, "text", None), json.dumps(fields) if fields else None


def part_of(id: str, type: str, text: str | None, data: str | None) -> Part:
    """The part of a row. Raises `Corrupt`, naming the row."""
    try:
        if type == "text" and text is not None and data is None:
            return TextPart(text=text)  # nearly every part; finding out which model it is takes longer
        fields: dict[str, Any] = json.loads(data) if data else {}
        if text is not None:
            fields["text"] = text
        return _PART.validate_python({"type": type, **fields})
    except (ValueError, TypeError) as error:
        raise Corrupt("part", id, _first_line(error)) from error


def searchable(type: str, text: str | bytes | None, data: str | bytes | None) -> str:
    """What a part of a row can be found by: its text; a call's tool, arguments and answer; a file's path and summary;
    of media what is told of them.

    A damaged row is searched as far as it can be read.
    """
    said = text.decode(errors="replace") if isinstance(text, bytes) else text or ""
    if type not in ("tool", "file_ref", "media") or not data:
        return said
    try:
        fields = json.loads(data)
        arguments = json.dumps(fields["input"], ensure_ascii=False) if fields.get("input") else None
        answer = None if fields.get("recalled") else fields.get("output")  # the original is found by itself
        rest = ("error_message", "path", "summary", "media_type", "name", "alt", "url")
        found = [fields.get("tool_name"), arguments, answer, *map(fields.get, rest)]
    except (ValueError, AttributeError):
        return said
    return "\n".join(str(each) for each in found if each) or said


type StandIns = Mapping[int, tuple[str, int]]
"""Per index of a part that is not sent whole: the text in its place, and its tokens."""

MESSAGE_COLUMNS = (
    "m.id, m.session_id, m.turn_id, m.turn, m.seq, m.role, m.partial, m.tokens, m.created_at, "
    "p.id, p.type, p.text, p.data, p.tokens, p.output_tokens"
)
"""Of a message `m` left-joined with its parts `p`, in the order of parts: what `messages_of` reads."""


def messages_of(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Message, tuple[tuple[int, int], ...], StandIns]]:
    """The messages of joined rows, each with the (tokens, output tokens) of its parts.

    Two more columns, text and tokens of a tombstone, give the texts that stand for parts.
    """
    for head, group in groupby(rows, key=lambda row: row[:9]):
        parts = [row[9:] for row in group if row[9] is not None]
        sizes = tuple((part[4], part[5]) for part in parts)
        try:
            message = Message(
                id=head[0],
                session_id=head[1],
                turn_id=head[2],
                turn=head[3],
                seq=head[4],
                role=head[5],
                parts=tuple(part_of(*part[:4]) for part in parts),
                part_ids=tuple(part[0] for part in parts),
                part_tokens=tuple(sum(size) for size in sizes),
                partial=bool(head[6]),
                tokens=head[7],
                created_at=moment(head[8]),
            )
        except ValueError as error:
            raise Corrupt("message", str(head[0]), _first_line(error)) from error
        stand_ins = {i: (part[6], part[7]) for i, part in enumerate(parts) if len(part) > 6 and part[6] is not None}
        yield message, sizes, stand_ins


def session_of(row: tuple[Any, ...]) -> SessionRow:
    """The session of a row, columns in the order of `SessionRow`."""
    *head, config, title, created_at = row
    try:
        settings = MnesisConfig.model_validate_json(config)
        when = moment(created_at)
    except ValueError as error:
        raise Corrupt("session", str(row[0]), _first_line(error)) from error
    values: list[Any] = [*head, settings, title, when]
    return SessionRow(*values)


def event_of(row: tuple[Any, ...]) -> EventRecord:
    """The event of a row: id, session, seq, type, payload, turn, time."""
    id, session_id, seq, type, payload, turn, created_at = row
    try:
        event = MnesisEvent(type)
        value = PAYLOADS[event].model_validate_json(payload)
        when = moment(created_at)
    except ValueError as error:
        raise Corrupt("event", id, _first_line(error)) from error
    return EventRecord(id=id, session_id=session_id, seq=seq, event=event, payload=value, turn=turn, created_at=when)


def usage_columns(usage: TokenUsage) -> dict[str, int]:
    """The usage columns of a turn."""
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "total_tokens": usage.effective_total(),
        "usage_counted": usage.counted,
    }


def undecodable_row(cx: sqlite3.Connection) -> Corrupt:
    """The first row whose text is not UTF-8, after SQLite could not decode one."""
    cx.text_factory = bytes
    try:
        for table in ("session", "turn", "message", "part", "event"):
            for id, *values in cx.execute(f"SELECT id, * FROM {table}"):
                try:
                    _ = [value.decode() for value in values if isinstance(value, bytes)]
                except UnicodeDecodeError as error:
                    return Corrupt(table, id.decode(errors="replace"), f"its text is not UTF-8: {error}")
    finally:
        cx.text_factory = str
    return Corrupt("database", "text", "a text is not UTF-8")


def one(cursor: sqlite3.Cursor) -> tuple[Any, ...] | None:
    """The first row, or `None`."""
    row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
