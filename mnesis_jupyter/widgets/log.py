"""A session's record in memory: read once, then only what came since; cut to what a screen can show."""

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from mnesis.events import MnesisEvent
from mnesis_jupyter.frames import inspection
from mnesis_jupyter.frames.inspection import EventRow, SummaryRow, TurnRow
from mnesis_jupyter.html import visible
from mnesis_jupyter.views import dollars

BINS = 1024
"""So many columns of turns are told apart at most: about as many as a screen has."""

_NODES = 4 * BINS
_TOO_NARROW = 4 / 1024
"""Of all that is shown: less than 5 pixels on any screen that the map fits on."""

LANES = ("turns", "tools", "compaction", "pruning", "cache", "retries", "errors", "operators")
_PIECES = 400
"""So many marks a lane has at most; those that would touch become one."""

_WORDS = 140

_EVENTS = (
    MnesisEvent.COMPACTION_COMPLETED,
    MnesisEvent.COMPACTION_FAILED,
    MnesisEvent.PRUNE_COMPLETED,
    MnesisEvent.LLM_RETRY,
    MnesisEvent.DOOM_LOOP_DETECTED,
    MnesisEvent.TURN_FAILED,
    MnesisEvent.TURN_ABORTED,
    MnesisEvent.MAP_STARTED,
    MnesisEvent.MAP_COMPLETED,
)


class Mark(NamedTuple):
    """Something on the timeline: in which lane, from where to where, in turns and in milliseconds, in words."""

    lane: str
    from_turn: float
    to_turn: float
    from_ms: float
    to_ms: float
    words: str


class Log:
    """What is known of one session. Not safe for two threads at once."""

    def __init__(self, path: Path, session: str) -> None:
        self.turns: list[TurnRow] = []
        self.said: list[list[int]] = []
        """Per turn what its messages hold, in tokens: user, assistant, tool, file."""
        self.summaries: list[SummaryRow] = []
        self.marks: list[Mark] = []
        self.cost: float | None = None
        """US dollars, as far as they are known; of a fork those of its own turns."""
        self.broken: dict[int, str] = {}
        """The turns that could not go on from what was sent before, and why."""
        self._path, self._session = path, session
        self._views: list[int] = []
        self._seq = self._event = -1
        self._runs: dict[str, Mark] = {}
        """Where each run of a map that has not ended began, or went on."""
        self._within: set[Mark] = set()
        """Such beginnings of runs that have ended: they are within the mark of the whole."""
        self.origin = 0
        """When the first thing happened, in microseconds: a turn, or something before it."""

    def read(self) -> bool:
        """Take in what has happened since the last reading. Whether it changed what was in the window already."""
        since = self.settled
        fresh = inspection.turns(self._path, self._session, since)
        self.turns[since:], self._views[since:] = fresh, [turn.view for turn in fresh]
        self.said += [[0, 0, 0, 0] for _ in range(len(self.turns) - len(self.said))]
        for turn in fresh:
            if turn.cost is not None and turn.state != "open" and not turn.shared:
                self.cost = (self.cost or 0.0) + turn.cost
        happened = inspection.events(self._path, self._session, _EVENTS, self._event)
        times = [each.opened for each in self.turns[:1]] + [each.at for each in happened[:1]]
        self.origin = self.origin or min(times, default=0)
        marks = [_turn_mark(turn, self.origin) for turn in fresh if turn.state != "open"]
        marks += self._hear()
        marks += [mark for event in happened for mark in self._marks_of(event)]
        rewritten = not self.marks or any(event.type in _REWRITES for event in happened)
        if happened:
            self._event = happened[-1].seq
        if rewritten:
            self.summaries = inspection.summaries(self._path, self._session)
        marks += self._breaks(since)
        self.marks += marks
        return rewritten

    @property
    def settled(self) -> int:
        """How many turns cannot change any more."""
        return len(self.turns) - (bool(self.turns) and self.turns[-1].state == "open")

    def pace(self) -> float:
        """By how many tokens a turn makes the window grow, in the mean of the newest eight that made it grow."""
        sizes = [turn.size for turn in self.turns[-24:]]
        grown = [late - early for early, late in pairwise(sizes) if late > early][-8:]
        return sum(grown) / len(grown) if grown else 0.0

    # -- the map ------------------------------------------------------------------------------------------------------

    def width(self, first: int, last: int) -> int:
        """How many turns a column has, so that those from `first` to `last` fit: a power of two."""
        return 1 << max(0, math.ceil(math.log2(max(1, last - first) / BINS)))

    def columns(self, first: int, last: int, width: int) -> dict[str, Any]:
        """The turns from `first` up to `last`, `width` of them as one: what they hold, and their largest window."""
        starts = range(first, max(first, last), width)
        said = [[sum(column) for column in zip(*self.said[at : at + width], strict=True)] for at in starts]
        return {
            "first": first,
            "width": width,
            "said": [list(kind) for kind in zip(*said, strict=True)] if said else [[], [], [], []],
            "size": [max(turn.size for turn in self.turns[at : at + width]) for at in starts],
            "bad": [t.turn for t in self.turns[first:last] if t.state in ("failed", "aborted")][:BINS],
        }

    def icicle(self, first: int, last: int) -> dict[str, list[Any]]:
        """The summaries of these turns by column. Where there are very many, only those that can be told apart; what is
        too narrow to be pointed at comes without its id.
        """
        seen = [each for each in self.summaries if each.last >= first and each.first < last]
        if len(seen) > _NODES:
            narrow = (last - first) / BINS
            seen = [each for each in seen if each.last - each.first + 1 >= narrow or each.died is None]
            seen = seen[-_NODES:]
        names = ("depth", "level", "first", "last", "tokens", "source_tokens", "born", "died", "lost", "sources")
        narrow = _TOO_NARROW * (last - first) if last - first > BINS else 0
        columns = {name: [getattr(each, name) for each in seen] for name in names}
        return {"id": ["" if each.last - each.first + 1 < narrow else each.id for each in seen], **columns}

    def standing(self, view: int) -> list[SummaryRow]:
        """The summaries that stand in a view of the window."""
        return [each for each in self.summaries if each.born <= view and (each.died is None or each.died > view)]

    def below(self, id: str) -> list[SummaryRow]:
        """The summaries that went into one."""
        above = next((each for each in self.summaries if each.id == id), None)
        return [
            each
            for each in self.summaries
            if above and each.died == above.born and above.first <= each.first and each.last <= above.last
        ]

    # -- the timeline -------------------------------------------------------------------------------------------------

    def lanes(self, axis: str, first: float, last: float) -> dict[str, list[list[Any]]]:
        """The marks between two places by lane, each as `[from, to, count, words]`; those that would touch as one."""
        step = max(last - first, 1e-9) / _PIECES
        lanes: dict[str, list[list[Any]]] = {lane: [] for lane in LANES}
        for mark in self.marks:
            begin, end = (mark.from_turn, mark.to_turn) if axis == "turn" else (mark.from_ms, mark.to_ms)
            if end < first or begin > last or mark in self._within:
                continue
            lane = lanes[mark.lane]
            if lane and begin - lane[-1][1] < step and (end - lane[-1][0] < 4 * step or begin < lane[-1][1]):
                lane[-1][:2] = min(lane[-1][0], _rounded(begin)), max(lane[-1][1], _rounded(end))
                lane[-1][2] += 1
                lane[-1][3] = ""
            else:
                lane.append([_rounded(begin), _rounded(end), 1, mark.words])
        for name in lanes:
            if len(lanes[name]) > _PIECES // 2:
                lanes[name] = [piece[:3] for piece in lanes[name]]
        return lanes

    def duration(self) -> float:
        """Milliseconds from the first turn to the end of the last mark."""
        return max((mark.to_ms for mark in self.marks), default=0.0)

    # -- details ------------------------------------------------------------------------------------------------------

    def _hear(self) -> Iterable[Mark]:
        heard = inspection.said(self._path, self._session, self._seq)
        for each in heard:
            if each.turn >= len(self.turns):  # opened after the turns were read: the next reading has it
                break
            self._seq = each.seq
            for kind, tokens in enumerate((each.user, each.assistant, each.tool, each.file)):
                self.said[each.turn][kind] += tokens
            if each.calls:
                yield self._mark("tools", each.turn, each.at, f"called {each.calls}", 0.2, 0.8)

    def _marks_of(self, event: EventRow) -> Iterable[Mark]:
        told = json.loads(event.payload)
        turn = self._turn_at(event)
        match event.type:
            case MnesisEvent.COMPACTION_COMPLETED:
                words = f"{told['tokens_before']:,} → {told['tokens_after']:,} tokens, level {told['level_used']}"
                took = told.get("elapsed_ms", 0.0)
                yield self._mark("compaction", turn, event.at, f"compacted {words}", 0.55, 1.0, took)
            case MnesisEvent.COMPACTION_FAILED:
                yield self._mark("errors", turn, event.at, f"compaction failed: {told.get('error', '')}", 0.55, 1.0)
            case MnesisEvent.PRUNE_COMPLETED:
                words = f"pruned {told['pruned_tool_outputs']} tool outputs, {told['pruned_tokens']:,} tokens"
                yield self._mark("pruning", turn, event.at, words, 0.55, 1.0)
            case MnesisEvent.LLM_RETRY:
                words = f"retry {told['attempt']} of {told['max_retries']}: {told['error_kind']}: {told['error']}"
                yield self._mark("retries", turn, event.at, words, 0.3, 0.5)
            case MnesisEvent.DOOM_LOOP_DETECTED:
                yield self._mark(
                    "errors", turn, event.at, f"{told['tool_name']} called {told['count']} times", 0.5, 0.8
                )
            case MnesisEvent.TURN_FAILED:
                yield self._mark("errors", turn, event.at, f"failed: {told.get('error_kind')}: {told.get('error')}")
            case MnesisEvent.TURN_ABORTED:
                yield self._mark("errors", turn, event.at, f"aborted: {told.get('reason')}")
            case MnesisEvent.MAP_STARTED:
                total = told["total"]
                of = "" if total is None else f" of {total:,} item{'' if total == 1 else 's'}"
                agents = " by agents" if told["operator"] == "agentic" else ""
                words = f"a map{of}{agents} {'goes on' if told['resumed'] else 'began'}"
                begun = self._runs[told["run_id"]] = self._mark("operators", turn, event.at, words, 0.3, 0.45)
                yield begun
            case MnesisEvent.MAP_COMPLETED:
                yield self._whole_run(told, self._mark("operators", turn, event.at, "", 0.55, 0.7))

    def _whole_run(self, told: dict[str, Any], end: Mark) -> Mark:
        """A run of a map from its beginning on, and what came of it."""
        begun = self._runs.pop(told["run_id"], end)
        self._within.add(begun)
        took = f"{'was stopped' if told['stopped'] else 'is through'} after {(end.to_ms - begun.from_ms) / 1000:,.1f} s"
        cost = f", {dollars(told['cost'])}" if told.get("cost") else ""
        words = f"a map {took}: {told['done']:,} done, {told['failed']:,} failed{cost}"
        return end._replace(from_turn=begun.from_turn, from_ms=begun.from_ms, words=words)

    def _breaks(self, since: int) -> Iterable[Mark]:
        """Where the prefix of a request was not that of the one before."""
        found: dict[int, str] = {}
        for turn in range(max(1, since), len(self.turns)):
            if self.turns[turn].preamble != self.turns[turn - 1].preamble:
                found[turn] = "other system prompt or tools"
        if since < len(self.turns):
            seen = self._views[since - 1] if since else -1
            for view, cause in inspection.breaks(self._path, self._session, seen):
                if (turn := bisect_left(self._views, view)) < len(self.turns):
                    found[turn] = cause
        for turn in sorted(found.keys() - self.broken.keys()):
            self.broken[turn] = found[turn]
            words = f"the prompt cache's prefix ends here: {found[turn]}"
            yield self._mark("cache", turn, self.turns[turn].opened, words, 0.0, 0.12)

    def _turn_at(self, event: EventRow) -> int:
        if event.turn is not None:
            return event.turn
        return max(0, bisect_right(self.turns, event.at, key=lambda turn: turn.opened) - 1)

    def _mark(
        self, lane: str, turn: int, at: int, words: str, begin: float = 0.3, end: float = 0.7, took: float = 0.0
    ) -> Mark:
        ends = (at - self.origin) / 1000
        return Mark(lane, turn + begin, turn + end, ends - took, ends, _words(words))


_REWRITES = (MnesisEvent.COMPACTION_COMPLETED, MnesisEvent.PRUNE_COMPLETED)


def _turn_mark(turn: TurnRow, origin: int) -> Mark:
    begin, end = (turn.opened - origin) / 1000, ((turn.finished or turn.opened) - origin) / 1000
    state = "" if turn.state == "committed" else f", {turn.state}"
    words = f"turn {turn.turn}{state}: {(end - begin) / 1000:.1f} s, {turn.size:,} tokens sent"
    return Mark("turns", turn.turn + 0.08, turn.turn + 0.92, begin, end, words)


def _words(text: str) -> str:
    line = visible(" ".join(text[: 4 * _WORDS].split()))
    return line if len(line) <= _WORDS else f"{line[: _WORDS - 1]}…"


def _rounded(place: float) -> float:
    return round(place, 2)
