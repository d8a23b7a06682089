"""`%%mnesis map --bg` and `llm_map(…, background=True)`: maps that run on after their cell, in a real IPython shell."""

import pandas as pd
import pytest
from front_end import press
from waiting import waited

import mnesis_jupyter
from mnesis import Authentication, BadRequest, InputError
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis_jupyter import frames


@pytest.fixture
def notebook(front, notebook):
    notebook.names |= {"many": [f"item {number}" for number in range(40)], "mnesis_jupyter": mnesis_jupyter}
    return notebook


def scripted(*replies):
    return ScriptedProvider(replies, cycle=True)


def begun(notebook, *replies, options="concurrency=2", **names):
    """A map over `many` in the background, with answers from a list, in a cell of its own."""
    notebook.names |= {"llm": scripted(*replies), **names}
    source = f"job = mnesis_jupyter.llm_map(many, '{{{{ item }}}}', llm=llm, background=True, {options})"
    notebook(source)
    return notebook.names["job"]


def told(front, name):
    """What the front end was told of the newest map, in its order, each once."""
    id = [id for id, state in front.opened.items() if "copy_id" in state][-1]
    seen = [data["state"][name] for at, data in front.messages if at == id and name in data.get("state", {})]
    values = [value for value in seen if value]  # a widget opens with nothing in it
    return [value for place, value in enumerate(values) if value not in values[:place]]


# -- a map in the background --------------------------------------------------------------------------------------


def test_the_cell_ends_at_once_and_the_results_are_bound_when_the_map_is_done(front, notebook):
    notebook.names["out"] = "of another time"
    ran = notebook("%%mnesis map many -o out --bg --concurrency 4\nSay it: {{ item }}")
    job = ran.result
    assert isinstance(job, mnesis_jupyter.RunningMap)
    assert job.result(timeout=30)["success"].all()
    out = notebook.names["out"]
    assert out.equals(job.result())
    assert out.attrs["run_id"] == job.id
    assert job.done
    assert told(front, "state") == ["running", "done"]
    assert told(front, "words")[-1]["items"] == "40 / 40 items · 100 %"


def test_results_of_another_time_are_not_taken_for_those_that_are_to_come(notebook):
    begun(notebook, Reply("ok", delay=0.2), out="of another time")
    notebook.names["many"] = ["a"] * 2_000
    notebook("%%mnesis map many -o out --bg --concurrency 1\n{{ item }}")
    assert "out" not in notebook.names or isinstance(notebook.names["out"], pd.DataFrame)


def test_other_cells_run_meanwhile_and_see_how_far_it_is(front, notebook):
    job = begun(notebook, Reply("ok", delay=0.05))
    waited(lambda: job.progress.finished > 2)
    assert notebook("1 + 1").result == 2
    assert not job.done
    so_far = job.frame()
    assert 0 < so_far["success"].sum() < 40
    assert "running" in repr(job)
    assert job.result()["output"].tolist() == ["ok"] * 40
    words = told(front, "words")
    assert any("items/s" in each["facts"] and "to go" in each["facts"] for each in words)
    assert len(words) < 40


def test_it_can_be_awaited(notebook):
    begun(notebook, "ok")
    assert notebook("len(await job)").result == 40


def test_frames_and_series_have_it_too(notebook):
    notebook.names |= {"llm": scripted("ok"), "df": pd.DataFrame({"text": ["Ada", "Bob"]}, index=["a", "b"])}
    ran = notebook("job = df.mnesis.llm_map('{{ item.text }}', llm=llm, background=True)\njob.result()")
    assert ran.result.index.tolist() == ["a", "b"]


def test_waiting_with_a_limit_says_that_the_map_goes_on(notebook):
    job = begun(notebook, Reply("ok", delay=0.2))
    with pytest.raises(TimeoutError, match=r"the map is not done after 0\.05 s; it goes on"):
        job.result(timeout=0.05)
    job.cancel()


def test_what_is_wrong_with_the_cell_itself_fails_the_cell(notebook):
    assert isinstance(notebook.run("%%mnesis map nothing --bg\n{{ item }}").error, InputError)
    assert isinstance(notebook.run("%%mnesis map many --bg\nno braces").error, InputError)
    assert frames.map_runs().empty


def test_the_first_failures_are_shown_as_words_and_the_rest_is_counted(front, notebook):
    job = begun(notebook, BadRequest("<img src=x onerror=alert(1)>"))
    copy = job.widget.copy
    assert not job.result()["success"].any()
    words = told(front, "words")[-1]
    assert len(words["failures"]) == 5
    assert words["failures"][0].startswith("item 0: BadRequest: <img src=x")
    assert words["more"] == "… and 35 more that failed"
    assert "--retry-failed" in words["hint"]
    html, _ = copy()
    assert "&lt;img" in html
    assert "<img" not in html


# -- stopping it --------------------------------------------------------------------------------------------------


def test_the_button_lets_what_is_under_way_be_finished_keeps_it_and_says_how_to_go_on(front, notebook):
    job = begun(notebook, Reply("ok", delay=0.5))
    waited(lambda: job.progress.finished > 2)
    press(job.widget)
    stopped = job.result(timeout=10)
    assert told(front, "state") == ["running", "stopping", "stopped"]
    assert f"--resume {job.id}" in told(front, "words")[-1]["hint"]
    done = int(stopped["success"].sum())
    assert 1 < done < 40
    assert done == len(notebook.names["llm"].requests)
    assert stopped["success"].isna().sum() == 40 - done
    assert frames.map_runs().loc[job.id, "state"] == "stopped"

    begun(notebook, "rest", options=f"resume='{job.id}'")
    assert notebook.names["job"].result()["success"].all()
    assert len(notebook.names["llm"].requests) == 40 - done


def test_a_second_press_leaves_what_is_under_way(notebook):
    job = begun(notebook, Reply("ok", delay=60))
    waited(lambda: job.progress.running == 2)
    press(job.widget)
    waited(lambda: job.widget.state == "stopping")
    press(job.widget)
    assert job.result(timeout=10)["success"].isna().all()
    assert job.widget.state == "stopped"


def test_a_stopped_cell_binds_what_there_is_and_is_resumed_by_the_name_of_it(notebook):
    notebook.names["many"] = list(range(20_000))
    job = notebook("%%mnesis map many -o out --bg\n{{ item }}").result
    waited(lambda: job.progress.finished)
    notebook("_.stop()")
    assert notebook.names["out"]["success"].isna().any()
    notebook.names["many"] = notebook.names["many"][:1]
    again = notebook("%%mnesis map --resume out -o out --bg\n{{ item }}").result
    assert again.id == job.id
    again.stop()


def test_a_refused_key_ends_it_and_is_raised_where_the_results_are_asked_for(front, notebook):
    job = begun(notebook, Authentication("the key is wrong; set another"))
    ran = notebook.run("job.result()")
    assert isinstance(ran.error, Authentication)
    assert "Traceback" not in ran.stdout
    assert told(front, "state")[-1] == "failed"
    assert told(front, "error")[-1] == "Authentication: the key is wrong; set another"
    assert f"--resume {job.id}" in told(front, "words")[-1]["hint"]
    assert "the key is wrong" in job.widget.copy()[0]
    assert "the key is wrong" in notebook("%mnesis debug").text


# -- what stays ---------------------------------------------------------------------------------------------------


def test_once_it_has_ended_the_next_cell_leaves_static_html_in_the_place_of_the_widget(notebook):
    notebook.names |= {"llm": scripted(Reply("ok", delay=0.01))}
    first = notebook("job = mnesis_jupyter.llm_map(many, '{{ item }}', llm=llm, background=True)")
    view, copy = first.final
    assert "application/vnd.jupyter.widget-view+json" in view.data
    assert "the next cell brings it up to date" in copy.data["text/html"]
    notebook.names["job"].result()
    gone, fresh = notebook("1 + 1").final[:2]
    assert (gone.transient, fresh.transient) == (view.transient, copy.transient)
    assert gone.data == {"text/html": "", "text/plain": ""}
    assert "40 / 40 items" in fresh.data["text/html"]
    assert "brings it up to date" not in fresh.data["text/html"]
    assert notebook("1 + 1").outputs == []


def test_a_handle_that_is_shown_again_once_it_is_over_is_static(notebook):
    begun(notebook, "ok").result()
    ran = notebook("job")
    assert "40 / 40 items" in ran.text
    assert not any("application/vnd.jupyter.widget-view+json" in output.data for output in ran.outputs)


def test_unloading_stops_it_and_it_can_be_gone_on_with(notebook):
    job = begun(notebook, Reply("ok", delay=0.05))
    waited(lambda: job.progress.finished > 2)
    notebook("%unload_ext mnesis_jupyter")
    runs = frames.map_runs()
    assert runs["state"].tolist() == ["stopped"]
    assert runs["running"].tolist() == [0]
    done = int(runs["done"].iloc[0])
    notebook("%load_ext mnesis_jupyter")
    begun(notebook, "rest", options=f"resume='{job.id}'").result()
    assert len(notebook.names["llm"].requests) == 40 - done
