"""All views by name."""

from collections.abc import Mapping

from mnesis_jupyter.frames import log, maps, memory
from mnesis_jupyter.frames.reading import View

TABLES: Mapping[str, View] = {
    "sessions": log.SESSIONS,
    "turns": log.TURNS,
    "messages": log.MESSAGES,
    "parts": log.PARTS,
    "tool_calls": log.TOOL_CALLS,
    "attachments": log.ATTACHMENTS,
    "files": log.FILES,
    "context_changes": memory.CONTEXT_CHANGES,
    "summaries": memory.SUMMARIES,
    "sources": memory.SOURCES,
    "events": log.EVENTS,
    "usage": log.usage(),
    "map_runs": maps.MAP_RUNS,
    "map_items": maps.MAP_ITEMS,
}
"""Those of any number of sessions: all but the context, which is one window."""
