"""The widget `Context`."""

from mnesis_jupyter.views import context_copy_html
from mnesis_jupyter.widgets.panel import Panel


class Context(Panel):
    """The window as it is sent, item by item: searched, sorted, unfolded to the exact text and to what it came from."""

    name = "context"
    draw = staticmethod(context_copy_html)
