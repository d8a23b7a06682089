"""What people see as static HTML: window, budget, reply, summaries, recall; each with a plain-text twin.

One markup for every place where a cell's output is read: a live notebook, light or dark; one reopened untrusted; an
exported page; a viewer that drops all CSS. What follows from that:

- No script, no `<style>`, no id. JupyterLab's sanitiser also drops `var()`, `flex` and `gap` from untrusted output
  (packages/apputils/src/sanitizer.ts), so no colour hangs on a theme's variable: text inherits its colour, lines and
  fills are translucent, and the colours of the kinds have a contrast of 3 to white and to #212121, and of 4.5 to the
  white label that they may carry.
- Every bar is Unicode blocks set at size 0 in a coloured box: without CSS, the blocks are the bar.
- Kinds have a glyph and a name, marks a line style and a name: nothing is said by colour alone.
"""

from mnesis_jupyter.views.budget import budget_html, budget_text
from mnesis_jupyter.views.compaction import compaction_html, compaction_text, compaction_words, diff_html, diff_text
from mnesis_jupyter.views.files import FileLine, attached_html, attached_text, files_html, files_text
from mnesis_jupyter.views.inspection import (
    Inspection,
    ItemLine,
    LaneLine,
    SummaryLine,
    budget_copy_html,
    context_copy_html,
    inspection_text,
    inspector_copy_html,
    summaries_copy_html,
    timeline_copy_html,
)
from mnesis_jupyter.views.map_values import progress_html, result_html, results_html, run_html, run_info_html
from mnesis_jupyter.views.maps import MapState, map_html, map_text, map_words
from mnesis_jupyter.views.page import Span, map_svg, page_html
from mnesis_jupyter.views.pieces import KINDS, span_words
from mnesis_jupyter.views.recall import (
    description_html,
    description_text,
    expansion_html,
    expansion_text,
    grep_html,
    grep_text,
    lineage_html,
    lineage_text,
    verify_html,
    verify_text,
)
from mnesis_jupyter.views.reply import ReplyState, dollars, notice_html, notice_text, reply_block, reply_text
from mnesis_jupyter.views.steps import Call, Step, call_words, steps_html, steps_text
from mnesis_jupyter.views.summaries import MAX_SUMMARIES, Node, summaries_html, summaries_text, tree_of
from mnesis_jupyter.views.tables import table_html, table_text
from mnesis_jupyter.views.texts import fair_share
from mnesis_jupyter.views.values import facts_html, lost_html, message_html, session_html, summary_html, turn_html
from mnesis_jupyter.views.window import window_html, window_text

__all__ = [
    "KINDS",
    "MAX_SUMMARIES",
    "Call",
    "FileLine",
    "Inspection",
    "ItemLine",
    "LaneLine",
    "MapState",
    "Node",
    "ReplyState",
    "Span",
    "Step",
    "SummaryLine",
    "attached_html",
    "attached_text",
    "budget_copy_html",
    "budget_html",
    "budget_text",
    "call_words",
    "compaction_html",
    "compaction_text",
    "compaction_words",
    "context_copy_html",
    "description_html",
    "description_text",
    "diff_html",
    "diff_text",
    "dollars",
    "expansion_html",
    "expansion_text",
    "facts_html",
    "fair_share",
    "files_html",
    "files_text",
    "grep_html",
    "grep_text",
    "inspection_text",
    "inspector_copy_html",
    "lineage_html",
    "lineage_text",
    "lost_html",
    "map_html",
    "map_svg",
    "map_text",
    "map_words",
    "message_html",
    "notice_html",
    "notice_text",
    "page_html",
    "progress_html",
    "reply_block",
    "reply_text",
    "result_html",
    "results_html",
    "run_html",
    "run_info_html",
    "session_html",
    "span_words",
    "steps_html",
    "steps_text",
    "summaries_copy_html",
    "summaries_html",
    "summaries_text",
    "summary_html",
    "table_html",
    "table_text",
    "timeline_copy_html",
    "tree_of",
    "turn_html",
    "verify_html",
    "verify_text",
    "window_html",
    "window_text",
]
