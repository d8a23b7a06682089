"""A question mark at the end of a line of `%mnesis` belongs to the line; IPython would take it as a call for help."""

import re
import tokenize
from collections.abc import Sequence

from IPython.core.inputtransformer2 import EscapedCommand

_LINE = re.compile(r"%mnesis\s+[^\s?]")


class Line(EscapedCommand):
    """A line such as `%mnesis ask Why?`, read before IPython looks for `thing?`. `%mnesis?` stays IPython's."""

    priority = 4  # that of `thing?` is 5

    @classmethod
    def find(cls, tokens_by_line: Sequence[Sequence[tokenize.TokenInfo]]) -> "Line | None":
        """The first such line of a cell, outside of strings."""
        for tokens in tokens_by_line:
            first = next((each for each in tokens if each.type not in (tokenize.INDENT, tokenize.DEDENT)), None)
            if first and first.string == "%" and _LINE.match(first.line, first.start[1]):
                return cls(first.start)
        return None
