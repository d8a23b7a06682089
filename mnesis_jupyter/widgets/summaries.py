"""The widget `Summaries`."""

from mnesis_jupyter.html import Html
from mnesis_jupyter.views import summaries_copy_html
from mnesis_jupyter.widgets.copies import facts_of
from mnesis_jupyter.widgets.panel import Panel


class Summaries(Panel):
    """The summaries over the turns that they stand for, as an icicle and as a tree, down to the messages themselves."""

    name = "summaries"

    def static_html(self) -> Html:
        return summaries_copy_html(facts_of(self.subject, self.turn))
