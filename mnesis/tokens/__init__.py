"""Counting of rendered text: exact where the encoding is known, conservative elsewhere, never over the network."""

from mnesis.tokens.calibration import correction
from mnesis.tokens.counter import TokenCounter, counter_for, warm

__all__ = ["TokenCounter", "correction", "counter_for", "warm"]
