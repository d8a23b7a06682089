"""JavaScript, TypeScript, Go, Rust, Java and C: what is defined, where, and what is imported, by tree-sitter."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from mnesis.files.explore.subject import Explorer, Subject

_DEEPEST = 3
_PACKAGES = {
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
}
_IMPORTS = frozenset(
    "import_statement import_declaration use_declaration preproc_include extern_crate_declaration".split()
)
_DEFINES = frozenset(
    """
    function_declaration generator_function_declaration class_declaration abstract_class_declaration method_definition
    interface_declaration type_alias_declaration enum_declaration internal_module lexical_declaration
    function_signature method_signature abstract_method_signature
    method_declaration type_declaration package_clause const_declaration var_declaration
    function_item struct_item enum_item trait_item impl_item mod_item type_item const_item static_item macro_definition
    function_signature_item
    record_declaration constructor_declaration annotation_type_declaration package_declaration
    function_definition struct_specifier enum_specifier union_specifier type_definition preproc_def
    preproc_function_def declaration
    """.split()
)
_BODIES = frozenset(
    """
    body block statement_block class_body interface_body enum_body declaration_list field_declaration_list
    compound_statement object_type enum_variant_list enumerator_list field_declaration constructor_body
    """.split()
)
_SEEN_THROUGH = frozenset(
    "export_statement expression_statement ERROR linkage_specification preproc_ifdef preproc_if".split()
)
_INNER = frozenset(
    "class_body interface_body declaration_list enum_body enum_body_declarations statement_block".split()
)
_LOOKS_SO = re.compile(
    r"(\s*)(?:(?:export|default|public|private|protected|static|final|abstract|async|pub(?:\(\w+\))?|unsafe|extern)\s+)*"
    r"(function\*?|class|interface|enum|struct|trait|impl|fn|func|type|mod|namespace|record)\s+([\w<>:,$ ().*&]+)"
)


def _explorer(language: str) -> Explorer:
    def explore(subject: Subject) -> Iterator[str]:
        source, whole = subject.text()
        if not whole:
            yield "(too large to be parsed whole: its first 8 MB)"
        package, function = _PACKAGES[language]
        try:
            from tree_sitter import Language, Parser

            grammar = Language(getattr(import_module(package), function)())
        except ImportError:
            yield '(by its lines, without a parser: pip install "mnesis[files]" brings one)'
            yield from _by_lines(source)
            return
        data = source.encode("utf-8", "replace")
        root = Parser(grammar).parse(data).root_node
        yield f"{source.count(chr(10)) + 1:,} lines"
        if root.has_error:
            yield "(syntax errors: what could be read of it)"
        imports = [_first_line(node) for node in root.named_children if node.type in _IMPORTS]
        if imports:
            yield f"imports: {'; '.join(imports)}"
        yield from _defined(subject, root, 0)

    return explore


def _defined(subject: Subject, node: Any, depth: int) -> Iterator[str]:
    for child in node.named_children:
        if subject.late():
            return
        if child.type in _SEEN_THROUGH:
            yield from _defined(subject, child, depth)
        elif child.type in _DEFINES:
            yield f"{'  ' * depth}line {child.start_point[0] + 1}: {_signature(child)}"
            if depth < _DEEPEST and "function" not in child.type and "method" not in child.type:
                for inner in child.named_children:
                    if inner.type in _INNER:
                        yield from _defined(subject, inner, depth + 1)
        elif child.type in _INNER:
            yield from _defined(subject, child, depth)


def _signature(node: Any) -> str:
    """What stands before the body."""
    body = next((child for child in node.named_children if child.type in _BODIES), None)
    data: bytes = node.text or b""
    head = data if body is None else data[: body.start_byte - node.start_byte]
    return " ".join(head[:600].decode("utf-8", "replace").split())


def _first_line(node: Any) -> str:
    return " ".join((node.text or b"")[:200].decode("utf-8", "replace").split())


def _by_lines(source: str) -> Iterator[str]:
    for number, text in enumerate(source.split("\n"), 1):
        if match := _LOOKS_SO.match(text[:400]):
            yield f"{match[1][:16]}line {number}: {match[2]} {match[3].strip()}"


javascript = _explorer("javascript")
typescript = _explorer("typescript")
tsx = _explorer("tsx")
go = _explorer("go")
rust = _explorer("rust")
java = _explorer("java")
c = _explorer("c")
