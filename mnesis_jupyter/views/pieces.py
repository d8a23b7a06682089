"""What the views share: the look of things, and numbers in words."""

from collections.abc import Iterable
from typing import NamedTuple

from mnesis.models.context import ContextWindow, ItemKind
from mnesis_jupyter.html import INERT, Html, escape, visible


class Look(NamedTuple):
    """How a kind of item is shown: never by its colour alone."""

    glyph: str
    name: str
    colour: str


KINDS: dict[ItemKind, Look] = {
    "system": Look("◆", "system", "#6e7681"),
    "tools": Look("ƒ", "tool definitions", "#b3446c"),
    "summary": Look("Σ", "summaries", "#8250df"),
    "user": Look("→", "user", "#146fdc"),
    "assistant": Look("←", "assistant", "#1f8040"),
    "tool": Look("⚙", "tool outputs", "#9a6700"),
    "file": Look("▤", "files", "#0f7b96"),
    "media": Look("▣", "media", "#b8501f"),
}
"""In the order of the budget bar."""


def look_of(role: str) -> Look:
    """The look of who said something."""
    return KINDS[role] if role in KINDS else KINDS["system"]


HARD, FREE, GREY, CLEAR = "#d62f3a", "#80808024", "#80808052", "transparent"
DIM = "opacity:0.75"
SMALL = f"font-size:12px;{DIM}"
RULE = f"border-top:1px solid {GREY}"

NOTHING = f'<div style="{DIM};padding:4px 0">Nothing is in it yet.</div>'

ROW = (
    "position:relative;padding:3px 34% 3px 8px;border-left:5px solid {colour};"
    "white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
)
SIDE = (
    "position:absolute;right:0;top:3px;width:33%;height:20px;line-height:20px;overflow:hidden;text-align:right;"
    "font-size:12px"
)
PRE = (
    "margin:0;padding:8px 10px;max-height:320px;overflow:auto;white-space:pre-wrap;word-wrap:break-word;"
    f"font-size:12px;line-height:1.45;border:1px solid {GREY}"
)


def root_html(*blocks: str) -> Html:
    # white-space: an output area may be inside a <pre>, as in some exports.
    return Html(
        f'<div class="{INERT}" style="max-width:1080px;padding:4px 0;font-size:13px;line-height:1.5;'
        f'white-space:normal">{"".join(blocks)}</div>'
    )


def title_html(title: str, use: str, model: str = "") -> str:
    chip = f' <span style="{SMALL};padding-left:8px"><bdi>{escape(model)}</bdi></span>' if model else ""
    total = f'<span style="float:right">{escape(use)}</span>'
    return f'<div style="overflow:hidden"><strong>{title}</strong>{chip} {total}</div>'


def track_html(boxes: str, *, height: int, marks: str = "") -> str:
    # The marks stand out of the track, so they cannot be within the box that rounds its corners.
    return (
        f'<div style="position:relative;clear:both;margin:8px 0;height:{height}px;line-height:{height}px">'
        f'<div style="position:relative;height:{height}px;overflow:hidden;border-radius:4px;background-color:{FREE}">'
        f"{boxes}</div>{marks}</div>"
    )


def box_html(left: float, width: float, colour: str, label: str = "", size: int = 0) -> str:
    ink = "" if colour in (CLEAR, GREY) else ";color:#ffffff"
    text = (
        f";font-size:{size}px;text-indent:6px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis{ink}"
        if label
        else ""
    )
    return (
        f'<span style="position:absolute;top:0;left:{left:.4g}%;width:{width:.4g}%;height:100%;'
        f'background-color:{colour}{text}">{label}</span> '
    )


def mark_html(share: float, line: str) -> str:
    return f'<span style="position:absolute;top:-4px;bottom:-4px;left:{100 * share:.4g}%;border-left:{line}"></span>'


def bar_html(share: float, colour: str) -> str:
    width = f"width:{100 * min(share, 1):.3g}%;min-width:2px;height:8px"
    return (
        f'<span aria-hidden="true" style="display:inline-block;{width};border-radius:3px;background-color:{colour};'
        f'font-size:0;vertical-align:middle;overflow:hidden">{blocks(share, 10)}</span>'
    )


def blocks(share: float, width: int) -> str:
    """`share` of `width` characters, in eighths; what is not nothing is seen."""
    eighths = min(max(round(8 * width * share), share > 0), 8 * width)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def saved_words(before: int, after: int) -> str:
    """What became of so many tokens."""
    return f"{before:,} → {in_tokens(after)}, {percent(before - after, before)} saved"


def in_tokens(count: int) -> str:
    return f"{count:,} token{'' if count == 1 else 's'}"


def dotted(facts: Iterable[str]) -> str:
    return " · ".join(filter(None, facts))


def percent(part: int, whole: int) -> str:
    share = 100 * part / max(whole, 1)
    if 0 < share < 0.1:
        return "<0.1 %"
    return f"{share:.1f} %" if 0 < share < 9.95 else f"{share:.0f} %"


def one_line(text: str, length: int) -> str:
    """The beginning of a text in one line; headings and rules, which say little by themselves, are passed over."""
    lines = (line.strip() for line in text[: 20 * length].splitlines())
    line = next((line for line in lines if line and not line.startswith("#") and line.strip("*=-_~`")), "(empty)")
    line = visible(line.removeprefix("- ")[: 2 * length])
    return line if len(line) <= length else f"{line[: length - 1]}…"


def short(identifier: str) -> str:
    """`msg_…7XQ2`: sortable ids differ at their end."""
    prefix, _, rest = identifier.partition("_")
    return f"{prefix}_…{rest[-4:]}" if len(rest) > 8 else identifier[:16]


def span_words(first: int, last: int) -> str:
    """The turns from one to another."""
    return f"turn {first}" if first == last else f"turns {first:,}-{last:,}"


def turn_words(turn: int | None) -> str:
    return "" if turn is None else f"turn {turn}"


def fold_html(head: str, body: str, colour: str, title: str = "") -> str:
    """A row that unfolds."""
    named = f' title="{escape(title)}"' if title else ""
    return (
        f'<details style="{RULE}"><summary{named} style="{ROW.format(colour=colour)};cursor:pointer">{head}</summary>'
        f'<div style="border-left:5px solid {colour};margin-bottom:8px">{body}</div></details>'
    )


def line_html(text: str) -> str:
    """A quiet line below a head."""
    return f'<div style="{SMALL};padding:4px 10px;word-wrap:break-word">{escape(text)}</div>'


def pre_html(text: Html) -> str:
    """A text as it is, scrolling where it is long."""
    return f'<pre style="{PRE}"><code style="background-color:transparent">{text}</code></pre>'


def side_html(tokens: int, largest: int, colour: str, name: str = "") -> str:
    # Floats that do not fit drop out of the box below its edge: in a narrow place the id goes first, then the bar.
    return (
        f'<span style="{SIDE}"><span style="float:right;width:60px;padding-right:6px">{tokens:,}'
        '<span style="font-size:0"> tokens</span></span> '
        f'<span style="float:right;width:34%">{bar_html(tokens / largest, colour)}</span> '
        f'<span style="float:right;padding-right:10px;{DIM}">{escape(name)}</span></span>'
    )


def use(window: ContextWindow) -> str:
    """How full a window is."""
    return f"{window.size:,} / {in_tokens(window.budget)} · {percent(window.size, window.budget)}"
