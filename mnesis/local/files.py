"""Which file `local/…` means."""

import os
from pathlib import Path

from mnesis.errors import BadRequest, describe_value

PREFIX = "local/"


def folder() -> Path:
    """Where models have names: `MNESIS_MODELS_DIR`, by default `~/.mnesis/models`. It need not be there yet."""
    return Path(os.environ.get("MNESIS_MODELS_DIR") or "~/.mnesis/models").expanduser()


def find(model: str) -> Path:
    """The file of a model string: `local/<path to a .gguf file>`, or `local/<name>` for a file in `folder()`.

    Raises `BadRequest` where there is none, and says what there is instead.
    """
    name = model.removeprefix(PREFIX)
    is_path = name.endswith(".gguf") or "/" in name or os.sep in name
    path = Path(name).expanduser() if is_path else folder() / f"{name}.gguf"
    if name and path.is_file():
        return path.resolve()
    if is_path:
        raise BadRequest(
            f"model {describe_value(model)}: there is no file {path.absolute()}; give the path of a GGUF file, "
            "or the name of a model that `mnesis models list` shows",
            model=model,
        )
    here = ", ".join(file.stem for file in installed()) or "nothing yet"
    raise BadRequest(
        f"model {describe_value(model)}: {folder()} holds no {name or '<name>'}.gguf ({here}); "
        "`mnesis models get smollm2` brings a first model, local/smollm2",
        model=model,
    )


def installed() -> list[Path]:
    """The model files in `folder()`, by name."""
    return sorted(path for path in folder().glob("*.gguf") if path.is_file())
