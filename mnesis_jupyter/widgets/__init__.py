"""Widgets that show a session live: `Budget`, `Context`, `Summaries`, `Timeline`, and all of them in `Inspector`."""

from mnesis_jupyter.widgets.budget import Budget
from mnesis_jupyter.widgets.context import Context
from mnesis_jupyter.widgets.inspector import Inspector, inspect
from mnesis_jupyter.widgets.panel import Panel
from mnesis_jupyter.widgets.summaries import Summaries
from mnesis_jupyter.widgets.timeline import Timeline

__all__ = ["Budget", "Context", "Inspector", "Panel", "Summaries", "Timeline", "inspect"]
