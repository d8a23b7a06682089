"""What is attached, and the files of a session."""

from collections.abc import Sequence
from dataclasses import dataclass

from mnesis import FileRefPart, MediaPart, TextPart
from mnesis.models.file import FileRecord, FileState
from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.pieces import (
    KINDS,
    NOTHING,
    SMALL,
    dotted,
    fold_html,
    in_tokens,
    line_html,
    pre_html,
    root_html,
    side_html,
    title_html,
)
from mnesis_jupyter.views.reply import code_html
from mnesis_jupyter.views.texts import texts_html

_LOOK = KINDS["file"]
_STATES = {"same": "", "changed": "≠ changed since", "missing": "✗ not there any more"}
_LINES = 8
"""Of what is in a file, as text."""


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file of a session, as it was and as it is; `waits` where it goes along with the next turn."""

    record: FileRecord
    state: FileState
    waits: bool = False


def attached_html(name: str, part: TextPart | MediaPart | FileRefPart, tokens: int | None, hint: str) -> Html:
    """What goes along with the next turn: what it is, what it takes there, and, folded, what is in it."""
    told = f'<div style="{SMALL};padding-top:3px">{code_html(hint)}</div>'
    head = f"{_LOOK.glyph} <bdi>{escape(name)}</bdi>"
    if not (said := _said(part)):
        return root_html(title_html(head, ""), line_html(_facts(part, tokens)), told)
    (text,) = texts_html([said])
    fold = fold_html(f"what is in <bdi>{escape(name)}</bdi>", pre_html(text), _LOOK.colour)
    return root_html(title_html(head, ""), line_html(_facts(part, tokens)), fold, told)


def attached_text(name: str, part: TextPart | MediaPart | FileRefPart, tokens: int | None, hint: str) -> str:
    """The same as text, with the beginning of what is in it."""
    lines = visible(_said(part)).splitlines()
    more = [f"  … and {len(lines) - _LINES:,} lines more"] if len(lines) > _LINES else []
    head = f"{_LOOK.glyph} {visible(name)} · {visible(_facts(part, tokens))}"
    return "\n".join([head, *(f"  {line}" for line in lines[:_LINES]), *more, visible(hint)])


def files_html(lines: Sequence[FileLine], name: str) -> Html:
    """The files of a session: a row each, that unfolds to where it is and what is in it."""
    largest = max((line.record.tokens for line in lines), default=0) or 1
    texts = texts_html([line.record.summary for line in lines])
    rows = (
        fold_html(
            f"{_LOOK.glyph} <bdi>{escape(line.record.name)}</bdi> "
            f'<span style="{SMALL}">{escape(_row_facts(line))}</span>'
            f"{side_html(line.record.tokens, largest, _LOOK.colour)}",
            f"{line_html(f'{line.record.id} · {line.state.sentence}')}{pre_html(text)}",
            _LOOK.colour,
            line.record.id,
        )
        for line, text in zip(lines, texts, strict=True)
    )
    return root_html(
        title_html(f"Files of <bdi>{escape(name)}</bdi>", f"{len(lines):,}"), *rows, "" if lines else NOTHING
    )


def files_text(lines: Sequence[FileLine], name: str) -> str:
    """The same as text, without what is in them."""
    told = [f"Files of {visible(name)} · {len(lines):,}"]
    for line in lines:
        told.append(f"{_LOOK.glyph} {visible(line.record.name)} · {visible(_row_facts(line))}")
        told.append(f"  {line.record.id} · {visible(line.state.sentence)}")
    return "\n".join(told if lines else [*told, "Nothing is in it yet."])


def _said(part: TextPart | MediaPart | FileRefPart) -> str:
    match part:
        case FileRefPart():
            return part.summary
        case TextPart():
            return part.text
        case MediaPart():
            return part.alt or ""


def _facts(part: TextPart | MediaPart | FileRefPart, tokens: int | None) -> str:
    sent = "" if tokens is None else f", {in_tokens(tokens)} in the window"
    match part:
        case FileRefPart():
            of_it = _tokens(part.counted, part.tokens)
            return dotted([part.media_type, f"{part.size:,} bytes", of_it, f"as a reference to it{sent}"])
        case TextPart():
            return f"text · in whole{sent}"
        case MediaPart():
            return f"{part.media_type} · in whole{sent}"


def _row_facts(line: FileLine) -> str:
    record = line.record
    facts = [_STATES[line.state.status], record.media_type, f"{record.size:,} bytes"]
    facts += [_tokens(record.counted, record.tokens), "a copy is kept" if record.kept else ""]
    return dotted([*facts, "goes along with the next turn" if line.waits else ""])


def _tokens(counted: str, tokens: int) -> str:
    """How much text there is."""
    return "no text" if counted == "none" else f"{'about ' * (counted == 'estimate')}{in_tokens(tokens)}"
