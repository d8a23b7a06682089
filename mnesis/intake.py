"""What callers pass as a message, checked and turned into parts."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mnesis.errors import InputError, describe_value
from mnesis.llm.catalog import takes
from mnesis.models.media import MediaPart
from mnesis.models.message import PARTS, Part, ReasoningPart, TextPart, ToolPart

_ANY: TypeAdapter[Any] = TypeAdapter(Any, config={"defer_build": True})


def parts_of(message: object, argument: str, *, may_be_empty: bool = False) -> tuple[Part, ...]:
    """The parts of a message: of a text one part, of a list its parts (dicts are read as parts).

    Raises `InputError`, naming the argument, for another type, for an empty message, and for text with lone
    surrogates, which no encoding can carry.
    """
    if isinstance(message, str):
        parts: tuple[Part, ...] = (TextPart(text=message),) if message else ()
    elif isinstance(message, Sequence) and not isinstance(message, bytes | bytearray):
        parts = _validated(message, argument)
    else:
        raise InputError(
            f"{argument} is a {type(message).__name__} ({describe_value(message)}); give a str or a list of parts"
        )
    _check_encodable(parts, argument)
    if not may_be_empty and not any(not isinstance(part, TextPart) or part.text.strip() for part in parts):
        raise InputError(f"{argument}={describe_value(message)} says nothing; give it some text")
    return parts


def asked_of(message: object, argument: str) -> tuple[Part, ...]:
    """The parts of what a user says: texts, media and files. Raises `InputError` as `parts_of` does, and for others."""
    parts = parts_of(message, argument)
    check_user(parts, argument)
    return parts


def check_user(parts: Iterable[Part], argument: str) -> None:
    """Raises `InputError`, naming the place, for a part that no user says."""
    for index, part in enumerate(parts):
        if isinstance(part, ToolPart | ReasoningPart):
            finished = isinstance(part, ToolPart) and part.finished
            results = "; results of tools go to submit_tool_results" if finished else ""
            raise InputError(
                f"{argument}[{index}] is a {type(part).__name__}, and a user's message has none; "
                f"give TextPart, MediaPart or FileRefPart{results}"
            )


def check_media(parts: Iterable[Part], model: str, argument: str) -> None:
    """Raises `InputError` for an image, a sound or a document that the model is known not to take."""
    for index, part in enumerate(parts):
        if isinstance(part, MediaPart) and takes(model, part.kind) is False:
            raise InputError(
                f"{argument}[{index}] is of kind {part.kind!r} ({part.name or part.media_type}), and {model} does not "
                "take that, as litellm's model map has it; leave it out, or use a model that takes it"
            )


def text_of(value: object, argument: str) -> str:
    """A text argument. Raises `InputError`, naming it, for another type and for lone surrogates."""
    if not isinstance(value, str):
        raise InputError(f"{argument}={describe_value(value)} is a {type(value).__name__}; give a str")
    _check_text(value, argument)
    return value


def check_texts(**given: object) -> None:
    """Text arguments that may be `None`, by name. Raises `InputError` as `text_of` does."""
    for argument, value in given.items():
        if value is not None:
            text_of(value, argument)


def _validated(message: Sequence[Any], argument: str) -> tuple[Part, ...]:
    try:
        return PARTS.validate_python(tuple(message))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{argument}[{where}]={describe_value(first['input'])} is not a part: {first['msg']}; "
            "give TextPart, ReasoningPart, ToolPart, FileRefPart or MediaPart"
        ) from None


def _check_encodable(parts: tuple[Part, ...], argument: str) -> None:
    for index, part in enumerate(parts):
        for field in type(part).model_fields:
            value, where = getattr(part, field), f"{argument}[{index}].{field}"
            _check_text(value if isinstance(value, str) else _json(value, where), where)


def _json(value: object, where: str) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
        _check_text(text, where)
        _ANY.dump_json(value)  # as the store will: it takes fewer levels than json does
        return text
    except InputError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{where} cannot be kept as JSON: {error}; give plain dicts, lists, texts and numbers"
        ) from None


def _check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where} has a lone surrogate (U+{ord(text[error.start]):04X}) at position {error.start}, which no "
            "encoding can carry; clean it, for example with text.encode('utf-8', 'replace').decode()"
        ) from None
