"""The whole inspection of a session as one file."""

from datetime import UTC, datetime

from mnesis import MnesisSession, redact_secrets
from mnesis_jupyter.html import Html
from mnesis_jupyter.views import (
    Span,
    budget_copy_html,
    map_svg,
    page_html,
    summaries_html,
    table_html,
    tree_of,
    window_html,
)
from mnesis_jupyter.widgets.copies import facts_of
from mnesis_jupyter.widgets.subject import Subject

_PAGE = 4_000
_ROWS = 5_000


def report(subject: Subject) -> str:
    """An HTML page without scripts that loads nothing and holds no keys: window, map, summaries, turns, events."""
    subject.catch_up()
    seen = facts_of(subject, None)
    sections = [
        ("Budget", budget_copy_html(seen)),
        ("Map", _map(subject)),
        ("Summaries", _summaries(subject)),
        ("Window of the next request", _window(subject)),
        ("Turns", _turns(subject)),
        ("Timeline", _timeline(subject)),
    ]
    return redact_secrets(page_html(seen.title, sections))


def _map(subject: Subject) -> Html:
    log = subject.log
    count = len(log.turns)
    columns = log.columns(0, count, log.width(0, count))
    spans = [Span(each.first, each.last, each.depth, each.died is None) for each in log.summaries]
    return map_svg(columns["said"], columns["width"], count, spans)


def _summaries(subject: Subject) -> Html:
    async def tree(session: MnesisSession) -> Html:
        made = await session.summaries()
        pages = {each.id: await session.expand(each.id, max_tokens=_PAGE) for each in made if each.kind == "leaf"}
        return summaries_html(tree_of(made, pages), len(made))

    return subject.bridge.call(tree, subject.session)


def _window(subject: Subject) -> Html:
    return window_html(subject.bridge.call(subject.session.context, compact=False))


def _turns(subject: Subject) -> Html:
    log = subject.log
    rows = [
        (
            turn.turn,
            turn.state,
            _clock(turn.opened),
            None if turn.finished is None else (turn.finished - turn.opened) / 1e6,
            turn.size,
            turn.output,
            turn.cost,
            log.broken.get(turn.turn, ""),
            turn.error or "",
        )
        for turn in log.turns
    ]
    names = ("turn", "state", "at (UTC)", "seconds", "window", "answered", "cost (US$)", "cache broken by", "error")
    return table_html(rows, names, f"Turns ({len(rows):,})", _ROWS)


def _timeline(subject: Subject) -> Html:
    marks = [mark for mark in subject.log.marks if mark.lane != "turns"]
    origin = subject.log.origin
    rows = [
        (_clock(origin + int(mark.to_ms * 1000)), int(mark.from_turn), mark.lane, mark.words)
        for mark in sorted(marks, key=lambda mark: mark.to_ms)
    ]
    return table_html(rows, ("at (UTC)", "turn", "what", "in words"), f"Beside the turns ({len(rows):,})", _ROWS)


def _clock(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%Y-%m-%d %H:%M:%S}"
