"""Values that have no view of their own: as a reply, or as a list of facts."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from mnesis.models.context import TurnSnapshot
from mnesis.models.message import Message, TokenUsage, TurnResult
from mnesis.models.summary import LossCertificate, Summary
from mnesis_jupyter.html import Html, escape, reply_html
from mnesis_jupyter.views.compaction import compaction_words
from mnesis_jupyter.views.pieces import SMALL, dotted, in_tokens, look_of, pre_html, root_html, title_html
from mnesis_jupyter.views.reply import dollars
from mnesis_jupyter.views.summaries import certificate_html, summaries_html, tree_of
from mnesis_jupyter.views.tables import table_html
from mnesis_jupyter.views.texts import texts_html


class SessionLike(Protocol):
    """What is shown of a session; a chat has it as well."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str | None: ...
    @property
    def model(self) -> str: ...
    @property
    def token_usage(self) -> TokenUsage: ...
    @property
    def cost(self) -> float | None: ...
    def history(self) -> list[TurnSnapshot]: ...


def session_html(session: SessionLike) -> Html:
    """A session in a few facts."""
    turns, usage = session.history(), session.token_usage
    rows = [("model", session.model), ("turns", f"{len(turns):,}")]
    if turns:
        rows.append(("last window", in_tokens(turns[-1].context_tokens.total)))
    rows += [("usage", f"{usage.input:,} in, {usage.output:,} out")]
    rows += [] if not session.cost else [("cost", dollars(session.cost))]
    return table_html([*rows, ("id", session.id)], ("", ""), session.title or type(session).__name__)


_MAX_REPLY = 100_000


def turn_html(result: TurnResult) -> Html:
    """The reply of a turn, and a line of facts."""
    cut = f"\n\n… cut here: {_MAX_REPLY:,} of {len(result.text):,} characters" if len(result.text) > _MAX_REPLY else ""
    usage = result.tokens
    facts = [result.model, f"turn {result.turn}", f"{usage.input:,} in, {usage.output:,} out"]
    facts.append("" if not result.cost else dollars(result.cost))
    facts.append("" if result.finish_reason == "stop" else result.finish_reason)
    facts.append(compaction_words(result.compaction_result) if result.compaction_result else "")
    return root_html(
        f'<div style="font-size:14px;line-height:1.55">{reply_html(result.text[:_MAX_REPLY] + cut)}</div>',
        f'<div style="{SMALL};padding-top:3px">{escape(dotted(facts))}</div>',
    )


def message_html(message: Message) -> Html:
    """A message as it was written."""
    (text,) = texts_html([message.text])
    look = look_of(message.role)
    others = [part.type for part in message.parts if part.type != "text"]
    facts = dotted([f"turn {message.turn}", in_tokens(message.tokens), "partial" * message.partial, *others])
    return root_html(
        title_html(f"{look.glyph} {escape(message.role)}", facts),
        pre_html(text) if message.text else "",
        f'<div style="{SMALL}">{escape(message.id)}</div>',
    )


def summary_html(summary: Summary) -> Html:
    """One summary, as it stands in the tree of all."""
    return summaries_html(tree_of([summary], {}), 1)


def lost_html(certificate: LossCertificate) -> Html:
    """What a summary no longer says."""
    return root_html(certificate_html(certificate))


def facts_html(value: Any) -> Html:
    """Any value: a row for each field, those of its groups by their path."""
    return table_html(_facts(value), ("", ""), type(value).__name__)


def _facts(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    for name, held in _fields(value).items():
        if isinstance(held, BaseModel):
            yield from _facts(held, f"{path}{name}.")
        elif held not in (None, "", ()):
            yield f"{path}{name}", held if isinstance(held, bool | int | float | str) else _one_line(held)


def _fields(value: Any) -> Mapping[str, Any]:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value) if field.repr}
    return {name: getattr(value, name) for name, field in type(value).model_fields.items() if field.repr}


def _one_line(held: object) -> str:
    return f"{len(held):,}" if isinstance(held, tuple | dict) else str(held)
