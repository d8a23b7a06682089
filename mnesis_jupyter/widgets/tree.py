"""Our own HTML as a tree, of which JavaScript makes elements and text nodes: no markup crosses the line."""

from html.parser import HTMLParser
from typing import Any

from mnesis_jupyter.html import Html

type Node = str | list[Any]
"""A text, or a tag, its attributes and what is in it: a list of the same."""

_EMPTY = frozenset({"br", "hr", "img"})


def tree_of(html: Html) -> list[Node]:
    """What the markup says. Tags that are left open end where the markup does."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.roots


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.roots: list[Node] = []
        self._open: list[tuple[str, list[Node]]] = [("", self.roots)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        children: list[Node] = []
        self._open[-1][1].append([tag, {name: value or "" for name, value in attrs}, children])
        if tag not in _EMPTY:
            self._open.append((tag, children))

    def handle_endtag(self, tag: str) -> None:
        if any(tag == name for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._open[-1][1].append(data)
