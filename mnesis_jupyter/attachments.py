"""What a chat cell sends beside its text: files and values of the notebook, as parts of the message."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnesis import FileRefPart, InputError, MediaPart, TextPart
from mnesis.errors import FileError
from mnesis.files import check
from mnesis.models.media import sniff

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_MOST_BYTES = 20_000_000
"""No provider takes a larger picture, sound or document inline."""

type Draw = Callable[[Any], bytes | str | None]
"""A value as a PNG file, as the notebook would show it; `None` where it would not."""


@dataclass(frozen=True, slots=True)
class Source:
    """What `MnesisSession.attach` makes a part of, once there is a session: a text whole, or a reference to it."""

    name: str
    content: Any


type Attachment = TextPart | MediaPart | FileRefPart
type Attached = Attachment | Source


def attached(name: str, shell: "InteractiveShell", *, by: str = "--attach") -> Attached:
    """A name of the notebook, else a file. What models see or hear is a medium, everything else the session's to take.

    Raises `InputError` where there is neither, it cannot be read, or is nothing that can be sent; `by` is who asks.
    """
    try:
        if name.isidentifier() and name in shell.user_ns:
            return _value(name, shell.user_ns[name], _draw_by(shell))
        return _file(Path(name).expanduser())
    except (InputError, FileError, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{by} {name}: {error}") from error


def part_of(each: Attached, take: Callable[[Source], TextPart | FileRefPart]) -> Attachment:
    """What is sent of it; `take` makes parts of files and tables."""
    return take(each) if isinstance(each, Source) else each


def _draw_by(shell: "InteractiveShell") -> Draw:
    def draw(value: Any) -> bytes | str | None:
        if shell.display_formatter is None:
            return None
        bundle, _ = shell.display_formatter.format(value, include={"image/png"})  # type: ignore[no-untyped-call]
        picture: bytes | str | None = bundle.get("image/png")
        return picture

    return draw


def _value(name: str, value: Any, draw: Draw) -> Attached:
    match value:
        case MediaPart() | TextPart():
            return value
        case Path():
            return _file(value)
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
        f"a {type(value).__name__} cannot be attached; give a text, bytes, a picture, a figure, a "
        f"DataFrame or a path, or write {{{{ {name} }}}} into the message"
    )


def _figure(value: Any) -> bytes | None:
    """A matplotlib figure as PNG, also where no front end shows figures."""
    if not hasattr(value, "savefig"):
        return None
    file = io.BytesIO()
    value.savefig(file, format="png")
    return file.getvalue()


def _file(path: Path) -> Attached:
    if not path.exists() and not path.is_symlink():
        raise InputError("there is no such file here, and no such name in the notebook")
    check(path)
    size = path.stat().st_size
    if not size:
        raise _empty()
    with path.open("rb") as file:
        if size <= _MOST_BYTES and sniff(file.read(64)):
            return MediaPart.from_bytes(path.read_bytes(), name=path.name)
    return Source(path.name, path)


def _content(name: str, data: bytes) -> Attached:
    if not data.strip():
        raise _empty()
    return MediaPart.from_bytes(data, name=name) if sniff(data) and len(data) <= _MOST_BYTES else Source(name, data)


def _empty() -> InputError:
    return InputError("it is empty; leave it out")


# -- the next turn ----------------------------------------------------------------------------------------------------


class Waiting:
    """What `%mnesis attach` gave to the next turn of a session: it waits until a turn with it has come to its end.

    What went along with a cell is remembered: it goes along again when the cell is run again.
    """

    def __init__(self) -> None:
        self._next: dict[str, list[Attachment]] = {}
        self._went: dict[str, list[Attachment]] = {}

    def add(self, session_id: str, part: Attachment) -> None:
        """Have it go along with the next turn."""
        self._next.setdefault(session_id, []).append(part)

    def of(self, session_id: str, again: str | None = None) -> list[Attachment]:
        """What goes along with the next turn; where a cell is run `again`, with what went along with it before."""
        went = self._went.get(again, []) if again else []
        return [*went, *(part for part in self._next.get(session_id, []) if part not in went)]

    def put(self, session_id: str, parts: list[Attachment]) -> None:
        """Have these go along with the next turn, and nothing else."""
        self._next[session_id] = parts

    def gone(self, session_id: str, cell: str | None) -> None:
        """They went along with a turn, that of a cell if the front end names its cells."""
        parts = self._next.pop(session_id, [])
        if cell:
            self._went[cell] = parts
