"""The summaries as a tree: what stands over what, and what each no longer says."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from mnesis.models.recall import Expansion, ExpansionItem
from mnesis.models.summary import LossCertificate, Summary
from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.compaction import LEVELS
from mnesis_jupyter.views.pieces import (
    DIM,
    KINDS,
    RULE,
    SIDE,
    SMALL,
    bar_html,
    dotted,
    fold_html,
    line_html,
    look_of,
    one_line,
    pre_html,
    root_html,
    saved_words,
    short,
    span_words,
    title_html,
)
from mnesis_jupyter.views.reply import code_html, notice_html, notice_text
from mnesis_jupyter.views.texts import texts_html

MAX_SUMMARIES = 60
"""So many are shown; the newest."""

_MAX_ORIGINALS, _PREVIEW = 200, 80
_INDENT = 22
_NONE = (
    "There are no summaries yet: the whole session stands in the window, word for word.",
    "They come when the window fills, or by `%mnesis compact`.",
)


class Node(NamedTuple):
    """A summary in its place: how many stand above it, which one directly, and of a leaf its originals."""

    summary: Summary
    depth: int
    parent: str | None
    originals: Sequence[ExpansionItem]
    more: int
    """How many originals are not shown."""


def tree_of(summaries: Sequence[Summary], pages: Mapping[str, Expansion]) -> list[Node]:
    """The summaries in the order of the tree: each before those that it stands for, the oldest turns first."""
    share = max(4, _MAX_ORIGINALS // max(1, len(pages)))
    by_id = {summary.id: summary for summary in summaries}
    above = {source.id: each.id for each in summaries for source in each.sources if source.kind == "summary"}

    def below(summary: Summary, depth: int) -> Iterator[Node]:
        page = pages.get(summary.id)
        originals = [] if page is None or summary.kind != "leaf" else page.items[:share]
        seen = {item.id for item in originals}
        more = sum(source.id not in seen for source in summary.sources) if summary.kind == "leaf" else 0
        yield Node(summary, depth, above.get(summary.id), originals, more)
        for source in summary.sources:
            if source.id in by_id:
                yield from below(by_id[source.id], depth + 1)

    roots = sorted((each for each in summaries if above.get(each.id) not in by_id), key=lambda each: each.first_turn)
    return [node for root in roots for node in below(root, 0)]


def summaries_html(tree: Sequence[Node], total: int) -> Html:
    """The tree; each summary unfolds to its facts, its text, and the originals that it stands for."""
    if not tree:
        return notice_html(*_NONE)
    originals = [original for node in tree for original in node.originals]
    texts = texts_html([*(node.summary.text for node in tree), *(original.text for original in originals)])
    told = list(islice(texts, len(tree)))
    return root_html(
        title_html("Summaries", _all(tree, total)),
        *(_node_html(node, text, texts) for node, text in zip(tree, told, strict=True)),
        f'<div style="{RULE}"></div>',
    )


def summaries_text(tree: Sequence[Node], total: int) -> str:
    """The same, indented."""
    if not tree:
        return notice_text(*_NONE)
    return "\n".join([f"Summaries {_all(tree, total)}", *(line for node in tree for line in _node_lines(node))])


def _all(tree: Sequence[Node], total: int) -> str:
    roots = [node.summary for node in tree if node.depth == 0]
    before, after = sum(each.source_tokens for each in roots), sum(each.tokens for each in roots)
    messages = sum(each.message_count for each in roots)
    shown = f"{total:,} in all" if total == len(tree) else f"the newest {len(tree):,} of {total:,}"
    return dotted([shown, f"{messages:,} messages", saved_words(before, after) if before else ""])


def _node_html(node: Node, text: Html, texts: Iterator[Html]) -> str:
    summary, colour = node.summary, KINDS["summary"].colour
    side = (
        f'<span style="{SIDE}"><span style="float:right;padding-right:6px">{summary.source_tokens:,} → '
        f'<strong>{summary.tokens:,}</strong><span style="font-size:0"> tokens</span></span> '
        f'<span style="float:right;width:22%;padding-right:10px">'
        f"{bar_html(summary.tokens / max(summary.source_tokens, 1), colour)}</span> "
        f'<span style="float:right;padding-right:10px;{DIM}">{escape(short(summary.id))}</span></span>'
    )
    head = (
        f'Σ <strong>{_place(summary)}</strong> <span style="{SMALL}">{_count(summary)}</span> '
        f"<bdi>{escape(one_line(summary.text, _PREVIEW))}</bdi> {side}"
        f'<br><span style="{SMALL};padding-left:14px">{escape(_told(node))}</span>'
    )
    body = [line_html(_facts(node)), certificate_html(summary.certificate), pre_html(text)]
    if summary.kind == "leaf":
        body.append(_originals_html(node, texts))
    row = fold_html(head, "".join(body), colour, summary.id)
    return f'<div style="padding-left:{_INDENT * node.depth}px">{row}</div>' if node.depth else row


def _originals_html(node: Node, texts: Iterator[Html]) -> str:
    rows = [_original_html(original, text) for original, text in zip(node.originals, texts, strict=False)]
    summary = node.summary
    more = f"{node.more:,} more: " if node.more else "Page by page, with their ids: "
    rows.append(f'<div style="{SMALL};padding:4px 10px">{code_html(f"{more}`%mnesis expand {summary.id}`")}</div>')
    count = f"The {len(summary.sources):,} original messages" if len(summary.sources) != 1 else "The original message"
    head = f'<summary style="padding:4px 10px;cursor:pointer;font-size:12px">{count}</summary>'
    return f'<details>{head}<div style="padding-left:10px">{"".join(rows)}</div></details>'


def _original_html(original: ExpansionItem, text: Html) -> str:
    look = look_of(original.role)
    head = (
        f'<span style="display:inline-block;width:80px">{look.glyph} {escape(original.role)}</span> '
        f'<span style="{SMALL}">turn {original.turn}</span> <bdi>{escape(one_line(original.text, _PREVIEW))}</bdi> '
        f'<span style="{SIDE};{DIM}">{escape(short(original.id))}</span>'
    )
    cut = "" if original.complete else line_html(f"cut here: %mnesis expand {original.id} goes on")
    return fold_html(head, pre_html(text) + cut, look.colour, original.id)


def _node_lines(node: Node) -> Iterator[str]:
    margin = "   " * node.depth
    summary = node.summary
    yield f"{margin}Σ {_place(summary)} · {_count(summary)} · {one_line(summary.text, 60)}"
    yield f"{margin}│ {_facts(node)}"
    yield f"{margin}│ {visible(str(summary.certificate))}"
    for original in node.originals:
        look = look_of(original.role)
        line = one_line(original.text, 60)
        yield f"{margin}├─ {look.glyph} {original.role:<9} turn {original.turn:<3} {line}  {visible(original.id)}"
    if node.more:
        yield f"{margin}└─ {node.more:,} more: %mnesis expand {summary.id}"


def _place(summary: Summary) -> str:
    return span_words(summary.first_turn, summary.last_turn)


def _count(summary: Summary) -> str:
    if summary.kind == "condensed":
        return f"{len(summary.sources):,} summaries of {summary.message_count:,} messages"
    return f"{summary.message_count:,} message{'' if summary.message_count == 1 else 's'}"


def _facts(node: Node) -> str:
    summary = node.summary
    kind = f"{summary.kind}, depth {summary.depth}"
    return dotted([summary.id, kind, _by(summary), saved_words(summary.source_tokens, summary.tokens), _where(node)])


def _told(node: Node) -> str:
    """What is to be known at a glance."""
    return dotted([str(node.summary.certificate), node.summary.kind, _by(node.summary), _where(node)])


def _by(summary: Summary) -> str:
    if summary.model is None:
        return f"level {summary.level}, without a model"
    return f"level {summary.level}, {LEVELS[summary.level]}, by {visible(summary.model)}"


def _where(node: Node) -> str:
    return "in the window" if node.summary.in_window else f"covered by {node.parent}"


_LISTED = 12


def certificate_html(certificate: LossCertificate) -> str:
    """What a summary no longer says: counted, and the first of each kind."""
    lost = "".join(
        f'<div style="padding-left:14px">{kind}: {escape(", ".join(loss.lost[:_LISTED]))}'
        f"{' …' if loss.in_sources - loss.kept > _LISTED else ''} "
        f'<span style="{DIM}">({loss.kept:,} of {loss.in_sources:,} kept)</span></div>'
        for kind, loss in certificate
        if loss.lost
    )
    mark = "✗" if lost else "✓"
    head = f"{mark} <strong>{escape(certificate)}</strong>"
    return f'<div style="font-size:12px;padding:2px 10px 6px 10px;word-wrap:break-word">{head}{lost}</div>'
