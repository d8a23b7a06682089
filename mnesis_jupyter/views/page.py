"""One HTML file for a whole inspection: no script, nothing to fetch, light or dark as the reader's system is."""

from collections.abc import Sequence
from typing import NamedTuple

from mnesis.models.context import ItemKind
from mnesis_jupyter.html import Html, escape
from mnesis_jupyter.views.pieces import KINDS, span_words

_WIDTH, _BARS, _LEVEL = 1000, 80, 22
_SAID: tuple[ItemKind, ...] = ("user", "assistant", "tool", "file")


class Span(NamedTuple):
    """A summary on the map."""

    first: int
    last: int
    depth: int
    in_window: bool


def map_svg(said: Sequence[Sequence[int]], width: int, turns: int, spans: Sequence[Span]) -> Html:
    """The session's map as a picture: what each turn said, by kind, and above it what stands for it.

    `said` has a row for user, assistant, tool and file, with a column for each `width` turns.
    """
    depth = max((span.depth for span in spans), default=-1)
    floor = (depth + 1) * _LEVEL + 4 + _BARS
    scale = _WIDTH / max(turns, 1)
    boxes = [_span_svg(span, (depth - span.depth) * _LEVEL, scale) for span in spans]
    sums = [sum(column) for column in zip(*said, strict=True)]
    top = max(sums, default=0) or 1
    for at in range(len(sums)):
        y = float(floor)
        for kind, row in zip(_SAID, said, strict=True):
            if height := row[at] * _BARS / top:
                y -= height
                box = f'x="{at * width * scale:.2f}" y="{y:.2f}" width="{max(0.4, width * scale * 0.9):.2f}"'
                boxes.append(f'<rect {box} height="{height:.2f}" fill="{KINDS[kind].colour}"/>')
    ends = f'<text x="0" y="{floor + 14}">turn 0</text>'
    ends += f'<text x="{_WIDTH}" y="{floor + 14}" text-anchor="end">turn {max(turns - 1, 0):,}</text>'
    label = f"Map of {turns:,} turns and {len(spans):,} summaries"
    return Html(
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {floor + 20}">{"".join(boxes)}{ends}</svg>'
    )


def _span_svg(span: Span, y: int, scale: float) -> str:
    x, width = span.first * scale, max(1.0, (span.last + 1 - span.first) * scale - 1.5)
    look = "alive" if span.in_window else "gone"
    words = span_words(span.first, span.last)
    label = f'<text class="{look}" x="{x + 5:.1f}" y="{y + 14}">Σ {words}</text>' if width > 7 * len(words) + 24 else ""
    box = f'x="{x:.2f}" y="{y}" width="{width:.2f}" height="{_LEVEL - 3}" rx="3"'
    return f'<rect class="{look}" {box}><title>{words}</title></rect>{label}'


def page_html(title: str, sections: Sequence[tuple[str, Html]]) -> Html:
    """A page of its own. Its policy forbids the browser to run or to fetch anything."""
    contents = "".join(f'<li><a href="#s{at}">{escape(name)}</a></li>' for at, (name, _) in enumerate(sections))
    body = "".join(
        f'<section id="s{at}"><h2>{escape(name)}</h2>{html}</section>' for at, (name, html) in enumerate(sections)
    )
    return Html(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1><bdi>{escape(title)}</bdi></h1><nav><ul>{contents}</ul></nav>{body}</body></html>\n"
    )


_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d8dee4, #30363d); --summary: light-dark(#8250df, #b087f7); }
body { max-width: 1080px; margin: 0 auto; padding: 24px 16px 64px; font: 14px/1.5 system-ui, "DejaVu Sans", sans-serif;
  color: light-dark(#1f2328, #e6edf3); background: light-dark(#ffffff, #111417); font-variant-numeric: tabular-nums; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 16px; margin: 28px 0 6px; }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 0; list-style: none; }
a { color: light-dark(#0a5ec2, #58a6ff); }
svg { display: block; width: 100%; } svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
rect.alive { fill: var(--summary); } text.alive { fill: light-dark(#ffffff, #0b0e12); }
rect.gone { fill: none; stroke: var(--summary); } pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
"""
