"""`{{ name }}` in the body of a cell: values of the notebook put into a message.

Between the braces stand a name, its attributes and its indexes, nothing that computes: `{{ topics["with"] }}`,
`{{ run.config.seed }}`, `{{ rows[0] }}`. One pass: what is put in is never looked at again. Braces behind `^` or a
`\\command` are LaTeX.
"""

import ast
import builtins
import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from mnesis.errors import InputError

# What begins with a letter is meant; other double braces belong to JSON, LaTeX or code. Strings may hold braces.
_SLOT = re.compile(r"""\{\{[ \t]*((?=[^\W\d])(?:[^{}"'\n]|"[^"\n]*"|'[^'\n]*'){1,300})\}\}""")

_REFUSED = "is not a name with attributes and indexes; assign it to a name first, or send the text as it is with --raw"


_LATEX = re.compile(r"(?:\^|\\[A-Za-z]{1,40})\Z")


def interpolate(text: str, names: Mapping[str, Any], rows: int = 20) -> str:
    """The text with each `{{ … }}` replaced by its value as a string; of a DataFrame so many rows, as a table.

    Raises `InputError`, naming it, for an unknown name, attribute or index, and for anything that would compute.
    """
    latex = -1  # where braces of LaTeX ended: the next ones may be its second argument

    def put_in(slot: re.Match[str]) -> str:
        nonlocal latex
        if slot.start() == latex or _LATEX.search(text, max(0, slot.start() - 41), slot.start()):
            latex = slot.end()
            return slot[0]
        return as_text(_value(slot[1].strip(), names), rows)

    return _SLOT.sub(put_in, text)


def as_text(value: Any, rows: int) -> str:
    """A value as it stands in a message. Of a pandas object so many rows, as CSV, and how many there are."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(value, pandas.DataFrame | pandas.Series):
        return str(value)
    frame = value.to_frame() if isinstance(value, pandas.Series) else value
    plain_index = isinstance(frame.index, pandas.RangeIndex) and frame.index.name is None
    table: str = frame.head(rows).to_csv(index=not plain_index, lineterminator="\n").rstrip("\n")
    shape = f"{len(frame):,} rows x {len(frame.columns):,} columns"
    return f"{table}\n(the first {rows:,} of {shape})" if len(frame) > rows else table


def _value(expression: str, names: Mapping[str, Any]) -> Any:
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise InputError(f"{{{{ {expression} }}}} {_REFUSED}") from None
    return _look_up(tree, expression, names)


def _look_up(node: ast.expr, expression: str, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Name(id=name):
            if name in names:
                return names[name]
            known = [known for known in names if not known.startswith("_") and not hasattr(builtins, known)]
            raise _unknown(expression, f"there is no name {name!r} in this notebook", name, known)
        case ast.Attribute(value=owner, attr=name):
            value = _look_up(owner, expression, names)
            try:
                return getattr(value, name)
            except AttributeError:
                problem = f"a {type(value).__name__} has no attribute {name!r}"
                raise _unknown(expression, problem, name, dir(value)) from None
        case ast.Subscript(value=owner, slice=index):
            value, key = _look_up(owner, expression, names), _constant(index, expression)
            try:
                return value[key]
            except (LookupError, TypeError) as error:
                keys = value if isinstance(value, Mapping) and len(value) < 10_000 else ()
                problem = f"{ast.unparse(owner)} has no item {key!r} ({type(error).__name__})"
                raise _unknown(expression, problem, str(key), [str(key) for key in keys]) from None
        case _:
            raise InputError(f"{{{{ {expression} }}}} {_REFUSED}")


def _constant(node: ast.expr, expression: str) -> str | int:
    try:
        key = ast.literal_eval(node)
    except ValueError:
        key = None
    if isinstance(key, str | int):
        return key
    raise InputError(f"{{{{ {expression} }}}} has an index that is not a plain text or number; {_REFUSED[3:]}")


def _unknown(expression: str, problem: str, name: str, known: Iterable[str]) -> InputError:
    close = difflib.get_close_matches(name, list(known), n=1)
    advice = (
        f"did you mean {close[0]!r}?" if close else "define it in a cell above, or send the text as it is with --raw"
    )
    return InputError(f"{{{{ {expression} }}}}: {problem}; {advice}")
