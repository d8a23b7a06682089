"""The widget `Timeline`."""

from mnesis_jupyter.html import Html
from mnesis_jupyter.views import timeline_copy_html
from mnesis_jupyter.widgets.copies import facts_of
from mnesis_jupyter.widgets.panel import Panel


class Timeline(Panel):
    """What happened, in lanes by kind, over turns or over time."""

    name = "timeline"

    def static_html(self) -> Html:
        return timeline_copy_html(facts_of(self.subject, self.turn))
