"""What a file holds, found without a model: by its content first, then by its name.

One module for each family of types. Whatever is found is bounded: in time, in memory, and in how much is said.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice

from mnesis.files.explore.identify import BINARY, PLAIN, Kind, candidates
from mnesis.files.explore.subject import Subject, Unreadable
from mnesis.files.labels import line
from mnesis.files.source import Content
from mnesis.files.text import Encoding, encoding_of

__all__ = ["Exploration", "explore"]

SECONDS = 8.0
_MOST_LINES = 120
_MOST_CHARACTERS = 6_000


@dataclass(frozen=True, slots=True)
class Exploration:
    """What a file is and holds. `encoding` is `None` where it is no text."""

    media_type: str
    summary: str
    encoding: Encoding | None
    is_prose: bool = False


def explore(content: Content, name: str, seconds: float = SECONDS) -> Exploration:
    """Look into a file. What its name promises and its content is not, or what is damaged, is said."""
    encoding = encoding_of(content)
    subject = Subject(content, name, encoding, time.monotonic() + seconds)
    notes = [f"encoding: {encoding.note}"] if encoding and encoding.note else []
    for kind in candidates(subject):
        try:
            found = list(_bounded(kind, subject))
        except Unreadable as reason:
            notes.append(f"not readable as {kind.name}: {line(str(reason), 300)}")
        except (MemoryError, RecursionError) as error:
            notes.append(f"not readable as {kind.name}: too deep or too large to parse ({type(error).__name__})")
        else:
            late = ["(not all of it was looked at: the time for it was over)"] if subject.late() else []
            return Exploration(kind.media_type, "\n".join([*notes, *found, *late]), encoding, kind.is_prose)
    fallback = PLAIN if encoding else BINARY
    return Exploration(fallback.media_type, "\n".join(notes), encoding)


def _bounded(kind: Kind, subject: Subject) -> Iterator[str]:
    module = import_module(f"mnesis.files.explore.{kind.module}")  # on first use: parsers, and optional packages
    told = chain([kind.name], getattr(module, kind.function)(subject))
    left = _MOST_CHARACTERS
    for number, text in enumerate(islice(told, _MOST_LINES + 1)):
        shown = f"{' ' * (len(text) - len(text.lstrip(' ')))}{line(text, 240)}"
        left -= len(shown)
        if left < 0 or number == _MOST_LINES:
            yield "… (more is in it)"
            return
        yield shown
