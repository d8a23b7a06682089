"""The provider of a replay: it only ever summarises, and what that takes is measured."""

from collections.abc import AsyncGenerator

from mnesis.llm.base import Chunk, Finish, ModelLimits, Provider, ReasoningChunk, Request, TextChunk
from mnesis.llm.catalog import cost_of
from mnesis.models.message import TokenUsage
from mnesis.models.replay import Spending
from mnesis.tokens import counter_for


class Meter:
    """Passes on what is asked of the summariser. Of the provider that would answer, only the limits are asked."""

    def __init__(self, answers: Provider, summarises: Provider, summariser: str) -> None:
        self._answers = answers
        self._summarises = summarises
        self._summariser = summariser
        self._spent = Spending()

    def limits(self, model: str) -> ModelLimits:
        """Those of the provider of this model."""
        return (self._summarises if model == self._summariser else self._answers).limits(model)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """A summary."""
        said: list[str] = []
        finish: Finish | None = None
        try:
            async for chunk in self._summarises.stream(request):
                if isinstance(chunk, TextChunk | ReasoningChunk):
                    said.append(chunk.text)
                elif isinstance(chunk, Finish):
                    finish = chunk
                yield chunk
        finally:
            self._spent += _spent(request, "".join(said), finish)

    def take(self) -> Spending:
        """What was spent since this was asked last."""
        spent, self._spent = self._spent, Spending()
        return spent


def _spent(request: Request, said: str, finish: Finish | None) -> Spending:
    """As the provider reports it; else as we count it, at the list price."""
    usage = finish.usage if finish else None
    if usage is None:
        counter = counter_for(request.model)
        sent = sum(counter.count(str(each["content"])) + counter.message_overhead for each in request.messages)
        usage = TokenUsage(input=sent, output=counter.count(said), counted=True)
    cost = finish.cost if finish else None
    return Spending(requests=1, tokens=usage, cost=cost_of(request.model, usage) if cost is None else cost)
