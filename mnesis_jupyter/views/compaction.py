"""What a compaction did, and what changed between two windows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mnesis.models.message import CompactionResult
from mnesis.models.recall import Change, WindowDiff
from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.pieces import (
    DIM,
    GREY,
    KINDS,
    SMALL,
    blocks,
    box_html,
    dotted,
    fold_html,
    in_tokens,
    look_of,
    root_html,
    saved_words,
    short,
    side_html,
    title_html,
    track_html,
    turn_words,
)
from mnesis_jupyter.views.reply import code_html, notice_html, notice_text

LEVELS: Mapping[int, str] = {1: "structured", 2: "terse", 3: "sentences chosen without a model"}

_MAX_CHANGES = 200


# ------------------------------------------------------------------------------------------------------ what one did


def compaction_html(result: CompactionResult, title: str = "Compacted") -> Html:
    """What one compaction did, measured."""
    if result.tokens_after >= result.tokens_before:
        return notice_html(*_nothing(result))
    lines = "".join(f'<div style="padding:1px 0">{code_html(line)}</div>' for line in _did(result))
    return root_html(
        title_html(escape(title), saved_words(result.tokens_before, result.tokens_after)),
        _before_after_html(result.tokens_before, result.tokens_after),
        f'<div style="font-size:12px">{lines}</div>',
    )


def compaction_text(result: CompactionResult, title: str = "Compacted") -> str:
    """The same as text."""
    if result.tokens_after >= result.tokens_before:
        return notice_text(*_nothing(result))
    before, after = result.tokens_before, result.tokens_after
    return "\n".join(
        [f"{visible(title)} {saved_words(before, after)}", *_before_after_text(before, after), *_did(result)]
    )


def compaction_words(result: CompactionResult) -> str:
    """In one line, below a reply."""
    pruned = f"pruned {_counted(result.pruned_tool_outputs, 'tool output')}" if result.pruned_tool_outputs else ""
    done = f"compacted {_counted(result.compacted_message_count, 'message')}" if result.compacted_message_count else ""
    what = " and ".join(filter(None, (done, pruned))) or "compacted"
    return f"{what}: {result.tokens_before:,} → {in_tokens(result.tokens_after)} before this turn"


def _nothing(result: CompactionResult) -> tuple[str, str]:
    return (
        f"Nothing could shrink: the window keeps its {in_tokens(result.tokens_before)}.",
        "The newest turn is never compacted, nor is what is too small for a summary.",
    )


def _did(result: CompactionResult) -> Iterator[str]:
    took = f"{result.elapsed_ms:,.0f} ms"
    if result.summary_message_id is not None:
        what = _counted(result.compacted_message_count, "message") if result.compacted_message_count else "summaries"
        level = f"level {result.level_used}, {LEVELS[result.level_used]}"
        yield f"Σ {what} → {in_tokens(result.summary_token_count)} of summary ({level}) in {took}"
    if result.pruned_tool_outputs:
        outputs = _counted(result.pruned_tool_outputs, "tool output")
        yield f"✂ {outputs} pruned: {in_tokens(result.pruned_tokens)} less; a line that names each stays in its place"
    if result.summary_message_id is not None:
        yield f"Nothing is lost: `%mnesis expand {result.summary_message_id}` brings the originals back."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _before_after_html(before: int, after: int) -> str:
    largest, less = max(before, after, 1), min(before, after)
    more = (KINDS["assistant"].colour, f"+{after - before:,}")
    rest = (GREY, f"{before - after:,} free") if before > after else more
    share = 100 * less / largest
    boxes = box_html(0, share, KINDS["user"].colour, f"{less:,} {'now' if before > after else 'before'}", 11)
    boxes += box_html(share, 100 - share, *rest, 11) if share < 100 else ""
    return track_html(boxes, height=22)


def _before_after_text(before: int, after: int) -> Iterator[str]:
    largest = max(before, after, 1)
    for name, count in (("before", before), ("after", after)):
        yield f"{name:<7}{count:>9,}  {blocks(count / largest, 30)}".rstrip()


# ---------------------------------------------------------------------------------------------- between two windows


class _Sign(NamedTuple):
    glyph: str
    words: str
    colour: str


_SIGNS: Mapping[str, _Sign] = {
    "summarised": _Sign("Σ", "summarised", KINDS["summary"].colour),
    "pruned": _Sign("✂", "pruned", KINDS["tool"].colour),
    "removed": _Sign("-", "removed", "#d62f3a"),
    "restored": _Sign("↺", "restored", KINDS["file"].colour),
    "changed": _Sign("~", "changed", KINDS["tools"].colour),
    "added": _Sign("+", "added", KINDS["assistant"].colour),
    "unchanged": _Sign("=", "unchanged", KINDS["system"].colour),
}


def diff_html(diff: WindowDiff) -> Html:
    """What became of each item, those with the same fate together; each group unfolds to its items."""
    groups = _groups(diff)
    largest = max((max(_before(group), _after(group)) for group in groups.values()), default=1) or 1
    rows = [_group_html(change, into, group, largest) for (change, into), group in groups.items()]
    return root_html(
        title_html(_title(diff), _moved(diff)),
        _before_after_html(diff.tokens_before, diff.tokens_after),
        *rows,
    )


def diff_text(diff: WindowDiff) -> str:
    """The same as text; what did not change is only counted."""
    lines = [f"{_title(diff)} {_moved(diff)}", *_before_after_text(diff.tokens_before, diff.tokens_after)]
    for (change, into), group in _groups(diff).items():
        lines.append(f"{_SIGNS[change].glyph} {visible(_fate(change, into, group))}")
        if change != "unchanged":
            lines += [f"    {visible(_change_words(each))} {visible(each.id)}" for each in group[:_MAX_CHANGES]]
    return "\n".join(lines)


def _title(diff: WindowDiff) -> str:
    return f"Window of turn {diff.a} → {'the next window' if diff.b is None else f'turn {diff.b}'}"


def _moved(diff: WindowDiff) -> str:
    change = diff.tokens_after - diff.tokens_before
    return f"{diff.tokens_before:,} → {in_tokens(diff.tokens_after)} · {change:+,}"


def _groups(diff: WindowDiff) -> dict[tuple[str, str | None], list[Change]]:
    """By fate, and by the summary that took them in, in the order of `_SIGNS`."""
    groups: dict[tuple[str, str | None], list[Change]] = {}
    for change in diff.changes:
        groups.setdefault((change.change, change.into), []).append(change)
    order = list(_SIGNS)
    return dict(sorted(groups.items(), key=lambda group: order.index(group[0][0])))


def _group_html(change: str, into: str | None, group: Sequence[Change], largest: int) -> str:
    sign = _SIGNS[change]
    head = (
        f"<strong>{sign.glyph}</strong> <bdi>{escape(_fate(change, into and short(into), group))}</bdi> "
        f"{side_html(max(_before(group), _after(group)), largest, sign.colour)}"
    )
    items = "".join(
        f'<div style="padding:1px 10px;font-size:12px">{escape(_change_words(each))} '
        f'<span style="{DIM}">{escape(each.cause)} · <bdi>{escape(each.id)}</bdi></span></div>'
        for each in group[:_MAX_CHANGES]
    )
    more = len(group) - _MAX_CHANGES
    items += f'<div style="{SMALL};padding:1px 10px">… and {more:,} more</div>' if more > 0 else ""
    return fold_html(head, items, sign.colour, into or "")


def _fate(change: str, into: str | None, group: Sequence[Change]) -> str:
    where = {"summarised": f"into {into}", "restored": f"from {into}"}.get(change, "") if into else ""
    tokens = f"{_before(group):,} → {in_tokens(_after(group))}" if change in ("pruned", "changed") else ""
    tokens = tokens or in_tokens(max(_before(group), _after(group)))
    return dotted([f"{_SIGNS[change].words} {where}".strip(), _counted(len(group), "item"), tokens])


def _change_words(change: Change) -> str:
    tokens = f"{change.tokens_before:,} → {change.tokens_after:,}"
    return f"{look_of(change.kind).glyph} {change.kind} {turn_words(change.turn)} ({tokens})".replace("  ", " ")


def _before(group: Sequence[Change]) -> int:
    return sum(change.tokens_before for change in group)


def _after(group: Sequence[Change]) -> int:
    return sum(change.tokens_after for change in group)
