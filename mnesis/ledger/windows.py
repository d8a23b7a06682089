"""From rows to what they stand for: the entries of a window, the messages of a log."""

import json

from mnesis.context.assembly import Entry, entry_of, summary_entry
from mnesis.errors import NotFound
from mnesis.models.context import ContextItem
from mnesis.models.message import Message, TextPart, ToolPart
from mnesis.models.summary import Summary
from mnesis.store import Tx, messages, summaries
from mnesis.store.messages import NewMessage


def read_entries(cx: Tx, session_id: str, view: int | None) -> list[Entry]:
    """What stands in a view (`None`: the current one), in the order of the window."""
    said = [
        entry_of(message.seq, message.id, message.turn, message.role, message.parts, message.part_ids, sizes, cut)
        for message, sizes, cut in messages.read_window(cx, session_id, view)
    ]
    stands_for = [
        summary_entry(
            pos,
            row.id,
            row.text,
            depth=row.depth,
            level=row.level,
            model=row.model,
            turns=(row.first_turn, row.last_turn),
            message_count=row.message_count,
            tokens=row.tokens,
        )
        for pos, row in summaries.read_window(cx, session_id, view)
    ]
    return sorted([*said, *stands_for], key=lambda entry: entry.pos)


def drafted(seq: int, turn: int, message: NewMessage) -> Entry:
    """The entry of a message that is about to be stored, or just was."""
    cut = {index: (stone.text, stone.tokens) for index, stone in message.excerpts.items()}
    return entry_of(seq, message.id, turn, message.role, message.parts, message.part_ids, message.sizes, cut)


def no_turn(session_id: str, turn: int, count: int) -> NotFound:
    """The error for a turn that is not there."""
    return NotFound("turn", str(turn), f"session {session_id} has {count} turns, from 0")


def as_message(summary: Summary, seq: int) -> Message:
    """A summary as a message of the log, at the place where it was made."""
    return Message(
        id=summary.id,
        session_id=summary.session_id,
        turn_id="",
        turn=summary.last_turn,
        seq=seq,
        role="summary",
        parts=(TextPart(text=summary.text),),
        part_ids=(summary.id,),
        part_tokens=(summary.tokens,),
        tokens=summary.tokens,
        partial=False,
        created_at=summary.created_at,
    )


def call_of(item: ContextItem) -> ToolPart:
    """The tool call that an item of the window renders."""
    assert item.tool_name is not None, "it is a call"
    assert item.tool_call_id is not None, "it is a call"
    return ToolPart(tool_name=item.tool_name, tool_call_id=item.tool_call_id, input=json.loads(item.text))
