"""What all public values share."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mnesis.errors import InputError, MnesisError, describe_value


class Value(BaseModel):
    """A frozen value that refuses unknown fields. Built on first use, so importing the package stays cheap."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


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
