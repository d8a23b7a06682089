"""Sessions with language models that lose nothing.

async with MnesisSession.open(model="offline/quote") as session:
    await session.send("My name is Alice.")
    print((await session.send("What's my name?")).text)
"""

import logging

from mnesis.counting import TokenCount, count_tokens
from mnesis.erasing import erase
from mnesis.errors import (
    Authentication,
    BadRequest,
    CompactionError,
    ConfigError,
    ContextOverflow,
    Corrupt,
    FileError,
    InputError,
    LLMError,
    Locked,
    MnesisError,
    MnesisStoreError,
    NotFound,
    RateLimit,
    ReadOnly,
    SchemaVersion,
    SessionBusy,
    SessionClosed,
    SessionNotFoundError,
    StoreError,
    Timeout,
    Unavailable,
)
from mnesis.events.bus import MnesisEvent
from mnesis.llm.catalog import ModelFacts, known_models, model_facts
from mnesis.llm.redact import redact_secrets
from mnesis.models.config import (
    CompactionConfig,
    FileConfig,
    MnesisConfig,
    OperatorConfig,
    RetryConfig,
    SessionConfig,
    StoreConfig,
)
from mnesis.models.context import Budget, ContextBreakdown, ContextItem, ContextWindow, TurnSnapshot
from mnesis.models.media import MediaPart
from mnesis.models.message import (
    CompactionResult,
    FileRefPart,
    Message,
    PartUpdate,
    ReasoningPart,
    RecordResult,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolPart,
    ToolStatus,
    TurnComplete,
    TurnResult,
)
from mnesis.models.recall import Branch
from mnesis.models.replay import Replay, ReplayTurn, Spending
from mnesis.operators import AgenticMap, LLMMap, MapProgress, MapResult, MapResults, MapRun, MapRunInfo
from mnesis.session import MnesisSession
from mnesis.store import Database
from mnesis.tools import Tool, function_tool

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless the program sets up logging

__version__ = "0.1.0"

__all__ = [
    "AgenticMap",
    "Authentication",
    "BadRequest",
    "Branch",
    "Budget",
    "CompactionConfig",
    "CompactionError",
    "CompactionResult",
    "ConfigError",
    "ContextBreakdown",
    "ContextItem",
    "ContextOverflow",
    "ContextWindow",
    "Corrupt",
    "Database",
    "FileConfig",
    "FileError",
    "FileRefPart",
    "InputError",
    "LLMError",
    "LLMMap",
    "Locked",
    "MapProgress",
    "MapResult",
    "MapResults",
    "MapRun",
    "MapRunInfo",
    "MediaPart",
    "Message",
    "MnesisConfig",
    "MnesisError",
    "MnesisEvent",
    "MnesisSession",
    "MnesisStoreError",
    "ModelFacts",
    "NotFound",
    "OperatorConfig",
    "PartUpdate",
    "RateLimit",
    "ReadOnly",
    "ReasoningPart",
    "RecordResult",
    "Replay",
    "ReplayTurn",
    "RetryConfig",
    "SchemaVersion",
    "SessionBusy",
    "SessionClosed",
    "SessionConfig",
    "SessionNotFoundError",
    "Spending",
    "StoreConfig",
    "StoreError",
    "TextDelta",
    "TextPart",
    "Timeout",
    "TokenCount",
    "TokenUsage",
    "Tool",
    "ToolPart",
    "ToolStatus",
    "TurnComplete",
    "TurnResult",
    "TurnSnapshot",
    "Unavailable",
    "count_tokens",
    "erase",
    "function_tool",
    "known_models",
    "model_facts",
    "redact_secrets",
]
