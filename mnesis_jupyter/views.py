"""The window, the budget and a reply as static HTML, each with a plain-text twin.

One markup for every place where a cell's output is read: a live notebook, light or dark; one reopened untrusted; an
exported page; a viewer that drops all CSS. What follows from that:

- No script, no `<style>`, no id. JupyterLab's sanitiser also drops `var()`, `flex` and `gap` from untrusted output
  (packages/apputils/src/sanitizer.ts), so no colour hangs on a theme's variable: text inherits its colour, lines and
  fills are translucent, and the colours of the kinds have a contrast of 3 to white and to #212121, and of 4.5 to the
  white label that they may carry.
- Every bar is Unicode blocks set at size 0 in a coloured box: without CSS, the blocks are the bar.
- Kinds have a glyph and a name, marks a line style and a name: nothing is said by colour alone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Literal, NamedTuple

from mnesis.models.context import ContextItem, ContextWindow, ItemKind
from mnesis.models.message import TokenUsage
from mnesis_jupyter.html import INERT, Html, escape, visible

type ReplyState = Literal["streaming", "done", "aborted"]


class Look(NamedTuple):
    """How a kind of item is shown: never by its colour alone."""

    glyph: str
    name: str
    colour: str


KINDS: dict[ItemKind, Look] = {
    "system": Look("◆", "system", "#6e7681"),
    "summary": Look("Σ", "summaries", "#8250df"),
    "user": Look("→", "user", "#146fdc"),
    "assistant": Look("←", "assistant", "#1f8040"),
    "tool": Look("⚙", "tool outputs", "#9a6700"),
    "file": Look("▤", "files", "#0f7b96"),
}
"""In the order of the budget bar."""

_HARD, _FREE, _GREY, _CLEAR = "#d62f3a", "#80808024", "#80808052", "transparent"
_DIM = "opacity:0.75"
_SMALL = f"font-size:12px;{_DIM}"
_RULE = f"border-top:1px solid {_GREY}"

_FIRST_ROWS, _LAST_ROWS, _MAX_SPARED, _MAX_GROUPS = 40, 120, 40, 60
_MAX_TEXT, _MAX_TEXTS, _MAX_PREVIEW = 20_000, 100_000, 100
_MAX_CELL, _MAX_TABLE_ROWS = 200, 200
_STRIP_STEPS = 250


# ---------------------------------------------------------------------------------------------------------- the window


def window_html(window: ContextWindow) -> Html:
    """The window item by item, each unfolding to the exact text that is sent.

    Of a long window the oldest and the newest items stand one by one, those between by ranges of turns. A text is cut
    at 20,000 characters, and earlier where all of them together would pass 100 kB; the cut says so.
    """
    first, middle, last = _split(window.items)
    largest = _largest(window.items)
    blocks = [
        _item_html(item, text, largest, window.size)
        for item, text in zip([*first, *last], _texts_html([*first, *last]), strict=True)
    ]
    if middle:
        blocks.insert(len(first), _middle_html(middle, window.size))
    title = "Window as it is sent" if window.turn is None else f"Window as it was sent in turn {window.turn}"
    return _root(_title_html(title, _use(window)), _strip_html(window), *blocks, "" if blocks else _NOTHING)


def window_text(window: ContextWindow) -> str:
    """The window, one line an item."""
    first, middle, last = _split(window.items)
    largest = _largest(window.items)
    lines = [f"Window {_use(window)}", *(_item_text(item, largest) for item in first)]
    if middle:
        lines.append(f"{_sum(middle):>9,} {'':<10} … {_turns(middle)} · {len(middle):,} items · {_census(middle)}")
    return "\n".join([*lines, *(_item_text(item, largest) for item in last)])


_NOTHING = f'<div style="{_DIM};padding:4px 0">Nothing is in it yet.</div>'


def _split[T](items: Sequence[T]) -> tuple[Sequence[T], Sequence[T], Sequence[T]]:
    if len(items) <= _FIRST_ROWS + _LAST_ROWS + _MAX_SPARED:
        return items, (), ()
    return items[:_FIRST_ROWS], items[_FIRST_ROWS:-_LAST_ROWS], items[-_LAST_ROWS:]


_ROW = (
    "position:relative;padding:3px 34% 3px 8px;border-left:5px solid {colour};"
    "white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
)
_SIDE = (
    "position:absolute;right:0;top:3px;width:33%;height:20px;line-height:20px;overflow:hidden;text-align:right;"
    "font-size:12px"
)
_PRE = (
    "margin:0;padding:8px 10px;max-height:320px;overflow:auto;white-space:pre-wrap;word-wrap:break-word;"
    f"font-size:12px;line-height:1.45;border:1px solid {_GREY}"
)


def _item_html(item: ContextItem, text: Html, largest: int, size: int) -> str:
    look, turn = KINDS[item.kind], _turn(item.turn)
    facts = [item.id, _kind(item), turn, _tokens(item.tokens), f"{_percent(item.tokens, size)} of what is sent"]
    return (
        f'<details style="{_RULE}">'
        f'<summary title="{escape(item.id)}" style="{_ROW.format(colour=look.colour)};cursor:pointer">'
        f'<span style="display:inline-block;width:80px">{look.glyph} {item.kind}</span> '
        f'<span style="display:inline-block;width:52px;{_SMALL}">{turn}</span> '
        f"<bdi>{escape(_preview(item))}</bdi> "
        f"{_side_html(item.tokens, largest, look.colour, _short(item.id))}</summary>"
        f'<div style="border-left:5px solid {look.colour};margin-bottom:8px">'
        f'<div style="{_SMALL};padding:4px 10px;word-wrap:break-word">{escape(_dotted(facts))}</div>'
        f'<pre style="{_PRE}"><code style="background-color:transparent">{text}</code></pre></div></details>'
    )


def _item_text(item: ContextItem, largest: int) -> str:
    look, bar = KINDS[item.kind], _blocks(item.tokens / largest, 10)
    preview = _preview(item)[:60]
    return f"{item.tokens:>9,} {bar:<10} {look.glyph} {item.kind:<9} {_turn(item.turn):<8} {preview}".rstrip()


def _side_html(tokens: int, largest: int, colour: str, name: str = "") -> str:
    # Floats that do not fit drop out of the box below its edge: in a narrow place the id goes first, then the bar.
    return (
        f'<span style="{_SIDE}"><span style="float:right;width:60px;padding-right:6px">{tokens:,}'
        '<span style="font-size:0"> tokens</span></span> '
        f'<span style="float:right;width:34%">{_bar_html(tokens / largest, colour)}</span> '
        f'<span style="float:right;padding-right:10px;{_DIM}">{escape(name)}</span></span>'
    )


def _middle_html(items: Sequence[ContextItem], size: int) -> str:
    step = -(-len(items) // _MAX_GROUPS)
    groups = [items[start : start + step] for start in range(0, len(items), step)]
    largest = max(1, *map(_sum, groups))
    rows = "".join(
        f'<div style="{_ROW.format(colour=_GREY)};{_RULE}">{_turns(group)} '
        f'<span style="{_SMALL}">{_census(group)}</span> '
        f"{_side_html(_sum(group), largest, KINDS['system'].colour)}</div>"
        for group in groups
    )
    head = _dotted([f"{len(items):,} items", _tokens(_sum(items)), f"{_percent(_sum(items), size)} of what is sent"])
    return (
        f'<details style="{_RULE}"><summary style="padding:6px 8px;border-left:5px double {_GREY};cursor:pointer">'
        f'<strong>{_turns(items)}</strong> · {escape(head)}<br><span style="{_SMALL}">{_census(items)}</span></summary>'
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
    return _track_html(
        "".join(_box_html(begin * step, (end - begin) * step, KINDS[kind].colour) for kind, begin, end in runs),
        height=8,
    )


def _texts_html(items: Sequence[ContextItem]) -> Iterator[Html]:
    limit = fair_share([len(escape(item.text[:_MAX_TEXT]).encode()) for item in items], _MAX_TEXTS)
    return (_clip(item.text, limit) for item in items)


def fair_share(sizes: Iterable[int], total: int) -> int:
    """The limit for each at which all of them together stay within `total`: the small ones are left whole."""
    ordered = sorted(sizes)
    for position, size in enumerate(ordered):
        share = total // (len(ordered) - position)
        if size > share:
            return share
        total -= size
    return ordered[-1] if ordered else total


def _clip(text: str, limit: int) -> Html:
    """The beginning of a text, of at most 20,000 characters and `limit` bytes of markup."""
    count = min(len(text), _MAX_TEXT, limit)
    shown = escape(text[:count])
    while (size := len(shown.encode())) > limit:
        count = min(count - 1, count * limit // size)
        shown = escape(text[:count])
    if count == len(text):
        return shown
    return Html(f"{shown}\n… cut here: {count:,} of {len(text):,} characters are shown")


# ---------------------------------------------------------------------------------------------------------- the budget


def budget_html(window: ContextWindow, model: str = "") -> Html:
    """What fills the model's window, what is free and what is kept back, with the two marks of compaction."""
    limits, scale = window.limits, _scale(window)
    boxes, at = [], 0.0
    for name, tokens, colour in [
        *_uses(window),
        ("free", _free(window), _CLEAR),
        ("reserve", _reserve(window), _GREY),
    ]:
        width = 100 * tokens / scale
        label = name if width >= 0.85 * len(name) else ""
        boxes.append(_box_html(at, width, colour, label, 11) if width else "")
        at += width
    marks = _mark_html(limits.soft / scale, "2px dashed") + _mark_html(window.budget / scale, f"2px solid {_HARD}")
    legend = [
        _legend_html(f'<span style="color:{colour}">■</span> {name}', tokens, window.budget, colour)
        for name, tokens, colour in _uses(window)
    ]
    legend.append(_legend_html("□ free", _free(window), window.budget, _FREE))
    marked = (
        f"┆ soft mark at {_tokens(limits.soft)}: from here on, compaction in the background",
        f'<span style="color:{_HARD}">┃</span> hard mark at {_tokens(window.budget)}: the budget; never sent more',
        f"▒ reserve of {_tokens(_reserve(window))}: {limits.output_reserve:,} for the reply, "
        f"{limits.compaction_reserve:,} for compaction",
    )
    return _root(
        _title_html("Budget", _use(window), model),
        _track_html("".join(boxes), height=26, marks=marks),
        f'<ul style="{_LIST}">{"".join(legend)}</ul>',
        f'<ul style="{_LIST};{_DIM}">',
        *(f'<li style="{_ENTRY}">{line}</li>' for line in marked),
        "</ul>",
        f'<div style="{_SMALL};padding-top:4px">{escape(limits.note)}</div>' if limits.note else "",
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
    lines = [f"Budget {_use(window)}", "".join(cells)]
    for name, tokens, _ in [*_uses(window), ("free", _free(window), "")]:
        bar = _blocks(tokens / max(window.budget, 1), 20)
        lines.append(f"{name:<13}{tokens:>11,} {_percent(tokens, window.budget):>7}  {bar}".rstrip())
    lines += [
        f"{'reserve':<13}{_reserve(window):>11,}          ▒ {limits.output_reserve:,} for the reply, "
        f"{limits.compaction_reserve:,} for compaction",
        f"{'soft mark':<13}{limits.soft:>11,}          ┆ from here on, compaction in the background",
        f"{'hard mark':<13}{window.budget:>11,}          ┃ the budget; never sent more",
    ]
    return "\n".join([*lines, visible(limits.note)] if limits.note else lines)


_LIST = "list-style-type:none;margin:8px 0 0 0;padding:0;font-size:12px"
_ENTRY = "display:inline-block;margin:0 18px 2px 0"


def _legend_html(name: str, tokens: int, budget: int, colour: str) -> str:
    # The blocks are only for those who read it without CSS: the large bar is above.
    hidden = f'<span aria-hidden="true" style="font-size:0"> {_blocks(tokens / max(budget, 1), 20)}</span>'
    return (
        f'<li style="{_ENTRY};white-space:nowrap">{name} <strong>{tokens:,}</strong> '
        f'<span style="{_DIM}">{escape(_percent(tokens, budget))}</span>{hidden}</li>'
    )


def _uses(window: ContextWindow) -> list[tuple[str, int, str]]:
    by_kind = Counter[str]()
    for item in window.items:
        by_kind[item.kind] += item.tokens
    return [(look.name, by_kind[kind], look.colour) for kind, look in KINDS.items()]


def _free(window: ContextWindow) -> int:
    return max(0, window.budget - window.size)


def _reserve(window: ContextWindow) -> int:
    return max(0, window.limits.context_limit - max(window.budget, window.size))


def _scale(window: ContextWindow) -> int:
    return max(window.limits.context_limit, window.budget, window.size, 1)


# ------------------------------------------------------------------------------------------- a reply, a notice, a table


def reply_block(
    reply: Html,
    /,
    *,
    model: str,
    tokens: TokenUsage | None,
    window_size: int,
    budget: int,
    turn: int | None,
    cost: float | None = None,
    note: str | None = None,
    state: ReplyState = "done",
) -> Html:
    """A reply as it stands below its cell: what `reply_html` made of it, then one quiet line of facts.

    `tokens`, `turn` and `cost` (US dollars) are `None` while, or where, they are not known.
    """
    facts = _facts(model, tokens, window_size, budget, turn, cost, state)
    share = window_size / max(budget, 1)
    pending = f'<span style="{_DIM}">▍</span>' if state == "streaming" else ""
    return _root(
        f'<div style="font-size:14px;line-height:1.55">{reply}{pending}</div>',
        _track_html(_box_html(0, 100 * min(share, 1), KINDS["user"].colour, _blocks(share, 20)), height=4),
        f'<div style="{_SMALL};padding-top:3px">{escape(note)}</div>' if note else "",
        f'<div style="{_SMALL};padding-top:3px">{escape(facts)}</div>',
    )


def reply_text(
    reply: str,
    /,
    *,
    model: str,
    tokens: TokenUsage | None,
    window_size: int,
    budget: int,
    turn: int | None,
    cost: float | None = None,
    note: str | None = None,
    state: ReplyState = "done",
) -> str:
    """The reply as it was written, and the same line of facts."""
    facts = _facts(model, tokens, window_size, budget, turn, cost, state)
    return "\n".join([visible(reply), "", *([visible(note)] if note else []), visible(facts)])


def _facts(
    model: str,
    tokens: TokenUsage | None,
    window_size: int,
    budget: int,
    turn: int | None,
    cost: float | None,
    state: ReplyState,
) -> str:
    window = f"window {window_size:,} / {_tokens(budget)} ({_percent(window_size, budget)})"
    facts = [model, "" if turn is None else f"turn {turn}", window]
    facts.append("" if tokens is None else f"{_tokens(tokens.output)} out")
    facts.append("" if cost is None else _dollars(cost))
    facts.append({"done": "", "streaming": "writing …", "aborted": "stopped: kept as partial, not sent again"}[state])
    return _dotted(facts)


def _dollars(cost: float) -> str:
    if 0 < cost < 0.0001:
        return "under $0.0001"
    return f"${cost:,.2f}" if cost >= 1 or cost == 0 else f"${cost:.4f}"


def notice_html(text: str, hint: str | None = None) -> Html:
    """One line that the reader should know, and what to do about it. `Backticks` set code."""
    below = f'<div style="{_SMALL}">{_code_html(hint)}</div>' if hint else ""
    return _root(f'<div style="border-left:4px solid {_GREY};padding:2px 10px">{_code_html(text)}{below}</div>')


def notice_text(text: str, hint: str | None = None) -> str:
    """The same as text."""
    return "\n".join(visible(line) for line in (text, hint) if line)


def _code_html(text: str) -> str:
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(text))


_TABLE = "margin:0;border-collapse:collapse;table-layout:auto;font-size:12px"
_CAPTION = "caption-side:top;text-align:left;padding:0 0 4px 0;font-size:13px"


def table_html(rows: Iterable[Sequence[object]], columns: Sequence[str], caption: str) -> Html:
    """A small listing. Numbers stand right, with thousands separated; long cells and what follows row 200 are cut."""
    cells, more = _cells(rows)
    numeric = [all(_is_number(row[at]) for row in cells) for at in range(len(columns))]
    style = "padding:3px 14px 3px 0;white-space:nowrap;vertical-align:top;text-align:{}"
    styles = [style.format("right" if number else "left") for number in numeric]
    head = "".join(
        f'<th scope="col" style="{look}">{escape(name)}</th>' for look, name in zip(styles, columns, strict=True)
    )
    body = "".join(
        f'<tr style="background-color:transparent;{_RULE}">'
        + "".join(
            f'<td style="{look}"><bdi>{escape(_cell(cell))}</bdi></td>' for look, cell in zip(styles, row, strict=True)
        )
        + "</tr>"
        for row in cells
    )
    return _root(
        f'<div style="overflow-x:auto"><table style="{_TABLE}"><caption style="{_CAPTION}">'
        f"<strong>{escape(caption)}</strong></caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>",
        f'<div style="{_SMALL}">{more}</div>' if more else "",
        "" if cells else _NOTHING,
    )


def table_text(rows: Iterable[Sequence[object]], columns: Sequence[str], caption: str) -> str:
    """The same listing in columns of text."""
    cells, more = _cells(rows)
    lines = [[visible(_cell(cell)) for cell in row] for row in (columns, *cells)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([visible(caption), *table, *([more] if more else [])])


def _cells(rows: Iterable[Sequence[object]]) -> tuple[list[Sequence[object]], str]:
    every = iter(rows)
    cells = list(islice(every, _MAX_TABLE_ROWS))
    more = sum(1 for _ in every)
    return cells, f"… and {more:,} more" if more else ""


def _is_number(cell: object) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _cell(cell: object) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case int():
            return f"{cell:,}"
        case float():
            return f"{cell:,.4g}"
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M:%S}"
    text = " ".join(str(cell)[: 2 * _MAX_CELL].split())
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 1]}…"


# ---------------------------------------------------------------------------------------------------- what they share


def _root(*blocks: str) -> Html:
    # white-space: an output area may be inside a <pre>, as in some exports.
    return Html(
        f'<div class="{INERT}" style="max-width:1080px;padding:4px 0;font-size:13px;line-height:1.5;'
        f'white-space:normal">{"".join(blocks)}</div>'
    )


def _title_html(title: str, use: str, model: str = "") -> str:
    chip = f' <span style="{_SMALL};padding-left:8px"><bdi>{escape(model)}</bdi></span>' if model else ""
    total = f'<span style="float:right">{escape(use)}</span>'
    return f'<div style="overflow:hidden"><strong>{title}</strong>{chip} {total}</div>'


def _track_html(boxes: str, *, height: int, marks: str = "") -> str:
    # The marks stand out of the track, so they cannot be within the box that rounds its corners.
    return (
        f'<div style="position:relative;clear:both;margin:8px 0;height:{height}px;line-height:{height}px">'
        f'<div style="position:relative;height:{height}px;overflow:hidden;border-radius:4px;background-color:{_FREE}">'
        f"{boxes}</div>{marks}</div>"
    )


def _box_html(left: float, width: float, colour: str, label: str = "", size: int = 0) -> str:
    ink = "" if colour in (_CLEAR, _GREY) else ";color:#ffffff"
    text = (
        f";font-size:{size}px;text-indent:6px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis{ink}"
        if label
        else ""
    )
    return (
        f'<span style="position:absolute;top:0;left:{left:.4g}%;width:{width:.4g}%;height:100%;'
        f'background-color:{colour}{text}">{label}</span> '
    )


def _mark_html(share: float, line: str) -> str:
    return f'<span style="position:absolute;top:-4px;bottom:-4px;left:{100 * share:.4g}%;border-left:{line}"></span>'


def _bar_html(share: float, colour: str) -> str:
    width = f"width:{100 * min(share, 1):.3g}%;min-width:2px;height:8px"
    return (
        f'<span aria-hidden="true" style="display:inline-block;{width};border-radius:3px;background-color:{colour};'
        f'font-size:0;vertical-align:middle;overflow:hidden">{_blocks(share, 10)}</span>'
    )


def _blocks(share: float, width: int) -> str:
    """`share` of `width` characters, in eighths; what is not nothing is seen."""
    eighths = min(max(round(8 * width * share), share > 0), 8 * width)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _use(window: ContextWindow) -> str:
    return f"{window.size:,} / {_tokens(window.budget)} · {_percent(window.size, window.budget)}"


def _tokens(count: int) -> str:
    return f"{count:,} token{'' if count == 1 else 's'}"


def _dotted(facts: Iterable[str]) -> str:
    return " · ".join(filter(None, facts))


def _percent(part: int, whole: int) -> str:
    share = 100 * part / max(whole, 1)
    if 0 < share < 0.1:
        return "<0.1 %"
    return f"{share:.1f} %" if 0 < share < 9.95 else f"{share:.0f} %"


def _kind(item: ContextItem) -> str:
    if item.tool_name is None:
        return item.kind
    return f"{item.tool_name} {'result' if item.role == 'tool' else 'call'}"


def _preview(item: ContextItem) -> str:
    """The first line that says something; the name of the tool first."""
    line = item.text[: 10 * _MAX_PREVIEW].strip().partition("\n")[0] or "(empty)"
    if item.tool_name is not None:
        line = f"{item.tool_name} {'⇒ ' if item.role == 'tool' else ''}{line}"
    return visible(line[:_MAX_PREVIEW])[:_MAX_PREVIEW]


def _short(identifier: str) -> str:
    """`msg_…7XQ2`: sortable ids differ at their end."""
    prefix, _, rest = identifier.partition("_")
    return f"{prefix}_…{rest[-4:]}" if len(rest) > 8 else identifier[:16]


def _turn(turn: int | None) -> str:
    return "" if turn is None else f"turn {turn}"


def _turns(items: Sequence[ContextItem]) -> str:
    turns = [item.turn for item in items if item.turn is not None]
    if not turns:
        return "no turn"
    low, high = min(turns), max(turns)
    return f"turn {low}" if low == high else f"turns {low:,}-{high:,}"


def _census(items: Sequence[ContextItem]) -> str:
    counts = Counter(item.kind for item in items)
    return _dotted(f"{look.glyph} {counts[kind]:,} {kind}" for kind, look in KINDS.items() if counts[kind])


def _sum(items: Iterable[ContextItem]) -> int:
    return sum(item.tokens for item in items)


def _largest(items: Iterable[ContextItem]) -> int:
    return max((item.tokens for item in items), default=1) or 1
