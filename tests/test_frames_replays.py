"""Replays as DataFrames, and drawn."""

from typing import Any

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from summarisers import Model, config, create, fill, needle

from mnesis import InputError
from mnesis_jupyter import frames


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


async def two():
    """A conversation under two budgets."""
    async with await create(":memory:", Model(), window=100_000) as session:
        await fill(session, 20)
        wanted = [needle(number) for number in (0, 10, 19)]
        return {
            f"{window:,}": await session.replay(config=config(window), needles=wanted) for window in (4_000, 50_000)
        }


def rows(frame: pd.DataFrame, name: str) -> list[dict[Any, Any]]:
    """Those of one replay."""
    return [row for row in frame.reset_index().to_dict("records") if row["replay"] == name]


async def test_replays_are_rows_that_add_up_to_their_turns():
    replays = await two()
    table, turns = frames.replays(replays), frames.replay_turns(replays)
    assert table.index.tolist() == ["4,000", "50,000"]
    assert len(turns) == 40
    for name, replay in replays.items():
        [row], own = rows(table, name), rows(turns, name)
        assert row["largest"] == replay.largest == max(each["window_tokens"] for each in own)
        for column in ("input_tokens", "output_tokens", "compactions", "summary_requests", "summary_input_tokens"):
            assert row[column] == sum(each[column] for each in own), column
        cached = sum(each["cache_read_tokens"] for each in own)
        assert row["cached"] == pytest.approx(cached / row["input_tokens"])
        assert row["verbatim"] + row["summary"] + row["recall"] == 3
        for each in own:
            kinds = ("system_tokens", "summary_tokens", "message_tokens", "tool_tokens")
            assert sum(each[kind] for kind in kinds) == each["window_tokens"]
    small, large = table["verbatim"].tolist()
    assert small < large == 3


async def test_columns_and_dtypes_are_the_same_without_rows():
    replays = await two()
    for view in (frames.replays, frames.replay_turns):
        assert view([]).dtypes.astype(str).to_dict() == view(replays).dtypes.astype(str).to_dict()
        assert view([]).index.names == view(replays).index.names


async def test_without_names_replays_go_by_their_titles():
    replays = list((await two()).values())
    one = replays[0].model_copy(update={"title": "one"})
    assert frames.replays(one).index.tolist() == ["one"]
    untitled = one.model_copy(update={"title": None})
    assert frames.replays([untitled]).index.tolist() == [one.session_id]


async def test_two_replays_of_one_title_are_not_taken_for_one():
    replays = list((await two()).values())
    with pytest.raises(InputError, match="names"):
        frames.replays(replays)


@pytest.mark.parametrize("value", [["text"], {"a": 3}, [None]])
def test_what_is_no_replay_is_refused(value):
    with pytest.raises(InputError, match="no Replay"):
        frames.replays(value)


async def test_a_line_is_drawn_for_each_replay():
    replays = await two()
    ax = frames.replay_turns(replays).mnesis.plot_replays()
    assert [line.get_label() for line in ax.get_lines()] == list(replays)
    for line, replay in zip(ax.get_lines(), replays.values(), strict=True):
        assert list(line.get_ydata()) == [turn.window.total for turn in replay.turns]
    assert frames.replay_turns(replays).mnesis.plot_replays("verbatim").get_ylabel() == "verbatim"


def test_a_frame_that_is_not_of_replays_says_which_one_is():
    with pytest.raises(InputError, match="replay_turns"):
        pd.DataFrame({"window_tokens": [1]}).mnesis.plot_replays()
    with pytest.raises(InputError, match="replay_turns"):
        frames.replay_turns([]).mnesis.plot_replays("colour")
