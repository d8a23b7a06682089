"""Sortable, prefixed identifiers: `msg_01JX…`.

An id is a prefix that says what it names, then 26 characters of Crockford base 32: 48 bits of milliseconds and 80
bits that are random in the first id of a millisecond and counted up from there (the ULID layout,
https://github.com/ulid/spec). Ids made by one process are strictly increasing even when the clock steps back.
The order of a session never depends on that: it comes from the store's sequence numbers.
"""

import secrets
import threading
import time
from collections.abc import Callable

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80

PREFIXES = {
    "sess": "session",
    "turn": "turn",
    "msg": "message",
    "part": "part",
    "sum": "summary",
    "file": "file",
    "run": "run",
    "evt": "event",
}
"""What each prefix names."""


class IdFactory:
    """Makes ids. One per process is enough; it is safe to use from several threads."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock_ms = clock_ms
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self, prefix: str) -> str:
        """A new id, greater than every id this factory made before."""
        if prefix not in PREFIXES:
            raise ValueError(f"unknown id prefix {prefix!r}; known: {', '.join(PREFIXES)}")
        with self._lock:
            fresh = (self._clock_ms() << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
            if fresh >> _RANDOM_BITS <= self._last >> _RANDOM_BITS:
                fresh = self._last + 1
            self._last = fresh
        return f"{prefix}_{_encode(fresh)}"


def _encode(number: int) -> str:
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5)]
    return "".join(digits)


new_id = IdFactory()
"""The process-wide factory: `new_id("msg")`."""


def kind_of(identifier: str) -> str | None:
    """What an id names (`"message"`, `"summary"`, …), or `None` when it is not one of ours."""
    prefix, _, rest = identifier.partition("_")
    return PREFIXES.get(prefix) if rest else None
