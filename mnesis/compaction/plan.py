"""What to compact next: pure decisions over the entries of a window.

The unit is the turn: it is compacted whole or not at all, so a tool call never loses its result, and only the oldest
turns go. Every step is the smallest that reaches the target; there is no step that could not shrink the window.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from mnesis.context.assembly import Entry
from mnesis.models.config import CompactionConfig
from mnesis.models.context import Budget

FAN_OUT = 8
"""So many summaries of one depth are too many: the window holds at most FAN_OUT per depth, log(n) depths."""

CONDENSED_AT_ONCE = 5
"""The oldest so many become one; the newest stay as they are."""

BLOCK_TOKENS = 90
"""More than the label around a summary costs, by any counter."""

SMALLEST_LIMIT = 48
"""Below so many tokens a summary says nothing."""

SMALLEST_RUN = 2 * (BLOCK_TOKENS + SMALLEST_LIMIT)
"""A run below this size could come out larger than it went in."""

TARGET_OF_SOFT = 2 / 3
"""A compaction stops at two thirds of the soft threshold: far enough below it that the next one is some turns away."""

SUMMARY_SHARE = 4
"""Summaries take at most one in so many tokens before they are condensed."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Summarise these messages. `limit` is the most that the text may have, in tokens."""

    entries: tuple[Entry, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class Condense:
    """Make one summary of these. `limit` as for `Leaf`."""

    entries: tuple[Entry, ...]
    limit: int


type Step = Leaf | Condense


def target_of(budget: Budget) -> int:
    """Where a compaction stops, in tokens."""
    return int(budget.soft * TARGET_OF_SOFT)


def floor_of(budget: Budget) -> int:
    """What may be left of everything before the newest turn once all of it is compacted: one summary of the largest
    size, and a run of turns that is too small for another.
    """
    return SMALLEST_RUN + BLOCK_TOKENS + max(SMALLEST_LIMIT, budget.usable // 16)


def waiting_of(entries: Sequence[Entry]) -> int:
    """What is left beside that: turns before the newest with a call that waits for its result, and the runs that they
    cut off, as far as those are too small for a summary.
    """
    left = free = 0
    for stays, stretch in _stretches(entries):
        tokens = sum(entry.tokens for turn in stretch for entry in turn)
        if stays:
            left += tokens + min(free, SMALLEST_RUN)
        free = 0 if stays else tokens
    return left


def next_step(
    entries: Sequence[Entry],
    size: int,
    target: int,
    room: int,
    budget: Budget,
    config: CompactionConfig,
    *,
    condense_to_fit: bool = True,
) -> Step | None:
    """The next step towards `target`, or `None`: it is reached, or nothing can shrink.

    `size` is the window's, `room` what the summariser can be given at once. Without `condense_to_fit`, summaries are
    condensed only where they are too many. The newest turn is never touched.
    """
    largest = max(SMALLEST_LIMIT, budget.usable // 16)
    if size <= target:
        return None
    if config.condensation_enabled and (run := _too_many(entries)):
        return Condense(run, limit_for(run, largest))
    may_condense = condense_to_fit and config.condensation_enabled
    condensed = _summaries_to_condense(entries, room) if may_condense else ()
    heavy = sum(entry.tokens for entry in entries if entry.is_summary) * SUMMARY_SHARE > budget.usable
    if heavy and condensed:
        return Condense(condensed, limit_for(condensed, largest))
    if run := _oldest_turns(entries, size - target, room, largest):
        return Leaf(run, limit_for(run, largest))
    return Condense(condensed, limit_for(condensed, largest)) if condensed else None


def is_worth_it(entries: Sequence[Entry], size: int, target: int, budget: Budget) -> bool:
    """Whether enough has gathered for a compaction in the background.

    Where what cannot shrink is above the target by itself, every turn would set one off: then it waits until the old
    turns fill half of what is left.
    """
    floor = size - sum(entry.tokens for stretch in _free_turns(entries) for turn in stretch for entry in turn)
    return floor <= target or 2 * (size - floor) >= budget.usable - floor


def limit_for(entries: Sequence[Entry], largest: int) -> int:
    """What a summary of these may have: a quarter, at most `largest`; always less than half, label included."""
    return _limit(sum(entry.tokens for entry in entries), largest)


def _limit(tokens: int, largest: int) -> int:
    return max(SMALLEST_LIMIT, min(tokens // 4, largest, tokens // 2 - BLOCK_TOKENS))


def _oldest_turns(entries: Sequence[Entry], excess: int, room: int, largest: int) -> tuple[Entry, ...]:
    """The fewest of the oldest turns whose summary saves `excess`; a turn too large for `room` goes alone."""
    for stretch in _free_turns(entries):
        run: list[Entry] = []
        tokens = 0
        for turn in stretch:
            more = sum(entry.tokens for entry in turn)
            if run and tokens + more > room and tokens >= SMALLEST_RUN:
                break
            run += turn
            tokens += more
            if tokens >= SMALLEST_RUN and tokens - _limit(tokens, largest) - BLOCK_TOKENS >= excess:
                break
        if tokens >= SMALLEST_RUN:
            return tuple(run)
    return ()


def _free_turns(entries: Sequence[Entry]) -> Iterator[list[list[Entry]]]:
    """The turns before the newest that can be compacted, oldest first, in stretches."""
    return (stretch for stays, stretch in _stretches(entries) if not stays)


def _stretches(entries: Sequence[Entry]) -> Iterator[tuple[bool, list[list[Entry]]]]:
    """The turns before the newest, oldest first, in stretches: a turn with a call that waits for its result stays.

    Here a turn is a user message with all that comes before the next one: the results of a caller's own tools come in a
    turn of the store that has no user message.
    """
    turns: list[list[Entry]] = []
    for entry in entries:
        if entry.is_summary:
            continue
        if entry.role == "user" or not turns:
            turns.append([])
        turns[-1].append(entry)
    for stays, stretch in groupby(turns[:-1], key=_waits):
        yield stays, list(stretch)


def _waits(turn: Sequence[Entry]) -> bool:
    """Whether there is a tool call without its result, or a result without its call."""
    waiting: Counter[str] = Counter()  # some models give several calls one id
    for item in (item for entry in turn for item in entry.items if item.tool_call_id is not None):
        assert item.tool_call_id is not None
        waiting[item.tool_call_id] += -1 if item.role == "tool" else 1
        if waiting[item.tool_call_id] < 0:
            return True
    return waiting.total() > 0


def _too_many(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The oldest summaries of a depth that has more than its share of them."""
    for _, run in _runs_by_depth(entries):
        if len(run) >= FAN_OUT:
            return tuple(run[:CONDENSED_AT_ONCE])
    return ()


def _summaries_to_condense(entries: Sequence[Entry], room: int) -> tuple[Entry, ...]:
    """Summaries that could become one: the oldest of the shallowest depth that has two, else the newest of all."""
    runs = [run for _, run in _runs_by_depth(entries) if len(run) >= 2]
    summaries = [entry for entry in entries if entry.is_summary]
    chosen = min(runs, key=lambda run: run[0].depth) if runs else summaries[-2:]
    return _fitting(chosen[:CONDENSED_AT_ONCE], room) or _fitting(summaries[-CONDENSED_AT_ONCE:], room)


def _fitting(entries: Sequence[Entry], room: int) -> tuple[Entry, ...]:
    """As many of these as the summariser can read at once; nothing where that could not shrink."""
    run: list[Entry] = []
    for entry in entries:
        if len(run) >= 2 and sum(each.tokens for each in run) + entry.tokens > room:
            break
        run.append(entry)
    return tuple(run) if len(run) >= 2 and sum(entry.tokens for entry in run) >= SMALLEST_RUN else ()


def _runs_by_depth(entries: Sequence[Entry]) -> list[tuple[int, list[Entry]]]:
    """Neighbouring summaries of the same depth, oldest first."""
    summaries = (entry for entry in entries if entry.is_summary)
    return [(depth, list(run)) for depth, run in groupby(summaries, key=lambda entry: entry.depth)]
