"""A widget's front end, put together from the plain ES modules and style sheets here: no bundler, no CDN."""

import re
from pathlib import Path

_HERE = Path(__file__).parent
_IMPORT = re.compile(r"""^import\s[^;]*?from\s+["']\./([\w-]+)\.js["'];\n""", re.MULTILINE)


def module(name: str, render: str) -> str:
    """One ES module of `name`.js and what it imports, each once; `render` is an expression for what anywidget calls."""
    texts = [_IMPORT.sub("", (_HERE / f"{part}.js").read_text(encoding="utf-8")) for part in _parts(name)]
    return "\n".join([*texts, f"export default {{ render: {render} }};\n"])


def styles(name: str) -> str:
    """The style sheets beside those modules, in the same order."""
    sheets = [_HERE / f"{part}.css" for part in _parts(name)]
    return "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets if sheet.exists())


def _parts(name: str) -> list[str]:
    """What a module needs, each before those that need it."""
    parts: dict[str, None] = {}

    def add(part: str) -> None:
        for needed in _IMPORT.findall((_HERE / f"{part}.js").read_text(encoding="utf-8")):
            add(needed)
        parts[part] = None

    add(name)
    return list(parts)
