"""The benchmarks run, and report all that they promise. What they measure is for people to judge."""

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


@pytest.mark.slow
def test_the_engine_benchmark_prints_every_row():
    """Each with its numbers; a row is skipped only where what it measures is not there."""
    done = subprocess.run(
        [sys.executable, "benchmarks/engine.py", "--quick"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("stores in ")
    for row in ROWS.split("\n")[1:-1]:
        found = [line for line in lines if re.match(rf"{row} +({NUMBERS}|.* skipped +\S)", line)]
        assert found, f"{row}\n{done.stdout}"
