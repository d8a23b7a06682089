"""What a chat cell sends beside its text: files and values of the notebook, as parts of the message."""

import base64
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mnesis import InputError, MediaPart, TextPart
from mnesis.models.media import sniff
from mnesis_jupyter.interpolation import as_text

_MOST_BYTES = 20_000_000
"""No provider takes a larger picture, sound or document inline."""

_BYTES_PER_TOKEN = 4
"""Of English text. Whatever does not fit the window in the end is refused there, by count."""

type Draw = Callable[[Any], bytes | str | None]
"""A value as a PNG file, as the notebook would show it; `None` where it would not."""


def attached(name: str, names: Mapping[str, Any], *, draw: Draw, rows: int, most_tokens: int) -> TextPart | MediaPart:
    """A name of the notebook, else a file. Text of up to `most_tokens`, and of a DataFrame so many rows.

    Raises `InputError` where there is neither, it cannot be read, is too large, or nothing that models take.
    """
    if name.isidentifier() and name in names:
        return _value(name, names[name], draw, rows, most_tokens)
    return _file(name, Path(name).expanduser(), most_tokens)


def _value(name: str, value: Any, draw: Draw, rows: int, most_tokens: int) -> TextPart | MediaPart:
    match value:
        case MediaPart() | TextPart():
            return value
        case Path():
            return _file(name, value, most_tokens)
        case bytes() | bytearray():
            return _content(name, bytes(value), most_tokens)
        case str():
            return _text(name, value, most_tokens)
    if (table := as_text(value, rows)) != str(value):
        return _text(name, table, most_tokens)
    if picture := draw(value) or _figure(value):
        data = base64.b64decode(picture) if isinstance(picture, str) else picture
        return MediaPart.from_bytes(data, "image/png", name=f"{name}.png")
    raise InputError(
        f"--attach {name}: a {type(value).__name__} cannot be attached; give a text, bytes, a picture, a figure, a "
        f"DataFrame or a path, or write {{{{ {name} }}}} into the message"
    )


def _figure(value: Any) -> bytes | None:
    """A matplotlib figure as PNG, also where no front end shows figures."""
    if not hasattr(value, "savefig"):
        return None
    file = io.BytesIO()
    value.savefig(file, format="png")
    return file.getvalue()


def _file(name: str, path: Path, most_tokens: int) -> TextPart | MediaPart:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _too_large(name, f"{path.stat().st_size / 1e6:,.0f} MB", f"{_MOST_BYTES / 1e6:,.0f} MB")
        return _content(path.name, path.read_bytes(), most_tokens)
    except FileNotFoundError as error:
        raise InputError(f"--attach {name}: there is no such file here, and no such name in the notebook") from error
    except OSError as error:
        raise InputError(f"--attach {name}: {path} cannot be read ({error.strerror}); give another file") from error


def _content(name: str, data: bytes, most_tokens: int) -> TextPart | MediaPart:
    if sniff(data):
        return MediaPart.from_bytes(data, name=name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError(f"--attach {name}: it is neither text in UTF-8 nor an image, a sound or a document for models")
    return _text(name, text, most_tokens)


def _text(name: str, text: str, most_tokens: int) -> TextPart:
    tokens = len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN
    if tokens > most_tokens:
        raise _too_large(name, f"about {tokens:,} tokens", f"{most_tokens:,}, FileConfig.inline_threshold")
    if not text.strip():
        raise InputError(f"--attach {name}: it is empty; leave it out")
    body = text if text.endswith("\n") else f"{text}\n"
    return TextPart(text=f"[attached: {name}]\n{body}[end of {name}]")


def _too_large(name: str, size: str, limit: str) -> InputError:
    return InputError(
        f"--attach {name}: {size} are more than goes into a message whole ({limit}); "
        "files of this size cannot be attached yet: attach a part of it"
    )
