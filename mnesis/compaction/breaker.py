"""Keeps a failing summariser from being called again and again: each failure in a row doubles the wait."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mnesis.events.payloads import CompactionCompletedPayload, CompactionFailedPayload, Payload

IRREDUCIBLE = "Irreducible"
"""The `error_kind` of a compaction that found nothing that could shrink."""

_FIRST_DELAY = timedelta(seconds=30)
_LONGEST_DELAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Breaker:
    """Closed while `retry_at` is `None` or past. Its state follows from the compaction events of the session."""

    failures: int = 0
    retry_at: datetime | None = None

    @classmethod
    def after(cls, recent: Iterable[Payload]) -> "Breaker":
        """The breaker as the compaction events of a session, newest first, left it.

        A compaction without a model says nothing about the model, nor does a window that cannot shrink.
        """
        for payload in recent:
            match payload:
                case CompactionFailedPayload(error_kind=kind) if kind != IRREDUCIBLE:
                    return cls(payload.failures, payload.retry_at)
                case CompactionCompletedPayload(level_used=1 | 2):
                    return cls()
        return cls()

    def is_open(self, now: datetime) -> bool:
        """Whether the summariser is to be left alone for now."""
        return self.retry_at is not None and now < self.retry_at

    def failed(self, now: datetime, retry_after: float | None = None) -> "Breaker":
        """One failure more. The provider's own wish counts where it is longer."""
        delay = min(_FIRST_DELAY * 2 ** min(self.failures, 10), _LONGEST_DELAY)
        wished = timedelta(seconds=retry_after or 0)
        return Breaker(self.failures + 1, now + max(delay, wished))
