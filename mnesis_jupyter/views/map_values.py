"""What the map operators return: a result, all of them, how far a run is, a run as it is stored."""

import json
from itertools import islice
from typing import Any, Protocol

from pydantic import BaseModel

from mnesis.models.maps import MapProgress, MapResult, MapRunInfo
from mnesis_jupyter.html import Html, escape
from mnesis_jupyter.views.maps import map_html
from mnesis_jupyter.views.pieces import HARD, SMALL, dotted, in_tokens, line_html, pre_html, root_html, title_html
from mnesis_jupyter.views.reply import dollars
from mnesis_jupyter.views.tables import table_html
from mnesis_jupyter.views.texts import texts_html

_ROWS, _FAILURES = 20, 5


class Followed(Protocol):
    """A run, or all results of one."""

    @property
    def progress(self) -> MapProgress: ...


def result_html(result: MapResult) -> Html:
    """What came of one item: what went in, what came out or why nothing did."""
    facts = [f"{result.attempts:,} request{'' if result.attempts == 1 else 's'}", in_tokens(result.tokens.total)]
    facts.append("" if not result.cost else dollars(result.cost))
    facts.append(result.session_id or "")
    came = result.output if result.success else f"{result.error_kind}: {result.error}"
    given, made = texts_html([_written(result.input), _written(came)])
    mark = "" if result.success else f'<span style="color:{HARD}">✗</span> '
    return root_html(
        title_html(f"{mark}Item {result.index:,}", "" if result.success else "failed"),
        f'<div style="{SMALL}">{escape(dotted(facts))}</div>',
        line_html("given"),
        pre_html(given),
        line_html("output" if result.success else "error"),
        pre_html(made),
    )


def results_html(results: Any) -> Html:
    """All results of a run: how it went, and the first of them."""
    failed = list(islice((result for result in results if not result.success), _FAILURES))
    rows = [
        (each.index, each.success, _written(each.output) if each.success else each.error) for each in results[:_ROWS]
    ]
    more = f"the first {_ROWS} of {len(results):,} results" if len(results) > _ROWS else "results"
    table = table_html(rows, ("item", "success", "output, or error"), more) if rows else ""
    return Html(map_html(results.progress, "", "done", failed, hinted=False) + table)


def progress_html(progress: MapProgress) -> Html:
    """How far a run is."""
    return map_html(progress, "", "running" if progress.running else "done", (), hinted=False)


def run_html(run: Followed) -> Html:
    """A run, by how far it is."""
    return progress_html(run.progress)


def run_info_html(info: MapRunInfo) -> Html:
    """A run as it is stored, and its template."""
    progress = MapProgress(
        run_id=info.id,
        total=info.total,
        done=info.done,
        failed=info.failed,
        running=info.running,
        tokens=info.tokens,
        cost=info.cost,
        seconds=0,
        rate=0,
    )
    (template,) = texts_html([info.template])
    seen = map_html(progress, info.model, info.state, (), hinted=info.kind == "llm")  # a cell resumes no agents
    return root_html(seen, line_html("template"), pre_html(template))


def _written(value: Any) -> str:
    """A value as text: what is no text as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, BaseModel):
        value = value.model_dump()
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)
