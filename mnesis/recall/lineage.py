"""Where an item is now, and how it came there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mnesis.models.recall import Lineage, LineageStep, State
from mnesis.recall import record
from mnesis.recall.record import Said
from mnesis.store import Tx, summaries, views


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where something is in the current window: itself, or the summary that stands for it."""

    state: State
    covered_by: str | None = None


def whereabouts(cx: Tx, session_id: str, ref: str, part_ids: Sequence[str] = ()) -> Whereabouts:
    """Where a message (or these parts of it) or a summary is now."""
    life = views.life_of(cx, session_id, ref)
    if life is None:
        return Whereabouts("partial")
    if life[1] is not None:
        chain = summaries.covering(cx, session_id, ref)
        return Whereabouts("covered", next((id for id, alive in chain if alive), None))
    stones = views.stand_ins_of(cx, session_id, part_ids)
    kinds = {kind for _, kind, _, _ in stones}
    return Whereabouts("pruned" if "pruned" in kinds else "excerpt" if kinds else "verbatim")


def why(cx: Tx, session_id: str, id: str) -> Lineage:
    """See `MnesisSession.why`."""
    ref, parts = id, tuple[str, ...]()
    if record.kind(id, ("message", "part", "file", "summary")) == "summary":
        steps = [_made(cx, session_id, id)]
    else:
        said = record.said(cx, session_id, id)
        ref, parts = said.message.id, said.part_ids
        steps = list(_said(cx, session_id, said))
    steps += _stood_for(cx, session_id, ref)
    now = whereabouts(cx, session_id, ref, parts)
    return Lineage(id=id, state=now.state, covered_by=now.covered_by, steps=tuple(steps))


def _said(cx: Tx, session_id: str, said: Said) -> Iterator[LineageStep]:
    message = said.message
    life = views.life_of(cx, session_id, message.id)
    role = {"user": "said by the user", "assistant": "said by the assistant"}.get(message.role, "answered by a tool")
    tokens = sum(message.part_tokens[index] for index in map(message.part_ids.index, said.part_ids))
    kept = "" if life else "; a partial reply, kept and never sent"
    yield LineageStep(
        view=life[0] if life else None,
        turn=message.turn,
        at=message.created_at,
        cause="partial" if life is None else "message",
        words=f"{role}, {tokens:,} tokens{kept}",
    )
    for part_id, kind, view, left in views.stand_ins_of(cx, session_id, said.part_ids):
        words = {
            "pruned": f"the output of {part_id} was pruned: a line of {left:,} tokens stands for it",
            "excerpt": f"{part_id} is larger than fits: an excerpt of {left:,} tokens stands for it",
        }[kind]
        yield _step(cx, session_id, view, kind, words)


def _made(cx: Tx, session_id: str, id: str) -> LineageStep:
    summary = record.summary(cx, session_id, id)
    life = views.life_of(cx, session_id, id)
    kinds = "summaries" if summary.kind == "condensed" else "messages"
    words = f"made of {len(summary.sources)} {kinds}, {summary.source_tokens:,} tokens -> {summary.tokens:,}"
    if life is None:
        return LineageStep(view=None, turn=summary.last_turn, at=summary.created_at, cause="compaction", words=words)
    return _step(cx, session_id, life[0], "compaction", words)


def _stood_for(cx: Tx, session_id: str, ref: str) -> Iterator[LineageStep]:
    """Each time that a summary took the place of it, or of what stood for it."""
    for id, _ in summaries.covering(cx, session_id, ref):
        if life := views.life_of(cx, session_id, id):
            summary = record.summary(cx, session_id, id)
            source = next((each for each in summary.sources if each.id == ref), None)
            given = "" if source is None or source.fidelity == "full" else f" ({source.fidelity} for the summariser)"
            words = f"summarised into {id}, level {summary.level}, depth {summary.depth}{given}"
            yield _step(cx, session_id, life[0], "compaction", words)
            ref = id


def _step(cx: Tx, session_id: str, view: int, cause: str, words: str) -> LineageStep:
    moment = views.moment_of(cx, session_id, view)
    return LineageStep(view=view, turn=moment.turn, at=moment.at, cause=cause, words=words)
