"""From the rows of a view to the entries of a window."""

import json

from mnesis.context.assembly import Entry, entry_of, summary_entry
from mnesis.models.context import ContextItem
from mnesis.models.message import ToolPart
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


def call_of(item: ContextItem) -> ToolPart:
    """The tool call that an item of the window renders."""
    assert item.tool_name is not None, "it is a call"
    assert item.tool_call_id is not None, "it is a call"
    return ToolPart(tool_name=item.tool_name, tool_call_id=item.tool_call_id, input=json.loads(item.text))
