"""Conversations that were held elsewhere, and ours as others read them. Pure functions over values.

    transcript = from_messages(openai_or_anthropic_list)
    to_openai_messages(transcript), to_anthropic_messages(transcript), to_jsonl([transcript])

What is read is equal to what was written: of our own JSONL everything, of the other forms all that they can say. They
have no times and no keys, OpenAI's says nothing of failed tools, and neither has names of files within an image.
"""

from mnesis.transcripts.anthropic import to_anthropic_messages
from mnesis.transcripts.exporting import exported
from mnesis.transcripts.jsonl import from_jsonl, to_jsonl, transcript_of
from mnesis.transcripts.model import Transcript, TranscriptMessage, TranscriptTurn
from mnesis.transcripts.openai import to_openai_messages
from mnesis.transcripts.sources import Format, from_messages

__all__ = [
    "Format",
    "Transcript",
    "TranscriptMessage",
    "TranscriptTurn",
    "exported",
    "from_jsonl",
    "from_messages",
    "to_anthropic_messages",
    "to_jsonl",
    "to_openai_messages",
    "transcript_of",
]
