"""Files that the installed litellm carries, found without importing it (its import takes a second)."""

import importlib.util
from pathlib import Path


def litellm_file(relative: str) -> Path | None:
    """The file at this path inside the litellm package, or `None` when litellm, or the file, is not there."""
    try:
        spec = importlib.util.find_spec("litellm")
    except ValueError:  # somebody put a stand-in without a spec into sys.modules
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, relative)).is_file():
            return path
    return None
