"""What may never be in git: it is looked for in every file that git knows."""

import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from workers import ROOT

LOCKS = {"uv.lock", "poetry.lock", "package-lock.json", "yarn.lock", "Pipfile.lock", "conda-lock.yml"}
MACHINE = re.compile(r"/(?:work|root)/|/(?:home|Users)/\w+/|\b[A-Z]:\\Users\\")
DOWNLOAD = re.compile(r"https?://[^\s\"'<>]+\.(?:whl|tgz|tar\.gz|zip|gguf)\b")
REGISTRY = re.compile(
    r"\bfiles\.pythonhosted\.|\bpypi\.org/simple|\bregistry\.(?:npmjs|yarnpkg)\.|\b(?:extra-)?index-url\s*="
)
KEY = re.compile(r"\b(?:sk-[\w-]{16,}|AKIA[0-9A-Z]{16}|gh[opsu]_\w{30,}|hf_\w{30,}|AIza[\w-]{35}|pypi-\w{30,})")
INVENTED = ("very-secret", "canary", "EXAMPLE", "Abc123Def456", "16C7e42F292c", "Qx7Kd9Lm2Rw5")
"""Of the keys that tests make up, each has one of these in it."""


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The text files that git knows."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: git is not asked about an sdist")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    known = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    return {name: text for name in known if (text := _text(ROOT / name)) is not None}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:  # a picture
        return None


def found(pattern: re.Pattern[str], texts: dict[str, str]) -> list[str]:
    """Where a pattern occurs."""
    return [f"{name}: {match[0]}" for name, text in texts.items() for match in pattern.finditer(text)]


@pytest.mark.parametrize(
    ("pattern", "sample"),
    [
        (MACHINE, "/ho" + "me/ada/mnesis"),
        (DOWNLOAD, "https" + "://example.org/a/mnesis-1.whl"),
        (REGISTRY, "index-url" + " = https://example.org"),
        (KEY, "sk" + "-ant-0123456789abcdef"),
    ],
    ids=["paths of a machine", "addresses of downloads", "registries", "keys"],
)
def test_no_file_holds(pattern, sample, texts):
    assert pattern.search(sample)
    assert [each for each in found(pattern, texts) if not any(word in each for word in INVENTED)] == []


def test_there_are_no_lock_files_and_nothing_that_was_made_by_programs(texts):
    parts = {part for name in texts for part in Path(name).parts}
    assert not parts & LOCKS
    assert not parts & {"__pycache__", ".ipynb_checkpoints", "node_modules", "dist", "build", "site"}
    assert not [name for name in texts if name.endswith((".db", ".db-wal", ".pyc"))]


def test_notebooks_are_stored_run_in_order_without_unmeant_errors_and_without_the_state_of_widgets(texts):
    names = [name for name in texts if name.endswith(".ipynb")]
    assert names
    for name in names:
        notebook = nbformat.reads(texts[name], as_version=4)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert "widgets" not in notebook.metadata, name
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), name
        outputs = [output for cell in cells for output in cell.outputs]
        meant = [cell for cell in cells if "raises-exception" in cell.metadata.get("tags", [])]
        errors = [cell for cell in cells if any(output.output_type == "error" for output in cell.outputs)]
        assert all(cell in meant for cell in errors), name
        assert not re.search(r"/(?:tmp|var|private)/\w", str(outputs)), name
        assert not any("widget" in kind for output in outputs for kind in output.get("data", {})), name
