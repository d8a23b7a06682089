"""What every test stands on: no way to the user's files or keys, a store of its own, Hypothesis profiles."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent

if (TESTS / "fixtures_openai.py").exists():
    pytest_plugins = ["fixtures_openai"]

settings.register_profile("fast", max_examples=30, deadline=None)
settings.register_profile("thorough", max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fast")

_PRIVATE = re.compile(r"^MNESIS_|_API_KEY$|_API_BASE$|^(OPENAI|ANTHROPIC|AZURE|AWS|GEMINI|GOOGLE)_")
_scratch_home = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Take the user's keys and home away from this process, and so from each kernel and program that tests start."""
    for name in [name for name in os.environ if _PRIVATE.search(name)]:
        del os.environ[name]
    home = config.stash[_scratch_home] = tempfile.mkdtemp(prefix="mnesis-home-")
    os.environ["HOME"] = os.environ["USERPROFILE"] = home
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1"


def pytest_unconfigure(config: pytest.Config) -> None:
    if home := config.stash.get(_scratch_home, None):
        shutil.rmtree(home, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the cells of one notebook in one process: they share a kernel."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.notebook)
            item.add_marker(pytest.mark.xdist_group(item.path.name))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, where `~/.mnesis` is the default store."""
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("USERPROFILE", str(directory))
    return directory


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """Where a test keeps its sessions. Nothing is there yet."""
    return tmp_path / "sessions.db"
