"""Tells subscribers what has happened, after it is on disk."""

import inspect
import logging
from collections.abc import Awaitable, Callable

from mnesis.errors import InputError, describe_value
from mnesis.events.payloads import MnesisEvent, Payload

__all__ = ["EventBus", "Handler", "MnesisEvent"]

type Handler = Callable[[MnesisEvent, Payload], Awaitable[None] | None]

_log = logging.getLogger(__name__)


class EventBus:
    """Calls handlers in the order of subscription. A handler's error is logged; it never breaks a turn."""

    def __init__(self) -> None:
        self._handlers: list[tuple[MnesisEvent | None, Handler]] = []

    def subscribe(self, event: MnesisEvent | str | None, handler: Handler) -> Callable[[], None]:
        """Have `handler(event, payload)` called for an event, or for all (`None`). Returns the way to stop it.

        `handler` may be a function or a coroutine function. Raises `InputError`.
        """
        if event is not None and event not in list(MnesisEvent):
            raise InputError(f"event={describe_value(event)} is not known; there are: {', '.join(MnesisEvent)}")
        if not callable(handler):
            raise InputError(f"handler={describe_value(handler)} is a {type(handler).__name__}; give a function")
        entry = (None if event is None else MnesisEvent(event), handler)
        self._handlers.append(entry)

        def unsubscribe() -> None:
            if entry in self._handlers:
                self._handlers.remove(entry)

        return unsubscribe

    async def publish(self, event: MnesisEvent, payload: Payload) -> None:
        """Tell everybody who asked for this event."""
        for wanted, handler in tuple(self._handlers):
            if wanted is not None and wanted is not event:
                continue
            try:
                outcome = handler(event, payload)
                if inspect.isawaitable(outcome):
                    await outcome
            except Exception:  # noqa: BLE001  # a handler is foreign code at the edge of a turn
                _log.exception("a handler of %s failed; the session goes on", event.value)
