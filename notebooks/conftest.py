"""The notebooks as tests: nbval runs each cell and compares its output with the one that is stored."""

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Start kernels with one display a cell: nbval does not see a display that is replaced."""
    if item.path.suffix != ".ipynb":
        return (yield)
    os.environ["MNESIS_STREAM"] = "0"
    try:
        return (yield)
    finally:
        del os.environ["MNESIS_STREAM"]
