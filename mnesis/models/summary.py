"""Summaries: what they say, what they stand for, what they no longer say."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from mnesis.models.base import Value


class Fidelity(StrEnum):
    """How much of a source the summariser was given."""

    FULL = "full"
    CLIPPED = "clipped"
    OMITTED = "omitted"


class SummarySource(Value):
    """What a summary stands for: a message, or another summary."""

    kind: Literal["message", "summary"]
    id: str
    fidelity: Fidelity


class Loss(Value):
    """Details of one kind: how many the sources hold, how many of those the text still holds, and some that it lost."""

    in_sources: int = 0
    kept: int = 0
    lost: tuple[str, ...] = ()


class LossCertificate(Value):
    """Which details of the sources are not in the text any more. Computed without a model.

    `lost` lists at most 40 of each kind, in the order of the sources; the counts are of all.
    """

    numbers: Loss = Field(default_factory=Loss)
    paths: Loss = Field(default_factory=Loss)
    urls: Loss = Field(default_factory=Loss)
    identifiers: Loss = Field(default_factory=Loss)
    names: Loss = Field(default_factory=Loss)

    @property
    def lost(self) -> int:
        """How many details are gone, of all kinds."""
        return sum(loss.in_sources - loss.kept for _, loss in self)

    def __str__(self) -> str:
        gone = [f"{loss.in_sources - loss.kept} {kind}" for kind, loss in self if loss.in_sources > loss.kept]
        return "not in the text any more: " + ", ".join(gone) if gone else "nothing of note is missing"


class Summary(Value):
    """A node over messages (`leaf`) or over other summaries (`condensed`).

    `depth` is 0 for a leaf. `level` is 1 for a structured text, 2 for a terse one, 3 for sentences chosen without a
    model (`model` is then `None`). `tokens` is its block in the window, `source_tokens` what it took the place of.
    """

    id: str
    session_id: str
    kind: Literal["leaf", "condensed"]
    depth: int
    level: Literal[1, 2, 3]
    model: str | None
    prompt_hash: str
    text: str
    tokens: int
    source_tokens: int
    first_turn: int
    last_turn: int
    message_count: int
    sources: tuple[SummarySource, ...]
    certificate: LossCertificate
    created_at: datetime
    in_window: bool
