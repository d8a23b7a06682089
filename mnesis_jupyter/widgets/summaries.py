"""The widget `Summaries`."""

from mnesis_jupyter.views import summaries_copy_html
from mnesis_jupyter.widgets.panel import Panel


class Summaries(Panel):
    """The summaries over the turns that they stand for, as an icicle and as a tree, down to the messages themselves."""

    name = "summaries"
    draw = staticmethod(summaries_copy_html)
