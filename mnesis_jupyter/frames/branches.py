"""Which cells a session's turns came from."""

from pathlib import Path

from mnesis_jupyter.frames.reading import rows


def origins(path: Path, session_id: str) -> list[tuple[int, str | None]]:
    """Of each turn, those shared with other branches included: its number, and what caused it."""
    return rows(path, "SELECT idx, origin FROM branch_turn WHERE branch_id = ? ORDER BY idx", (session_id,))
