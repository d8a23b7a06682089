"""`mnesis sessions`, `show`, `grep`, `export`, `verify`: what a store holds, from the terminal.

None of them makes a store, asks a model, or needs a notebook. A store is opened as for a session: one of an older
version is brought up to date, and a turn that a dead process left open is marked aborted; nothing else is written.
"""

import asyncio
import functools
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mnesis.errors import LLMError, MnesisError, NotFound
from mnesis.llm.absent import AbsentProvider
from mnesis.models.config import StoreConfig
from mnesis.models.message import Message, Part, ReasoningPart, TextPart
from mnesis.rendering import original_of
from mnesis.session import MnesisSession
from mnesis.store import Database, sessions
from mnesis.store.database import opened
from mnesis.store.sessions import Listed

_NOBODY = AbsentProvider(LLMError("the command line asks no model"))

store_option = click.option(
    "--db",
    type=click.Path(path_type=Path),
    envvar="MNESIS_DB",
    help="The store [MNESIS_DB; default: ~/.mnesis/sessions.db].",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")


def store_path(db: Path | None) -> Path:
    """The file that `--db` means. One that is no store is an error: no command makes one."""
    path = (StoreConfig() if db is None else StoreConfig(db_path=db)).db_path.expanduser()
    if not path.is_file() or path.stat().st_size == 0:
        raise click.ClickException(f"{path} is no store of sessions; give --db, or set MNESIS_DB")
    return path


def _on_store(work: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs a command on the store that `--db` names."""

    @functools.wraps(work)
    def run(db: Path | None, **options: Any) -> None:
        path = store_path(db)

        async def main() -> None:
            async with opened(StoreConfig(db_path=path), create=False) as store:
                await work(store, **options)

        asyncio.run(main())

    return store_option(run)


@click.command("sessions")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@_as_json
@_on_store
async def sessions_(store: Database, count: int, as_json: bool) -> None:
    """The newest sessions."""
    found = await store.read(lambda cx: sessions.listing(cx, count))
    if as_json:
        _say_json([asdict(each) for each in found])
    elif not found:
        click.echo(f"no sessions in {store.path}", err=True)
    else:
        width = max(len(plain(each.title or "-", one_line=True)) for each in found)
        for each in found:
            title = plain(each.title or "-", one_line=True)
            about = f"{each.created_at:%Y-%m-%d %H:%M}  {each.turns:>4} turns  {each.tokens:>9,} tokens"
            forked = "" if each.forked_from is None else f"  fork of {each.forked_from} after turn {each.forked_turn}"
            say(f"{each.id}  {title:<{width}}  {about}  {each.model}{forked}")


@click.command()
@click.argument("session")
@click.option("-n", "count", type=click.IntRange(min=1), help="Only the last messages.")
@_as_json
@_on_store
async def show(store: Database, session: str, count: int | None, as_json: bool) -> None:
    """What was said in SESSION, an id or a title."""
    listed = await _named(store, session)
    log = await (await _loaded(store, listed.id)).messages()
    said = [message for message in log if not message.is_summary][-(count or 0) :]
    if as_json:
        _say_json({**asdict(listed), "messages": [message.model_dump(mode="json") for message in said]})
        return
    cost = "" if listed.cost is None else f" · ${listed.cost:.4f}"
    say(f"{listed.title or '-'} · {listed.model} · {listed.turns} turns · {listed.tokens:,} tokens{cost} · {listed.id}")
    for message in said:
        say(f"\n[{message.turn}] {message.role}{' (partial)' if message.partial else ''}")
        say(_text_of(message))


@click.command()
@click.argument("pattern")
@click.option("-s", "--session", help="Only in this one: an id or a title.")
@click.option("-e", "--regex", is_flag=True, help="PATTERN is a regular expression.")
@click.option("-n", "count", type=click.IntRange(1, 100), default=20, show_default=True, help="How many a session.")
@_as_json
@_on_store
async def grep(store: Database, pattern: str, session: str | None, regex: bool, count: int, as_json: bool) -> None:
    """Search what was ever said for PATTERN, in all sessions. Ends with 1 where nothing is found."""
    listed = await store.read(sessions.listing) if session is None else [await _named(store, session)]
    found: list[dict[str, Any]] = []
    for each in listed:
        result = await (await _loaded(store, each.id)).grep(pattern, regex=regex, limit=count)
        found += [{"session_id": each.id, "title": each.title, **m.model_dump(mode="json")} for m in result.matches]
    if as_json:
        _say_json(found)
    for match in () if as_json else found:
        snippet = plain(match["snippet"], one_line=True)
        say(f"{match['title'] or match['session_id']} [{match['turn']}] {match['role']}: {snippet}  {match['id']}")
    sys.exit(0 if found else 1)


@click.command()
@click.argument("session")
@click.option("--format", type=click.Choice(["openai", "anthropic", "mnesis"]), default="mnesis", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; else it is printed.")
@_on_store
async def export(store: Database, session: str, format: Any, output: Path | None) -> None:
    """The whole conversation of SESSION: as JSON lines that keep everything, or in a provider's form."""
    told = await (await _loaded(store, (await _named(store, session)).id)).export(format)
    text = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False, indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)


@click.command()
@click.argument("session", required=False)
@click.option("--deep", is_flag=True, help="Every window ever sent, not only the newest 50, and the whole file.")
@_as_json
@_on_store
async def verify(store: Database, session: str | None, deep: bool, as_json: bool) -> None:
    """Check that SESSION, or every session, is whole. Ends with 1 where one is not."""
    listed = await store.read(sessions.listing) if session is None else [await _named(store, session)]
    problems: dict[str, list[str]] = {}
    for each in listed:
        try:
            report = await (await _loaded(store, each.id)).verify(deep=deep)
            problems[each.id] = list(report.problems)
        except MnesisError as error:  # one that cannot even be opened
            problems[each.id] = [str(error)]
    if as_json:
        _say_json(problems)
    for id, those in () if as_json else problems.items():
        say(f"{id}  {'ok' if not those else f'{len(those)} problems'}")
        for problem in those:
            say(f"  {problem}")
    sys.exit(1 if any(problems.values()) else 0)


COMMANDS = (sessions_, show, grep, export, verify)


async def _named(store: Database, name: str) -> Listed:
    found = await store.read(lambda cx: sessions.listing(cx, 1, name))
    if not found:
        raise NotFound("session", name, f"{store.path} has none of this id or title; mnesis sessions lists them")
    return found[0]


async def _loaded(store: Database, id: str) -> MnesisSession:
    """Not to be closed: that would be an event in a session which is only looked at."""
    return await MnesisSession.load(id, pool=store, llm=_NOBODY)


# -- what is printed --------------------------------------------------------------------------------------------------


def _text_of(message: Message) -> str:
    return "\n".join(_part(part) for part in message.parts)


def _part(part: Part) -> str:
    match part:
        case TextPart():
            return part.text
        case ReasoningPart():
            return f"(thought) {part.text}"
    return f"({part.type}) {original_of(part)}"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}") from error
    click.echo(f"{path}: {len(text.encode()):,} bytes", err=True)


def say(text: str) -> None:
    """Print a text of a session."""
    click.echo(plain(text))


def _say_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def plain(text: str, *, one_line: bool = False) -> str:
    """Without what would steer the terminal: control characters become their pictures (`␛`)."""
    kept = "" if one_line else "\n\t"
    text = " ".join(text.split()) if one_line else text.replace("\r\n", "\n")
    return "".join(each if each.isprintable() or each in kept or each == " " else _picture(each) for each in text)


def _picture(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
