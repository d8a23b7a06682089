"""What the model sees, and the record behind it."""

import argparse
from collections.abc import Mapping
from itertools import islice
from typing import Any

from mnesis import Message, ToolPart
from mnesis.models.message import Part
from mnesis_jupyter.commands.registry import NEWEST, OF_SESSION, SESSION, argument, chosen, command, positive, table
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State
from mnesis_jupyter.views import budget_html, budget_text, call_words, compaction_words, window_html, window_text


@command(
    "context",
    "The window: what the model is sent next, or was sent in a past turn.",
    argument("turn", nargs="?", type=int, help="a past turn, from 0"),
    OF_SESSION,
)
def _context(state: State, options: argparse.Namespace) -> Output:
    window = state.bridge.call(chosen(state, options).context, options.turn)
    return Output(window_html(window), window_text(window))


@command("budget", "How full the window is, and what is kept free.", SESSION)
def _budget(state: State, options: argparse.Namespace) -> Output:
    session = chosen(state, options)
    window = state.bridge.call(session.context)
    return Output(budget_html(window, session.model), budget_text(window))


@command(
    "history",
    "The window of each turn, by what it was made of, and the compactions.",
    SESSION,
    NEWEST,
)
def _history(state: State, options: argparse.Namespace) -> Output:
    turns = chosen(state, options).history()
    rows = [
        (
            *(turn.turn_index, sent.total, sent.system_prompt, sent.summary, sent.messages, sent.tool_outputs),
            compaction_words(turn.compact_result) if turn.compact_result else "begun" * turn.compaction_triggered,
        )
        for turn in turns[-positive(options.n) :]
        for sent in (turn.context_tokens,)
    ]
    columns = ("turn", "window", "system", "summaries", "messages", "tools", "compaction")
    return table(rows, columns, _caption("Turns", len(rows), len(turns)))


@command(
    "messages",
    "The log: everything that was said, with the partial replies of turns that were stopped.",
    SESSION,
    NEWEST,
)
def _messages(state: State, options: argparse.Namespace) -> Output:
    log = state.bridge.call(chosen(state, options).messages)
    rows = [
        (m.turn, m.role + " (partial)" * m.partial, m.tokens, _beginning(m), m.id) for m in log[-positive(options.n) :]
    ]
    return table(rows, ("turn", "role", "tokens", "text", "id"), _caption("Messages", len(rows), len(log)))


@command(
    "events",
    "What happened, as it is stored.",
    SESSION,
    NEWEST,
)
def _events(state: State, options: argparse.Namespace) -> Output:
    log = state.bridge.call(chosen(state, options).events)
    rows = [
        (record.seq, record.turn, record.event.value, _told(record.payload.model_dump(mode="json")), record.created_at)
        for record in log[-positive(options.n) :]
    ]
    return table(rows, ("seq", "turn", "event", "payload", "at (UTC)"), _caption("Events", len(rows), len(log)))


def _beginning(message: Message) -> str:
    text = " ".join(message.text[:400].split()) or ", ".join(_part_words(part) for part in message.parts)
    return text if len(text) <= _PREVIEW else f"{text[: _PREVIEW - 1]}…"


def _part_words(part: Part) -> str:
    if not isinstance(part, ToolPart):
        return part.type
    told = part.error_message or part.output
    return f"{part.tool_name} ⇒ {' '.join((told or '(nothing)')[:200].split())}" if part.finished else call_words(part)


_PREVIEW = 72


def _caption(what: str, shown: int, all: int) -> str:
    return f"{what} ({all:,})" if shown == all else f"{what} (the newest {shown:,} of {all:,})"


def _told(payload: Mapping[str, Any]) -> str:
    facts = (
        (name, value) for name, value in payload.items() if name not in ("session_id", "turn") and value is not None
    )
    return ", ".join(f"{name}={value}" for name, value in islice(facts, 8))
