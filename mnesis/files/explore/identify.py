"""What a file is: by its content where that tells, else by its name."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from mnesis.files.explore.subject import Subject
from mnesis.models.media import sniff


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of file, and the function that explores it."""

    name: str
    media_type: str
    module: str
    function: str
    is_prose: bool = False


def _code(name: str, media_type: str) -> Kind:
    return Kind(name, media_type, "code", name.lower())


BINARY = Kind("binary data", "application/octet-stream", "binary", "explore")
PLAIN = Kind("text", "text/plain", "prose", "plain", is_prose=True)
_PDF = Kind("PDF", "application/pdf", "pdf", "explore")
_SQLITE = Kind("SQLite database", "application/vnd.sqlite3", "sqlite", "explore")
_PARQUET = Kind("Parquet table", "application/vnd.apache.parquet", "parquet", "explore")
_EXCEL = Kind("Excel workbook", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "excel", "explore")
_ZIP = Kind("zip archive", "application/zip", "archives", "zip_listing")
_TAR = Kind("tar archive", "application/x-tar", "archives", "tar_listing")
_IMAGE = Kind("image", "image/*", "images", "explore")
_NOTEBOOK = Kind("Jupyter notebook", "application/x-ipynb+json", "notebooks", "explore")
_JSON = Kind("JSON", "application/json", "structured", "json_document")
_JSONL = Kind("JSON lines", "application/jsonl", "structured", "json_lines")
_YAML = Kind("YAML", "application/yaml", "structured", "yaml_documents")
_TOML = Kind("TOML", "application/toml", "structured", "toml_document")
_CSV = Kind("CSV table", "text/csv", "tables", "csv_table")
_TSV = Kind("TSV table", "text/tab-separated-values", "tables", "csv_table")
_LOG = Kind("log", "text/x-log", "logs", "explore")
_HTML = Kind("HTML", "text/html", "documents", "html", is_prose=True)
_MARKDOWN = Kind("Markdown", "text/markdown", "documents", "markdown", is_prose=True)
_RST = Kind("reStructuredText", "text/x-rst", "documents", "rst", is_prose=True)
_PYTHON = Kind("Python", "text/x-python", "python", "explore")

_BY_SUFFIX: dict[str, Kind] = {
    **dict.fromkeys((".py", ".pyi", ".pyw"), _PYTHON),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), _code("JavaScript", "text/javascript")),
    **dict.fromkeys((".ts", ".mts", ".cts"), _code("TypeScript", "text/x-typescript")),
    ".tsx": _code("TSX", "text/x-typescript"),
    ".go": _code("Go", "text/x-go"),
    ".rs": _code("Rust", "text/x-rust"),
    ".java": _code("Java", "text/x-java"),
    **dict.fromkeys((".c", ".h"), _code("C", "text/x-c")),
    ".json": _JSON,
    **dict.fromkeys((".jsonl", ".ndjson"), _JSONL),
    **dict.fromkeys((".yaml", ".yml"), _YAML),
    ".toml": _TOML,
    ".csv": _CSV,
    **dict.fromkeys((".tsv", ".tab"), _TSV),
    ".ipynb": _NOTEBOOK,
    **dict.fromkeys((".md", ".markdown"), _MARKDOWN),
    **dict.fromkeys((".html", ".htm", ".xhtml"), _HTML),
    ".rst": _RST,
    ".log": _LOG,
    ".pdf": _PDF,
    ".xlsx": _EXCEL,
    ".parquet": _PARQUET,
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), _SQLITE),
    ".zip": _ZIP,
    **dict.fromkeys((".tar", ".tgz", ".gz", ".bz2", ".xz"), _TAR),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".svg"), _IMAGE),
}
_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"%PDF-", _PDF),
    (b"SQLite format 3\0", _SQLITE),
    (b"PAR1", _PARQUET),
    (b"\x1f\x8b", _TAR),
    (b"BZh", _TAR),
    (b"\xfd7zXZ\0", _TAR),
    (b"BM", _IMAGE),
    (b"II*\0", _IMAGE),
    (b"MM\0*", _IMAGE),
)
_JSON_BEGINS = re.compile(r'\s*(?:\{\s*(?:"|\}|$)|(?:\[\s*)+(?:["\d{\]-]|(?:true|false|null)\b|$))')
_JSON_LINE = re.compile(r"\s*[{\[].*[}\]]\s*$")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d\d/\w{3}/\d{4}:\d\d:\d\d|^\w{3} [ \d]\d \d\d:\d\d:\d\d")


def candidates(subject: Subject) -> Iterator[Kind]:
    """What the file may be, the most likely first; the last one always fits."""
    named = _BY_SUFFIX.get(subject.suffix)
    told = _by_content(subject) if subject.encoding is None else _by_text(subject, named)
    if told:
        yield told
    if named and named != told and _is_text(named) == (subject.encoding is not None):
        yield named
    yield BINARY if subject.encoding is None else PLAIN


def _is_text(kind: Kind) -> bool:
    return kind.module not in ("binary", "pdf", "sqlite", "parquet", "excel", "archives", "images")


def _by_content(subject: Subject) -> Kind | None:
    head = subject.head
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _EXCEL if _holds_workbook(subject) else _ZIP
    if (sniff(head) or "").startswith("image/"):
        return _IMAGE
    if head[257:262] == b"ustar":
        return _TAR
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def _holds_workbook(subject: Subject) -> bool:
    try:
        with zipfile.ZipFile(subject.content.file) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return subject.suffix == ".xlsx"


def _by_text(subject: Subject, named: Kind | None) -> Kind | None:
    head, whole = subject.text(1 << 16)
    start = head.lstrip()[:200].lower()
    if subject.head.startswith(b"%PDF-"):
        return _PDF
    if start.startswith(("<!doctype html", "<html")):
        return _HTML
    if start.startswith("<svg") or (start.startswith("<?xml") and "<svg" in head[:2000]):
        return _IMAGE
    if _JSON_BEGINS.match(head) and (named is None or named.module not in ("code", "documents", "python")):
        return _json_kind(head, whole, named)
    if named and _is_text(named):
        return named
    if start.startswith("#!") and "python" in start.partition("\n")[0]:
        return _PYTHON
    lines = [each for each in head.split("\n")[:50] if each.strip()]
    if lines and sum(bool(_TIMESTAMP.search(each[:80])) for each in lines) * 2 > len(lines):
        return _LOG
    return _table_kind(lines)


def _json_kind(head: str, whole: bool, named: Kind | None) -> Kind:
    lines = [each for each in head.split("\n")[:20] if each.strip()]
    complete = lines if whole or len(lines) > 19 else lines[:-1]
    if len(complete) > 1 and all(_JSON_LINE.match(each) for each in complete):
        return _JSONL
    if named == _NOTEBOOK or ('"cells"' in head and '"cell_type"' in head):
        return _NOTEBOOK
    return _JSONL if named == _JSONL else _JSON


def _table_kind(lines: list[str]) -> Kind | None:
    """A table without a name: at least three lines, all with as many separators."""
    if len(lines) < 3:
        return None
    for separator, kind in (("\t", _TSV), (",", _CSV), (";", _CSV)):
        counts = {each.count(separator) for each in lines[:-1]}
        if len(counts) == 1 and counts.pop() > 0:
            return kind
    return None
