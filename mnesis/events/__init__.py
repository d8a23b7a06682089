"""What happened, in the past tense: the payloads and the bus."""

from mnesis.events.bus import EventBus, MnesisEvent

__all__ = ["EventBus", "MnesisEvent"]
