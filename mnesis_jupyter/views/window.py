"""The window, item by item."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from mnesis.models.context import ContextItem, ContextWindow, ItemKind
from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.pieces import (
    GREY,
    KINDS,
    NOTHING,
    ROW,
    RULE,
    SMALL,
    blocks,
    box_html,
    dotted,
    fold_html,
    in_tokens,
    line_html,
    one_line,
    percent,
    pre_html,
    root_html,
    short,
    side_html,
    title_html,
    track_html,
    turn_words,
    use,
)
from mnesis_jupyter.views.texts import texts_html

_FIRST_ROWS, _LAST_ROWS, _MAX_SPARED, _MAX_GROUPS = 40, 120, 40, 60
_STRIP_STEPS = 250
_MAX_PREVIEW = 100


def window_html(window: ContextWindow) -> Html:
    """The window item by item, each unfolding to the exact text that is sent.

    Of a long window the oldest and the newest items stand one by one, those between by ranges of turns. A text is cut
    at 20,000 characters, and earlier where all of them together would pass 100 kB; the cut says so.
    """
    first, middle, last = _split(window.items)
    largest = _largest(window.items)
    shown = [*first, *last]
    rows = [
        _item_html(item, text, largest, window.size)
        for item, text in zip(shown, texts_html([item.text for item in shown]), strict=True)
    ]
    if middle:
        rows.insert(len(first), _middle_html(middle, window.size))
    title = "Window as it is sent" if window.turn is None else f"Window as it was sent in turn {window.turn}"
    return root_html(title_html(title, use(window)), _strip_html(window), *rows, "" if rows else NOTHING)


def window_text(window: ContextWindow) -> str:
    """The window, one line an item."""
    first, middle, last = _split(window.items)
    largest = _largest(window.items)
    width = max((len(_turns_of(item)) for item in [*first, *last]), default=0)
    lines = [f"Window {use(window)}", *(_item_text(item, largest, width) for item in first)]
    if middle:
        lines.append(f"{_sum(middle):>9,} {'':<10} … {_turns(middle)} · {len(middle):,} items · {_census(middle)}")
    return "\n".join([*lines, *(_item_text(item, largest, width) for item in last)])


def _split[T](items: Sequence[T]) -> tuple[Sequence[T], Sequence[T], Sequence[T]]:
    if len(items) <= _FIRST_ROWS + _LAST_ROWS + _MAX_SPARED:
        return items, (), ()
    return items[:_FIRST_ROWS], items[_FIRST_ROWS:-_LAST_ROWS], items[-_LAST_ROWS:]


def _item_html(item: ContextItem, text: Html, largest: int, size: int) -> str:
    look, turn = KINDS[item.kind], _turns_of(item)
    facts = [
        item.id,
        _kind(item),
        turn,
        _in_part(item),
        in_tokens(item.tokens),
        f"{percent(item.tokens, size)} of what is sent",
    ]
    head = (
        f'<span style="display:inline-block;width:80px">{look.glyph} {item.kind}</span> '
        f'<span style="display:inline-block;min-width:84px;{SMALL}">{turn}</span> '
        f"<bdi>{escape(_preview(item))}</bdi> "
        f"{side_html(item.tokens, largest, look.colour, short(item.id))}"
    )
    return fold_html(head, line_html(dotted(facts)) + pre_html(text), look.colour, item.id)


def _item_text(item: ContextItem, largest: int, width: int) -> str:
    look, bar = KINDS[item.kind], blocks(item.tokens / largest, 10)
    preview = _preview(item)[:60]
    return f"{item.tokens:>9,} {bar:<10} {look.glyph} {item.kind:<9} {_turns_of(item):<{width}} {preview}".rstrip()


def _middle_html(items: Sequence[ContextItem], size: int) -> str:
    step = -(-len(items) // _MAX_GROUPS)
    groups = [items[start : start + step] for start in range(0, len(items), step)]
    largest = max(1, *map(_sum, groups))
    rows = "".join(
        f'<div style="{ROW.format(colour=GREY)};{RULE}">{_turns(group)} '
        f'<span style="{SMALL}">{_census(group)}</span> '
        f"{side_html(_sum(group), largest, KINDS['system'].colour)}</div>"
        for group in groups
    )
    head = dotted([f"{len(items):,} items", in_tokens(_sum(items)), f"{percent(_sum(items), size)} of what is sent"])
    return (
        f'<details style="{RULE}"><summary style="padding:6px 8px;border-left:5px double {GREY};cursor:pointer">'
        f'<strong>{_turns(items)}</strong> · {escape(head)}<br><span style="{SMALL}">{_census(items)}</span></summary>'
        f"{rows}</details>"
    )


def _strip_html(window: ContextWindow) -> str:
    """The items in their order along one line that is as long as the budget."""
    scale = max(window.budget, window.size, 1)
    runs: list[tuple[ItemKind, int, int]] = []
    passed = start = 0
    for item in window.items:
        passed += item.tokens
        if (end := passed * _STRIP_STEPS // scale) > start:
            if runs and runs[-1][0] == item.kind:
                runs[-1] = (item.kind, runs[-1][1], end)
            else:
                runs.append((item.kind, start, end))
            start = end
    step = 100 / _STRIP_STEPS
    return track_html(
        "".join(box_html(begin * step, (end - begin) * step, KINDS[kind].colour) for kind, begin, end in runs),
        height=8,
    )


def _kind(item: ContextItem) -> str:
    if item.tool_name is None:
        return item.kind
    return f"{item.tool_name} {'result' if item.role == 'tool' else 'call'}"


_SUMMARY = re.compile(r"\[summary (?P<id>\S+) of (?P<turns>turns? \d+(?:-\d+)?), .*")
_PRUNED = re.compile(r"\[output of .* pruned: [\d,]+ tokens; expand (?P<id>\S+) to see it\]")
_EXCERPT = re.compile(
    r"^\[… [\d,]+ of [\d,]+ characters left out here \([\d,]+ tokens in all\); expand part_", re.MULTILINE
)


def _turns_of(item: ContextItem) -> str:
    """The turn it came from; of a summary all that it stands for."""
    label = _SUMMARY.match(item.text) if item.kind == "summary" else None
    return label["turns"] if label else turn_words(item.turn)


def _in_part(item: ContextItem) -> str:
    """What is not simply the original says so: the engine's own labels, which stand in the text."""
    if (stone := _PRUNED.fullmatch(item.text)) and stone["id"] == item.id:
        return "✂ pruned"
    if item.recalled:
        return "↺ recalled"
    if item.kind == "media" and item.media is None:
        return "✂ not sent"
    return "✂ excerpt" if _EXCERPT.search(item.text) else ""


def _preview(item: ContextItem) -> str:
    """The first line that says something; the name of the tool first."""
    if item.kind == "summary":
        return one_line(_SUMMARY.sub("", item.text, count=1), _MAX_PREVIEW)
    line = item.text[: 10 * _MAX_PREVIEW].strip().partition("\n")[0] or "(empty)"
    if item.tool_name is not None:
        line = f"{item.tool_name} {'⇒ ' if item.role == 'tool' else ''}{line}"
    if part := _in_part(item):
        line = f"{part}: {line}"
    return visible(line[:_MAX_PREVIEW])[:_MAX_PREVIEW]


def _turns(items: Sequence[ContextItem]) -> str:
    turns = [item.turn for item in items if item.turn is not None]
    if not turns:
        return "no turn"
    low, high = min(turns), max(turns)
    return f"turn {low}" if low == high else f"turns {low:,}-{high:,}"


def _census(items: Sequence[ContextItem]) -> str:
    counts = Counter(item.kind for item in items)
    return dotted(f"{look.glyph} {counts[kind]:,} {kind}" for kind, look in KINDS.items() if counts[kind])


def _sum(items: Iterable[ContextItem]) -> int:
    return sum(item.tokens for item in items)


def _largest(items: Iterable[ContextItem]) -> int:
    return max((item.tokens for item in items), default=1) or 1
