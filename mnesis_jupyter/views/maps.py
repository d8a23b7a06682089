"""A map: how far it is, what failed first."""

from collections.abc import Sequence
from typing import Literal

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

type MapState = Literal["running", "done", "stopped"]

_DONE = KINDS["assistant"].colour
_WORDS: dict[MapState, str] = {"running": "running …", "done": "", "stopped": "stopped"}
_ERROR = 160


def map_html(progress: MapProgress, model: str, state: MapState, failures: Sequence[MapResult]) -> Html:
    """A run of a map: done, failed and left, how fast, what it costs; below it the first that failed."""
    whole = max(progress.total or progress.finished, 1)
    done, failed = (100 * min(count / whole, 1) for count in (progress.done, progress.failed))
    bar = box_html(0, done, _DONE, blocks(done / 100, 20)) + box_html(done, failed, HARD, blocks(failed / 100, 20))
    hint = _hint(progress, state)
    return root_html(
        title_html("Map", escape(_count(progress)), model),
        track_html(bar, height=8),
        f'<div style="{SMALL}">{escape(_facts(progress, state))}</div>',
        "".join(
            f'<div style="{RULE};padding:3px 8px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">'
            f'<span style="color:{HARD}">✗</span> {escape(_failure(failure))}</div>'
            for failure in failures
        ),
        f'<div style="{SMALL}">{escape(more)}</div>' if (more := _more(progress, failures)) else "",
        NOTHING if state == "done" and not progress.finished else "",
        f'<div style="{SMALL};padding-top:3px">{code_html(hint)}</div>' if hint else "",
    )


def map_text(progress: MapProgress, model: str, state: MapState, failures: Sequence[MapResult]) -> str:
    """The same as text."""
    lines = [
        f"Map · {model} · {_count(progress)}",
        _facts(progress, state),
        *(f"✗ {_failure(failure)}" for failure in failures),
        _more(progress, failures),
        _hint(progress, state),
    ]
    return "\n".join(visible(line) for line in lines if line)


def _count(progress: MapProgress) -> str:
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
            "" if progress.cost is None else dollars(progress.cost),
            _WORDS[state],
            progress.run_id,
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


def _hint(progress: MapProgress, state: MapState) -> str | None:
    if state == "stopped":
        return f"`--resume {progress.run_id}` does what is left (in Python: `resume=…`)."
    if state == "done" and progress.failed:
        return f"`--resume {progress.run_id} --retry-failed` does again what failed."
    return None
