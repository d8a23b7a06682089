"""Branches: begin one, see the tree, see two beside each other, give them names, delete them."""

import argparse
from itertools import zip_longest

from mnesis import InputError, Message, MnesisSession, erase
from mnesis_jupyter.commands.registry import OF_SESSION, argument, chosen, command, name_of, notice, table
from mnesis_jupyter.output import Output, joined
from mnesis_jupyter.state import State

_NAMED = argument("session", help="id or title")
_BEGINNING = 48
"""Characters of what was said, of two branches beside each other."""


@command(
    "fork",
    "Begin a branch: a session that shares the past up to a turn; it is the current one from now on.",
    argument("turn", nargs="?", type=int, metavar="N", help="the last turn that is shared, from 0 (default: all)"),
    argument("--title", metavar="TITLE", help="a name for it (default: that of the session)"),
    OF_SESSION,
)
def _fork(state: State, options: argparse.Namespace) -> Output:
    session = chosen(state, options)
    branch = state.fork(session, options.turn, options.title)
    (shared,) = (each.turns for each in state.bridge.call(branch.branches) if each.is_this)
    text = f"New branch {name_of(branch)} of {name_of(session)}: {shared} turn{'' if shared == 1 else 's'} shared."
    return notice(text, f"{branch.id}; `%mnesis use {session.id}` goes back.")


@command(
    "branches",
    "The branches of a session as a tree; or two of them beside each other, from where they part.",
    argument("session", nargs="?", metavar="A", help="id or title (default: the current session)"),
    argument("other", nargs="?", metavar="B", help="another, to be compared with it"),
)
def _branches(state: State, options: argparse.Namespace) -> Output:
    session = chosen(state, options)
    if options.other:
        other = chosen(state, argparse.Namespace(session=options.other))
        return _beside(state, session, other)
    rows = [
        (
            f"{_stem(each.depth)}{each.title or '(no title)'}",
            *("this one" if each.is_this else "", _parted(each.forked_turn), each.turns),
            *(each.created_at.strftime("%Y-%m-%d %H:%M"), each.id),
        )
        for each in state.bridge.call(session.branches)
    ]
    caption = f"Branches ({len(rows):,})"
    return table(rows, ("branch", "", "shares", "turns", "created (UTC)", "id"), caption)


@command(
    "rename",
    "Give a session another title; the titles that it had stay in its events.",
    argument("title", metavar="TITLE", help="in quotes if it has spaces"),
    OF_SESSION,
)
def _rename(state: State, options: argparse.Namespace) -> Output:
    session = chosen(state, options)
    before = name_of(session)
    state.rename(session, options.title)
    return notice(f"{before} is {name_of(session)} now.", session.id)


@command(
    "delete",
    "Delete a session for good: says what would be lost, and does it with --yes. A mark of it stays.",
    _NAMED,
    argument("--yes", action="store_true", help="do it: nothing brings it back"),
)
def _delete(state: State, options: argparse.Namespace) -> Output:
    session = chosen(state, options)
    path = session.db_path
    turns = len(session.history())
    lost = f"{name_of(session)}: {turns} turn{'' if turns == 1 else 's'} with all that was said in them"
    if not options.yes:
        return notice(f"This would delete {lost}.", f"`%mnesis delete {session.id} --yes` does it, for good.")
    if path is None:
        raise InputError("a session kept in memory goes with its kernel; `%mnesis close` closes it")
    state.close_session(session)
    mark = state.bridge.call(erase, session.id, db_path=path)
    return notice(f"Deleted {lost}.", f"A mark stays: {mark.session_id}, {mark.messages:,} messages.")


def _stem(depth: int) -> str:
    """What a branch stands on. A line, because a table joins spaces."""
    return f"└{'──' * (depth - 1)}─ " if depth else ""


def _parted(turn: int | None) -> str:
    return "" if turn is None else "nothing" if turn < 0 else "turn 0" if turn == 0 else f"turns 0-{turn}"


def _beside(state: State, one: MnesisSession, other: MnesisSession) -> Output:
    """Two branches from where they part, turn by turn."""
    left, right = state.bridge.call(one.messages), state.bridge.call(other.messages)
    shared = {message.id for message in left} & {message.id for message in right}
    common = {message.turn for message in left if message.id in shared}
    said = [_by_turn([message for message in each if message.id not in shared]) for each in (left, right)]
    turns = sorted({*said[0], *said[1]})
    rows = [
        ("" if at else turn, *pair)
        for turn in turns
        for at, pair in enumerate(zip_longest(*(each.get(turn, []) for each in said), fillvalue=""))
    ]
    told = f"They share {_parted(max(common))}." if common else "They share no turn."
    if not rows:
        return notice("They are the same so far: neither has gone on by itself.")
    columns = ("turn", name_of(one), name_of(other))
    return joined(notice(told, f"{one.id} and {other.id}"), table(rows, columns, "Where they part"))


def _by_turn(messages: list[Message]) -> dict[int, list[str]]:
    lines: dict[int, list[str]] = {}
    for message in messages:
        words = " ".join(message.text[: 2 * _BEGINNING].split()) or ", ".join(p.type for p in message.parts)
        shown = words if len(words) <= _BEGINNING else f"{words[: _BEGINNING - 1]}…"
        lines.setdefault(message.turn, []).append(f"{message.role}: {shown}")
    return lines
