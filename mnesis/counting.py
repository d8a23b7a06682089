"""Counting tokens of what is not in a session."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from mnesis.context.assembly import measure, system_tokens
from mnesis.errors import InputError, describe_value
from mnesis.models.message import Part, Role
from mnesis.tokens import TokenCounter, counter_for
from mnesis.transcripts import Transcript, transcript_of


class TokenCount(int):
    """A number of tokens; `exact` says whether it is the model's own count, or an estimate that is rather too high."""

    exact: bool

    def __new__(cls, count: int, *, exact: bool) -> Self:
        """So many."""
        made = super().__new__(cls, count)
        made.exact = exact
        return made

    def __repr__(self) -> str:
        return f"{int(self)} tokens ({'exact' if self.exact else 'an estimate'})"

    __str__ = int.__repr__


def count_tokens(counted: str | Transcript | Sequence[Any] | Mapping[str, Any], *, model: str) -> TokenCount:
    """How many tokens a text has for a model, or how many messages take in a request, their wrappers included.

    Messages are a list in OpenAI's or Anthropic's form, a whole request, or a `Transcript`. Nothing is sent anywhere:
    OpenAI's models, `offline/…` and most of `local/…` are counted exactly, others by a conservative estimate.

    Raises `InputError`, naming the place.
    """
    if not isinstance(model, str) or not model:
        raise InputError(f"model={describe_value(model)} is not a model string; give one such as 'openai/gpt-4o'")
    counter = counter_for(model)
    count = counter.count(counted) if isinstance(counted, str) else _request(transcript_of(counted, "auto"), counter)
    return TokenCount(count, exact=counter.exact)


def _request(transcript: Transcript, counter: TokenCounter) -> int:
    count = system_tokens(transcript.system_prompt or "", counter)
    for turn in transcript.turns:
        count += _message("user", turn.user, counter)
        count += sum(_message(each.role, each.parts, counter) for each in turn.messages)
    return count


def _message(role: Role, parts: tuple[Part, ...], counter: TokenCounter) -> int:
    return sum(own + output for own, output in measure(role, parts, counter))
