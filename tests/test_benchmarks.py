"""The benchmarks run, and report all that they promise. What they measure is for people to judge."""

import json
import os
import re
import subprocess
import sys

import pytest
from workers import ROOT

ROWS = """
record\\(\\) at turn 10
record\\(\\) at turn 100
record\\(\\) at turn 200
record\\(\\): slowest age / fastest
send\\(\\) on a model that answers at once
send\\(\\) on offline/quote
context\\(\\) of [\\d,]+ tokens, [\\d,]+ items
load\\(\\) at 200 messages
load\\(\\) and first context\\(\\)
import mnesis
%load_ext mnesis_jupyter
%load_ext and the engine behind it
"""
NUMBERS = r"[\d,.]+ ms +[\d,.]+ ms +[\d.]+x +(<= \S+( ms)? +(ok|over)|- +-) +\S"


def ran(*command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_the_engine_benchmark_prints_every_row():
    """Each with its numbers; a row is skipped only where what it measures is not there."""
    done = ran("benchmarks/engine.py", "--quick")
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("stores in ")
    for row in ROWS.split("\n")[1:-1]:
        found = [line for line in lines if re.match(rf"{row} +({NUMBERS}|.* skipped +\S)", line)]
        assert found, f"{row}\n{done.stdout}"


@pytest.mark.slow
def test_the_recall_benchmark_says_what_is_found_and_what_it_costs(tmp_path):
    """The evidence of generated conversations, and of a file that looks like LoCoMo's."""
    spoken = [{"speaker": "Ann", "dia_id": f"D1:{n}", "text": f"I bought {n} pears."} for n in range(1, 40)]
    asked = [{"question": "Did Ann buy 7 pears?", "answer": "yes", "evidence": ["D1:7"], "category": 4}]
    sample = {"session_1": spoken, "session_1_date_time": "1:56 pm on 8 May, 2023"}
    file = tmp_path / "locomo.json"
    file.write_text(json.dumps([{"sample_id": "one", "conversation": sample, "qa": asked}]))
    told = ran(
        "benchmarks/recall.py", "--evidence", "held-out", "--sizes", "1000", "--turns", "40", "--locomo", str(file)
    ).stdout
    for half in ("held-out", "LoCoMo"):
        assert re.search(
            rf"evidence, {half} +all with an answer +[\d,]+ questions +[\d.]+% in ten hits +[\d.]+% with", told
        )
    for what in ("rare word", "seldom word", "common word", "plain question"):
        assert len(re.findall(rf"1,000 messages, session of \S+ % +{what}( +[\d.]+){{3}} +[\d.]+x", told)) == 2
    for what in ("substring", "regex, literal", r"context\(turn\)", "diff", "verify"):
        assert re.search(rf"{what} +[\d.]+ +[\d.]+\n", told), what
    assert re.search(r"\d+ us for the index of each; \d+ of its \d+ bytes", told)
    assert re.search(r"[\d,]+ -> [\d,]+ bytes a turn", told)


@pytest.mark.slow
def test_the_widget_benchmark_measures_the_kernel_without_a_browser():
    told = ran("benchmarks/widgets.py", "--turns", "30", "--no-browser").stdout
    for row in ("kernel", "state", "state and answers"):
        assert re.search(rf"open on 30 turns: {row} +[\d,.]+ (ms|kB)", told)
    assert re.search(r"live update at 30 turns +[\d.]+ kB", told)


@pytest.mark.slow
def test_the_notebook_benchmark_completes_in_every_place():
    done = ran("benchmarks/notebook.py", "--turns", "20")
    assert done.stderr == ""
    _, loads, floor, *completions = done.stdout.splitlines()
    assert loads.startswith("%load_ext mnesis_jupyter")
    assert floor.startswith("IPython's own")
    assert len(completions) == 8
    assert all(re.fullmatch(r"complete .+ [\d.,]+ ms +[\d.,]+ ms  50 ms", line) for line in completions)


@pytest.mark.slow
def test_the_operators_benchmark_prints_every_row():
    done = ran("benchmarks/operators.py", "--quick")
    assert done.stderr == ""
    for row in (
        "300 items of 50 ms, 64 at a time",
        "300 items of 50 ms, 64 at a time: bare",
        "an item of 500 on a model that answers at once",
        "20 requests through litellm, 16 at a time",
    ):
        assert re.search(rf"^{row} +{NUMBERS}", done.stdout, re.MULTILINE), f"{row}\n{done.stdout}"
    assert re.search(r"memory in MB, at each tenth of these items:( \d+){10}", done.stdout)
