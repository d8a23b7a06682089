"""Python functions as tools: the schema from the signature, the type hints and the docstring."""

import inspect
import typing
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError

from mnesis.errors import InputError, describe_value
from mnesis.llm.reply import UNPARSED
from mnesis.tasks import in_thread
from mnesis.tools.base import Tool


def function_tool(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    read_only: bool = False,
) -> Tool:
    """A function, sync or async, as a tool for the model.

    Its parameters become the schema: types from the hints (pydantic models are built before the call), descriptions
    from the docstring (Google, NumPy, reST), whose text describes the tool. What the model passes is validated; where
    it does not fit, the model is told and the function is not called. A sync function runs in a thread of its own; past
    `timeout` seconds (default: the session's) its result is not waited for, but no thread can be stopped.
    `read_only` declares that it changes nothing.

    Raises `InputError` for a function without a docstring or `description`, and for parameters that have no name
    (`*args`) or no schema.
    """
    called = name or _name_of(function)
    doc = _Doc(function)
    text = description or doc.text
    if not text:
        raise InputError(
            f"tool {called!r} has no docstring, and the model chooses tools by it; "
            "write one line of what the function does, or pass function_tool(f, description=…)"
        )
    arguments = _Arguments(called, function, doc)

    async def run(given: dict[str, Any]) -> Any:
        positional, named = arguments.split(given)
        return await _call(partial(function, *positional, **named))

    return Tool(called, text, arguments.schema, run, timeout, read_only=read_only)


class _Doc:
    """What a docstring says of the function, and of each parameter."""

    def __init__(self, function: Callable[..., Any]) -> None:
        from docstring_parser import parse  # on first use: most sessions have no tools

        plain = function.func if isinstance(function, partial) else function
        own = plain if inspect.isroutine(plain) or inspect.isclass(plain) else type(plain).__call__
        found = parse(inspect.getdoc(plain if plain is own else own) or inspect.getdoc(plain) or "")
        self.text = found.description or ""
        self.parameters = {each.arg_name: each.description or None for each in found.params}


class _Arguments:
    """The parameters of a function as a pydantic model, whose fields have names that nothing can clash with."""

    def __init__(self, tool: str, function: Callable[..., Any], doc: _Doc) -> None:
        self._parameters = list(_signature(tool, function).parameters.values())
        hints = _hints(function)
        fields: dict[str, Any] = {}
        for index, parameter in enumerate(self._parameters):
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise InputError(
                    f"tool {tool!r} takes {parameter}, and a model passes arguments by name: name each one"
                )
            default = ... if parameter.default is parameter.empty else parameter.default
            hint = hints.get(parameter.name, Any)
            field = Field(default, alias=parameter.name, description=doc.parameters.get(parameter.name))
            fields[f"p{index}"] = (hint, field)
        config = ConfigDict(extra="forbid")
        try:
            self._model: type[BaseModel] = create_model(tool, __config__=config, **fields)
            with warnings.catch_warnings(action="ignore"):  # a default that JSON lacks is left out of the schema
                self.schema = _plain(self._model.model_json_schema(by_alias=True))
        except (PydanticUserError, TypeError, NameError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"tool {tool!r} has a parameter that has no JSON Schema ({reason}); "
                "give it a type that JSON has, a pydantic model, or a default and no hint"
            ) from error

    def split(self, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The validated values: those that can only be given by position, and all others by name."""
        model = self._validated(given)
        values = [(each, getattr(model, f"p{index}")) for index, each in enumerate(self._parameters)]
        by_position = [value for each, value in values if each.kind is each.POSITIONAL_ONLY]
        return by_position, {each.name: value for each, value in values if each.kind is not each.POSITIONAL_ONLY}

    def _validated(self, given: dict[str, Any]) -> BaseModel:
        if UNPARSED in given:
            raise InputError(f"the arguments are not a JSON object: {describe_value(given[UNPARSED], 200)}")
        try:
            return self._model.model_validate(given)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, each['loc']))}: {each['msg']}, not {describe_value(each['input'])}"
                for each in error.errors(include_url=False)
            )
            raise InputError(f"the arguments do not fit: {wrong}") from None


def _name_of(function: Callable[..., Any]) -> str:
    plain = function.func if isinstance(function, partial) else function
    return str(getattr(plain, "__name__", None) or type(plain).__name__)


def _signature(tool: str, function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise InputError(f"the parameters of tool {tool!r} cannot be read ({error}); wrap it in a function") from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    plain = function.func if isinstance(function, partial) else function
    source = plain if inspect.isroutine(plain) else plain.__init__ if inspect.isclass(plain) else type(plain).__call__
    try:
        return typing.get_type_hints(source, include_extras=True)
    except NameError as error:
        raise InputError(
            f"a type hint of tool {_name_of(function)!r} names something that is not there ({error}); import it"
        ) from error


def _plain(schema: Any) -> Any:
    """The schema without the titles that pydantic makes of field names: they cost tokens and say nothing."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
        named = ("properties", "$defs")  # their keys are names, and "title" may be one of them
        return {
            key: {name: _plain(each) for name, each in value.items()} if key in named else _plain(value)
            for key, value in kept.items()
        }
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema


async def _call(function: Callable[[], Any]) -> Any:
    """Call a function: async ones here, sync ones in a thread, so that the loop goes on."""
    plain = function.func if isinstance(function, partial) else function
    # B004 means `callable`, and this asks what kind of function the method is.
    if inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(getattr(plain, "__call__", None)):  # noqa: B004
        return await function()
    value = await in_thread(function)
    return await value if inspect.isawaitable(value) else value
