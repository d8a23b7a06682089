"""Tools that the model can call: what they are, and how their calls are run."""

from mnesis.tools.base import Tool, Toolbox
from mnesis.tools.loop import run_calls

__all__ = ["Tool", "Toolbox", "run_calls"]
