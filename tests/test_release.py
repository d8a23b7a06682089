"""`./run release`: what is handed out."""

import re
import subprocess
import zipfile
from importlib.metadata import version

import pytest
import release
from workers import ROOT

import mnesis


def wheel_of(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return path


@pytest.fixture
def names():
    """The files of a wheel that is as it should be."""
    tracked = subprocess.run(
        ["git", "ls-files", "mnesis", "mnesis_jupyter"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    course = [f"mnesis_jupyter/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")]
    return [*tracked.stdout.splitlines(), *course, "mnesis-1.dist-info/METADATA"]


def test_a_wheel_is_refused_where_it_lacks_or_holds_what_it_should_not(names, tmp_path):
    path = tmp_path / "mnesis-1-py3-none-any.whl"
    assert release.wheel_problems(wheel_of(path, names)) == []
    less = [name for name in names if name != "mnesis_jupyter/widgets/core.js"]
    assert release.wheel_problems(wheel_of(path, less)) == [f"{path.name} lacks mnesis_jupyter/widgets/core.js"]
    assert release.wheel_problems(wheel_of(path, [name for name in names if "08_" not in name]))
    more = [*names, "tests/conftest.py", "mnesis/notes.txt"]
    problems = release.wheel_problems(wheel_of(path, more))
    assert f"{path.name} holds tests/conftest.py, which git does not know" in problems
    assert f"{path.name} holds mnesis/notes.txt; is it needed?" in problems


def test_the_version_has_one_place_and_the_installed_one_is_it():
    assert version("mnesis") == mnesis.__version__
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()


def test_the_changelog_begins_with_what_is_unreleased_or_with_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = re.findall(r"^## (.+)$", changelog, re.MULTILINE)[0]
    assert newest == "Unreleased" or newest.startswith(mnesis.__version__)


def test_what_is_left_to_do_names_the_changelog_only_until_it_names_the_version():
    assert "CHANGELOG.md: name" in release.whats_left("1.2", "\n## Unreleased\n")
    assert "CHANGELOG.md: name" not in release.whats_left("1.2", "\n## 1.2 (2026-01-01)\n")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_release_is_built_checked_and_tried_in_empty_environments(tmp_path):
    done = subprocess.run(
        [ROOT / "run", "release", "--out", tmp_path / "dist"], capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"mnesis {mnesis.__version__}: all is well" in done.stdout
    assert f"mnesis {mnesis.__version__} with jupyter: all is well" in done.stdout
    assert "uv publish" in done.stdout
    names = sorted(path.name for path in (tmp_path / "dist").iterdir() if path.suffix in (".whl", ".gz"))
    assert names == [f"mnesis-{mnesis.__version__}-py3-none-any.whl", f"mnesis-{mnesis.__version__}.tar.gz"]
