"""What a replay shows: the same conversation under another memory, turn by turn."""

from typing import Literal

from pydantic import Field

from mnesis.models.base import Value
from mnesis.models.context import ContextBreakdown
from mnesis.models.message import TokenUsage

type Evidence = Literal["unsaid", "verbatim", "summary", "recall"]
"""Where a text is, seen from a window: not said yet; in it as it was said; in the words of a summary in it; or only in
the store, to be found by recall.
"""


class Spending(Value):
    """What summaries took: requests, their tokens, and US dollars, `None` where a price is not known."""

    requests: int = 0
    tokens: TokenUsage = Field(default_factory=TokenUsage)
    cost: float | None = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        known = self.cost is not None and other.cost is not None
        return Spending(
            requests=self.requests + other.requests,
            tokens=self.tokens + other.tokens,
            cost=(self.cost or 0.0) + (other.cost or 0.0) if known else None,
        )


class ReplayTurn(Value):
    """One turn. `window` is the one that its last request sends.

    `tokens` are of all its `requests`: `input` is what was sent, `cache_read` how much of it the request before began
    with already, as a provider's prompt cache would find. `output` is the recorded reply, as the original counted it.
    `cost` is that in US dollars, by list price; `None` where there is none.

    `compactions` and `summaries` are what the turn set off, before its requests or after its reply; `level` is the
    highest of the summaries, 3 without a model. `evidence` stands beside the replay's needles: where each is, seen from
    this turn's last request.
    """

    turn: int
    window: ContextBreakdown
    requests: int
    tokens: TokenUsage
    cost: float | None = None
    compactions: int = 0
    level: Literal[1, 2, 3] | None = None
    summaries: Spending = Field(default_factory=Spending)
    evidence: tuple[Evidence, ...] = ()


class Replay(Value):
    """A replay, now a session like any other: `MnesisSession.load(replay.session_id)` opens it.

    `budget` is how many tokens its windows may hold. `needles` are the texts whose whereabouts were asked for, and
    `evidence` says where each is in the end, in the window that would be sent next.
    """

    session_id: str
    source_id: str
    title: str | None
    model: str
    budget: int
    turns: tuple[ReplayTurn, ...]
    needles: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def tokens(self) -> TokenUsage:
        """What all turns sent and were answered. Summaries are not part of it."""
        return sum((turn.tokens for turn in self.turns), TokenUsage())

    @property
    def cost(self) -> float | None:
        """US dollars for all turns, without summaries; `None` where the price is not known."""
        costs = [turn.cost for turn in self.turns]
        return None if None in costs else sum(filter(None, costs))

    @property
    def summaries(self) -> Spending:
        """What all summaries took."""
        return sum((turn.summaries for turn in self.turns), Spending())

    @property
    def compactions(self) -> int:
        """How often the window was compacted."""
        return sum(turn.compactions for turn in self.turns)

    @property
    def largest(self) -> int:
        """The size of the largest window."""
        return max((turn.window.total for turn in self.turns), default=0)

    @property
    def cached(self) -> float:
        """The share of what was sent that the request before began with already: from 0 to 1."""
        tokens = self.tokens
        return tokens.cache_read / tokens.input if tokens.input else 0.0

    def found(self) -> dict[str, Evidence]:
        """Where each needle is in the end."""
        return dict(zip(self.needles, self.evidence, strict=True))
