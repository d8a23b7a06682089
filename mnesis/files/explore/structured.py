"""JSON, JSON lines, YAML and TOML: keys, the types under them, and how many there are."""

import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mnesis.files.explore.subject import PARSED_WHOLE, Subject, Unreadable
from mnesis.files.source import CHUNK

_MOST_PATHS = 80
_DEEPEST = 8
_STREAMED = 1 << 28
_LONGEST_LINE = 1 << 16


class Shape:
    """Types by path, items of a list all under `[]`. What is beyond its first paths or too deep is left out."""

    def __init__(self) -> None:
        self._types: dict[tuple[str, ...], Counter[str]] = {}
        self._examples: dict[tuple[str, ...], str] = {}
        self.left_out = False

    def see(self, path: tuple[str, ...], type: str, example: object = None) -> None:
        """Take in a value at a path."""
        if path not in self._types and (len(self._types) >= _MOST_PATHS or len(path) > _DEEPEST):
            self.left_out = True
            return
        self._types.setdefault(path, Counter())[type] += 1
        if example is not None:
            self._examples.setdefault(path, str(example)[:40])

    def walk(self, value: Any, path: tuple[str, ...] = ()) -> None:
        """Take in a parsed value with all that is in it."""
        waiting = [(path, value)]
        while waiting:
            path, value = waiting.pop()
            self.see(path, type_of(value), None if isinstance(value, dict | list) else value)
            if len(path) > _DEEPEST:
                continue
            if isinstance(value, dict):
                waiting += [((*path, str(key)), each) for key, each in reversed(value.items())]
            elif isinstance(value, list):
                waiting += [((*path, "[]"), each) for each in reversed(value)]

    def told(self) -> Iterator[str]:
        """A line for each path."""
        for path, types in self._types.items():
            kinds = ", ".join(f"{type} x {count:,}" if count > 1 else type for type, count in types.most_common(4))
            example = f", as {self._examples[path]!r}" if path in self._examples else ""
            yield f"{'  ' * len(path)}{path[-1] if path else 'top level'}: {kinds}{example}"
        if self.left_out:
            yield "  … (more keys, or deeper ones)"


def type_of(value: object) -> str:
    """A type as JSON names it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return type(value).__name__


def json_document(subject: Subject) -> Iterator[str]:
    """A JSON document; a large one as a stream, as far as the time allows."""
    shape = Shape()
    if subject.size <= PARSED_WHOLE:
        text, _ = subject.text()
        try:
            shape.walk(json.loads(text))
        except ValueError as error:
            raise Unreadable(str(error)) from error
    else:
        yield from _streamed(subject, shape)
    yield from shape.told()


class _Part:
    """The beginning of a file, as a file to read from."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.at = 0

    def read(self, size: int = CHUNK) -> bytes:
        if self.at >= _STREAMED or self._subject.late():
            return b""
        data = self._subject.content.read(self.at, min(size, CHUNK) or 0)
        self.at += len(data)
        return data


_TYPES = {"start_map": "object", "start_array": "array", "null": "null", "boolean": "boolean", "string": "string"}


def _streamed(subject: Subject, shape: Shape) -> Iterator[str]:
    try:
        import ijson
    except ImportError:
        raise Unreadable(
            'it is too large to parse whole; pip install "mnesis[files]" brings a parser of streams'
        ) from None
    part = _Part(subject)
    path: list[str] = []
    try:
        for event, value in ijson.basic_parse(part, use_float=True):
            if event == "map_key":
                path[-1] = value
            elif event in ("end_map", "end_array"):
                path.pop()
            else:
                type = _TYPES.get(event) or ("integer" if isinstance(value, int) else "number")
                shape.see(tuple(path), type, value if type in ("string", "integer", "number") else None)
                if event in ("start_map", "start_array"):
                    path.append("[]")
    except ijson.JSONError as error:
        if part.at >= subject.size:
            raise Unreadable(str(error)) from error
    if part.at < subject.size:
        yield f"(of its first {part.at:,} of {subject.size:,} bytes)"


def json_lines(subject: Subject) -> Iterator[str]:
    """One JSON value a line."""
    shape, count, bad = Shape(), 0, 0
    for piece in subject.pieces():
        if piece.start or not piece.text.strip():
            continue
        count += 1
        try:
            if not piece.ends or len(piece.text) > _LONGEST_LINE:
                raise ValueError("a line too long")
            if count <= 20_000:
                shape.walk(json.loads(piece.text), ("line",))
        except (ValueError, RecursionError):
            bad += 1
            if bad > 20 and bad * 2 > count:
                raise Unreadable("most of its lines are not JSON") from None
    if bad == count:
        raise Unreadable("no line of it is JSON")
    yield f"{count:,} lines" + (f", of which {bad:,} could not be parsed" if bad else "")
    yield from shape.told()


def toml_document(subject: Subject) -> Iterator[str]:
    """A TOML document."""
    text, whole = subject.text()
    if not whole:
        raise Unreadable("it is too large to parse whole")
    try:
        value = tomllib.loads(text)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    shape = Shape()
    shape.walk(value)
    yield from shape.told()


def yaml_documents(subject: Subject) -> Iterator[str]:
    """YAML, event by event: nothing is built, so that aliases cost nothing and tags do nothing."""
    try:
        import yaml
    except ImportError:
        text, _ = subject.text(1 << 18)
        yield '(top-level keys by its lines: pip install "mnesis[files]" brings a parser)'
        yield from (each for each in text.split("\n") if each[:1].isalpha() and ":" in each)
        return
    text, whole = subject.text()
    reader = _Yaml(yaml)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            reader.take(event)
            if subject.late():
                break
    except (yaml.YAMLError, ValueError) as error:
        if whole:
            raise Unreadable(" ".join(str(error).split())) from error
    yield f"documents: {reader.documents}" + (f", aliases: {reader.aliases}" if reader.aliases else "")
    yield from reader.shape.told()


@dataclass(slots=True)
class _Level:
    """A list or a mapping that is open. `key` is that whose value comes next, `None` where a key does."""

    is_list: bool
    key: str | None = None
    in_key: bool = False


class _Yaml:
    """Follows where the events of a YAML stream are."""

    def __init__(self, yaml: Any) -> None:
        self.shape = Shape()
        self.documents = self.aliases = 0
        self._yaml = yaml
        self._levels: list[_Level] = []

    def take(self, event: Any) -> None:
        """Take in an event."""
        yaml = self._yaml
        self.documents += isinstance(event, yaml.DocumentStartEvent)
        self.aliases += isinstance(event, yaml.AliasEvent)
        if isinstance(event, yaml.CollectionEndEvent):
            self._levels.pop()
            self._node_ended()
        elif isinstance(event, yaml.NodeEvent):
            self._take_node(event)

    def _take_node(self, event: Any) -> None:
        yaml, level = self._yaml, self._levels[-1] if self._levels else None
        if level and not level.is_list and level.key is None:
            level.key, level.in_key = str(getattr(event, "value", "(a key that is no text)")), True
        else:
            path = tuple("[]" if each.is_list else str(each.key) for each in self._levels)
            value = event.value if isinstance(event, yaml.ScalarEvent) else None
            self.shape.see(path, self._type(event), value)
        if isinstance(event, yaml.CollectionStartEvent):
            self._levels.append(_Level(isinstance(event, yaml.SequenceStartEvent)))
        else:
            self._node_ended()

    def _type(self, event: Any) -> str:
        if isinstance(event, self._yaml.CollectionStartEvent):
            return "list" if isinstance(event, self._yaml.SequenceStartEvent) else "mapping"
        return "alias" if isinstance(event, self._yaml.AliasEvent) else "scalar"

    def _node_ended(self) -> None:
        if self._levels and self._levels[-1].in_key:
            self._levels[-1].in_key = False
        elif self._levels:
            self._levels[-1].key = None
