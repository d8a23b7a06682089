"""Files: attach them to the next turn, and see which a session has."""

import argparse
from typing import Literal

from IPython.core.getipython import get_ipython

from mnesis import ContextOverflow, FileRefPart, InputError, MnesisSession, TextPart
from mnesis_jupyter.attachments import Attachment, Source, attached, part_of
from mnesis_jupyter.commands.registry import (
    NEWEST,
    OF_SESSION,
    SESSION,
    argument,
    chosen,
    command,
    name_of,
    notice,
    positive,
)
from mnesis_jupyter.output import Output
from mnesis_jupyter.state import State
from mnesis_jupyter.views import FileLine, attached_html, attached_text, files_html, files_text


@command(
    "attach",
    "Send a file, an image or a value of the notebook along with the next turn.",
    argument("attach", nargs="?", metavar="PATH|NAME", help="a file, or a name of the notebook"),
    argument("--copy", action="store_true", help="keep a copy of a file that goes as a reference"),
    argument("--clear", action="store_true", help="take back what waits for the next turn"),
    OF_SESSION,
)
def _attach(state: State, options: argparse.Namespace) -> Output:
    session, name = chosen(state, options), options.attach
    if options.clear:
        count = len(state.waiting.of(session.id))
        state.waiting.put(session.id, [])
        return notice(f"Nothing goes along with the next turn of {name_of(session)}; {count} would have.")
    if not name:
        raise InputError("%mnesis attach: name a file, or a variable; `%mnesis files` lists what is attached")
    shell = get_ipython()
    assert shell is not None, "a magic runs in a shell"
    source = attached(name, shell, by="%mnesis attach")

    def take(each: Source) -> TextPart | FileRefPart:
        keep: Literal["copy", "reference"] = "copy" if options.copy else "reference"
        return state.bridge.call(session.attach, each.content, name=each.name, keep=keep)

    part = part_of(source, take)
    label = getattr(source, "name", None) or name
    tokens = state.bridge.call(_tokens, session, part)
    state.waiting.add(session.id, part)
    hint = f"It goes along with the next turn of {name_of(session)}; `%mnesis attach --clear` takes it back."
    return Output(attached_html(label, part, tokens, hint), attached_text(label, part, tokens, hint))


async def _tokens(session: MnesisSession, part: Attachment) -> int | None:
    """What it takes of the window; `None` where that has no room for it before it is compacted."""
    try:
        return (await session.preview([part])).items[-1].tokens
    except ContextOverflow:
        return None


@command(
    "files",
    "The files that a session refers to, and whether they are as they were.",
    SESSION,
    NEWEST,
)
def _files(state: State, options: argparse.Namespace) -> Output:
    session = chosen(state, options)
    waiting = {part.file_id for part in state.waiting.of(session.id) if isinstance(part, FileRefPart)}
    lines = [
        FileLine(record, state.bridge.call(session.file_state, record.id), record.id in waiting)
        for record in state.bridge.call(session.files)[-positive(options.n) :]
    ]
    return Output(files_html(lines, name_of(session)), files_text(lines, name_of(session)))
