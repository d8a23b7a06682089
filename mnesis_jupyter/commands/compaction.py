"""Compaction: do it, see what it made, see what changed."""

import argparse
import asyncio
from collections.abc import Sequence

from mnesis import CompactionResult, MnesisSession
from mnesis_jupyter.commands.registry import OF_SESSION, SESSION, argument, chosen, command, notice
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State
from mnesis_jupyter.views import (
    MAX_SUMMARIES,
    Node,
    compaction_html,
    compaction_text,
    diff_html,
    diff_text,
    summaries_html,
    summaries_text,
    tree_of,
)

_POLL = 0.02
_PAGE = 4_000
"""Tokens of originals that are shown below a summary."""


@command(
    "compact",
    "Compact the window now: older turns become summaries that keep pointers to every original.",
    SESSION,
    argument("--wait", action="store_true", help="begin none: wait for the one under way, and show the last one"),
)
def _compact(state: State, options: argparse.Namespace) -> Output:
    session = chosen(state, options)
    if not options.wait:
        result = state.bridge.call(session.compact)
        return Output(compaction_html(result), compaction_text(result))
    last = state.bridge.call(_last, session)
    if last is None:
        return notice("No compaction so far: the window has not been full enough.")
    turn, result = last
    title = f"Compacted after turn {turn}"
    return Output(compaction_html(result, title), compaction_text(result, title))


async def _last(session: MnesisSession) -> tuple[int, CompactionResult] | None:
    """The newest turn that a compaction followed, once none is under way."""
    while session.compaction_in_progress:  # noqa: ASYNC110  # the session tells whether, not when
        await asyncio.sleep(_POLL)
    done = [(turn.turn_index, turn.compact_result) for turn in session.history() if turn.compact_result is not None]
    return done[-1] if done else None


@command("summaries", "The summaries as a tree: what each stands for, and what it no longer says.", SESSION)
def _summaries(state: State, options: argparse.Namespace) -> Output:
    tree, total = state.bridge.call(_tree, chosen(state, options))
    return Output(summaries_html(tree, total), summaries_text(tree, total))


async def _tree(session: MnesisSession) -> tuple[Sequence[Node], int]:
    made = await session.summaries()
    shown = made[-MAX_SUMMARIES:]
    pages = {each.id: await session.expand(each.id, max_tokens=_PAGE) for each in shown if each.kind == "leaf"}
    return tree_of(shown, pages), len(made)


@command(
    "diff",
    "What changed from the window of one turn to that of another, or to the next window.",
    argument("a", type=int, metavar="A", help="a turn, from 0"),
    argument("b", type=int, metavar="B", nargs="?", help="another (default: the next window)"),
    OF_SESSION,
)
def _diff(state: State, options: argparse.Namespace) -> Output:
    diff = state.bridge.call(chosen(state, options).diff, options.a, options.b)
    return Output(diff_html(diff), diff_text(diff))
