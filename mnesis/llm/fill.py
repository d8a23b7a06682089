"""A JSON value that fits a schema, taken out of a text: what `offline/quote` answers to who asks for JSON.

It copies: a string is a piece of the text, a number one that stands in it, an enum the value that is named in it, true
what is mentioned. Where the text has nothing of the kind, it is null if the schema allows that, else what is empty.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mnesis.llm.sentences import cut, sentences
from mnesis.llm.words import STOP_WORDS, terms, words

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_DATE_TIME = re.compile(r"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?")
_NEUTRAL = ("unknown", "none", "other", "neutral", "n/a")
_LONGEST = 300
_ITEMS = 3
_DEPTH = 8


def filled(schema: Mapping[str, Any], text: str) -> Any:
    """The value. It fits plain schemas; of patterns, formats other than dates, and `not` it knows nothing."""
    return _Filler(schema, text).value(schema, "", 0)


class _Filler:
    def __init__(self, root: Mapping[str, Any], text: str) -> None:
        self._root, self._text = root, text
        self._sentences = sentences(text)

    def value(self, schema: Any, name: str, depth: int, *, nullable: bool = False) -> Any:
        if not isinstance(schema, Mapping) or depth > _DEPTH:
            return None
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._named(schema["enum"])
        for choices in ("anyOf", "oneOf"):
            if choices in schema:
                return self._chosen(schema[choices], name or str(schema.get("title", "")), depth)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kinds = kind if isinstance(kind, list) else [kind]
        about = f"{name} {schema.get('description', '')}"
        found = self._typed(next((each for each in kinds if each != "null"), "null"), schema, about, depth)
        return found if found not in (None, "") or nullable or "null" in kinds else self._least(kinds[0], schema)

    def _typed(self, kind: str, schema: Mapping[str, Any], about: str, depth: int) -> Any:
        match kind:
            case "object":
                properties = schema.get("properties", {})
                return {key: self.value(each, key.replace("_", " "), depth + 1) for key, each in properties.items()}
            case "array":
                return self._listed(schema, about, depth)
            case "integer" | "number":
                return self._number(kind == "integer", schema)
            case "boolean":
                return bool(_asked(about) & _asked(self._text))
            case "string":
                return self._string(schema, about)
        return None

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(_DEPTH):
            pointer = schema.get("$ref")
            if not isinstance(pointer, str) or not pointer.startswith("#"):
                break
            target: Any = self._root
            for key in filter(None, pointer[1:].split("/")):
                target = target.get(key, {}) if isinstance(target, Mapping) else {}
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema

    def _named(self, values: Sequence[Any]) -> Any:
        """The value that is named first in the text; else a neutral one; else the last."""
        low = self._text.casefold()
        found = {value: re.search(rf"(?<!\w){re.escape(str(value).casefold())}(?!\w)", low) for value in values}
        there = [(match.start(), value) for value, match in found.items() if match and value is not None]
        if there:
            return min(there, key=lambda each: each[0])[1]
        neutral = [value for value in values if value is None or str(value).casefold() in _NEUTRAL]
        return neutral[0] if neutral else values[-1]

    def _chosen(self, choices: Sequence[Any], name: str, depth: int) -> Any:
        nullable = any(isinstance(choice, Mapping) and choice.get("type") == "null" for choice in choices)
        for choice in choices:
            if isinstance(choice, Mapping) and choice.get("type") != "null":
                return self.value(choice, name, depth + 1, nullable=nullable)
        return None

    def _listed(self, schema: Mapping[str, Any], about: str, depth: int) -> list[Any]:
        each = self._resolved(schema.get("items", {}))
        least, most = schema.get("minItems", 0), schema.get("maxItems", max(_ITEMS, schema.get("minItems", 0)))
        if each.get("type") == "string" and "enum" not in each:
            values: list[Any] = [cut(one, each.get("maxLength", _LONGEST)) for one in self._about(about)]
        elif each.get("type") in ("integer", "number"):
            whole = each["type"] == "integer"
            values = [_clipped(float(number), whole, each) for number in _NUMBER.findall(self._text)]
        else:
            values = [self.value(each, about, depth + 1)] if each else []
        values = values[: min(most, max(_ITEMS, least))]
        return values + [self.value(each, about, depth + 1)] * (least - len(values))

    def _number(self, whole: bool, schema: Mapping[str, Any]) -> int | float | None:
        numbers = [float(found) for found in _NUMBER.findall(self._text)]
        fits = [number for number in numbers if _clipped(number, whole, schema) == number]
        return _clipped(fits[0], whole, schema) if fits else None

    def _string(self, schema: Mapping[str, Any], about: str) -> str | None:
        form = {"date": _DATE, "date-time": _DATE_TIME}.get(schema.get("format", ""))
        if form is not None:
            found = form.search(self._text)
            return found[0] if found else None
        best = self._about(about)
        return cut(best[0], min(_LONGEST, schema.get("maxLength", _LONGEST))) if best else None

    def _about(self, about: str) -> list[str]:
        """The sentences, those first that share most words with what is asked for; among equals the longest last one:
        a prompt begins with what is to be done, and ends with what it is to be done with."""
        wanted = _asked(about)
        order = sorted(range(len(self._sentences)), key=lambda at: (-len(wanted & _asked(self._sentences[at])), -at))
        return [self._sentences[at] for at in order]

    def _least(self, kind: str, schema: Mapping[str, Any]) -> Any:
        if kind in ("integer", "number"):
            return _clipped(0.0, kind == "integer", schema)
        if kind == "string":
            dates = {"date": "1970-01-01", "date-time": "1970-01-01T00:00:00Z"}
            return dates.get(schema.get("format", ""), "") or "-" * schema.get("minLength", 0)
        return None


def _asked(text: str) -> set[str]:
    return set(terms(" ".join(word for word in words(text) if word.casefold() not in STOP_WORDS)))


def _clipped(number: float, whole: bool, schema: Mapping[str, Any]) -> int | float:
    """The number, or the nearest one that the schema allows."""
    step = 1 if whole else 1e-9
    low, high = schema.get("minimum"), schema.get("maximum")
    if (above := schema.get("exclusiveMinimum")) is not None:
        low = above + step
    if (below := schema.get("exclusiveMaximum")) is not None:
        high = below - step
    number = number if low is None else max(number, low)
    number = number if high is None else min(number, high)
    return int(number) if whole else number
