"""A conversation again, under another memory: its messages and replies are taken from the log."""

from mnesis.replay.replaying import replay

__all__ = ["replay"]
