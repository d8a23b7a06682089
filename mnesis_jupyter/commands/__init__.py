"""What follows `%mnesis`: one small function each, with its arguments beside it."""

# In the order of `%mnesis help`.
from mnesis_jupyter.commands import sessions, branches, files  # noqa: F401, I001
from mnesis_jupyter.commands import ask, models, window, inspector, compaction, recall, maps, about, doctor  # noqa: F401
from mnesis_jupyter.commands.registry import COMMANDS, run

__all__ = ["COMMANDS", "run"]
