"""The widget `Timeline`."""

from mnesis_jupyter.views import timeline_copy_html
from mnesis_jupyter.widgets.panel import Panel


class Timeline(Panel):
    """What happened, in lanes by kind, over turns or over time."""

    name = "timeline"
    draw = staticmethod(timeline_copy_html)
