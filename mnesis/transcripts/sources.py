"""From a list of messages in either form to a transcript."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mnesis.errors import InputError, describe_value
from mnesis.transcripts import anthropic, openai
from mnesis.transcripts.model import Transcript
from mnesis.transcripts.reading import Node, Turns

type Format = Literal["auto", "openai", "anthropic"]


def from_messages(
    messages: Sequence[Any] | Mapping[str, Any],
    *,
    system: str | Sequence[Any] | None = None,
    format: Format = "auto",
    argument: str = "messages",
) -> Transcript:
    """Read a list of messages as OpenAI's or Anthropic's API takes them, or a whole request with "messages" in it.

    Messages are dicts, or what `model_dump` makes dicts of (the objects of both SDKs). "auto" tells the form by the
    content blocks that only Anthropic's has. `system` is the system prompt, where that is none of the messages.
    "created_at" is read where it is there; everything that the forms do not name is left out.

    Raises `InputError`, naming the index, the role and the value, and what is allowed. `argument` is what it calls the
    list.
    """
    if isinstance(messages, Mapping):
        request = Node(argument, messages)
        system = system if system is not None else messages.get("system")
        return from_messages(request.need("messages").value, system=system, format=format, argument=argument)
    if format not in ("auto", "openai", "anthropic"):
        raise InputError(f"format={describe_value(format)} is not known; give 'auto', 'openai' or 'anthropic'")
    nodes = [_message(node) for node in Node(argument, messages).each()]
    is_anthropic = format == "anthropic" or (format == "auto" and _looks_anthropic(nodes))
    turns = Turns()
    if system is not None:
        given = Node("system", system)
        turns.system(given, anthropic.read_system(given))
    for node in nodes:
        (anthropic if is_anthropic else openai).read(node, turns)
    return turns.transcript()


def _message(node: Node) -> Node:
    """A message as a dict, under a name that tells its role."""
    dump = getattr(node.value, "model_dump", None)
    message = dump() if callable(dump) else node.value
    if not isinstance(message, Mapping):
        raise node.refuse("give a dict with 'role' and 'content'")
    role = f" (role {message['role']!r})" if isinstance(message.get("role"), str) else ""
    return Node(f"{node.path}{role}", message)


def _looks_anthropic(nodes: Sequence[Node]) -> bool:
    if any(node.value.get("role") in ("tool", "function", "developer") for node in nodes):
        return False
    return any(anthropic.is_anthropic(node) for node in nodes)
