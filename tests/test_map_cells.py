"""`%%mnesis map` and `df.mnesis.llm_map`, in a real IPython shell."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import threading
import time

import pandas as pd
import pytest
from pydantic import BaseModel

import mnesis_jupyter
from mnesis import Authentication, BadRequest, InputError
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis_jupyter import frames

BESIDE = ["success", "error", "error_kind", "attempts", "cost"]


class Person(BaseModel):
    name: str
    age: int | None = None


@pytest.fixture
def notebook(notebook):
    notebook("import pandas as pd")
    notebook.names |= {"Person": Person, "df": pd.DataFrame({"text": ["Ada", "Bob", "Eve"]}, index=list("abc"))}
    return notebook


def shown(ran):
    """The error as the notebook shows it, without colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", ran.stdout)


def scripted(*replies):
    return ScriptedProvider(replies, cycle=True)


def interrupt_once_answered(items, store):
    """Press Stop as soon as so many items are done."""

    def done():
        with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as cx:
            return cx.execute("SELECT count(*) FROM map_item WHERE state = 'done'").fetchone()[0]

    def wait():
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(sqlite3.OperationalError):  # there is no store yet
                if done() >= items:
                    os.kill(os.getpid(), signal.SIGINT)
                    return
            time.sleep(0.01)

    threading.Thread(target=wait).start()


# -- DataFrames ---------------------------------------------------------------------------------------------------


def test_a_frame_is_mapped_to_a_frame_with_its_index_and_the_fields_of_the_schema(notebook):
    notebook.names["llm"] = scripted('{"name": "Ada", "age": 36}', BadRequest("no"), '{"name": "Eve"}')
    ran = notebook("df.mnesis.llm_map('{{ item.text }}', Person, llm=llm, concurrency=1)")
    assert ran.result.index.tolist() == ["a", "b", "c"]
    assert ran.result.columns.tolist() == ["name", "age", *BESIDE]
    assert ran.result.dtypes.astype(str).tolist()[:4] == ["string", "Int64", "boolean", "string"]
    assert ran.result["success"].tolist() == [True, False, True]
    assert ran.result.loc["a", "age"] == 36
    assert "no" in ran.result.loc["b", "error"]
    assert "3 / 3 items" in ran.text
    assert "item 1: BadRequest" in ran.text


def test_a_series_is_mapped_value_by_value_and_without_a_schema_to_texts(notebook):
    notebook.names["llm"] = llm = scripted("ok")
    ran = notebook("df['text'].mnesis.llm_map('Who is {{ item }}?', llm=llm)")
    assert ran.result["output"].tolist() == ["ok"] * 3
    assert ran.result.index.tolist() == ["a", "b", "c"]
    assert sorted(request.messages[-1]["content"] for request in llm.requests) == [
        "Who is Ada?",
        "Who is Bob?",
        "Who is Eve?",
    ]


def test_a_field_that_is_called_like_a_column_beside_it_keeps_its_name(notebook):
    notebook.names["llm"] = scripted('{"error": "mine"}')
    notebook.names["schema"] = {"type": "object", "properties": {"error": {"type": "string"}}}
    result = notebook("df.mnesis.llm_map('{{ item.text }}', schema, llm=llm)").result
    assert result["error"].tolist() == ["mine"] * 3
    assert result["error_"].isna().all()


def test_columns_and_dtypes_are_the_same_where_everything_fails(notebook):
    notebook.names |= {"good": scripted('{"name": "x", "age": 1}'), "bad": scripted(BadRequest("no"))}
    good = notebook("df.mnesis.llm_map('{{ item.text }}', Person, llm=good)").result
    bad = notebook("df.mnesis.llm_map('{{ item.text }}', Person, llm=bad)").result
    assert good.drop(columns="error_kind").dtypes.equals(bad.drop(columns="error_kind").dtypes)
    empty = notebook("df.head(0).mnesis.llm_map('{{ item.text }}', Person, llm=good)").result
    assert empty.empty
    assert empty.drop(columns="error_kind").dtypes.equals(good.drop(columns="error_kind").dtypes)


def test_an_interrupted_map_says_how_to_go_on_and_goes_on(notebook, store_path):
    notebook.names["llm"] = scripted(Reply("ok", delay=0.1))
    notebook.names["many"] = pd.Series(range(40))
    interrupt_once_answered(20, store_path)
    ran = notebook.run("many.mnesis.llm_map('{{ item }}', llm=llm, concurrency=2)")
    assert any("To stop it interrupt the kernel" in output.data["text/plain"] for output in ran.outputs)
    assert "interrupt the kernel" not in ran.text
    assert isinstance(ran.error, KeyboardInterrupt)
    assert "stopped" in ran.text
    (id,) = frames.map_runs(state="stopped").index
    assert re.search(rf"stopped: \d+ of 40 items are done; the rest: --resume {id}", shown(ran))
    assert "Traceback" not in shown(ran)
    done = frames.map_runs().loc[id, "done"]
    assert 0 < done < 40

    notebook.names["llm"] = llm = scripted("rest")
    result = notebook(f"many.mnesis.llm_map(resume='{id}', llm=llm)").result
    assert len(llm.requests) == 40 - done
    assert result["output"].value_counts().to_dict() == {"ok": done, "rest": 40 - done}


def test_a_run_is_not_gone_on_with_over_other_inputs_or_another_template(notebook):
    notebook.names["llm"] = scripted("ok")
    notebook("out = df.mnesis.llm_map('{{ item.text }}', llm=llm)")
    ran = notebook.run("df.head(2).mnesis.llm_map(resume=out.attrs['run_id'])")
    assert isinstance(ran.error, InputError)
    assert "is over 3 items, and here are 2" in str(ran.error)
    ran = notebook.run("df.mnesis.llm_map('{{ item }}', resume=out.attrs['run_id'])")
    assert "the template is not the one" in str(ran.error)


def test_a_refused_key_stops_a_run_that_can_be_gone_on_with(notebook):
    notebook.names["llm"] = scripted(Authentication("wrong key"))
    ran = notebook.run("df.mnesis.llm_map('{{ item.text }}', llm=llm)")
    assert isinstance(ran.error, Authentication)
    assert "stopped" in ran.text
    (id,) = frames.map_runs(state="stopped").index
    assert f"--resume {id}" in ran.text
    notebook.names["llm"] = scripted("ok")
    assert notebook(f"df.mnesis.llm_map(resume='{id}', llm=llm)").result["success"].all()


def test_what_failed_is_done_again_where_that_is_asked(notebook):
    notebook.names["llm"] = scripted(BadRequest("no"))
    notebook("out = df.mnesis.llm_map('{{ item.text }}', llm=llm)")
    notebook.names["llm"] = scripted("ok")
    resumed = "df.mnesis.llm_map(resume=out.attrs['run_id'], llm=llm{})"
    assert not notebook(resumed.format("")).result["success"].any()
    assert notebook(resumed.format(", retry_failed=True")).result["success"].all()


def test_words_of_a_model_are_shown_as_words(notebook):
    notebook.names["llm"] = scripted(BadRequest("<img src=x onerror=alert(1)>"))
    ran = notebook("out = df.mnesis.llm_map('{{ item.text }}', llm=llm)")
    assert "&lt;img" in ran.html
    assert "<img" not in ran.html


def test_it_works_in_plain_python_too(store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    from mnesis_jupyter.current import CURRENT

    CURRENT.configure(None)
    result = mnesis_jupyter.llm_map(["a", "b"], "{{ item }}", llm=scripted("ok"))
    assert result["output"].tolist() == ["ok", "ok"]
    assert frames.map_results(result.attrs["run_id"])["output"].tolist() == ["ok", "ok"]


# -- the cell magic -----------------------------------------------------------------------------------------------


def test_a_cell_maps_its_template_over_a_frame_and_keeps_the_results_under_a_name(notebook):
    ran = notebook("%%mnesis map df -o out --schema Person\nMy name is {{ item.text }}.")
    out = notebook.names["out"]
    assert ran.result is None
    assert out.index.tolist() == ["a", "b", "c"]
    assert out.columns.tolist() == ["name", "age", *BESIDE]
    assert ["Ada" in name for name in out["name"]] == [True, False, False]
    assert "3 done" in ran.text
    assert frames.map_runs()["template"].tolist() == ["My name is {{ item.text }}."]
    assert frames.sessions().empty


def test_without_a_name_the_results_are_what_the_cell_ends_on(notebook):
    assert len(notebook("%%mnesis map df\n{{ item.text }}").result) == 3


def test_lists_and_files_of_json_lines_are_mapped_and_a_limit_tries_the_first(notebook, tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps({"n": n}) + "\n\n" for n in range(5)), "utf-8")
    assert len(notebook(f'%%mnesis map "{path}"\n{{{{ item.n }}}}').result) == 5
    assert len(notebook(f'%%mnesis map "{path}" --limit 2\n{{{{ item.n }}}}').result) == 2
    notebook.names["items"] = list(range(7))
    assert len(notebook("%%mnesis map items --limit 3\n{{ item }}").result) == 3
    assert notebook("%%mnesis map df --limit 1\n{{ item.text }}").result.index.tolist() == ["a"]


def test_an_interrupted_cell_keeps_what_there_is_and_is_resumed_by_the_name_of_it(notebook, store_path):
    notebook.names["many"] = list(range(4_000))
    interrupt_once_answered(20, store_path)
    ran = notebook.run("%%mnesis map many -o out --schema Person --concurrency 4\n{{ item }}")
    assert isinstance(ran.error, KeyboardInterrupt)
    before = notebook.names["out"]
    assert before["success"].isna().any()
    id = before.attrs["run_id"]
    assert f"--resume {id}" in shown(ran)
    assert "stopped" in notebook("%mnesis maps").text
    notebook("%%mnesis map --resume out -o out\n{{ item }}")
    assert notebook.names["out"].attrs["run_id"] == id
    assert notebook.names["out"]["success"].all()


def test_wrong_arguments_are_one_line_that_names_them(notebook):
    for line, told in {
        "map nothing": "there is no name 'nothing'",
        "map df --schema Persn": "did you mean 'Person'?",
        "map df --concurrency 0": "not a whole number",
        "map": "a map needs inputs",
        "map df --resume df": "names no run",
        "map df -o 1x": "not a name for a variable",
        "mapp df": "is not understood",
    }.items():
        ran = notebook.run(f"%%mnesis {line}\n{{{{ item.text }}}}")
        assert isinstance(ran.error, InputError), line
        assert told in shown(ran), line
    ran = notebook.run("%%mnesis map df\nHello")
    assert "item" in shown(ran)
    assert frames.map_runs().empty


def test_help_and_completion_know_the_map(notebook):
    assert "--retry-failed" in notebook("%%mnesis map -h\nx").text
    assert "%%mnesis map" in notebook("%mnesis help").text
    complete = notebook.shell.complete
    assert complete("", "%%mnesis ma", 11)[1] == ["map"]
    assert "df" in complete("", "%%mnesis map d", 14)[1]
    assert complete("", "%%mnesis map df --sc", 20)[1] == ["--schema"]
    assert "Person" in complete("", "%%mnesis map df --schema Pe", 27)[1]
    notebook("%%mnesis map df\n{{ item.text }}")
    (id,) = frames.map_runs().index
    assert complete("", "%%mnesis map df --resume run_", 29)[1] == [id]


def test_maps_lists_the_runs_or_says_how_to_begin_one(notebook):
    assert "%%mnesis map" in notebook("%mnesis maps").text
    notebook("%%mnesis map df -o out\n{{ item.text }}")
    ran = notebook("%mnesis maps")
    assert notebook.names["out"].attrs["run_id"] in ran.text
    assert "done" in ran.text
