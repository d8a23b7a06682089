"""Transcripts as lines of JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from mnesis.errors import InputError, describe_value
from mnesis.transcripts.anthropic import to_anthropic_messages
from mnesis.transcripts.model import Transcript
from mnesis.transcripts.openai import to_openai_messages
from mnesis.transcripts.sources import Format, from_messages


def to_jsonl(transcripts: Iterable[Transcript], *, format: Literal["mnesis", "openai", "anthropic"] = "mnesis") -> str:
    """One line a transcript. "mnesis" keeps all of it; the others are `{"messages": […]}`, as for fine-tuning."""
    match format:
        case "mnesis":
            rows: Iterable[Any] = (each.model_dump() for each in transcripts)
        case "openai":
            rows = ({"messages": to_openai_messages(each)} for each in transcripts)
        case "anthropic":
            rows = map(to_anthropic_messages, transcripts)
        case _:
            raise InputError(f"format={describe_value(format)} is not known; give 'mnesis', 'openai' or 'anthropic'")
    return "".join(json.dumps(row, ensure_ascii=False, default=_time) + "\n" for row in rows)


def _time(value: object) -> str:
    assert isinstance(value, datetime), f"a part holds a {type(value).__name__}"
    return value.isoformat()


def from_jsonl(source: str | Path, *, format: Format = "auto") -> list[Transcript]:
    """Read a file, or a text of more than one line or that begins with "{".

    A line is one transcript (`{"messages": […]}`, or as `to_jsonl` writes it), or each line is one message of a single
    transcript. Raises `InputError`, naming the line.
    """
    rows = [(number, _row(number, line)) for number, line in _lines(source)]
    if any("role" in row for _, row in rows):
        if odd := next((number for number, row in rows if "role" not in row), None):
            raise InputError(
                f"line {odd} has no 'role', other lines have: give one message a line, or one conversation"
            )
        return [from_messages([row for _, row in rows], format=format, argument="lines")]
    return [_transcript(number, row, format) for number, row in rows]


def transcript_of(source: Transcript | Sequence[Any] | Mapping[str, Any] | str | Path, format: Format) -> Transcript:
    """The one conversation of a source in any of these forms. Raises `InputError`, naming the place."""
    if isinstance(source, Transcript):
        return source
    if not isinstance(source, str | Path):
        return from_messages(source, format=format)
    found = from_jsonl(source, format=format)
    if len(found) != 1:
        raise InputError(
            f"messages={describe_value(str(source))} holds {len(found)} conversations; "
            "read them with mnesis.transcripts.from_jsonl, and give one at a time"
        )
    return found[0]


def _lines(source: str | Path) -> list[tuple[int, str]]:
    if not isinstance(source, str | Path):
        raise InputError(f"source={describe_value(source)} is a {type(source).__name__}; give a path, or JSON lines")
    text = source
    if isinstance(text, Path) or ("\n" not in text and not text.lstrip().startswith("{")):
        try:
            text = Path(text).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise InputError(f"source={str(source)!r} cannot be read: {error}; give a path, or JSON lines") from error
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _row(number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"line {number}={describe_value(line)} is not JSON: {error}; give one object a line") from None
    if not isinstance(row, dict):
        raise InputError(f"line {number}={describe_value(row)} is a {type(row).__name__}; give one object a line")
    return row


def _transcript(number: int, row: Mapping[str, Any], format: Format) -> Transcript:
    if "messages" in row:
        return from_messages(row, format=format, argument=f"line {number}: messages")
    if "turns" not in row:
        allowed = "give an object with 'messages', a message with 'role', or what to_jsonl wrote"
        raise InputError(f"line {number}={describe_value(row)} is no transcript; {allowed}")
    try:
        return Transcript(**row)
    except InputError as error:
        raise InputError(f"line {number}: {error}") from None
