"""Stands for a provider that cannot be had here: what was said can be read, and nothing new is answered."""

from collections.abc import AsyncGenerator

from mnesis.errors import LLMError
from mnesis.llm.base import Chunk, ModelLimits, Request

_LIMITS = ModelLimits(context=1 << 40, output=4_096, known=False)


class AbsentProvider:
    """Raises the error that says what is missing, whenever it is asked for a reply."""

    def __init__(self, error: LLMError) -> None:
        self._error = error

    def limits(self, model: str) -> ModelLimits:
        """As if everything fitted: the model is not here to tell, and reading must leave the window as it is."""
        return _LIMITS

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """No reply."""
        raise self._error.with_traceback(None)
        yield  # an async generator, as the protocol wants it
