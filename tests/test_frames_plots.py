"""`df.mnesis`: plots of turns, and what they cost. The numbers that are drawn are read back from the axes."""

import io
import subprocess
import sys
from base64 import b64decode
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from IPython.core.pylabtools import select_figure_formats
from matplotlib import pyplot as plt
from summarisers import Model, create, settled, talk

from mnesis import InputError, TokenUsage
from mnesis_jupyter import frames
from mnesis_jupyter.current import CURRENT


@pytest.fixture(autouse=True, scope="module")
def canvas():
    before = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.switch_backend(before)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
async def store(store_path, monkeypatch):
    """Two sessions; the first has compacted."""
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    CURRENT.configure(None)
    session = await create(store_path, Model(), 8_000, title="long")
    async with session:
        for number in range(24):
            await session.record(talk(number, 150), talk(number, 150))
            await settled(session)
    async with await create(store_path, Model(), 8_000, title="short") as other:
        await other.send("Hi.")
    yield store_path
    CURRENT.configure(None)


def test_the_budget_is_drawn_as_areas_that_add_up_to_the_window():
    turns = frames.turns("long")
    ax = turns.mnesis.plot_budget(5_000)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        *("system prompt, tools", "summaries", "messages", "tool outputs"),
        "budget 5,000",
    ]
    top = max(path.vertices[:, 1].max() for area in ax.collections for path in area.get_paths())
    assert top == turns["window_tokens"].max()
    assert ax.get_ylim()[0] == 0


def test_the_sawtooth_marks_the_turns_at_which_the_window_gave_way():
    turns = frames.turns("long")
    ax = turns.mnesis.plot_sawtooth()
    line, marks = ax.lines
    assert line.get_ydata().tolist() == turns["window_tokens"].tolist()
    sizes = turns["window_tokens"].to_numpy(dtype=int)
    assert marks.get_xdata().tolist() == (np.flatnonzero(np.diff(sizes) < 0) + 1).tolist() != []
    assert len(frames.turns().mnesis.plot_sawtooth(ax=plt.figure().subplots()).lines) == 4


def test_the_timeline_has_a_bar_for_each_turn_in_the_row_of_its_session():
    ax = frames.turns().mnesis.timeline()
    assert len(ax.patches) == len(frames.turns())
    assert len(ax.get_yticks()) == 2
    assert {round(bar.get_y() + bar.get_height() / 2) for bar in ax.patches} == {0, 1}
    assert all(bar.get_width() > 0 for bar in ax.patches)
    ax.figure.canvas.draw()


async def test_costs_are_added_up_by_model_and_unknown_ones_are_counted(store):
    async with await create(store, Model(), 8_000, title="more") as session:
        await session.record("Hi.", "Hello.", tokens=TokenUsage(input=10, output=5, total=15))
    table = frames.turns().mnesis.cost_by_model()
    assert list(table.columns) == ["turns", "input_tokens", "output_tokens", "cost", "unpriced"]
    assert [str(dtype) for dtype in table.dtypes] == ["Int64", "Int64", "Int64", "Float64", "Int64"]
    whole = frames.usage(by="model")
    for column in table.columns:
        told = table[column].fillna(-1).to_dict()
        assert told == whole.loc[table.index, column].fillna(-1).to_dict(), column


def test_nothing_is_drawn_of_no_turns_and_that_is_no_error():
    nothing = frames.turns(state="aborted")
    for method in ("plot_budget", "plot_sawtooth", "timeline"):
        getattr(nothing.mnesis, method)().figure.canvas.draw()
    assert nothing.mnesis.cost_by_model().empty


def test_a_plot_is_drawn_where_one_says():
    figure, axes = plt.subplots(1, 2)
    assert frames.turns("long").mnesis.plot_budget(ax=axes[1]) is axes[1]
    assert not axes[0].has_data()
    assert plt.get_fignums() == [figure.number]


def test_a_frame_that_it_is_not_for_says_which_one_is():
    with pytest.raises(InputError, match=r"plot_sawtooth\(\) needs window_tokens.*for frames\.turns\(\)"):
        frames.messages().mnesis.plot_sawtooth()
    with pytest.raises(InputError, match="turn, which is not here"):
        frames.turns().reset_index("turn").mnesis.timeline()
    with pytest.raises(InputError, match="for one session, and here are 2"):
        frames.turns().mnesis.plot_budget()
    assert frames.turns("long").iloc[:3].mnesis.plot_sawtooth().lines[0].get_xdata().tolist() == [0, 1, 2]


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r'pip install "mnesis\[jupyter\]"'):
        frames.turns("long").mnesis.plot_sawtooth()
    assert isinstance(frames.turns("long").mnesis.cost_by_model(), pd.DataFrame)


def test_frames_do_not_import_matplotlib():
    code = "import sys; from mnesis_jupyter import frames; frames.turns(); assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_plot_lets_the_page_shine_through_and_is_grey_on_any_ground():
    ax = frames.turns("long").mnesis.plot_budget()
    formatter = DisplayFormatter()
    select_figure_formats(SimpleNamespace(display_formatter=formatter), {"png"})
    data, metadata = formatter.format(ax.figure)
    assert "needs_background" not in metadata.get("image/png", {})  # else JupyterLab lays white below it
    assert mpl.image.imread(io.BytesIO(b64decode(data["image/png"])))[0, 0, 3] == 0
    texts = (ax.title, ax.xaxis.label, *ax.get_legend().get_texts())
    inks = [mpl.colors.to_rgba_array(text.get_color()) for text in texts]
    assert all((ink == mpl.colors.to_rgba_array("#7f7f7f")).all() for ink in inks)
