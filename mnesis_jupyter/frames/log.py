"""The log: sessions, their turns, what was said in them, what happened, and what it took."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mnesis import InputError
from mnesis.errors import describe_value
from mnesis_jupyter.frames.reading import (
    INT,
    TEXT,
    Moment,
    SessionLike,
    View,
    columns,
    period,
    read,
)

if TYPE_CHECKING:
    import pandas as pd

# A fork counts the turns that it shares as well.
WITH_TURNS = """session_now s JOIN lineage l ON l.session_id = s.id AND l.ancestor_id = s.id
    LEFT JOIN turn t ON t.session_id = s.id"""
COUNT_OF_TURNS = "coalesce(max(t.idx) + 1, l.first_turn)"

SESSIONS = View(
    f"""
    SELECT s.id AS session_id, s.title, s.model, s.agent, s.system_prompt, s.parent_id, s.forked_from, s.forked_turn,
        {COUNT_OF_TURNS} AS turns, coalesce(sum(t.input_tokens), 0) AS input_tokens,
        coalesce(sum(t.output_tokens), 0) AS output_tokens, sum(t.cost) AS cost,
        s.created_at, max(coalesce(t.finished_at, t.opened_at)) AS last_turn_at
    FROM {WITH_TURNS} {{where}} GROUP BY s.id
    """,
    ("session_id",),
    columns(
        "session_id title model agent system_prompt parent_id forked_from forked_turn turns input_tokens "
        "output_tokens cost created_at last_turn_at"
    ),
    "s.created_at, s.id",
    session="s.id",
    filters={"model": "s.model = :model", **period("s.created_at")},
)


def sessions(
    session: SessionLike = None,
    *,
    model: str | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a session: title, model, what it has used. Key: `session_id`. `since`, `until`: when it was begun.

    >>> frames.sessions()[["title", "turns"]].to_numpy().tolist()
    [['talk', 6]]
    """
    return read(SESSIONS, session, db, model=model, since=since, until=until)


TURNS = View(
    """
    SELECT t.session_id, t.idx AS turn, t.state, t.model, t.window_tokens, t.system_tokens, t.summary_tokens,
        t.message_tokens, t.tool_tokens, t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
        t.total_tokens, t.cost, t.finish_reason, t.error_kind, t.error, t.recorded, t.origin, t.request_hash,
        t.id AS turn_id, t.opened_at, t.finished_at, (t.finished_at - t.opened_at) / 1e6 AS seconds
    FROM {turn} t {where}
    """,
    ("session_id", "turn"),
    columns(
        "session_id turn state model window_tokens system_tokens summary_tokens message_tokens tool_tokens "
        "input_tokens output_tokens cache_read_tokens cache_write_tokens total_tokens cost finish_reason "
        "error_kind error recorded origin request_hash turn_id opened_at finished_at seconds"
    ),
    "t.session_id, t.idx",
    session="t.branch_id",
    filters={"state": "t.state = :state", "model": "t.model = :model", **period("t.opened_at")},
)


def turns(
    session: SessionLike = None,
    *,
    state: str | None = None,
    model: str | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a turn: state, window by kind as it was sent, usage, cost, error. Key: `session_id`, `turn`.

    >>> frames.turns("talk", state="failed")["error_kind"].tolist()
    ['Unavailable']
    """
    return read(TURNS, session, db, state=state, model=model, since=since, until=until)


# Before SQLite 3.44 group_concat has no ORDER BY of its own.
_TEXT_OF_MESSAGE = """(
    SELECT group_concat(text, char(10, 10))
    FROM (SELECT p.text FROM part p WHERE p.message_id = m.id AND p.type = 'text' ORDER BY p.idx)
)"""

MESSAGES = View(
    f"""
    SELECT m.session_id, m.seq, m.turn, m.role, m.tokens,
        {_TEXT_OF_MESSAGE} AS text,
        (SELECT count(*) FROM part p WHERE p.message_id = m.id) AS parts, m.partial, m.id AS message_id, m.created_at
    FROM {{message}} m {{where}}
    """,
    ("session_id", "seq"),
    columns("session_id seq turn role tokens text parts partial message_id created_at"),
    "m.session_id, m.seq",
    session="m.branch_id",
    filters={"role": "m.role = :role", "turn": "m.turn = :turn", **period("m.created_at")},
)


def messages(
    session: SessionLike = None,
    *,
    role: str | None = None,
    turn: int | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row a message of the log, its text parts joined. Key: `session_id`, `seq`.

    >>> frames.messages("talk", turn=0)["text"].tolist()
    ['Hi.', 'Hello.']
    """
    return read(MESSAGES, session, db, role=role, turn=turn, since=since, until=until)


EVENTS = View(
    """
    SELECT e.session_id, e.seq, e.type AS event, e.turn, e.payload, e.id AS event_id, e.created_at
    FROM {event} e {where}
    """,
    ("session_id", "seq"),
    columns("session_id seq event turn payload event_id created_at"),
    "e.session_id, e.seq",
    session="e.branch_id",
    filters={"event": "e.type = :event", "turn": "e.turn = :turn", **period("e.created_at")},
)


def events(
    session: SessionLike = None,
    *,
    event: str | None = None,
    turn: int | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """One row an event, `payload` as JSON. Key: `session_id`, `seq`.

    >>> frames.events("talk", turn=0)["event"].tolist()
    ['message.created', 'message.created', 'turn.committed']
    """
    return read(EVENTS, session, db, event=event, turn=turn, since=since, until=until)


_USED_BY = {
    "session_id": "t.session_id",
    "day": "t.opened_at / 86400000000 * 86400000000",
    "model": "t.model",
}
_SUMS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "total_tokens")


def _usage(by: tuple[str, ...] = tuple(_USED_BY)) -> View:
    """What turns have used, added up by these: any of `session_id`, `day`, `model`."""
    keys = ", ".join(f"{_USED_BY[name]} AS {name}" for name in by)
    places = ", ".join(str(at + 1) for at in range(len(by)))
    return View(
        f"""
    SELECT {keys}, count(*) AS turns, {", ".join(f"coalesce(sum(t.{name}), 0) AS {name}" for name in _SUMS)},
        sum(t.cost) AS cost, sum(t.input_tokens IS NOT NULL AND t.cost IS NULL) AS unpriced,
        coalesce(sum(t.usage_counted), 0) AS counted
    FROM turn t {{where}} GROUP BY {places}
    """,
        by,
        columns(" ".join([*by, "turns", *_SUMS, "cost unpriced counted"]), model=TEXT, counted=INT),
        places,
        session="t.session_id",
        filters={"model": "t.model = :model", **period("t.opened_at")},
    )


USAGE = _usage()


def usage(
    session: SessionLike = None,
    *,
    by: str | Iterable[str] = ("session_id", "day", "model"),
    model: str | None = None,
    since: Moment = None,
    until: Moment = None,
    db: str | Path | None = None,
) -> "pd.DataFrame":
    """What turns have used, added up by session, day (UTC) and model, or by some of these. Key: `by`.

    `cost` adds up what is known, in US dollars; `unpriced` counts the turns that used something and whose cost is not.
    `counted` counts those whose usage the provider did not report, so that it was counted here.

    >>> frames.usage("talk", by="model")["turns"].to_dict()
    {'test/scripted': 6}
    """
    names = tuple([by] if isinstance(by, str) else by)
    known = tuple(_USED_BY)
    if not names or set(names) - set(known) or len(set(names)) < len(names):
        raise InputError(f"by={describe_value(by)} is not possible; give one or more of {', '.join(known)}")
    return read(_usage(names), session, db, model=model, since=since, until=until)
