"""One session in the store: the writes of its turns and compactions, the window that follows, what it has used."""

from mnesis.ledger.beginning import create, fork, load
from mnesis.ledger.compactions import CompactionRecord
from mnesis.ledger.inserts import Outcome, StaleWindow
from mnesis.ledger.ledger import Ledger, OpenTurn, RecordedTurn
from mnesis.ledger.windows import call_of
from mnesis.ledger.writing import Clock, utc_now

__all__ = [
    "Clock",
    "CompactionRecord",
    "Ledger",
    "OpenTurn",
    "Outcome",
    "RecordedTurn",
    "StaleWindow",
    "call_of",
    "create",
    "fork",
    "load",
    "utc_now",
]
