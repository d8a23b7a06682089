"""What does not fit stands in the window as its beginning and its end, labelled; the whole of it stays in the store."""

from collections.abc import Sequence

from mnesis.context.assembly import Sizes
from mnesis.models.message import Part, Role
from mnesis.rendering import Block, blocks, excerpt_of, media_label
from mnesis.store.messages import Tombstone
from mnesis.tokens import TokenCounter

_HEAD_SHARE = 0.6
_SHRINK = 0.8


def excerpts(
    role: Role, parts: tuple[Part, ...], part_ids: Sequence[str], sizes: Sizes, room: int, counter: TokenCounter
) -> dict[int, Tombstone]:
    """Texts in the place of the parts that make a message larger than `room` tokens, by the part's index.

    The largest parts give way first. A tool call's arguments are never cut: half of a JSON object is none. Nor is an
    image: a label tells of it.
    """
    found = {block.part: block for block in blocks(role, parts) if block.is_result or block.tool_call_id is None}
    tokens = {index: sizes[index][block.is_result] for index, block in found.items()}
    share = _share(list(tokens.values()), room)
    return {
        index: _excerpt(found[index], part_ids[index], size, share, counter)
        for index, size in tokens.items()
        if size > share
    }


def _share(sizes: Sequence[int], room: int) -> int:
    """The largest size that each may have for all of them to take `room` at most."""
    left, share = room, room
    for position, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - position)
        if size > share:
            return max(share, 1)
        left -= size
    return max(share, *sizes) if sizes else share


def _excerpt(block: Block, part_id: str, tokens: int, share: int, counter: TokenCounter) -> Tombstone:
    if block.media is not None:
        label = media_label(block.media, part_id, left_out=tokens)
        return Tombstone(part_id, "excerpt", label, counter.count(label) + counter.message_overhead)
    wrapper = counter.message_overhead + counter.count((block.tool_call_id or "") + (block.tool_name or ""))
    part = share / tokens
    while True:
        part *= _SHRINK
        head, tail = int(len(block.text) * part * _HEAD_SHARE), int(len(block.text) * part * (1 - _HEAD_SHARE))
        text = excerpt_of(part_id, block.text, head, tail, tokens)
        cost = counter.count(text) + wrapper
        if cost <= share or head == 0:
            return Tombstone(part_id, "excerpt", text, cost)
