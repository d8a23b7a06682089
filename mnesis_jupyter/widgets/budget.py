"""The widget `Budget`."""

from mnesis_jupyter.views import budget_copy_html
from mnesis_jupyter.widgets.panel import Panel


class Budget(Panel):
    """What fills the model's window: a stacked bar with the soft and the hard mark, its history, and a forecast."""

    name = "budget"
    draw = staticmethod(budget_copy_html)
