"""A question mark at the end of a line of `%mnesis` belongs to the line; IPython would take it as a call for help."""

import re
import tokenize
from collections.abc import Sequence

from IPython.core.getipython import get_ipython
from IPython.core.inputtransformer2 import EscapedCommand
from IPython.core.prefilter import is_shadowed

_LINE = re.compile(r"%mnesis\s+[^\s?]")
_BARE = re.compile(r"mnesis\s+[^\s?].*\?\s*\Z")


class Line(EscapedCommand):
    """A line such as `%mnesis ask Why?`, read before IPython looks for `thing?`. `%mnesis?` stays IPython's.

    Without `%` it is the same where IPython's automagic would have it so: alone in its cell.
    """

    priority = 4  # that of `thing?` is 5

    @classmethod
    def find(cls, tokens_by_line: Sequence[Sequence[tokenize.TokenInfo]]) -> "Line | None":
        """The first such line of a cell, outside of strings."""
        written = [tokens for tokens in tokens_by_line if any(each.string.strip() for each in tokens)]
        for tokens in written:
            first = next((each for each in tokens if each.type not in (tokenize.INDENT, tokenize.DEDENT)), None)
            if first and first.string == "%" and _LINE.match(first.line, first.start[1]):
                return cls(first.start)
            if first and len(written) == 1 and _BARE.match(first.line, first.start[1]) and _automagic():
                return cls(first.start)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """The line as a call of the magic."""
        line, column = lines[self.start_line], self.start_col
        if line[column] != "%":
            lines = [*lines[: self.start_line], f"{line[:column]}%{line[column:]}", *lines[self.start_line + 1 :]]
        transformed: list[str] = super().transform(lines)  # type: ignore[no-untyped-call]  # IPython's
        return transformed


def _automagic() -> bool:
    shell = get_ipython()
    return shell is not None and shell.automagic and not is_shadowed("mnesis", shell)  # type: ignore[no-untyped-call]
