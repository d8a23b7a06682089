"""Replays as DataFrames: one row a replay, or one row a turn of each."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mnesis import InputError, Replay, ReplayTurn
from mnesis.errors import describe_value
from mnesis_jupyter.frames.reading import INT, View, columns, frame_of

if TYPE_CHECKING:
    import pandas as pd

type Replays = Mapping[str, Replay] | Iterable[Replay] | Replay

_PLACES = ("verbatim", "summary", "recall")

REPLAYS = View(
    query="",
    order="",
    index=("replay",),
    columns=columns(
        "replay model budget turns largest compactions input_tokens output_tokens cached cost "
        "summary_requests summary_input_tokens summary_output_tokens summary_cost verbatim summary "
        "recall session_id",
        summary=INT,
    ),
)
TURNS = View(
    query="",
    order="",
    index=("replay", "turn"),
    columns=columns(
        "replay turn window_tokens system_tokens summary_tokens message_tokens tool_tokens requests "
        "input_tokens cache_read_tokens output_tokens cost compactions level summary_requests "
        "summary_input_tokens summary_output_tokens summary_cost verbatim summary recall",
        summary=INT,
    ),
)


def replays(replays: Replays) -> "pd.DataFrame":
    """One row a replay, of `session.replay()`. Key: `replay`, its title, or the name that a mapping gives it.

    `largest` is its largest window, `cached` the share of its input that the request before began with already, `cost`
    in US dollars that of the turns, by list price. What summaries took stands beside it. `verbatim`, `summary` and
    `recall` count the needles by where they are in the end.
    """
    return frame_of(REPLAYS, [_row(name, each) for name, each in _named(replays)])


def replay_turns(replays: Replays) -> "pd.DataFrame":
    """One row a turn of each replay. Key: `replay`, `turn`. `.mnesis.plot_replays()` draws it.

    The window is that of the turn's last request; what summaries took is of the compactions that the turn set off.
    `verbatim`, `summary` and `recall` count the needles that had been said by where they were for that request.
    """
    return frame_of(TURNS, [_turn(name, turn) for name, each in _named(replays) for turn in each.turns])


def _named(replays: Replays) -> list[tuple[str, Replay]]:
    if isinstance(replays, Replay):
        replays = [replays]
    named: list[tuple[str | None, Any]]
    named = list(replays.items()) if isinstance(replays, Mapping) else [(None, each) for each in replays]
    found = []
    for name, each in named:
        if not isinstance(each, Replay):
            raise InputError(f"{describe_value(each)} is no Replay; give what session.replay() returns")
        found.append((str(name) if name is not None else each.title or each.session_id, each))
    names = [name for name, _ in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two replays are called {twice!r}; give them names, as in {{'small': …, 'large': …}}")
    return found


def _row(name: str, replay: Replay) -> tuple[Any, ...]:
    tokens, spent = replay.tokens, replay.summaries
    return (
        *(name, replay.model, replay.budget, len(replay.turns), replay.largest, replay.compactions),
        *(tokens.input, tokens.output, replay.cached, replay.cost),
        *(spent.requests, spent.tokens.input, spent.tokens.output, spent.cost),
        *(replay.evidence.count(place) for place in _PLACES),
        replay.session_id,
    )


def _turn(name: str, turn: ReplayTurn) -> tuple[Any, ...]:
    window, tokens, spent = turn.window, turn.tokens, turn.summaries
    return (
        *(name, turn.turn),
        *(window.total, window.system_prompt, window.summary, window.messages, window.tool_outputs),
        *(turn.requests, tokens.input, tokens.cache_read, tokens.output, turn.cost, turn.compactions, turn.level),
        *(spent.requests, spent.tokens.input, spent.tokens.output, spent.cost),
        *(turn.evidence.count(place) for place in _PLACES),
    )
