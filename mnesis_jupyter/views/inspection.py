"""A session at a glance, as it stands in exports and reopened notebooks in the place of the live widgets."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mnesis.models.context import Budget, ContextItem, ContextWindow, ItemKind
from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.budget import budget_html
from mnesis_jupyter.views.pieces import KINDS, SMALL, dotted, in_tokens, root_html, saved_words, span_words
from mnesis_jupyter.views.tables import table_html

_COLUMNS = 80
_ITEMS, _FIRST_ITEMS, _SUMMARIES = 60, 15, 40


class SummaryLine(NamedTuple):
    """A summary in one line."""

    id: str
    depth: int
    level: int
    first: int
    last: int
    source_tokens: int
    tokens: int
    lost: int
    in_window: bool


class ItemLine(NamedTuple):
    """An item of the window in one line."""

    kind: str
    first: int | None
    turn: int | None
    tokens: int
    stand_in: str
    text: str


class LaneLine(NamedTuple):
    """A lane of the timeline: how often, and the newest in words."""

    name: str
    times: int
    newest: str


class Inspection(NamedTuple):
    """What is known of a session; `turn` is the one whose window is meant, `None` the next."""

    title: str
    model: str
    turn: int | None
    state: str
    forecast: str
    budget: Budget | None
    kinds: Mapping[ItemKind, int]
    sizes: Sequence[int]
    """The size of the window by turn."""
    summaries: Sequence[SummaryLine]
    items: Sequence[ItemLine]
    lanes: Sequence[LaneLine]


def budget_copy_html(seen: Inspection) -> Html:
    """The bar, its history and the forecast."""
    return root_html(_head_html(seen), _budget_html(seen))


def context_copy_html(seen: Inspection) -> Html:
    """The items of the window, the oldest and the newest."""
    return root_html(_head_html(seen), _items_html(seen))


def summaries_copy_html(seen: Inspection) -> Html:
    """The summaries, those in the window first."""
    return root_html(_head_html(seen), _summaries_html(seen))


def timeline_copy_html(seen: Inspection) -> Html:
    """What happened, counted."""
    return root_html(_head_html(seen), _lanes_html(seen))


def inspector_copy_html(seen: Inspection) -> Html:
    """All of it."""
    return root_html(_head_html(seen), _budget_html(seen), _summaries_html(seen), _lanes_html(seen), _items_html(seen))


def inspection_text(seen: Inspection) -> str:
    """The same in two lines."""
    size = sum(seen.kinds.values())
    return "\n".join(filter(None, [f"{_where(seen)}: {in_tokens(size)}", sawtooth(seen.sizes)]))


def sawtooth(sizes: Sequence[int]) -> str:
    """Sizes as a line of blocks, the largest of each stretch."""
    step = -(-len(sizes) // _COLUMNS) or 1
    tops = [max(sizes[at : at + step]) for at in range(0, len(sizes), step)]
    largest = max(tops, default=0) or 1
    return "".join("▁▂▃▄▅▆▇█"[min(7, 8 * top // largest)] for top in tops)


def _where(seen: Inspection) -> str:
    count = f"{len(seen.sizes):,} turn{'' if len(seen.sizes) == 1 else 's'}"
    return (
        f"window of the next request, after {count}" if seen.turn is None else f"window of turn {seen.turn} of {count}"
    )


def _head_html(seen: Inspection) -> str:
    facts = dotted([visible(seen.model), _where(seen), seen.state if seen.state != "idle" else ""])
    return (
        f"<div><strong><bdi>{escape(seen.title)}</bdi></strong> "
        f'<span style="{SMALL}">{escape(facts)} · a static copy: %mnesis ui shows it live</span></div>'
    )


def _budget_html(seen: Inspection) -> str:
    if seen.budget is None:
        return ""
    items = tuple(
        ContextItem(kind=kind, id=kind, turn=None, tokens=tokens, text="", role="user")
        for kind, tokens in seen.kinds.items()
    )
    size = sum(seen.kinds.values())
    window = ContextWindow(items=items, size=size, budget=seen.budget.usable, request_hash="", limits=seen.budget)
    line = sawtooth(seen.sizes)
    history = (
        f'<div style="padding-top:6px"><span style="{SMALL}">size by turn</span> {line} '
        f'<span style="{SMALL}">up to {in_tokens(max(seen.sizes))}</span></div>'
        if line
        else ""
    )
    return budget_html(window) + history + f'<div style="{SMALL}">{escape(seen.forecast)}</div>'


def _summaries_html(seen: Inspection) -> str:
    if not seen.summaries:
        return table_html([("every turn stands in the window, word for word",)], ("summaries",), "Summaries (0)")
    ordered = sorted(seen.summaries, key=lambda each: (not each.in_window, each.first, -each.depth))
    rows = [
        (
            f"Σ {span_words(each.first, each.last)}{', in the window' if each.in_window else ''}",
            f"{'leaf' if not each.depth else f'condensed, depth {each.depth}'}, level {each.level}",
            saved_words(each.source_tokens, each.tokens),
            f"✗ {each.lost:,}" if each.lost else "✓ none",
            each.id,
        )
        for each in ordered[:_SUMMARIES]
    ]
    names = ("stands for", "kind", "tokens", "lost", "id")
    return table_html(rows, names, _counted("Summaries", len(rows), len(ordered)))


def _items_html(seen: Inspection) -> str:
    items = seen.items
    shown = items if len(items) <= _ITEMS else [*items[:_FIRST_ITEMS], *items[_FIRST_ITEMS - _ITEMS :]]
    rows = [
        (
            f"{KINDS[item.kind].glyph} {item.kind}" if item.kind in KINDS else item.kind,
            "" if item.turn is None else span_words(item.turn if item.first is None else item.first, item.turn),
            item.tokens,
            " ".join(filter(None, (f"✂ {item.stand_in}" if item.stand_in else "", item.text))),
        )
        for item in shown
    ]
    return table_html(
        rows, ("kind", "turn", "tokens", "text"), _counted("Context, as it is sent", len(rows), len(items))
    )


def _lanes_html(seen: Inspection) -> str:
    rows = [(lane.name, lane.times, lane.newest) for lane in seen.lanes if lane.times]
    return table_html(rows, ("what", "how often", "the newest"), "Timeline")


def _counted(what: str, shown: int, all: int) -> str:
    return f"{what} ({all:,})" if shown == all else f"{what} ({shown:,} of {all:,})"
