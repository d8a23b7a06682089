"""What recall answers: hits, descriptions, originals, lineages, differences, reports."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from mnesis.models.base import Value
from mnesis.models.context import Budget
from mnesis.models.summary import LossCertificate, SummarySource

type MatchKind = Literal["message", "tool", "file", "media", "reasoning", "summary"]


class Neighbour(Value):
    """A message beside a hit, shortened to its beginning."""

    id: str
    role: str
    turn: int
    text: str

    def __str__(self) -> str:
        return f"{self.role}: {self.text}"


class GrepMatch(Value):
    """One hit. `id` names the message, or the part where it is in a tool call, a file or reasoning, or the summary.

    `covered_by` is the summary that stands for it in the current window; `None` where it stands there itself, or, being
    `partial`, nowhere. `spans` are what matched in `snippet`, start and end in characters, in order: none where it only
    stands beside what a question asks. `before` and `after` are the messages beside it, at most two each. `score`
    orders the hits of a search by words; it is 0 in other searches, where the newest comes first.
    """

    id: str
    kind: MatchKind
    turn: int
    role: str
    snippet: str
    covered_by: str | None
    message_id: str | None
    spans: tuple[tuple[int, int], ...] = ()
    partial: bool = False
    score: float = 0.0
    before: tuple[Neighbour, ...] = ()
    after: tuple[Neighbour, ...] = ()

    def __str__(self) -> str:
        place = "partial, never sent" if self.partial else "" if self.covered_by is None else f"in {self.covered_by}"
        head = " · ".join(filter(None, (self.id, f"turn {self.turn}", self.role, place)))
        before = (f"    {each}" for each in self.before)
        after = (f"    {each}" for each in self.after)
        return "\n".join([head, *before, f"  > {self.snippet}", *after])


class GrepResult(Value):
    """One page of hits. `next_cursor` gives the next one; a page may be empty and still have a next one.

    `skipped` are messages on which a regular expression took too long.
    """

    pattern: str
    matches: tuple[GrepMatch, ...]
    next_cursor: str | None = None
    skipped: tuple[str, ...] = ()

    def by_summary(self) -> Mapping[str | None, tuple[GrepMatch, ...]]:
        """The hits grouped by the summary that covers them now, in the order of the best of each group."""
        groups: dict[str | None, list[GrepMatch]] = {}
        for match in self.matches:
            groups.setdefault(match.covered_by, []).append(match)
        return {summary: tuple(matches) for summary, matches in groups.items()}

    def __str__(self) -> str:
        more = f"\n(more: cursor={self.next_cursor!r})" if self.next_cursor else ""
        if not self.matches:
            return f"no match for {self.pattern!r}" + (" so far" if more else "") + more
        groups = (
            f"covered by {summary}:\n" + "\n".join(map(str, matches)) if summary else "\n".join(map(str, matches))
            for summary, matches in self.by_summary().items()
        )
        return "\n\n".join(groups) + more


class Description(Value):
    """What an id names. `text` is a preview, `sentence` says the whole in words; what does not apply is `None`.

    `in_window` is whether it stands in the current window itself; `covered_by` the summary that stands there for it.
    """

    id: str
    kind: Literal["message", "part", "summary", "file", "turn", "session", "event"]
    sentence: str
    text: str = ""
    role: str | None = None
    turn: int | None = None
    tokens: int | None = None
    created_at: datetime | None = None
    in_window: bool = False
    covered_by: str | None = None
    sources: tuple[SummarySource, ...] = ()
    parts: tuple[str, ...] = ()
    certificate: LossCertificate | None = None
    budget: Budget | None = None

    def __str__(self) -> str:
        return self.sentence + (f"\n{self.text}" if self.text else "")


class ExpansionItem(Value):
    """One original of a page. `start` is where its text begins, in characters, when it was begun on an earlier page."""

    id: str
    kind: Literal["message", "part", "summary"]
    role: str
    turn: int
    text: str
    start: int = 0
    complete: bool = True


class Expansion(Value):
    """One page of originals: `text` as it is shown, `tokens` its size by the session's counter."""

    id: str
    text: str
    items: tuple[ExpansionItem, ...]
    tokens: int
    next_cursor: str | None = None

    def __str__(self) -> str:
        return self.text


class LineageStep(Value):
    """One thing that happened to an item. `view` is the version of the window that it made."""

    view: int | None
    turn: int | None
    at: datetime
    cause: str
    words: str

    def __str__(self) -> str:
        when = "" if self.turn is None else f"turn {self.turn}: "
        return f"{when}{self.words}"


type State = Literal["verbatim", "excerpt", "pruned", "covered", "partial"]


class Lineage(Value):
    """Where an item is now, and how it came there."""

    id: str
    state: State
    covered_by: str | None
    steps: tuple[LineageStep, ...]

    def __str__(self) -> str:
        now = {
            "verbatim": "stands in the window verbatim",
            "excerpt": "stands in the window as an excerpt",
            "pruned": "its output was pruned from the window",
            "covered": f"is covered by {self.covered_by}",
            "partial": "is a partial reply, which is never sent",
        }[self.state]
        return "\n".join([f"{self.id} {now}", *(f"  {step}" for step in self.steps)])


class Change(Value):
    """What became of one item between two windows. `into` is the summary that it went into, or came out of.

    "restored" is what only happens when looking back: it was summarised, or pruned, later.
    """

    id: str
    kind: str
    turn: int | None
    change: Literal["added", "removed", "unchanged", "changed", "pruned", "restored", "summarised"]
    tokens_before: int
    tokens_after: int
    into: str | None = None
    cause: str

    def __str__(self) -> str:
        sign = {"added": "+", "unchanged": " ", "removed": "-", "summarised": "-", "restored": "+"}.get(
            self.change, "~"
        )
        return f"{sign} {self.kind} {self.id} ({self.tokens_before:,} -> {self.tokens_after:,} tokens): {self.cause}"


class WindowDiff(Value):
    """What changed from the window of turn `a` to that of turn `b`, item by item, those of the first window first.

    `b` is `None` where it is the next window.
    """

    a: int
    b: int | None
    tokens_before: int
    tokens_after: int
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        then = "next window" if self.b is None else f"turn {self.b}"
        head = f"window of turn {self.a} -> {then}: {self.tokens_before:,} -> {self.tokens_after:,} tokens"
        same = sum(change.change == "unchanged" for change in self.changes)
        shown = [str(change) for change in self.changes if change.change != "unchanged"]
        return "\n".join([head, f"  {same} items unchanged", *shown])


class Branch(Value):
    """A session in a tree of forks. `forked_turn` is the last turn that it shares with `forked_from`, -1 for none.

    `turns` counts the shared ones too; `depth` is how many forks lie between it and the original.
    """

    id: str
    title: str | None
    forked_from: str | None
    forked_turn: int | None
    turns: int
    depth: int
    created_at: datetime
    is_this: bool
    """Whether it is the session that was asked."""

    def __str__(self) -> str:
        shared = "" if self.forked_turn is None else f", forked after turn {self.forked_turn}"
        if self.forked_turn == -1:
            shared = ", forked before the first turn"
        name = self.title or self.id
        return f"{'  ' * self.depth}{'*' if self.is_this else '-'} {name}: {self.turns} turns{shared}"


class VerifyReport(Value):
    """What `verify` found: a sentence for each problem, naming the row."""

    problems: tuple[str, ...]
    checked: int

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def __str__(self) -> str:
        return "\n".join(self.problems) or f"all {self.checked} checks passed"
