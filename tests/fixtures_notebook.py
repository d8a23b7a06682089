"""The fixtures `notebook` and `front`. Registered in `conftest.py` by `pytest_plugins`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from front_end import FrontEnd, connected
from notebook_shell import Notebook, opened


@pytest.fixture
def notebook(store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook in the test's own folder, with the test's store as the default one."""
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    monkeypatch.chdir(tmp_path)
    with opened() as notebook:
        yield notebook


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontEnd]:
    """The other end of the line of each widget that the test makes."""
    with connected(monkeypatch) as front:
        yield front
