"""The cell that is running, as far as the front end tells: what a turn remembers of where it came from."""

import hashlib
from typing import Any

from IPython.core.getipython import get_ipython


def origin() -> str | None:
    """`cell ID RUN`: the cell, and this running of it; `None` where the front end gives cells no ids."""
    parent: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)() or {}
    cell = parent.get("metadata", {}).get("cellId")
    if not cell:
        return None
    run = hashlib.sha256(str(parent.get("header", {}).get("msg_id")).encode()).hexdigest()[:8]
    return f"cell {cell} {run}"


def cell_of(origin: str) -> str:
    """The cell, without the running of it."""
    return " ".join(origin.split(" ")[:2])


def cell_number() -> int | None:
    """The number of the cell that is running."""
    shell = get_ipython()
    return shell.execution_count if shell else None
