"""All views by name."""

from collections.abc import Mapping

from mnesis_jupyter.frames import log, memory
from mnesis_jupyter.frames.reading import View

TABLES: Mapping[str, View] = {
    "sessions": log.SESSIONS,
    "turns": log.TURNS,
    "messages": log.MESSAGES,
    "parts": log.PARTS,
    "tool_calls": log.TOOL_CALLS,
    "files": log.FILES,
    "context_changes": memory.CONTEXT_CHANGES,
    "summaries": memory.SUMMARIES,
    "sources": memory.SOURCES,
    "events": log.EVENTS,
    "usage": log.usage(),
}
"""Those of any number of sessions: all but the context, which is one window."""
