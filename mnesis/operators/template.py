"""The prompt of an item: a Jinja template that is checked before anything runs. What it is given is data."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from mnesis.errors import InputError, MnesisError, describe_value

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_KNOWN = ("item", "index")


class TemplateError(MnesisError):
    """The template does not go with this item."""


class PromptTemplate:
    """Makes the prompt of each item. `name` is how the caller calls the argument.

    Raises `InputError` for a template that is no Jinja, that does not use `item`, or that uses what there is not.
    """

    def __init__(self, source: str, name: str = "prompt_template") -> None:
        from jinja2 import TemplateSyntaxError, meta  # on first use: it takes as long as half of `import mnesis`

        if not isinstance(source, str) or not source.strip():
            raise InputError(f"{name}={describe_value(source)} is no template; give a text that uses {{{{ item }}}}")
        environment = _environment()
        try:
            used = meta.find_undeclared_variables(environment.parse(source))
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise InputError(
                f"{name} is no Jinja template (line {error.lineno}: {error.message}); correct it"
            ) from None
        if "item" not in used:
            raise InputError(
                f"{name}={describe_value(source)} does not use the item, so that all prompts would be the same; "
                "put {{ item }} into it, or {{ item.column }}"
            )
        if unknown := sorted(used.difference(_KNOWN, environment.globals)):
            raise InputError(
                f"{name} uses {', '.join(unknown)}, and there are only item and index; put it into the items"
            )
        self.source = source

    def render(self, item: Any, index: int) -> str:
        """The prompt of one item. Raises `TemplateError`."""
        try:
            text = self._template.render(item=item, index=index)
        except Exception as error:  # a template is a program: it can raise anything
            raise TemplateError(f"the template does not go with this item ({error}); correct it") from error
        if not text.strip():
            raise TemplateError("the template gives an empty prompt for this item; there is nothing to ask")
        return text


@cache
def _environment() -> "ImmutableSandboxedEnvironment":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        """`item.items` is the column of that name, not the method of a dict."""

        def getattr(self, obj: Any, attribute: str) -> Any:
            if isinstance(obj, Mapping) and attribute in obj:
                return obj[attribute]
            return super().getattr(obj, attribute)

    return Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
