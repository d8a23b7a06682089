"""From a subject to what its static copy says."""

from mnesis_jupyter.html import visible
from mnesis_jupyter.views import Inspection, ItemLine, LaneLine, SummaryLine
from mnesis_jupyter.widgets.log import LANES
from mnesis_jupyter.widgets.subject import Subject
from mnesis_jupyter.widgets.wire import line_of


def facts_of(subject: Subject, turn: int | None) -> Inspection:
    """What is known of a session, at a turn or now."""
    head, facts, log = subject.head(), subject.facts(turn), subject.log
    standing = {each.id for each in log.standing(facts["view"])}
    marks = {lane: [mark for mark in log.marks if mark.lane == lane] for lane in LANES}
    return Inspection(
        title=visible(head["title"] or subject.id),
        model=head["model"],
        turn=turn,
        state=head["state"],
        forecast=head["forecast"],
        budget=subject.budget,
        kinds=facts["kinds"],
        sizes=[each.size for each in log.turns],
        summaries=[
            SummaryLine(
                each.id,
                each.depth,
                each.level,
                each.first,
                each.last,
                each.source_tokens,
                each.tokens,
                each.lost,
                each.id in standing,
            )
            for each in log.summaries
        ],
        items=[
            ItemLine(item.kind, item.first, item.turn, item.tokens, item.stand_in or "", line_of(item))
            for item in subject.window(turn)
        ],
        lanes=[LaneLine(lane, len(found), found[-1].words if found else "") for lane, found in marks.items()],
    )
