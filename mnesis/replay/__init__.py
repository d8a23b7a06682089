"""A conversation again, under another memory: its messages and replies are taken from the log."""

from mnesis.replay.meter import Meter
from mnesis.replay.needles import Needles
from mnesis.replay.rerun import Rerun
from mnesis.replay.script import Past, Script

__all__ = ["Meter", "Needles", "Past", "Rerun", "Script"]
