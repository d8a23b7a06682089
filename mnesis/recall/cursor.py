"""Opaque cursors: where a page ended, and of which question."""

import base64
import hashlib
import json
from typing import Any

from mnesis.errors import InputError, describe_value


def encode(question: tuple[Any, ...], *state: int | str) -> str:
    """A cursor that only goes on with the same question."""
    return base64.urlsafe_b64encode(json.dumps([_hash(question), *state]).encode()).decode().rstrip("=")


def decode(cursor: object, question: tuple[Any, ...], *kinds: type) -> list[Any]:
    """The state of a cursor. Raises `InputError` where it is none, or another question's."""
    state: list[Any]
    try:
        if not isinstance(cursor, str):
            raise TypeError
        hashed, *state = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if len(state) != len(kinds) or not all(type(each) is kind for each, kind in zip(state, kinds, strict=True)):
            raise ValueError
        if any(type(each) is int and not 0 <= each < 1 << 53 for each in state):
            raise ValueError
    except (ValueError, TypeError):
        raise InputError(f"cursor={describe_value(cursor)} is no cursor; give next_cursor of the page before") from None
    if hashed != _hash(question):
        raise InputError(f"cursor={describe_value(cursor)} belongs to another question; repeat the call that gave it")
    return state


def _hash(question: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()[:12]
