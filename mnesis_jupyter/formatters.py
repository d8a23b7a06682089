"""What objects of mnesis look like as the last line of a cell. As text they have their `repr`.

Types are named, not imported: `%load_ext` does not wait for them, and `mnesis` knows nothing of IPython.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_VIEWS: Mapping[str, str] = {
    "mnesis.session.MnesisSession": "session_html",
    "mnesis_jupyter.facade.Chat": "session_html",
    "mnesis.models.message.TurnResult": "turn_html",
    "mnesis.models.message.RecordResult": "facts_html",
    "mnesis.models.message.TokenUsage": "facts_html",
    "mnesis.models.message.Message": "message_html",
    "mnesis.models.message.CompactionResult": "compaction_html",
    "mnesis.models.context.ContextWindow": "window_html",
    "mnesis.models.context.ContextItem": "facts_html",
    "mnesis.models.context.ContextBreakdown": "facts_html",
    "mnesis.models.context.Budget": "facts_html",
    "mnesis.models.context.TurnSnapshot": "facts_html",
    "mnesis.models.summary.Summary": "summary_html",
    "mnesis.models.summary.LossCertificate": "lost_html",
    "mnesis.models.recall.GrepResult": "grep_html",
    "mnesis.models.recall.GrepMatch": "facts_html",
    "mnesis.models.recall.Description": "description_html",
    "mnesis.models.recall.Expansion": "expansion_html",
    "mnesis.models.recall.Lineage": "lineage_html",
    "mnesis.models.recall.WindowDiff": "diff_html",
    "mnesis.models.recall.VerifyReport": "verify_html",
    "mnesis.models.maps.MapResult": "result_html",
    "mnesis.models.maps.MapProgress": "progress_html",
    "mnesis.models.maps.MapRunInfo": "run_info_html",
    "mnesis.operators.run.MapResults": "results_html",
    "mnesis.operators.run.MapRun": "run_html",
    "mnesis.events.payloads.EventRecord": "facts_html",
    "mnesis.models.config.MnesisConfig": "facts_html",
    "mnesis.models.config.CompactionConfig": "facts_html",
    "mnesis.models.config.FileConfig": "facts_html",
    "mnesis.models.config.StoreConfig": "facts_html",
    "mnesis.models.config.OperatorConfig": "facts_html",
    "mnesis.models.config.SessionConfig": "facts_html",
    "mnesis.models.config.RetryConfig": "facts_html",
    "mnesis.models.config.ModelOverrides": "facts_html",
    "mnesis.llm.base.ModelLimits": "facts_html",
    "mnesis.llm.catalog.ModelFacts": "facts_html",
}
"""Per type, the view that draws it."""


def register(shell: "InteractiveShell") -> None:
    """Have IPython show them as HTML, too."""
    for type, view in _VIEWS.items():
        _html_of(shell).for_type_by_name(*type.rsplit(".", 1), _Drawn(view))


def unregister(shell: "InteractiveShell") -> None:
    """Take that back."""
    for type in _VIEWS:
        _html_of(shell).pop(type, None)


class _Drawn:
    """A view that is imported when something is drawn."""

    def __init__(self, view: str) -> None:
        self._view = view

    def __call__(self, value: Any) -> str:
        view = getattr(importlib.import_module("mnesis_jupyter.views"), self._view)
        return str(view(value))


def _html_of(shell: "InteractiveShell") -> Any:
    formatter: Any = shell.display_formatter
    return formatter.formatters["text/html"]
