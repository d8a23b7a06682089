"""What every test stands on: no way to the user's files or keys, a store of its own, Hypothesis profiles."""

import os
import re
import shutil
import signal
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mnesis.local import folder

pytest_plugins = ["fixtures_openai", "fixtures_kernel", "fixtures_notebook"]

settings.register_profile("fast", max_examples=12, deadline=None)
settings.register_profile("thorough", max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fast")

_PRIVATE = re.compile(r"^MNESIS_|_API_KEY$|_API_BASE$|^(OPENAI|ANTHROPIC|AZURE|AWS|GEMINI|GOOGLE)_")
_scratch_home = pytest.StashKey[str]()
_MODELS = "TESTS_MODELS_DIR"
"""Where the user's models are. Not the user's own variable, which is gone in the processes that xdist starts."""


def pytest_configure(config: pytest.Config) -> None:
    """Take the user's keys and home away from this process, and so from each kernel and program that tests start."""
    # A shell's job in the background ignores interrupts, and so do all programs that it starts: the tests send some.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault(_MODELS, str(folder().absolute()))
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
def smollm2(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of `local/smollm2`, usable in this test. Skips it where the model or the extra is missing."""
    pytest.importorskip("xllamacpp", reason='the extra is missing: pip install "mnesis[local]"')
    path = Path(os.environ[_MODELS], "smollm2.gguf")
    if not path.is_file():
        pytest.skip(f"{path} is missing: mnesis models get smollm2")
    monkeypatch.setenv("MNESIS_MODELS_DIR", str(path.parent))
    return path


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """Where a test keeps its sessions. Nothing is there yet."""
    return tmp_path / "sessions.db"
