"""Python: classes, functions with their signatures and lines, imports, by its own parser."""

import ast
import re
import warnings
from collections.abc import Iterator

from mnesis.files.explore.subject import Subject, Unreadable

_DEFINITION = re.compile(r"(\s*)((?:async )?def|class)\s+(\w+)")


def explore(subject: Subject) -> Iterator[str]:
    """Imports, then what is defined, in its order. Where it cannot be parsed that is said, and lines that look so."""
    source, whole = subject.text()
    if not whole:
        yield "(too large to be parsed: the definitions of its first 8 MB, by their lines)"
        yield from _by_lines(source)
        return
    try:
        with warnings.catch_warnings(action="ignore"):  # its escapes are its own business
            tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        where = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
        yield f"syntax error ({where}); what looks like a definition:"
        yield from _by_lines(source)
        return
    yield f"{source.count(chr(10)) + 1:,} lines"
    if document := ast.get_docstring(tree):
        yield f"docstring: {document.splitlines()[0]}"
    if imports := list(dict.fromkeys(_imports(tree))):
        yield f"imports: {', '.join(imports)}"
    yield from _definitions(tree.body, "")


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, level=level):
                yield f"{'.' * level}{module or ''}"


def _definitions(body: list[ast.stmt], indent: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.ClassDef(name=name, bases=bases):
                inherits = f"({', '.join(map(ast.unparse, bases))})" if bases else ""
                yield f"{indent}line {node.lineno}: class {name}{inherits}{_told(node)}"
                yield from _definitions(node.body, f"{indent}  ")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                begins = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
                returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
                signature = f"{begins} {name}({ast.unparse(node.args)}){returns}"
                yield f"{indent}line {node.lineno}: {signature}{_told(node)}"
            case ast.If(body=inner, orelse=other) | ast.Try(body=inner, orelse=other):
                yield from _definitions([*inner, *other], indent)
            case ast.Assign(targets=[ast.Name(id=name)]) if not indent and name.isupper():
                yield f"line {node.lineno}: {name} = {ast.unparse(node.value)[:60]}"


def _told(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    document = ast.get_docstring(node)
    return f"  # {document.splitlines()[0]}" if document else ""


def _by_lines(source: str) -> Iterator[str]:
    found = False
    for number, text in enumerate(source.split("\n"), 1):
        if match := _DEFINITION.match(text):
            found = True
            yield f"{match[1][:16]}line {number}: {match[2]} {match[3]}"
    if not found:
        raise Unreadable("it does not parse, and no line of it looks like a definition")
