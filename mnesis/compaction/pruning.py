"""Old tool outputs leave the window first: a line that names the output stays in its place."""

from collections.abc import Sequence
from itertools import accumulate, takewhile

from mnesis.context.assembly import Entry, newest_turn
from mnesis.models.config import CompactionConfig
from mnesis.models.context import Budget, ContextItem
from mnesis.store.messages import Tombstone
from mnesis.tokens import TokenCounter


def prunable(
    entries: Sequence[Entry], excess: int, budget: Budget, config: CompactionConfig, counter: TokenCounter
) -> list[tuple[Tombstone, int]]:
    """Tombstones for the oldest tool outputs, and what each saves: as many as it takes to save `excess` tokens.

    The newest `prune_protect_tokens` of outputs and the newest turn stay; nothing happens below `prune_minimum_tokens`.
    Where the window is small, both scale down, to a quarter and an eighth of what is usable.
    """
    if not config.prune:
        return []
    protect = min(config.prune_protect_tokens, budget.usable // 4)
    minimum = min(config.prune_minimum_tokens, budget.usable // 8)
    newest = newest_turn(entries)
    outputs = [
        item
        for entry in entries
        if not entry.is_summary and entry.last_turn < newest
        for item in entry.items
        if item.role == "tool" and item.id not in entry.stand_ins
    ]
    stones = [(_stone(item, counter), item.tokens) for item in _beyond(outputs, protect)]
    worthwhile = [(stone, tokens - stone.tokens) for stone, tokens in stones if stone.tokens < tokens]
    return _enough(worthwhile, excess) if sum(saved for _, saved in worthwhile) >= minimum else []


def _beyond(outputs: Sequence[ContextItem], protect: int) -> list[ContextItem]:
    """The outputs older than the newest `protect` tokens of them, oldest first."""
    held = 0
    for index in range(len(outputs) - 1, -1, -1):
        held += outputs[index].tokens
        if held > protect:
            return list(outputs[: index + 1])
    return []


def _enough(stones: Sequence[tuple[Tombstone, int]], excess: int) -> list[tuple[Tombstone, int]]:
    before = accumulate((saved for _, saved in stones), initial=0)
    return [stone for stone, _ in takewhile(lambda pair: pair[1] < excess, zip(stones, before, strict=False))]


def _stone(item: ContextItem, counter: TokenCounter) -> Tombstone:
    text = f"[output of {item.tool_name} pruned: {item.tokens:,} tokens; expand {item.id} to see it]"
    call_id = counter.count(item.tool_call_id or "") + counter.count(item.tool_name or "")
    return Tombstone(item.id, "pruned", text, counter.count(text) + counter.message_overhead + call_id)
