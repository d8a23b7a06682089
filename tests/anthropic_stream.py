"""A reply as Anthropic's Messages API streams it: https://docs.anthropic.com/en/docs/build-with-claude/streaming."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai_server import Answer

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def anthropic_events(body: Any, answer: "Answer") -> Iterator[bytes]:
    """Each event of the stream. Blocks come in the order thinking, text, tool calls."""
    yield _event("message_start", message=_head(body, answer))
    blocks = list(_blocks(answer))
    for index, (block, deltas) in enumerate(blocks):
        yield _event("content_block_start", index=index, content_block=block)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        if answer.fault is None or index < len(blocks) - 1:
            yield _event("content_block_stop", index=index)
    if answer.fault == "malformed":
        yield b'event: content_block_delta\ndata: {"type": "content_bl\n\n'
    elif answer.fault == "stream_error":
        yield _event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    elif answer.fault is None:
        reason = _STOPS.get(answer.finish_reason, answer.finish_reason)
        output = {"output_tokens": (answer.usage or {}).get("completion_tokens", 0)}
        yield _event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=output)
        yield _event("message_stop")


def _head(body: Any, answer: "Answer") -> dict[str, Any]:
    counts = answer.usage or {}
    details = counts.get("prompt_tokens_details", {})
    read, written = details.get("cached_tokens", 0), details.get("cache_creation_tokens", 0)
    usage = {
        "input_tokens": counts.get("prompt_tokens", 0) - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": 1,
    }
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
    return {**head, "stop_reason": None, "stop_sequence": None, "usage": usage}


def _blocks(answer: "Answer") -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    if answer.reasoning or answer.signature:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(answer.reasoning)]
        deltas.append({"type": "signature_delta", "signature": answer.signature})
        yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if answer.redacted:
        yield {"type": "redacted_thinking", "data": answer.redacted}, []
    if answer.text or not answer.tool_calls:
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(answer.text)]
        yield {"type": "text", "text": ""}, deltas
    for call in answer.tool_calls:
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *call["arguments"])]
        yield {"type": "tool_use", "id": call["id"], "name": call["name"], "input": {}}, deltas


def _pieces(text: str | Sequence[str]) -> Sequence[str]:
    return re.findall(r"\S+\s*|\s+", text) if isinstance(text, str) else text


def _event(type: str, **fields: Any) -> bytes:
    data = json.dumps({"type": type, **fields}, ensure_ascii=False)
    return f"event: {type}\ndata: {data}\n\n".encode()
