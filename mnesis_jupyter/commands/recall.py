"""Recall: find what was said, bring it back, account for it."""

import argparse
import shlex

from mnesis_jupyter.commands.registry import OF_SESSION, SESSION, argument, chosen, command, positive
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State
from mnesis_jupyter.views import (
    description_html,
    description_text,
    expansion_html,
    expansion_text,
    grep_html,
    grep_text,
    lineage_html,
    lineage_text,
    verify_html,
    verify_text,
)

_ID = argument("id", metavar="ID", help="as it is printed in the window and beside summaries")
_CURSOR = argument("--cursor", metavar="C", help="go on where a page ended")


@command(
    "grep",
    "Search everything that was ever said, in the window or not.",
    argument("pattern", nargs="+", metavar="PATTERN", help="words, or a part of one; '\"two words\"' stand together"),
    argument("--regex", action="store_true", help="the pattern is a regular expression"),
    argument("--summary", metavar="ID", help="only what this summary stands for"),
    argument("--role", choices=("user", "assistant", "tool", "summary"), help="only what they said"),
    argument("-n", type=int, default=5, metavar="COUNT", help="how many hits a page (default: 5)"),
    _CURSOR,
    OF_SESSION,
)
def _grep(state: State, options: argparse.Namespace) -> Output:
    pattern = " ".join(options.pattern)
    found = state.bridge.call(
        chosen(state, options).grep,
        pattern,
        regex=options.regex,
        summary_id=options.summary,
        role=options.role,
        limit=positive(options.n),
        cursor=options.cursor,
    )
    given = {"--summary": options.summary, "--role": options.role, "-n": options.n, "-s": options.session}
    line = _line("grep", pattern, given | {"--cursor": found.next_cursor}, ["--regex"] * options.regex)
    more = line if found.next_cursor else None
    return Output(grep_html(found, more), grep_text(found, more))


@command(
    "expand",
    "The originals behind a summary, a message or a turn, page by page.",
    _ID,
    argument("--tokens", type=int, default=2_000, metavar="N", help="how much a page may hold (default: 2000)"),
    _CURSOR,
    OF_SESSION,
)
def _expand(state: State, options: argparse.Namespace) -> Output:
    session = chosen(state, options)
    page = state.bridge.call(session.expand, options.id, max_tokens=options.tokens, cursor=options.cursor)
    given = {"--tokens": options.tokens, "-s": options.session, "--cursor": page.next_cursor}
    more = _line("expand", page.id, given) if page.next_cursor else None
    return Output(expansion_html(page, more), expansion_text(page, more))


@command("describe", "What an id is: a message, part, summary, file, turn, event or session.", _ID, OF_SESSION)
def _describe(state: State, options: argparse.Namespace) -> Output:
    described = state.bridge.call(chosen(state, options).describe, options.id)
    return Output(description_html(described), description_text(described))


@command("why", "Where a message, a part or a summary is now, and how it came there.", _ID, OF_SESSION)
def _why(state: State, options: argparse.Namespace) -> Output:
    lineage = state.bridge.call(chosen(state, options).why, options.id)
    return Output(lineage_html(lineage), lineage_text(lineage))


@command(
    "verify",
    "Check the session's invariants on what is stored.",
    SESSION,
    argument("--deep", action="store_true", help="rebuild every past window, and read the whole file"),
)
def _verify(state: State, options: argparse.Namespace) -> Output:
    report = state.bridge.call(chosen(state, options).verify, deep=options.deep)
    return Output(verify_html(report), verify_text(report))


def _line(name: str, what: str, given: dict[str, object], flags: list[str] | None = None) -> str:
    """The line that asks the same again, to be typed or copied."""
    options = (f"{option} {shlex.quote(str(value))}" for option, value in given.items() if value is not None)
    return " ".join([f"%mnesis {name}", shlex.quote(what), *(flags or []), *options])
