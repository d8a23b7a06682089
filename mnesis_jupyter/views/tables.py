"""A small listing."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.pieces import NOTHING, RULE, SMALL, root_html

_MAX_CELL, _MAX_TABLE_ROWS = 200, 200
_SHORT = 20
"""Characters of a text that is never set in two lines, and of a word that is not broken."""

_TABLE = "margin:0;border-collapse:collapse;table-layout:auto;font-size:12px"
_CAPTION = "caption-side:top;text-align:left;padding:0 0 4px 0;font-size:13px"


def table_html(
    rows: Iterable[Sequence[object]], columns: Sequence[str], caption: str, most: int = _MAX_TABLE_ROWS
) -> Html:
    """A small listing. Numbers stand right, thousands separated; long cells and what follows row `most` are cut."""
    cells, more = _cells(rows, most)
    styles = [_look([row[at] for row in cells]) for at in range(len(columns))]
    head = "".join(
        f'<th scope="col" style="{look}">{escape(name)}</th>' for look, name in zip(styles, columns, strict=True)
    )
    body = "".join(
        f'<tr style="background-color:transparent;{RULE}">'
        + "".join(
            f'<td style="{look}{_breaks(cell)}"><bdi>{escape(_cell(cell))}</bdi></td>'
            for look, cell in zip(styles, row, strict=True)
        )
        + "</tr>"
        for row in cells
    )
    return root_html(
        f'<div style="overflow-x:auto"><table style="{_TABLE}"><caption style="{_CAPTION}">'
        f"<strong>{escape(caption)}</strong></caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>",
        f'<div style="{SMALL}">{more}</div>' if more else "",
        "" if cells else NOTHING,
    )


def table_text(rows: Iterable[Sequence[object]], columns: Sequence[str], caption: str) -> str:
    """The same listing in columns of text."""
    cells, more = _cells(rows, _MAX_TABLE_ROWS)
    lines = [[visible(_cell(cell)) for cell in row] for row in (columns, *cells)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([visible(caption), *table, *([more] if more else [])])


def _cells(rows: Iterable[Sequence[object]], most: int) -> tuple[list[Sequence[object]], str]:
    every = iter(rows)
    cells = list(islice(every, most))
    more = sum(1 for _ in every)
    return cells, f"… and {more:,} more" if more else ""


def _look(column: Sequence[object]) -> str:
    """Where there is no room, long texts and ids go on in the next line; what is short stays whole."""
    side = "right" if all(map(_is_number, column)) else "left"
    short = all(len(_cell(cell)) <= _SHORT for cell in column)
    wrap = "white-space:nowrap" if short else "white-space:normal;min-width:58px"
    return f"padding:3px 10px 3px 0;{wrap};vertical-align:top;text-align:{side}"


def _breaks(cell: object) -> str:
    return ";word-break:break-all" if max(map(len, _cell(cell).split()), default=0) > _SHORT else ""


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
