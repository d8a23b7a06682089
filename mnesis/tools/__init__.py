"""Tools that the model can call: what they are, and how their calls are run."""

from mnesis.tools.base import Tool, Toolbox
from mnesis.tools.doom import DoomLoop
from mnesis.tools.functions import function_tool
from mnesis.tools.given import ToolLike, results_of, tools_of
from mnesis.tools.loop import run_calls

__all__ = ["DoomLoop", "Tool", "ToolLike", "Toolbox", "function_tool", "results_of", "run_calls", "tools_of"]
