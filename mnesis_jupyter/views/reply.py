"""A reply below its cell, and a notice."""

import re
from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict, Unpack

from mnesis.models.message import TokenUsage
from mnesis_jupyter.html import Html, escape, visible
from mnesis_jupyter.views.pieces import (
    DIM,
    GREY,
    KINDS,
    SMALL,
    blocks,
    box_html,
    dotted,
    in_tokens,
    percent,
    root_html,
    track_html,
)

type ReplyState = Literal["waiting", "streaming", "calling", "done", "aborted", "stopped"]
"""The session is busy; text comes; tools run; it is whole; it was cut off; the same, and tools had been called."""

_STATES: Mapping[ReplyState, str] = {
    "waiting": "waiting: the session is busy with another turn …",
    "streaming": "writing …",
    "calling": "running tools …",
    "done": "",
    "aborted": "stopped: kept as partial, not sent again",
    "stopped": "stopped: the calls stay, with what came of them; words after them are not sent again",
}


class ReplyFacts(TypedDict):
    """What is told below a reply; `None` while, or where, it is not known. `cost` is in US dollars."""

    model: str
    tokens: TokenUsage | None
    window_size: int
    budget: int
    turn: int | None
    cost: NotRequired[float | None]
    note: NotRequired[str | None]
    state: NotRequired[ReplyState]


def reply_block(reply: Html, /, **facts: Unpack[ReplyFacts]) -> Html:
    """A reply as it stands below its cell: what `steps_html` made of it, then one quiet line of facts."""
    share, note = facts["window_size"] / max(facts["budget"], 1), facts.get("note")
    pending = f'<span style="{DIM}">▍</span>' if facts.get("state") == "streaming" else ""
    return root_html(
        f'<div style="font-size:14px;line-height:1.55">{reply}{pending}</div>',
        track_html(box_html(0, 100 * min(share, 1), KINDS["user"].colour, blocks(share, 20)), height=4),
        f'<div style="{SMALL};padding-top:3px">{escape(note)}</div>' if note else "",
        f'<div style="{SMALL};padding-top:3px">{escape(_facts(facts))}</div>',
    )


def reply_text(reply: str, /, **facts: Unpack[ReplyFacts]) -> str:
    """The reply as it was written, and the same line of facts."""
    note = facts.get("note")
    return "\n".join([visible(reply), "", *([visible(note)] if note else []), visible(_facts(facts))])


def _facts(facts: ReplyFacts) -> str:
    size, budget, turn, cost = facts["window_size"], facts["budget"], facts["turn"], facts.get("cost")
    told = [
        facts["model"],
        "" if turn is None else f"turn {turn}",
        f"window {size:,} / {in_tokens(budget)} ({percent(size, budget)})",
        "" if facts["tokens"] is None else f"{in_tokens(facts['tokens'].output)} out",
        "" if not cost else dollars(cost),
        _STATES[facts.get("state", "done")],
    ]
    return dotted(told)


def dollars(cost: float) -> str:
    """An amount of US dollars, to the hundredth of a cent where it is small."""
    if 0 < cost < 0.0001:
        return "under $0.0001"
    return f"${cost:,.2f}" if cost >= 1 or cost == 0 else f"${cost:.4f}"


def notice_html(text: str, hint: str | None = None) -> Html:
    """One line that the reader should know, and what to do about it. `Backticks` set code."""
    below = f'<div style="{SMALL}">{code_html(hint)}</div>' if hint else ""
    return root_html(f'<div style="border-left:4px solid {GREY};padding:2px 10px">{code_html(text)}{below}</div>')


def notice_text(text: str, hint: str | None = None) -> str:
    """The same as text."""
    return "\n".join(visible(line) for line in (text, hint) if line)


def code_html(text: str) -> str:
    """Text in which `backticks` set code."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(text))
