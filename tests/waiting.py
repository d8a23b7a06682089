"""Waiting for what a test is about, instead of for a time."""

import time
from collections.abc import Callable


def waited(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)
