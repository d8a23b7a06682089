"""What a reply is made of, in its order: words, thoughts, tool calls and what came of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mnesis.models.message import ReasoningPart, ToolPart, ToolStatus
from mnesis_jupyter.formats import Shown
from mnesis_jupyter.html import Html, escape, reply_html, visible
from mnesis_jupyter.views.pieces import DIM, GREY, HARD, KINDS, RULE, SMALL, one_line, pre_html
from mnesis_jupyter.views.texts import texts_html

_FIRST_CALLS, _LAST_CALLS = 40, 80
_MAX_HEAD, _MAX_VALUE, _MAX_RESULT, _MAX_ERROR = 160, 80, 100, 400
_MAX_TEXT, _MAX_TEXTS = 4_000, 60_000


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as it is now. `seconds`: how long it has been running, or ran; `None` where it did not.

    `stopped`: the turn ended before there was a result.
    """

    part: ToolPart
    seconds: float | None = None
    stopped: bool = False

    @property
    def failed(self) -> bool:
        """Whether what came of it is an error, or nothing any more."""
        return self.stopped or self.part.status is ToolStatus.ERROR


type Step = str | Shown | ReasoningPart | Call
"""Words of the model (Markdown, or already as they are to be shown), what it thought, or a call of a tool."""


def steps_html(steps: Sequence[Step]) -> Html:
    """All of a reply. A call is one line that unfolds to its arguments and the beginning of its result.

    Of more than 120 calls those in the middle are counted only. What unfolds is cut at 4,000 characters, and earlier
    where all of it would pass 60 kB; a cut says so.
    """
    shown = [step for step in _cut(steps) if not isinstance(step, str) or step.strip()]
    bodies = [_body(step) for step in shown]
    texts = texts_html([text for body in bodies for text in body.values()], _MAX_TEXT, _MAX_TEXTS)
    rows: list[tuple[bool, str]] = []
    for step, body in zip(shown, bodies, strict=True):
        folded = {name: next(texts) for name in body}
        match step:
            case str():
                rows.append((False, reply_html(step)))
            case Shown():
                rows.append((False, step.html))
            case ReasoningPart():
                rows.append((True, _thought_html(step, folded)))
            case Call():
                rows.append((True, _call_html(step, folded)))
            case int():
                rows.append((True, f'<div style="{_ROW};{DIM}">{_left_out(step)}</div>'))
    blocks = (
        f'<div style="{_ROWS}">{"".join(row for _, row in group)}</div>' if quiet else "".join(row for _, row in group)
        for quiet, group in groupby(rows, key=lambda row: row[0])
    )
    return Html("".join(blocks) or reply_html(""))


def steps_text(steps: Sequence[Step]) -> str:
    """The same as text: what unfolds is its first line."""
    blocks: list[str] = []
    for quiet, group in groupby(_cut(steps), key=lambda step: not isinstance(step, str | Shown)):
        texts = [_step_text(step) for step in group]
        blocks += ["\n".join(texts)] if quiet else [text for text in texts if text.strip()]
    return "\n\n".join(blocks)


def call_words(part: ToolPart) -> str:
    """`rain(city="Bergen", year=2025)`: a call in one line, cut."""
    return _line(part)[0]


# -- a call ---------------------------------------------------------------------------------------------------------

_ROWS = "margin:6px 0 10px 0;font-size:13px;line-height:1.5"
_ROW = f"padding:3px 8px;border-left:5px solid {GREY};{RULE}"
_CALL = (
    "position:relative;padding:3px 150px 3px 8px;border-left:5px solid {colour};"
    "white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
)
_SIDE = f"position:absolute;right:0;top:3px;width:140px;text-align:right;{SMALL}"
_BODY = "margin:0 0 8px 0;padding:0 0 0 8px;border-left:5px solid {colour}"


def _call_html(call: Call, body: dict[str, Html]) -> str:
    look, result, told = KINDS["tool"], _result(call), _told(call)
    colour = HARD if call.failed else look.colour
    came = f' <span style="{DIM}">⇒ <bdi>{escape(result)}</bdi></span>' if result else ""
    name, bracket, arguments = call_words(call.part).partition("(")
    head = f"{look.glyph} <bdi><strong>{escape(name)}</strong>{escape(bracket + arguments)}</bdi>{came}"
    side = f' <span style="{_SIDE}">{escape(_state(call))}</span>'
    error = f'<div style="padding:0 8px 4px 26px;border-left:5px solid {colour}">{escape(told)}</div>' if told else ""
    style = _CALL.format(colour=colour)
    if not body:
        return f'<div style="{RULE}"><div style="{style}">{head}{side}</div>{error}</div>'
    return (
        f'<div style="{RULE}"><details><summary style="{style};cursor:pointer">{head}{side}</summary>'
        f'<div style="{_BODY.format(colour=colour)}">{_body_html(body)}</div></details>{error}</div>'
    )


def _thought_html(thought: ReasoningPart, body: dict[str, Html]) -> str:
    if not body:
        return f'<div style="{_ROW};{DIM}">∴ thought · the provider keeps it to itself</div>'
    return (
        f'<details style="{RULE}"><summary style="padding:3px 8px;border-left:5px solid {GREY};cursor:pointer;'
        f'white-space:nowrap;overflow:hidden;text-overflow:ellipsis;{DIM}">∴ thought · '
        f"<bdi>{escape(one_line(thought.text, _MAX_RESULT))}</bdi></summary>"
        f'<div style="{_BODY.format(colour=GREY)}">{_body_html(body)}</div></details>'
    )


def _body_html(body: dict[str, Html]) -> str:
    parts = (f'<div style="{SMALL};padding:4px 0 2px 0">{name}</div>{pre_html(text)}' for name, text in body.items())
    return "".join(parts)


def _body(step: "Step | int") -> dict[str, str]:
    """What unfolds, by name: only what the line does not say already."""
    match step:
        case ReasoningPart():
            return {"what it thought": step.text} if step.text else {}
        case Call(part=part):
            body: dict[str, str] = {}
            if _line(part)[1]:
                body["arguments"] = json.dumps(part.input, ensure_ascii=False, indent=2)
            if part.output and (len(part.output) > 2 * _MAX_RESULT or _result(step) != visible(part.output.strip())):
                body["result"] = part.output
            if part.error_message and len(part.error_message) > _MAX_ERROR:
                body["error"] = part.error_message
            return body
        case _:
            return {}


def _step_text(step: "Step | int") -> str:
    match step:
        case Call(part=part):
            lines = [f"{KINDS['tool'].glyph} {call_words(part)} · {_state(step)}"]
            lines += [f"  ⇒ {result}"] if (result := _result(step)) else []
            lines += [f"  {visible(told)}"] if (told := _told(step)) else []
            return "\n".join(lines)
        case ReasoningPart():
            return f"∴ thought · {one_line(step.text, _MAX_RESULT) if step.text else 'the provider keeps it to itself'}"
        case Shown(text=text) | str(text):
            return visible(text)
        case int():
            return _left_out(step)


def _state(call: Call) -> str:
    """A sign, a word, and how long it took."""
    status, seconds = call.part.status, call.seconds
    if call.stopped:
        return "■ stopped"
    match status:
        case ToolStatus.PENDING:
            return "○ waiting"
        case ToolStatus.RUNNING:
            return f"◐ running … {seconds:.0f} s" if seconds and seconds >= 1 else "◐ running …"
        case ToolStatus.COMPLETED:
            return f"✓ done{_took(seconds)}"
        case ToolStatus.ERROR:
            return f"✗ error{_took(seconds)}" if seconds is not None else "✗ not run"


def _took(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f" · {max(seconds, 0.001):.3f} s" if seconds < 10 else f" · {seconds:,.0f} s"


def _result(call: Call) -> str:
    """The first line of what it returned, and how many there are."""
    if call.part.status is not ToolStatus.COMPLETED:
        return ""
    output = (call.part.output or "").strip()
    lines = output.count("\n")
    return one_line(output or "(nothing)", _MAX_RESULT) + (f" … {lines + 1:,} lines" if lines else "")


def _told(call: Call) -> str:
    """What went wrong, as the model was told."""
    if not call.part.error_message:
        return ""
    return _cut_at(_MAX_ERROR, " ".join(call.part.error_message[: 2 * _MAX_ERROR].split()))


def _line(part: ToolPart) -> tuple[str, bool]:
    """A call in one line, and whether something of it had to be cut."""
    arguments = [(name, _json(value)) for name, value in part.input.items()]
    told = ", ".join(f"{name}={_cut_at(_MAX_VALUE, text)}" for name, text in arguments)
    line = " ".join(f"{part.tool_name}({told})".split())
    return _cut_at(_MAX_HEAD, line), len(line) > _MAX_HEAD or any(len(text) > _MAX_VALUE for _, text in arguments)


def _json(value: Any) -> str:
    # Only the beginning of a text: it is drawn 15 times a second.
    return json.dumps(value[: _MAX_VALUE + 1] if isinstance(value, str) else value, ensure_ascii=False)


def _cut_at(length: int, text: str) -> str:
    text = visible(text[: length + 1])
    return text if len(text) <= length else f"{text[: length - 1]}…"


# -- many calls -----------------------------------------------------------------------------------------------------


def _cut(steps: Sequence[Step]) -> Iterator[Step | int]:
    """The steps, and in the place of the calls in the middle how many they are."""
    left_out = max(0, sum(isinstance(step, Call) for step in steps) - _FIRST_CALLS - _LAST_CALLS)
    number = 0
    for step in steps:
        if not isinstance(step, Call):
            yield step
            continue
        if number == _FIRST_CALLS and left_out:
            yield left_out
        if not _FIRST_CALLS <= number < _FIRST_CALLS + left_out:
            yield step
        number += 1


def _left_out(count: int) -> str:
    return f"… {count:,} more calls; frames.tool_calls() has all"
