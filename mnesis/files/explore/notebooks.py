"""Jupyter notebooks: cells with their beginnings, and what came out of them."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mnesis.files.explore.subject import Subject, Unreadable

_PARSED = 1 << 26


def explore(subject: Subject) -> Iterator[str]:
    """Cell by cell."""
    text, whole = subject.text(_PARSED)
    if not whole:
        raise Unreadable("it is too large to parse whole")
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("it has no list of cells")
    found = [cell for cell in cells if isinstance(cell, dict)]
    kinds = Counter(str(cell.get("cell_type")) for cell in found)
    yield f"{len(found)} cells: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}"
    if kernel := _kernel(notebook):
        yield f"kernel: {kernel}"
    for number, cell in enumerate(found):
        lines = [each for each in _joined(cell.get("source")).splitlines() if each.strip()]
        yield f"cell {number} ({cell.get('cell_type')}): {lines[0] if lines else '(empty)'}{_more(lines)}"
        for output in cell.get("outputs") or ():
            if isinstance(output, dict):
                yield f"  -> {_output(output)}"


def _kernel(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    spec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    return str(spec.get("display_name", "")) if isinstance(spec, dict) else ""


def _joined(source: object) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")


def _more(lines: list[str]) -> str:
    return f" … ({len(lines)} lines)" if len(lines) > 1 else ""


def _output(output: dict[str, Any]) -> str:
    match output.get("output_type"):
        case "stream":
            return f"{output.get('name')}: {_joined(output.get('text'))[:80]}"
        case "error":
            return f"error {output.get('ename')}: {str(output.get('evalue'))[:80]}"
        case kind:
            data = output.get("data")
            types = list(data) if isinstance(data, dict) else []
            plain = _joined(data.get("text/plain"))[:80] if isinstance(data, dict) else ""
            return f"{kind} ({', '.join(map(str, types))}): {plain}"
