"""What recall finds and brings back: hits, originals, what an id is, how it came where it is."""

from collections.abc import Iterator
from itertools import pairwise

from mnesis.models.recall import Description, Expansion, GrepMatch, GrepResult, Lineage, Neighbour, VerifyReport
from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.pieces import (
    GREY,
    KINDS,
    RULE,
    SMALL,
    dotted,
    in_tokens,
    line_html,
    look_of,
    pre_html,
    root_html,
    short,
    title_html,
)
from mnesis_jupyter.views.reply import code_html, notice_html, notice_text
from mnesis_jupyter.views.summaries import certificate_html
from mnesis_jupyter.views.texts import texts_html

_MARKED = "background-color:#bf870059;border-radius:2px"
_BESIDE = f"{SMALL};padding-left:24px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis"


# ---------------------------------------------------------------------------------------------------------------- hits


def grep_html(found: GrepResult, more: str | None = None) -> Html:
    """The hits, grouped by the summary that covers them now, what matched marked, each between its neighbours.

    `more` is the command that shows the next page.
    """
    groups = (
        f'<div style="{RULE};padding:6px 0 2px 0"><strong>{escape(_group(summary))}</strong></div>'
        + "".join(_hit_html(hit) for hit in hits)
        for summary, hits in found.by_summary().items()
    )
    return root_html(
        title_html(f"grep <bdi>{escape(found.pattern)}</bdi>", _hits(found)),
        *groups,
        *(f'<div style="{SMALL};padding-top:4px">{code_html(line)}</div>' for line in _after(found, more)),
    )


def grep_text(found: GrepResult, more: str | None = None) -> str:
    """The same as text; the match stands between « and »."""
    lines = [f"grep {visible(found.pattern)} · {_hits(found)}"]
    for summary, hits in found.by_summary().items():
        lines += ["", _group(summary)]
        for hit in hits:
            lines.append(f"  {_hit_facts(hit)}")
            lines += [f"      {_neighbour_text(each)}" for each in hit.before]
            lines.append(f"    > {''.join(f'«{piece}»' if on else piece for piece, on in _pieces(hit))}")
            lines += [f"      {_neighbour_text(each)}" for each in hit.after]
    return "\n".join([*lines, *_after(found, more)])


def _hit_html(hit: GrepMatch) -> str:
    look = look_of(hit.role)
    snippet = "".join(
        f'<strong style="{_MARKED}">{escape(piece)}</strong>' if on else escape(piece) for piece, on in _pieces(hit)
    )
    before, after = (
        "".join(f'<div style="{_BESIDE}">{escape(_neighbour_text(each))}</div>' for each in side)
        for side in (hit.before, hit.after)
    )
    return (
        f'<div style="padding:2px 0 6px 0"><div style="{SMALL}">{escape(_hit_facts(hit))}</div>{before}'
        f'<div style="border-left:5px solid {look.colour};padding:1px 8px"><bdi>{snippet}</bdi></div>'
        f"{after}</div>"
    )


def _neighbour_text(neighbour: Neighbour) -> str:
    return f"{look_of(neighbour.role).glyph} {visible(neighbour.text)}"


def _hit_facts(hit: GrepMatch) -> str:
    partial = "partial, never sent" if hit.partial else ""
    kind = "" if hit.kind == "message" else hit.kind
    return dotted([f"{look_of(hit.role).glyph} {hit.role}", f"turn {hit.turn}", kind, visible(hit.id), partial])


def _group(summary: str | None) -> str:
    return f"Covered by {visible(summary)}" if summary else "In the window, or not covered"


def _hits(found: GrepResult) -> str:
    count = len(found.matches)
    return f"{count:,} hit{'' if count == 1 else 's'}{', and more' if found.next_cursor else ''}"


def _after(found: GrepResult, more: str | None) -> Iterator[str]:
    if not found.matches:
        yield "No match so far." if found.next_cursor else "No match. Other words, or a part of one, may find it."
    if found.skipped:
        yield f"Passed over, as the expression took too long on them: {', '.join(map(visible, found.skipped))}"
    if more:
        yield f"More: `{visible(more)}`"


def _pieces(hit: GrepMatch) -> Iterator[tuple[str, bool]]:
    """A snippet in pieces, and whether each is what matched."""
    edges = [0, *(edge for span in hit.spans for edge in span), len(hit.snippet)]
    for number, (start, end) in enumerate(pairwise(edges)):
        if end > start:
            yield visible(hit.snippet[start:end]), number % 2 == 1


# ----------------------------------------------------------------------------------------------------------- originals


def expansion_html(page: Expansion, more: str | None = None) -> Html:
    """A page of originals, each with its id. `more` is the command that shows the next page."""
    texts = texts_html([item.text for item in page.items])
    blocks = (
        f'<div style="border-left:5px solid {look_of(item.role).colour};margin:0 0 8px 0">'
        f"{line_html(head)}{pre_html(text)}</div>"
        for item, head, text in zip(page.items, _heads(page), texts, strict=True)
    )
    next_page = f'<div style="{SMALL}">{code_html(f"More: `{more}`")}</div>' if more else ""
    return root_html(
        title_html(f"Originals of <bdi>{escape(short(page.id))}</bdi>", _size(page)),
        f'<div style="padding-top:6px">{"".join(blocks)}</div>',
        next_page,
    )


def expansion_text(page: Expansion, more: str | None = None) -> str:
    """The same as text."""
    blocks = (f"{head}\n{visible(item.text)}" for item, head in zip(page.items, _heads(page), strict=True))
    next_page = [f"More: {visible(more)}"] if more else []
    return "\n\n".join([f"Originals of {visible(page.id)} · {_size(page)}", *blocks, *next_page])


def _heads(page: Expansion) -> Iterator[str]:
    for item in page.items:
        look = look_of(item.role)
        start = f"from character {item.start:,} on" if item.start else ""
        yield dotted([f"{look.glyph} {item.role}", f"turn {item.turn}", visible(item.id), start])


def _size(page: Expansion) -> str:
    count = len(page.items)
    rest = "there is more" if page.next_cursor else ""
    return dotted([f"{count:,} original{'' if count == 1 else 's'}", in_tokens(page.tokens), rest])


# ------------------------------------------------------------------------------------------------------- what an id is


def description_html(described: Description) -> Html:
    """What an id is and where that is now, its sources, what it no longer says, and its beginning."""
    (text,) = texts_html([described.text])
    lists = (
        f'<li style="padding:0"><code>{escape(line)}</code></li>' for line in [*_sources(described), *described.parts]
    )
    told = f'<div style="padding:2px 0">{escape(described.sentence)}</div>'
    return root_html(
        title_html(f"<bdi>{escape(described.id)}</bdi>", described.kind),
        told,
        certificate_html(described.certificate) if described.certificate else "",
        pre_html(text) if described.text else "",
        _folded_html(_listed(described), "".join(lists)),
    )


def description_text(described: Description) -> str:
    """The same as text."""
    lines = [visible(described.sentence), *(f"  {visible(line)}" for line in [*_sources(described), *described.parts])]
    return "\n".join([*lines, *(["", visible(described.text)] if described.text else [])])


_MAX_LISTED = 100


def _sources(described: Description) -> list[str]:
    shown = [f"{source.id} ({source.fidelity})" for source in described.sources[:_MAX_LISTED]]
    more = len(described.sources) - len(shown)
    return [*shown, *([f"… and {more:,} more"] if more else [])]


def _listed(described: Description) -> str:
    return f"{len(described.sources):,} sources" if described.sources else f"{len(described.parts):,} parts"


def _folded_html(head: str, items: str) -> str:
    if not items:
        return ""
    return (
        f'<details><summary style="padding:4px 0;cursor:pointer;font-size:12px">{head}</summary>'
        f'<ul style="list-style-type:none;margin:0;padding:0 0 0 14px;font-size:12px">{items}</ul></details>'
    )


# ---------------------------------------------------------------------------------------------- how it came to be there

_CAUSES = {"message": KINDS["user"], "compaction": KINDS["summary"], "pruned": KINDS["tool"], "excerpt": KINDS["tool"]}


def lineage_html(lineage: Lineage) -> Html:
    """The life of an item: what happened to it, in order, and where it is now."""
    steps = (
        f'<div style="border-left:5px solid {look.colour};padding:2px 10px"><span style="display:inline-block;'
        f'width:60px;{SMALL}">{"" if step.turn is None else f"turn {step.turn}"}</span> {look.glyph} '
        f'<bdi>{escape(step.words)}</bdi> <span style="{SMALL}">{step.at:%Y-%m-%d %H:%M:%S}</span></div>'
        for step in lineage.steps
        for look in [_CAUSES.get(step.cause, KINDS["system"])]
    )
    return root_html(
        title_html(f"The life of <bdi>{escape(short(lineage.id))}</bdi>", ""),
        f'<div style="padding:4px 0">{"".join(steps)}</div>',
        f'<div style="border-left:5px double {GREY};padding:2px 10px">Now it {escape(_now(lineage))}.</div>',
    )


def lineage_text(lineage: Lineage) -> str:
    """The same as text."""
    steps = (f"  {visible(str(step))}" for step in lineage.steps)
    return "\n".join([f"The life of {visible(lineage.id)}", *steps, f"  now it {visible(_now(lineage))}"])


def _now(lineage: Lineage) -> str:
    words = str(lineage).partition("\n")[0].removeprefix(f"{lineage.id} ")
    return words.replace("its output was", "has an output that was")


# ---------------------------------------------------------------------------------------------------------- the checks


def verify_html(report: VerifyReport) -> Html:
    """What the checks of the store found."""
    if report.ok:
        return notice_html(*_all_well(report))
    problems = "".join(f'<li style="padding:0"><bdi>{escape(problem)}</bdi></li>' for problem in report.problems)
    return root_html(
        title_html("✗ Problems", _found(report)), f'<ul style="margin:4px 0;padding:0 0 0 20px">{problems}</ul>'
    )


def verify_text(report: VerifyReport) -> str:
    """The same as text."""
    if report.ok:
        return notice_text(*_all_well(report))
    return "\n".join([f"✗ Problems · {_found(report)}", *(f"- {visible(problem)}" for problem in report.problems)])


def _all_well(report: VerifyReport) -> tuple[str, str]:
    return (
        f"✓ All {report.checked:,} checks passed.",
        "Every message stands in the window, or a summary stands for it; every past window is as it was sent.",
    )


def _found(report: VerifyReport) -> str:
    return f"{len(report.problems):,} in {report.checked:,} checks"
