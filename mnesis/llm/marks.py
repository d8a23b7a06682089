"""How a request for a summary is marked, so that a provider without a language model can recognise it too."""

from typing import Final, Literal

SUMMARISE_MARK: Final = "<<mnesis:summarise"
MATERIAL_OPEN: Final = "<material>"
MATERIAL_CLOSE: Final = "</material>"


def summarise_mark(max_tokens: int, style: Literal["structured", "terse"] = "structured") -> str:
    """The line of a system message that asks for a summary of the user message's `<material>` in `max_tokens`."""
    return f"{SUMMARISE_MARK} max_tokens={max_tokens} style={style}>>"
