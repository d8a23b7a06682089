"""The store as pandas DataFrames: `turns()`, `messages("my chat")`, `context(session, turn=3)`.

Each takes a session as object, id or title; `None` means all sessions, or the current one where only one makes sense.
Each reads the file by itself, read-only and on one snapshot, so it is safe while sessions write. Columns, their order
and their dtypes are always the same, also when there are no rows: nullable integers, floats and booleans, `string`,
`category`, and times as `datetime64[us, UTC]`. `schema()` lists them; docs/frames.md says what they hold.

Of one session that is a fork, the past that it shares is part of each frame; `session_id` is there the session that had
it. Of all sessions, each row comes once. What was billed (`sessions`, `usage`) is counted where it was billed.

What narrows a view (`state=`, `role=`, `since=`, …) is asked of the database, which reads no more than that. Where a
view is too long for memory, `chunks("messages")` reads it in pieces. `sql("select …")` asks anything else,
`export(folder)` writes files. `replays(…)` and `replay_turns(…)` are of what `session.replay()` returns. On `turns()`
there is `.mnesis.plot_sawtooth()` and the like.

    >>> from mnesis_jupyter import frames
    >>> frames.turns("talk")["state"].value_counts().to_dict()
    {'committed': 5, 'failed': 1}
    >>> frames.messages("talk", role="user")["text"].head(2).tolist()
    ['Hi.', 'Hi again.']
"""

from mnesis_jupyter.frames.contents import attachments, files, parts, tool_calls
from mnesis_jupyter.frames.listings import ids, listing, names, problems
from mnesis_jupyter.frames.log import events, messages, sessions, turns, usage
from mnesis_jupyter.frames.maps import map_items, map_listing, map_results, map_runs
from mnesis_jupyter.frames.memory import context, context_changes, sources, summaries
from mnesis_jupyter.frames.query import sql
from mnesis_jupyter.frames.reading import find_session, rows, store
from mnesis_jupyter.frames.replays import replay_turns, replays
from mnesis_jupyter.frames.saving import export
from mnesis_jupyter.frames.tables import TABLES, chunks, schema

__all__ = [
    "TABLES",
    "attachments",
    "chunks",
    "context",
    "context_changes",
    "events",
    "export",
    "files",
    "find_session",
    "ids",
    "listing",
    "map_items",
    "map_listing",
    "map_results",
    "map_runs",
    "messages",
    "names",
    "parts",
    "problems",
    "replay_turns",
    "replays",
    "rows",
    "schema",
    "sessions",
    "sources",
    "sql",
    "store",
    "summaries",
    "tool_calls",
    "turns",
    "usage",
]
