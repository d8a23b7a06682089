"""The widget `Budget`."""

from mnesis_jupyter.html import Html
from mnesis_jupyter.views import budget_copy_html
from mnesis_jupyter.widgets.copies import facts_of
from mnesis_jupyter.widgets.panel import Panel


class Budget(Panel):
    """What fills the model's window: a stacked bar with the soft and the hard mark, its history, and a forecast."""

    name = "budget"

    def static_html(self) -> Html:
        return budget_copy_html(facts_of(self.subject, self.turn))
