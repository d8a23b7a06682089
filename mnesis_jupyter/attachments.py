"""What a chat cell sends beside its text: files and values of the notebook, as parts of the message."""

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnesis import InputError, MediaPart, TextPart
from mnesis.errors import FileError
from mnesis.files import check
from mnesis.models.media import sniff

_MOST_BYTES = 20_000_000
"""No provider takes a larger picture, sound or document inline."""

type Draw = Callable[[Any], bytes | str | None]
"""A value as a PNG file, as the notebook would show it; `None` where it would not."""


@dataclass(frozen=True, slots=True)
class Source:
    """What `MnesisSession.attach` makes a part of, once there is a session: a text whole, or a reference to it."""

    name: str
    content: Any


type Attached = TextPart | MediaPart | Source


def attached(name: str, names: Mapping[str, Any], *, draw: Draw) -> Attached:
    """A name of the notebook, else a file. What models see or hear is a medium, everything else the session's to take.

    Raises `InputError` where there is neither, it cannot be read, or is nothing that can be sent.
    """
    if name.isidentifier() and name in names:
        return _value(name, names[name], draw)
    return _file(name, Path(name).expanduser())


def _value(name: str, value: Any, draw: Draw) -> Attached:
    match value:
        case MediaPart() | TextPart():
            return value
        case Path():
            return _file(name, value)
        case bytes() | bytearray():
            return _content(name, bytes(value))
        case str():
            return _content(name, value.encode("utf-8", "replace"))
    if any(callable(getattr(value, each, None)) for each in ("to_csv", "write_csv", "to_batches")):
        return Source(name, value)
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


def _file(name: str, path: Path) -> Attached:
    try:
        if not path.exists() and not path.is_symlink():
            raise InputError(f"--attach {name}: there is no such file here, and no such name in the notebook")
        check(path)
        size = path.stat().st_size
        if not size:
            raise _empty(name)
        with path.open("rb") as file:
            if size <= _MOST_BYTES and sniff(file.read(64)):
                return MediaPart.from_bytes(path.read_bytes(), name=path.name)
    except (FileError, OSError, ValueError) as error:
        raise error if isinstance(error, InputError) else InputError(f"--attach {name}: {error}") from error
    return Source(path.name, path)


def _content(name: str, data: bytes) -> Attached:
    if not data.strip():
        raise _empty(name)
    return MediaPart.from_bytes(data, name=name) if sniff(data) and len(data) <= _MOST_BYTES else Source(name, data)


def _empty(name: str) -> InputError:
    return InputError(f"--attach {name}: it is empty; leave it out")
