"""Each script in examples/, run as a reader runs it: a program of its own, offline, in an empty folder."""

import ast
import os
import re
import subprocess
import sys

import pytest
from workers import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAYS = {
    "01_basic_session.py": [
        "> I keep bees in Oslo.",
        "tokens  system     Answer briefly.",
        " tokens; 6 messages stored",
        "> My name is Alice.",
        "4 turns, ",
    ],
    "02_long_running_agent.py": [
        "became a summary of level 1",
        "the window holds a summary: True, and fits: True",
        "found in turn 0: The password of the archive is heron-blue-7.",
        "step(s): The password of the archive is heron-blue-7.",
        "> What is the password of the archive?\n",
        "everything is consistent: True",
    ],
    "03_tool_use.py": [
        "stock({'bird': 'heron'}) -> 3",
        "stock({'bird': 'dodo'}) -> LookupError: there is no 'dodo'",
        "order({'bird': 'owl', 'count': 2}) -> ordered 2 x owl",
        "stored as: user, assistant, tool, assistant, tool, assistant",
    ],
    "04_large_files.py": [
        "79,999 INFO, 1 ERROR",
        "45678: 2024-05-01 12:41:17 ERROR node 7: disk full",
        " tokens: True",
        "the file has changed since it was attached",
        "2 matching lines from line 1 to line 80,001",
        "a small file is a text part",
        "nodes.log: kept here: False",
        "copy.log: kept here: True",
    ],
    "05_parallel_processing.py": [
        "The kettle is good, 5 stars. -> Verdict(mood='good', stars=5)",
        "stopped early: True",
        "18 of 18 done, 0 failed",
        "good: 12",
        "lamp: In stock: 0",
        "all that it did: user, assistant, tool, assistant",
    ],
    "06_byo_llm.py": ["I was given 4 messages", "2 turns recorded", "A PROVIDER OF MY OWN"],
    "07_streaming.py": ["22:15", "in more than one piece: True; finished with 'stop'", "assistant, whole, 3 turns"],
}


def ran(path, folder, **variables):
    """What an example prints; its own files are to be in `folder`."""
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", path],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def steady(told):
    """The output without ids, which are random, and without the tokens that they make more or fewer."""
    return re.sub(r"[\d,]+(?=(?: of [\d,]+)? tokens)", "N", re.sub(r"\b[a-z]+_[0-9A-Z]{26}\b", "ID", told))


def test_each_example_is_here_and_told_of_in_the_readme():
    readme = (ROOT / "examples" / "README.md").read_text()
    assert (
        [path.name for path in EXAMPLES]
        == sorted(SAYS)
        == sorted(re.findall(r"^- \[(\w+\.py)\]", readme, re.MULTILINE))
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_offline_with_the_mock_and_leaves_nothing_behind(path, tmp_path, home):
    told = ran(path, tmp_path, MNESIS_MOCK_LLM="1")
    for text in SAYS[path.name]:
        assert text in told
    assert list(tmp_path.iterdir()) == [home]
    assert not list(home.rglob("*.db"))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_the_same_without_the_mock_and_runs_with_the_name_of_a_real_model(path, tmp_path):
    assert steady(ran(path, tmp_path)) == steady(ran(path, tmp_path, MNESIS_MOCK_LLM="1"))
    told = ran(path, tmp_path, MNESIS_MOCK_LLM="1", MNESIS_MODEL="anthropic/claude-opus-4-6", OPENAI_MODEL="gpt-4o")
    for text in SAYS[path.name]:
        assert text in told


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_how_to_run_it_with_a_real_model(path):
    source = path.read_text()
    documentation = ast.get_docstring(ast.parse(source)) or ""
    assert len(source.splitlines()) < 80
    assert f"\npython examples/{path.name}\n" in documentation
    assert re.search(rf"_MODEL=\S+ python examples/{path.name} ", documentation)
