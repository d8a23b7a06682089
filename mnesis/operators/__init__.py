"""Maps: one prompt, or one agent, over many items. Runs are kept in the store, and go on after a stop or a crash."""

from mnesis.models.maps import MapProgress, MapResult, MapRunInfo
from mnesis.operators.agentic_map import AgenticMap
from mnesis.operators.llm_map import LLMMap
from mnesis.operators.record import running
from mnesis.operators.run import MapResults, MapRun
from mnesis.operators.tools import map_tools

__all__ = [
    "AgenticMap",
    "LLMMap",
    "MapProgress",
    "MapResult",
    "MapResults",
    "MapRun",
    "MapRunInfo",
    "map_tools",
    "running",
]
