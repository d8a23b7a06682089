"""The widget `Inspector`: the others in one."""

from mnesis import MnesisSession
from mnesis_jupyter.views import inspector_copy_html
from mnesis_jupyter.widgets.panel import Panel


class Inspector(Panel):
    """Budget, summaries, timeline and context of a session on one axis of turns, with time travel."""

    name = "inspector"
    draw = staticmethod(inspector_copy_html)


def inspect(session: MnesisSession | str | None = None, *, turn: int | None = None) -> Inspector:
    """The inspector of a session: an object, an id or a title; without one, of the current session."""
    return Inspector(session, turn=turn)
