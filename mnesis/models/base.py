"""What all public values share."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mnesis.errors import InputError, MnesisError, describe_value


class Value(BaseModel):
    """A frozen value that refuses unknown fields. Built on first use, so importing the package stays cheap."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def __repr__(self) -> str:
        """What is not at its default, in one line, however much it holds."""
        fields = type(self).model_fields
        shown = (
            f"{name}={_short(value)}"
            for name, value in self.__repr_args__()
            if name is None or name not in fields or value != fields[name].get_default(call_default_factory=True)
        )
        return f"{type(self).__name__}({', '.join(shown)})"


_LONGEST, _MOST = 60, 3


def _short(value: object) -> str:
    """A value of a field: long texts by their beginning, collections by their size."""
    match value:
        case str() if len(value) > _LONGEST:
            return f"{value[:_LONGEST]!r}… ({len(value):,} characters)"
        case str() | StrEnum():
            return repr(str(value))
        case tuple() | list() if len(value) > _MOST or any(isinstance(each, Value) for each in value):
            return f"<{len(value):,} {_kind(value)}>"
        case tuple() | list():
            return f"({', '.join(map(_short, value))})"
        case dict():
            return f"<{len(value):,} keys>"
        case _:
            return repr(value)


def _kind(values: Sequence[object]) -> str:
    kinds = {type(each).__name__ for each in values}
    return kinds.pop() if len(kinds) == 1 else "items"


class Checked(Value):
    """A value that people make by hand: what is wrong with it is said in our words, as `error_type`."""

    error_type: ClassVar[type[MnesisError]] = InputError

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise self.error_type(_explain(type(self), error)) from None


def _explain(model: type[BaseModel], error: ValidationError) -> str:
    """Each field, its value, and what is allowed."""
    problems = []
    for item in error.errors():
        field = ".".join([model.__name__, *map(str, item["loc"])])
        if item["type"] == "extra_forbidden":
            problems.append(f"{field} is not known (in {model.__name__} there are: {', '.join(model.model_fields)})")
        elif isinstance(cause := item.get("ctx", {}).get("error"), MnesisError):
            problems.append(str(cause))
        else:
            allowed = item["msg"].replace("Input should be", "allowed is")
            problems.append(f"{field}={describe_value(item['input'])} is not usable: {allowed}")
    return "; ".join(problems)
