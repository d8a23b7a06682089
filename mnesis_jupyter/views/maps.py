"""A map: how far it is, what failed first."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mnesis.models.maps import MapProgress, MapResult
from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.pieces import (
    HARD,
    KINDS,
    NOTHING,
    RULE,
    SMALL,
    blocks,
    box_html,
    dotted,
    one_line,
    percent,
    root_html,
    title_html,
    track_html,
)
from mnesis_jupyter.views.reply import code_html, dollars

type MapState = Literal["running", "stopping", "done", "stopped", "failed"]
"""Stopping: what is under way is finished, and nothing new begun. Failed: it ran into an error, and can go on."""

_DONE = KINDS["assistant"].colour
_WORDS: dict[MapState, str] = {
    "running": "running …",
    "stopping": "stopping: what is under way is finished …",
    "done": "",
    "stopped": "stopped",
    "failed": "stopped by an error",
}
_ERROR = 160


class MapWords(NamedTuple):
    """What there is to say of a run, with nothing unseen in it. `done` and `failed` are percent of all items."""

    items: str
    facts: str
    state: str
    done: float
    failed: float
    failures: list[str]
    more: str
    hint: str


def map_words(progress: MapProgress, state: MapState, failures: Sequence[MapResult]) -> MapWords:
    """A run of a map in words: done, failed and left, how fast, what it costs; the first that failed."""
    whole = max(progress.total or progress.finished, 1)
    done, failed = (100 * min(count / whole, 1) for count in (progress.done, progress.failed))
    return MapWords(
        items=_items(progress),
        facts=visible(_facts(progress, state)),
        state=_WORDS[state],
        done=done,
        failed=failed,
        failures=[visible(_failure(failure)) for failure in failures],
        more=_more(progress, failures),
        hint=visible(_hint(progress, state)),
    )


def map_html(
    progress: MapProgress, model: str, state: MapState, failures: Sequence[MapResult], *, hinted: bool = True
) -> Html:
    """The same as HTML: a bar, below it what failed first, and with `hinted` how a cell would go on."""
    words = map_words(progress, state, failures)
    bar = box_html(0, words.done, _DONE, blocks(words.done / 100, 20))
    bar += box_html(words.done, words.failed, HARD, blocks(words.failed / 100, 20))
    return root_html(
        title_html("Map", escape(words.items), model),
        track_html(bar, height=8),
        f'<div style="{SMALL}">{escape(dotted([words.facts, words.state, progress.run_id]))}</div>',
        "".join(
            f'<div style="{RULE};padding:3px 8px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">'
            f'<span style="color:{HARD}">✗</span> {escape(failure)}</div>'
            for failure in words.failures
        ),
        f'<div style="{SMALL}">{escape(words.more)}</div>' if words.more else "",
        NOTHING if state == "done" and not progress.finished else "",
        f'<div style="{SMALL};padding-top:3px">{code_html(words.hint)}</div>' if words.hint and hinted else "",
    )


def map_text(progress: MapProgress, model: str, state: MapState, failures: Sequence[MapResult]) -> str:
    """The same as text."""
    words = map_words(progress, state, failures)
    lines = [
        dotted(["Map", visible(model), words.items]),
        dotted([words.facts, words.state, visible(progress.run_id)]),
        *(f"✗ {failure}" for failure in words.failures),
        words.more,
        words.hint,
    ]
    return "\n".join(filter(None, lines))


def _items(progress: MapProgress) -> str:
    if progress.total is None:
        return f"{progress.finished:,} items"
    return f"{progress.finished:,} / {progress.total:,} items · {percent(progress.finished, progress.total)}"


def _facts(progress: MapProgress, state: MapState) -> str:
    left = None if progress.total is None else progress.total - progress.finished
    remaining = progress.remaining if state == "running" else None
    return dotted(
        [
            f"{progress.done:,} done",
            f"{progress.failed:,} failed" if progress.failed else "",
            f"{left:,} left" if left else "",
            f"{progress.rate:,.3g} items/s" if progress.rate else "",
            f"{_clock(remaining)} to go" if remaining else "",
            f"{progress.tokens.input:,} in, {progress.tokens.output:,} out",
            "" if not progress.cost else dollars(progress.cost),
        ]
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _failure(failure: MapResult) -> str:
    return f"item {failure.index:,}: {failure.error_kind}: {one_line(failure.error or '', _ERROR)}"


def _more(progress: MapProgress, failures: Sequence[MapResult]) -> str:
    more = progress.failed - len(failures)
    return f"… and {more:,} more that failed" if failures and more > 0 else ""


def _hint(progress: MapProgress, state: MapState) -> str:
    if state in ("stopped", "failed"):
        return f"`--resume {progress.run_id}` does what is left (in Python: `resume=…`)."
    if state == "done" and progress.failed:
        return f"`--resume {progress.run_id} --retry-failed` does again what failed."
    return ""
