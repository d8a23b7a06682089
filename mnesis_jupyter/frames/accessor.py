"""`df.mnesis`: what is drawn and added up most often, beside the DataFrames of `frames`."""

import importlib
from typing import TYPE_CHECKING, Any

import pandas as pd

from mnesis import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KINDS = {
    "system_tokens": ("system prompt, tools", "#8c8c8c"),
    "summary_tokens": ("summaries", "#e69f00"),
    "message_tokens": ("messages", "#0072b2"),
    "tool_tokens": ("tool outputs", "#009e73"),
}
"""In colours that the colour-blind can tell apart (Okabe and Ito)."""
_STATES = {"committed": "#0072b2", "failed": "#d55e00", "aborted": "#cc79a7", "open": "#8c8c8c"}
_TOKENS = "tokens sent"
_SHORTEST = 0.004
"""Of the axis: what a bar has at least, so that it is seen."""


@pd.api.extensions.register_dataframe_accessor("mnesis")
class Accessor:
    """`llm_map` is on any DataFrame, the rest on `frames.turns()`, whole or filtered. Plots are drawn on `ax`, or on a
    new figure, and need matplotlib.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def llm_map(self, template: str | None = None, schema: Any = None, **options: Any) -> pd.DataFrame:
        """Ask a model about each row, `{{ item.column }}`; `schema` and `options` as for `mnesis_jupyter.llm_map`."""
        return _llm_map(self._frame, template, schema, **options)

    def plot_budget(self, budget: int | None = None, *, ax: "Axes | None" = None) -> "Axes":
        """What each turn's window was made of, in tokens; `budget` draws a line (`session.context()` has it)."""
        turns = self._one_session("plot_budget", *_KINDS)
        ax = _axes(ax)
        x = turns.index.get_level_values("turn").to_numpy()
        heights = [turns[name].to_numpy(dtype=float) for name in _KINDS]
        if len(turns):
            labels, colors = zip(*_KINDS.values(), strict=True)
            ax.stackplot(x, heights, labels=labels, colors=colors, step="mid")
        return _finished(ax, "turn", _TOKENS, "What the window was made of", budget)

    def plot_sawtooth(self, budget: int | None = None, *, ax: "Axes | None" = None) -> "Axes":
        """The size of the window, turn by turn, with a mark where it gave way; a line for each session."""
        frame = self._turns("plot_sawtooth", "window_tokens")
        ax = _axes(ax)
        for id, turns in frame.groupby(level="session_id", sort=False):
            x = turns.index.get_level_values("turn").to_numpy()
            y = turns["window_tokens"].to_numpy(dtype=float)
            (line,) = ax.plot(x, y, linewidth=1.2, label=f"…{str(id)[-4:]}")
            fell = (turns["window_tokens"].diff() < 0).to_numpy(dtype=bool, na_value=False)
            ax.plot(x[fell], y[fell], "v", color=line.get_color(), markersize=5)
        return _finished(ax, "turn", _TOKENS, "The size of the window (▼ it gave way)", budget)

    def cost_by_model(self) -> pd.DataFrame:
        """Turns, tokens and known cost by model, the dearest first; `unpriced` turns used something of unknown cost."""
        frame = self._turns("cost_by_model", "model", "input_tokens", "output_tokens", "cost")
        unpriced = frame["input_tokens"].notna() & frame["cost"].isna()
        groups = frame.assign(unpriced=unpriced.astype("Int64")).groupby("model", observed=True)
        table = groups[["input_tokens", "output_tokens", "unpriced"]].sum().astype("Int64")
        table.insert(0, "turns", groups.size().astype("Int64"))
        table.insert(3, "cost", groups["cost"].sum(min_count=1).astype("Float64"))
        return table.sort_values(["cost", "turns"], ascending=False, na_position="last")

    def timeline(self, *, ax: "Axes | None" = None) -> "Axes":
        """When each turn ran and how it ended, a row for each session, on the clock (UTC)."""
        frame = self._turns("timeline", "opened_at", "finished_at", "state")
        ax = _axes(ax)
        ids = list(dict.fromkeys(frame.index.get_level_values("session_id")))
        begun = frame["opened_at"].dt.tz_localize(None)
        ended = frame["finished_at"].dt.tz_localize(None).fillna(begun)
        if len(frame):
            least = (ended.max() - begun.min()) * _SHORTEST
            width = (ended - begun).clip(lower=max(least, pd.Timedelta(milliseconds=1)))
            rows = frame.index.get_level_values("session_id").map(ids.index).to_numpy()
            for state, color in _STATES.items():
                of = (frame["state"] == state).to_numpy(dtype=bool, na_value=False)
                if of.any():
                    starts, widths = begun[of].to_numpy(), width[of].to_numpy()
                    ax.barh(rows[of], widths, left=starts, height=0.6, color=color, label=state)
            _clock(ax)
        ax.set_yticks(range(len(ids)), [f"…{str(id)[-4:]}" for id in ids])
        ax.invert_yaxis()
        return _finished(ax, "time (UTC)", "session", "Turns on the clock", None)

    def plot_replays(self, column: str = "window_tokens", *, ax: "Axes | None" = None) -> "Axes":
        """On `frames.replay_turns()`: a column turn by turn, a line for each replay."""
        frame = self._frame
        if {"replay", "turn"} - set(frame.index.names) or column not in frame.columns:
            raise InputError(f"plot_replays({column!r}) needs that column; it is for frames.replay_turns()")
        ax = _axes(ax)
        for name, turns in frame.groupby(level="replay", sort=False):
            x = turns.index.get_level_values("turn").to_numpy()
            ax.plot(x, turns[column].to_numpy(dtype=float), linewidth=1.2, label=str(name))
        words = column.removesuffix("_tokens").replace("_", " ")
        return _finished(ax, "turn", _TOKENS if column == "window_tokens" else column, f"{words}, by replay", None)

    def _turns(self, method: str, *columns: str) -> pd.DataFrame:
        missing = [name for name in columns if name not in self._frame.columns]
        levels = [name for name in ("session_id", "turn") if name not in self._frame.index.names]
        if missing or levels:
            raise InputError(
                f"{method}() needs {', '.join(missing + levels)}, which is not here; it is for frames.turns()"
            )
        return self._frame

    def _one_session(self, method: str, *columns: str) -> pd.DataFrame:
        frame = self._turns(method, *columns)
        count = frame.index.get_level_values("session_id").nunique()
        if count > 1:
            raise InputError(f"{method}() is for one session, and here are {count}; give frames.turns('my chat')")
        return frame


@pd.api.extensions.register_series_accessor("mnesis")
class SeriesAccessor:
    """On any Series."""

    def __init__(self, series: "pd.Series[Any]") -> None:
        self._series = series

    def llm_map(self, template: str | None = None, schema: Any = None, **options: Any) -> pd.DataFrame:
        """Ask a model about each value, `{{ item }}`; `schema` and `options` as for `mnesis_jupyter.llm_map`."""
        return _llm_map(self._series, template, schema, **options)


def _llm_map(inputs: Any, template: str | None, schema: Any, **options: Any) -> pd.DataFrame:
    # By name: a map runs the engine, which is above what only reads.
    frame: pd.DataFrame = importlib.import_module("mnesis_jupyter.maps").llm_map(inputs, template, schema, **options)
    return frame


def _axes(ax: "Axes | None") -> "Axes":
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise InputError('plots need matplotlib: pip install "mnesis[jupyter]"') from error
    figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
    _on_any_ground(figure, ax)
    return ax


_INK = "#7f7f7f"
"""Reads well on white and on the dark of a theme: a contrast of 4 to both."""


def _on_any_ground(figure: "Figure", ax: "Axes") -> None:
    """Let the page shine through, light or dark."""
    figure.patch.set_visible(False)  # not transparent: IPython has JupyterLab lay white below what is
    ax.patch.set_visible(False)
    ax.tick_params(which="both", color=_INK, labelcolor=_INK)
    for text in (ax.title, ax.xaxis.label, ax.yaxis.label, ax.xaxis.get_offset_text(), ax.yaxis.get_offset_text()):
        text.set_color(_INK)
    for spine in ax.spines.values():
        spine.set_color(_INK)


def _clock(ax: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _finished(ax: "Axes", x: str, y: str, title: str, budget: int | None) -> "Axes":
    if budget is not None:
        ax.axhline(budget, color="#d55e00", linestyle="--", linewidth=1, label=f"budget {budget:,}")
    ax.set(xlabel=x, ylabel=y, title=title)
    if y == _TOKENS:
        ax.set_ylim(bottom=0)
    handles: list[Any] = ax.get_legend_handles_labels()[0]
    if 0 < len(handles) <= 12:
        ours = not ax.patch.get_visible()
        ax.legend(
            loc="upper left",
            bbox_to_anchor=(1, 1),
            fontsize="small",
            frameon=False,
            labelcolor=_INK if ours else None,
        )
    return ax
