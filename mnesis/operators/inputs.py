"""What a map is run over: lists, DataFrames, files of JSON lines, generators. Each item becomes JSON, once."""

import asyncio
import dataclasses
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from mnesis.errors import Corrupt, InputError, describe_value
from mnesis.llm.reply import well_formed

_LINES = 500
"""Lines of a file that are read at a time."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Items as JSON texts, read when they are asked for. `whole` where all of them can be read at once, before the
    first is worked on; others (generators) are read only as far as they are needed. `count` is how many there are,
    where that is known before they are read.
    """

    texts: AsyncGenerator[str]
    whole: bool
    count: int | None = None


def inputs_of(given: Any) -> Inputs:
    """Read what was passed as `inputs=`. Raises `InputError`; for a bad item, when that is reached."""
    if isinstance(given, str | PurePath):
        return Inputs(_json_lines(Path(given)), whole=True)
    if isinstance(given, AsyncIterable):
        return Inputs(_awaited(given), whole=False)
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise InputError(
            f"inputs={describe_value(given)} is a {type(given).__name__}; give a list of items, a DataFrame, "
            "the path of a file of JSON lines, or a generator"
        )
    if rows := _rows(given):
        return Inputs(_written(rows, missing=True), whole=True, count=rows.count)
    count = len(given) if isinstance(given, Sized) else None
    return Inputs(_written(given), whole=count is not None, count=count)


async def _written(items: Iterable[Any], *, missing: bool = False) -> AsyncGenerator[str]:
    for index, item in enumerate(items):
        yield written(item, f"item {index} of the inputs", missing=missing)


async def _awaited(items: AsyncIterable[Any]) -> AsyncGenerator[str]:
    index = 0
    async for item in items:
        yield written(item, f"item {index} of the inputs")
        index += 1


# -- DataFrames --------------------------------------------------------------------------------------------------


def _rows(frame: Any) -> "_Rows | None":
    """The rows of a DataFrame (pandas, polars, or what looks like one), `None` for anything else."""
    columns = getattr(frame, "columns", None)
    if columns is None or not (hasattr(frame, "itertuples") or hasattr(frame, "iter_rows")):
        return None
    names = [str(name) for name in columns]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(
            f"two columns of the DataFrame are called {twice!r}; rename one: item.{twice} must be one value"
        )
    return _Rows(frame, names)


class _Rows:
    """The rows as dicts, one at a time."""

    def __init__(self, frame: Any, names: list[str]) -> None:
        self._frame, self._names = frame, names
        self.count = len(frame) if isinstance(frame, Sized) else None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        frame = self._frame
        rows = frame.itertuples(index=False, name=None) if hasattr(frame, "itertuples") else frame.iter_rows()
        return (dict(zip(self._names, row, strict=True)) for row in rows)


# -- files -------------------------------------------------------------------------------------------------------


async def _json_lines(path: Path) -> AsyncGenerator[str]:
    lines = _lines(path)
    while chunk := await asyncio.to_thread(lambda: list(itertools.islice(lines, _LINES))):
        for text in chunk:
            yield text


def _lines(path: Path) -> Iterator[str]:
    """Each line of a file as JSON, written as all items are. Raises `InputError`, naming the line."""
    try:
        with path.expanduser().open("rb") as file:
            for number, line in enumerate(file, 1):
                if text := line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").strip():
                    yield _line(text, f"{path}, line {number}")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give the path of a file of JSON lines, or a list of items"
        ) from error


def _line(line: bytes, where: str) -> str:
    try:
        value = read(line.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON ({error}): {describe_value(line.decode(errors='replace'))}") from None
    return written(value, where)


# -- JSON --------------------------------------------------------------------------------------------------------


def read(text: str) -> Any:
    """The value of a JSON text. Raises `ValueError` for what JSON lacks (NaN) and for a key that stands twice."""
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)


def stored(text: str, index: int) -> Any:
    """The value of an item that is stored as `text`. Raises `Corrupt`."""
    try:
        return read(text)
    except (ValueError, RecursionError) as error:
        raise Corrupt("map_item", str(index), f"its input is no JSON: {error}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return found


def written(value: Any, where: str, *, missing: bool = False) -> str:
    """The value as JSON. `missing` makes a null of what pandas has for a missing value. Raises `InputError`."""
    try:
        return well_formed(_dumps(_present(value) if missing else value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{where} cannot be kept as JSON ({error}): {describe_value(value)}; "
            "use text, numbers, true, false, None, and lists and dicts of these"
        ) from None


def _dumps(value: Any) -> str:
    _check_keys(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _check_keys(value: Any) -> None:
    """`json` would make a text of a number that is a key, and two keys of one name where that text is there too."""
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is a {type(key).__name__}, not a text")
            if isinstance(each, dict | list | tuple):
                _check_keys(each)
    elif isinstance(value, list | tuple):
        for each in value:
            if isinstance(each, dict | list | tuple):
                _check_keys(each)


def _present(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if _is_missing(value) else value for name, value in row.items()}


def _is_missing(value: Any) -> bool:
    # NaN and NaT are not equal to themselves; pandas.NA has no truth value.
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"


_TEXTS: Mapping[type, Callable[[Any], Any]] = {
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    Decimal: str,
    UUID: str,
}


def _plain(value: Any) -> Any:
    """What stands for a value that JSON lacks."""
    for kind, text in _TEXTS.items():
        if isinstance(value, kind):
            return text(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    for convert in ("tolist", "item"):  # arrays and numbers of numpy
        if hasattr(value, convert) and hasattr(value, "dtype"):
            return getattr(value, convert)()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")
