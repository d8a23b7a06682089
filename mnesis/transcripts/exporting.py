"""One conversation in the form that is asked for."""

from typing import Any, Literal

from mnesis.errors import InputError, describe_value
from mnesis.transcripts.anthropic import to_anthropic_messages
from mnesis.transcripts.jsonl import to_jsonl
from mnesis.transcripts.model import Transcript
from mnesis.transcripts.openai import to_openai_messages


def exported(transcript: Transcript, format: Literal["openai", "anthropic", "mnesis"]) -> Any:
    """A list of messages, a request, or a line of JSON. Raises `InputError`."""
    match format:
        case "openai":
            return to_openai_messages(transcript)
        case "anthropic":
            return to_anthropic_messages(transcript)
        case "mnesis":
            return to_jsonl([transcript])
    raise InputError(f"format={describe_value(format)} is not known; give 'openai', 'anthropic' or 'mnesis'")
