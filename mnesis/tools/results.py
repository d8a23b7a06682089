"""What a tool returns becomes text for the model."""

from pydantic_core import PydanticSerializationError, to_json

from mnesis.errors import InputError
from mnesis.llm.reply import well_formed


def result_text(value: object) -> str:
    """A text as it is, everything else as JSON; what JSON lacks (a date, a DataFrame) as its own `str`.

    Raises `InputError` for what has no text of its own: the model would read the address of an object.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return well_formed(value)
    try:
        return well_formed(to_json(value, fallback=_own_text, inf_nan_mode="constants").decode())
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise InputError(f"the result, a {type(value).__name__}, cannot be shown to the model: {error}") from error


def _own_text(value: object) -> str:
    kind = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        raise InputError(f"a {kind.__name__} has no text of its own; return a str, a number, a list or a dict")
    return str(value)
