"""What crosses to the front end: small lists and dicts, every text in them made visible."""

from collections.abc import Sequence
from typing import Any

from mnesis.models.recall import Change, ExpansionItem
from mnesis.models.summary import Summary
from mnesis_jupyter.frames.inspection import PREVIEW, ItemRow
from mnesis_jupyter.html import visible

_PIECES = 300
_LISTED = 12
_LINE, _NAME = 120, 60


def row_of(at: int, item: ItemRow) -> list[Any]:
    """An item of a list: place, kind, id, first and last turn, tokens, whether it is a result, what stands in, text."""
    return [
        at,
        item.kind,
        item.id,
        item.first,
        item.turn,
        item.tokens,
        item.result,
        item.stand_in or "",
        visible(item.tool or "")[:_NAME],
        line_of(item),
    ]


def line_of(item: ItemRow) -> str:
    """The beginning of an item in one line; of a summary without headings."""
    text = item.preview
    if item.kind == "summary":
        lines = (line.strip(" -*") for line in text.splitlines() if line.strip() and line[0] != "#")
        text = " · ".join(lines)
    line, whole = visible(" ".join(text.split())), len(item.preview) < PREVIEW
    return line if whole and len(line) <= _LINE else f"{line[: _LINE - 1]}…"


def strip_of(items: Sequence[ItemRow]) -> list[list[Any]]:
    """The items in their order as `[kind, tokens]`; neighbours of one kind, and what is too small to see, together."""
    least = sum(item.tokens for item in items) / _PIECES
    strip: list[list[Any]] = []
    for item in items:
        if strip and (strip[-1][0] == item.kind or strip[-1][1] < least):
            strip[-1][1] += item.tokens
        else:
            strip.append([item.kind, item.tokens])
    return strip


def item_of(summary: Summary) -> dict[str, Any]:
    """A summary: what it stands for, and its loss certificate."""
    lost = [
        [kind, loss.in_sources - loss.kept, loss.in_sources, [visible(each) for each in loss.lost[:_LISTED]]]
        for kind, loss in summary.certificate
        if loss.in_sources > loss.kept
    ]
    return {
        "kind": summary.kind,
        "depth": summary.depth,
        "level": summary.level,
        "model": visible(summary.model or ""),
        "turns": [summary.first_turn, summary.last_turn],
        "messages": summary.message_count,
        "sources": len(summary.sources),
        "before": summary.source_tokens,
        "after": summary.tokens,
        "fidelity": sorted({source.fidelity.value for source in summary.sources} - {"full"}),
        "certificate": visible(str(summary.certificate)),
        "lost": lost,
    }


def original_of(item: ExpansionItem) -> dict[str, Any]:
    """An original behind a summary."""
    return {
        "id": item.id,
        "kind": item.kind,
        "role": item.role,
        "turn": item.turn,
        "text": visible(item.text),
        "complete": item.complete,
    }


def change_of(change: Change) -> dict[str, Any]:
    """What became of an item between two windows."""
    return {
        "change": change.change,
        "kind": change.kind,
        "id": change.id,
        "turn": change.turn,
        "before": change.tokens_before,
        "after": change.tokens_after,
        "cause": visible(change.cause),
        "into": change.into,
    }
