"""What fills the model's window."""

from collections import Counter

from mnesis.models.context import ContextWindow
from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.pieces import (
    CLEAR,
    DIM,
    FREE,
    GREY,
    HARD,
    KINDS,
    SMALL,
    blocks,
    box_html,
    in_tokens,
    mark_html,
    percent,
    root_html,
    title_html,
    track_html,
    use,
)


def budget_html(window: ContextWindow, model: str = "") -> Html:
    """What fills the model's window, what is free and what is kept back, with the two marks of compaction."""
    limits, scale = window.limits, _scale(window)
    boxes, at = [], 0.0
    for name, tokens, colour in [
        *_uses(window),
        ("free", _free(window), CLEAR),
        ("reserve", _reserve(window), GREY),
    ]:
        width = 100 * tokens / scale
        label = name if width >= 0.85 * len(name) and name != "free" else ""  # the soft mark would go through it
        boxes.append(box_html(at, width, colour, label, 11) if width else "")
        at += width
    marks = mark_html(limits.soft / scale, "2px dashed") + mark_html(window.budget / scale, f"2px solid {HARD}")
    legend = [
        _legend_html(f'<span style="color:{colour}">■</span> {name}', tokens, window.budget, colour)
        for name, tokens, colour in _uses(window)
    ]
    legend.append(_legend_html("□ free", _free(window), window.budget, FREE))
    marked = (
        f"┆ soft mark at {in_tokens(limits.soft)}: from here on, compaction in the background",
        f'<span style="color:{HARD}">┃</span> hard mark at {in_tokens(window.budget)}: the budget; never sent more',
        f"▒ reserve of {in_tokens(_reserve(window))}: {limits.output_reserve:,} for the reply, "
        f"{limits.compaction_reserve:,} for compaction",
    )
    return root_html(
        title_html("Budget", use(window), model),
        track_html("".join(boxes), height=26, marks=marks),
        f'<ul style="{_LIST}">{"".join(legend)}</ul>',
        f'<ul style="{_LIST};{DIM}">',
        *(f'<li style="{_ENTRY}">{line}</li>' for line in marked),
        "</ul>",
        f'<div style="{SMALL};padding-top:4px">{escape(limits.note)}</div>' if limits.note else "",
    )


def budget_text(window: ContextWindow) -> str:
    """The budget as one bar of blocks and a line for each use of it."""
    limits, scale, width = window.limits, _scale(window), 60

    def place(tokens: int) -> int:
        return min(width, round(width * tokens / scale))

    used, soft, hard = place(window.size), place(limits.soft), place(window.budget)
    cells = ["█"] * used + ["░"] * (hard - used) + ["▒"] * (width - max(used, hard))
    cells.insert(hard, "┃")
    cells.insert(soft, "┆")
    lines = [f"Budget {use(window)}", "".join(cells)]
    for name, tokens, _ in [*_uses(window), ("free", _free(window), "")]:
        bar = blocks(tokens / max(window.budget, 1), 20)
        lines.append(f"{name:<17}{tokens:>11,} {percent(tokens, window.budget):>7}  {bar}".rstrip())
    lines += [
        f"{'reserve':<17}{_reserve(window):>11,}          ▒ {limits.output_reserve:,} for the reply, "
        f"{limits.compaction_reserve:,} for compaction",
        f"{'soft mark':<17}{limits.soft:>11,}          ┆ from here on, compaction in the background",
        f"{'hard mark':<17}{window.budget:>11,}          ┃ the budget; never sent more",
    ]
    return "\n".join([*lines, visible(limits.note)] if limits.note else lines)


_LIST = "list-style-type:none;margin:8px 0 0 0;padding:0;font-size:12px"
_ENTRY = "display:inline-block;margin:0 18px 2px 0"


def _legend_html(name: str, tokens: int, budget: int, colour: str) -> str:
    # The blocks are only for those who read it without CSS: the large bar is above.
    hidden = f'<span aria-hidden="true" style="font-size:0"> {blocks(tokens / max(budget, 1), 20)}</span>'
    return (
        f'<li style="{_ENTRY};white-space:nowrap">{name} <strong>{tokens:,}</strong> '
        f'<span style="{DIM}">{escape(percent(tokens, budget))}</span>{hidden}</li>'
    )


def _uses(window: ContextWindow) -> list[tuple[str, int, str]]:
    by_kind = Counter[str]()
    for item in window.items:
        by_kind[item.kind] += item.tokens
    shown = [kind for kind in KINDS if by_kind[kind] or kind != "media"]  # most conversations have none
    return [(KINDS[kind].name, by_kind[kind], KINDS[kind].colour) for kind in shown]


def _free(window: ContextWindow) -> int:
    return max(0, window.budget - window.size)


def _reserve(window: ContextWindow) -> int:
    return max(0, window.limits.context_limit - max(window.budget, window.size))


def _scale(window: ContextWindow) -> int:
    return max(window.limits.context_limit, window.budget, window.size, 1)
