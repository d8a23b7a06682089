"""What an answer must look like, and the reading of a reply as such an answer."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from mnesis.errors import InputError, MnesisError, describe_value
from mnesis.llm.reply import well_formed
from mnesis.operators.inputs import read

_FENCE = re.compile(r"```[ \t]*[\w+-]*[ \t]*\r?\n(.*?)(?:\r?\n)?[ \t]*```", re.DOTALL)
_THOUGHT = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_STARTS = re.compile(r"[{\[]")
_TRIES = 8
_PROBLEMS = 5


class SchemaMismatch(MnesisError):
    """A reply is not what the schema describes. The model is told, and asked again."""


class OutputSchema:
    """What the answer to each item must be: a pydantic model or any type that pydantic validates, a JSON Schema, or,
    without one, text.
    """

    def __init__(self, given: Any = None) -> None:
        self.given = given
        self._adapter: TypeAdapter[Any] | None = None
        self._validator: Any = None
        self.json_schema: dict[str, Any] | None = None
        if isinstance(given, Mapping):
            self.json_schema = _plain(given)
            self._validator = _validator(self.json_schema)
        elif given is not None and given is not str:
            self._adapter, self.json_schema = _adapter(given)

    @property
    def text(self) -> str | None:
        """The JSON Schema as JSON, `None` where the answer is text."""
        return None if self.json_schema is None else json.dumps(self.json_schema, ensure_ascii=False)

    def parse(self, reply: str) -> tuple[Any, str]:
        """The answer in a reply, and the same as JSON. Raises `SchemaMismatch`, for the model to read."""
        if self.json_schema is None:
            if not reply.strip():
                raise SchemaMismatch("the reply is empty")
            return reply, json.dumps(reply, ensure_ascii=False)
        first: SchemaMismatch | None = None
        for value in _candidates(reply):
            try:
                return self._valid(value)
            except SchemaMismatch as mismatch:
                first = first or mismatch
        raise first or SchemaMismatch("the reply holds no JSON")

    def restore(self, text: str) -> Any:
        """The answer that is stored as `text`."""
        return json.loads(text) if self._adapter is None else self._adapter.validate_json(text)

    def _valid(self, value: Any) -> tuple[Any, str]:
        if self._adapter is None:
            problems = list(_problems(self._validator, value))
            if problems:
                raise SchemaMismatch("; ".join(problems))
            return value, well_formed(json.dumps(value, ensure_ascii=False))
        try:
            # As JSON: strict models take a date's text from JSON, and from nothing else.
            output = self._adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            raise SchemaMismatch("; ".join(_explained(error))) from None
        return output, well_formed(to_json(output, by_alias=True, inf_nan_mode="constants").decode())


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(schema), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"output_schema={describe_value(schema)} is no JSON Schema: {error}") from None
    return plain


def _validator(schema: dict[str, Any]) -> Any:
    from jsonschema import exceptions, validators  # on first use: it takes as long as half of `import mnesis`
    from referencing import Registry

    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except exceptions.SchemaError as error:
        raise InputError(f"output_schema is no JSON Schema ({error.json_path}: {error.message}); correct it") from None
    return kind(schema, registry=Registry())  # a registry of its own: a $ref fetches nothing


def _problems(validator: Any, value: Any) -> Iterator[str]:
    from referencing.exceptions import Unresolvable

    try:
        for number, error in enumerate(validator.iter_errors(value)):
            if number == _PROBLEMS:
                yield "and more"
                return
            yield f"{error.json_path}: {_cut(error.message)}"
    except Unresolvable as error:
        raise InputError(f"output_schema refers to {error.ref!r}, which is not in it; put it under $defs") from None


def _adapter(given: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    try:
        adapter = TypeAdapter(given)
        adapter.rebuild(raise_errors=True)
        return adapter, adapter.json_schema(by_alias=True)
    except Exception as error:  # noqa: BLE001  # pydantic raises whatever the type's own code raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"output_schema={describe_value(given)} describes no answer ({reason}); "
            "give a pydantic model, a JSON Schema as a dict, or None for text"
        ) from None


def _explained(error: ValidationError) -> Iterator[str]:
    for number, each in enumerate(error.errors(include_url=False)):
        if number == _PROBLEMS:
            yield "and more"
            return
        yield f"{'.'.join(['$', *map(str, each['loc'])])}: {_cut(each['msg'])}, not {describe_value(each['input'])}"


def _cut(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _candidates(reply: str) -> Iterator[Any]:
    """The JSON values that a reply may mean, the likeliest first: all of it, what is fenced, the first object in it,
    and, for schemas of a text, its words as they are.
    """
    text = _THOUGHT.sub("", reply).strip()
    for piece in (text, *(match[1] for match in _FENCE.finditer(text))):
        try:
            yield read(piece)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder()
    for start, _ in zip(_STARTS.finditer(text), range(_TRIES), strict=False):
        try:
            _, end = decoder.raw_decode(text, start.start())
            yield read(text[start.start() : end])
        except (ValueError, RecursionError):
            continue
    if text:
        yield text
