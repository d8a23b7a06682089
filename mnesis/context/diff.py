"""What changed between two windows. Pure: two windows, and what stands for what."""

from collections.abc import Iterator, Mapping

from mnesis.models.context import ContextItem, ContextWindow
from mnesis.models.recall import Change, WindowDiff

type Covers = Mapping[str, str]
"""Per message or summary that a window does not hold itself: the summary that stands there for it."""


def diff(before: ContextWindow, after: ContextWindow, covers_before: Covers, covers_after: Covers) -> WindowDiff:
    """Item by item: those of the first window in its order, then what came, in the order of the second."""
    old, new = ({_key(item): item for item in window.items} for window in (before, after))
    changes = [_left(item, new.get(_key(item)), covers_after) for item in before.items]
    changes += _came(old, after, covers_before)
    assert before.turn is not None, "it is the window of a turn"
    return WindowDiff(
        a=before.turn,
        b=after.turn,
        tokens_before=before.size,
        tokens_after=after.size,
        changes=tuple(changes),
    )


def _key(item: ContextItem) -> tuple[str, str]:
    """A call and its result share an id, and differ in their role."""
    return item.id, item.role


def _left(item: ContextItem, now: ContextItem | None, covers: Covers) -> Change:
    """What became of an item of the first window."""
    if now is None:
        into = covers.get(item.message_id or item.id)
        if into is not None:
            return _change(item, "summarised", item.tokens, 0, f"summarised into {into} when room was needed", into)
        return _change(item, "removed", item.tokens, 0, "not there yet, or not in this turn")
    if now.text == item.text:
        return _change(item, "unchanged", item.tokens, now.tokens, "the same text")
    if item.role in ("system", "tools") and item.kind != "summary":
        return _change(item, "changed", item.tokens, now.tokens, "this turn has another one")
    if now.tokens < item.tokens:
        return _change(item, "pruned", item.tokens, now.tokens, "an old tool output was pruned when room was needed")
    return _change(item, "restored", item.tokens, now.tokens, "it was not pruned yet")


def _came(old: Mapping[tuple[str, str], ContextItem], after: ContextWindow, covers: Covers) -> Iterator[Change]:
    for item in after.items:
        if _key(item) in old:
            continue
        earlier = covers.get(item.message_id or item.id)
        if earlier is not None:
            yield _change(item, "restored", 0, item.tokens, f"{earlier} did not stand for it yet", earlier)
        elif item.kind == "summary":
            yield _change(item, "added", 0, item.tokens, "takes the place of what was summarised into it")
        elif item.turn is None:
            yield _change(item, "added", 0, item.tokens, "this turn has it")
        else:
            yield _change(item, "added", 0, item.tokens, f"came in turn {item.turn}")


def _change(item: ContextItem, change: str, before: int, after: int, cause: str, into: str | None = None) -> Change:
    return Change.model_validate(
        {
            "id": item.id,
            "kind": item.kind,
            "turn": item.turn,
            "change": change,
            "tokens_before": before,
            "tokens_after": after,
            "into": into,
            "cause": cause,
        }
    )
