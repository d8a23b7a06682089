"""What cannot be attached, with what is told of it."""

from pathlib import Path

from notebook_shell import Notebook

REFUSED = [
    ("nowhere.txt", "there is no such file here, and no such name"),
    (".", "a folder"),
    ("empty.txt", "it is empty"),
    ("number", "a int cannot be attached"),
]


def put(notebook: Notebook, folder: Path) -> None:
    """Have in a notebook, and in its folder, what there has to be of it."""
    (folder / "empty.txt").touch()
    notebook.names["number"] = 3
