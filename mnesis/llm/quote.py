"""`offline/quote`: the provider that needs no key and no network, because it is not a language model.

It answers with the sentences of its window that match the question best, and names the message they stand in. What the
window no longer holds it cannot answer: exactly what a person who studies context windows needs to see.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from mnesis.llm.base import Chunk, Finish, ModelLimits, Request, TextChunk
from mnesis.llm.extract import Style, summarise
from mnesis.llm.fill import filled
from mnesis.llm.marks import MATERIAL_CLOSE, MATERIAL_OPEN, SUMMARISE_MARK
from mnesis.llm.matching import Hit, Source, merged, ranked
from mnesis.llm.questions import asked, is_question, key_words, query_of
from mnesis.llm.sentences import clean, cut, heads_and_tails, sentences
from mnesis.llm.words import terms
from mnesis.tokens.counter import counter_for

MODEL: Final = "offline/quote"
LIMITS: Final = ModelLimits(context=128_000, output=4_096, schemas=True)

_MARK = re.compile(
    rf"^{re.escape(SUMMARISE_MARK)} max_tokens=(\d{{1,9}})(?: style=(structured|terse))?>>[ \t]*$", re.MULTILINE
)
_HEADER = re.compile(r"\[(\w+) \| ([^|\]\n]*?)(?: \| ([^|\]\n]*))?\]")


class QuoteProvider:
    """The model `offline/quote`: deterministic, instant, offline, free. It never calls tools and reports no usage.

    `count` gives the tokens of a text, for the limits of summaries.
    """

    def __init__(self, count: Callable[[str], int] | None = None) -> None:
        self._count = count or counter_for(MODEL).count

    def limits(self, model: str) -> ModelLimits:
        """The same for every model string."""
        return LIMITS

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply, word by word, closed by `Finish("stop")`. Raises nothing."""
        text = await asyncio.to_thread(self.reply, request)  # a full window takes 0.2 s: the loop goes on meanwhile
        for word in _WORDS.findall(text):
            yield TextChunk(word)
            await asyncio.sleep(0)
        yield Finish("stop", cost=0.0)

    def reply(self, request: Request) -> str:
        """The whole reply, never empty."""
        window = _window(request)
        if order := _summary_order(window, request.params):
            return order.carried_out(self._count)
        if (schema := _schema(request.params)) is not None:
            return json.dumps(filled(schema, _newest_from_user(window).text), ensure_ascii=False)
        return _answer(window)


def _schema(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON Schema that the answer must fit, if there is one."""
    form = params.get("response_format")
    inner = form.get("json_schema") if isinstance(form, Mapping) else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


_WORDS = re.compile(r"\s*\S{1,32}\s*|\s+")


# -- the window ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Message:
    role: str
    id: str
    text: str

    @cached_property
    def sentences(self) -> list[str]:
        return sentences(self.text)


def _window(request: Request) -> list[_Message]:
    return [
        _Message(
            role=str(message.get("role")),
            id=request.ids[index] if index < len(request.ids) and request.ids[index] else f"message {index + 1}",
            text=_text(message.get("content")),
        )
        for index, message in enumerate(request.messages)
    ]


def _text(content: Any) -> str:
    """The text of a chat-completion message, whose content is a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return clean(content)
    if not isinstance(content, list):
        return ""
    return clean("\n\n".join(str(part.get("text") or "") for part in content if isinstance(part, dict)))


def _newest_from_user(window: Sequence[_Message]) -> _Message:
    return next((message for message in reversed(window) if message.role == "user"), _Message("user", "", ""))


# -- summarising -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _SummaryOrder:
    max_tokens: int
    style: Style
    sources: Sequence[tuple[str, str]]

    def carried_out(self, count: Callable[[str], int]) -> str:
        text = summarise(self.sources, self.max_tokens, count, style=self.style)
        return text or "(no words)"


def _summary_order(window: Sequence[_Message], params: Mapping[str, Any]) -> _SummaryOrder | None:
    """The order to summarise, if the request is one.

    The mark counts only as a line of the system message, and only together with material: whatever the material says
    is data, and so is a mark that somebody pasted into a chat.
    """
    mark = _MARK.search("\n".join(message.text for message in window if message.role == "system"))
    lines = _newest_from_user(window).text.splitlines() if mark else []
    if mark is None or MATERIAL_OPEN not in lines or MATERIAL_CLOSE not in lines:
        return None
    end = len(lines) - 1 - lines[::-1].index(MATERIAL_CLOSE)
    material = lines[lines.index(MATERIAL_OPEN) + 1 : end]
    limits = int(mark[1]), int(params.get("max_tokens") or LIMITS.output), LIMITS.output
    return _SummaryOrder(min(limits), "terse" if mark[2] == "terse" else "structured", _material_sources(material))


def _material_sources(lines: Iterable[str]) -> list[tuple[str, str]]:
    """The (label, text) of each source. Earlier replies of this provider are left out: they only repeat."""
    found: list[tuple[str, str, list[str]]] = [("", "", [])]
    for line in lines:
        if header := _HEADER.fullmatch(line.strip()):
            found.append((header[2].strip(), (header[3] or "").strip(), []))
        else:
            found[-1][2].append(line)
    texts = [(role, label, "\n".join(body).strip()) for role, label, body in found]
    own = [(label, text) for role, label, text in texts if text and not (role == "assistant" and _is_own(text))]
    return own or [(label, text) for _, label, text in texts if text]


# -- answering ---------------------------------------------------------------------------------------------------

_ANSWER = "From my window:"
_NOTHING = "Nothing in my window answers that."
_NOTED = "Noted and kept."
_EMPTY = "My window is empty."
_ABOUT = (
    f"(I am {MODEL}, not a language model: I quote the sentences of my window that match a question best. "
    'For written replies open the session with another model, such as model="openai/gpt-4o", and its API key.)'
)

_QUOTES = 3
_QUOTE_LENGTH = 300
_READS = 1_000_000


def _answer(window: Sequence[_Message]) -> str:
    first = not any(message.role == "assistant" for message in window)
    about = f"\n\n{_ABOUT}" if first else ""
    if not any(message.text.strip() for message in window):
        return f"{_EMPTY}{about}"
    window = _readable(window)
    newest = _newest_from_user(window).sentences
    questions = asked(newest)
    if not questions:
        return f"{_NOTED} Ask about it and I quote it while it is in the window.{about}"
    sources = list(_sources(window))
    rankings = [ranked(query_of(question), sources) for question in questions]
    hits = list(merged(rankings))[:_QUOTES]
    if not hits:
        words = " ".join(dict.fromkeys(word for question in questions for word in key_words(question)))
        hint = f" (`grep {cut(words, 60)}`)" if words else ""
        return f"{_NOTHING} It may have been compacted: `grep` searches everything ever said{hint}.{about}"
    query = frozenset().union(*map(query_of, questions))
    return "\n\n".join([_ANSWER, *(_quoted(hit, query) for hit in hits)]) + about


def _readable(window: Sequence[_Message]) -> list[_Message]:
    """The window without the middle of its longest messages, where it is far larger than any that `LIMITS` allow."""
    texts = heads_and_tails([message.text for message in window], _READS)
    return [_Message(message.role, message.id, text) for message, text in zip(window, texts, strict=True)]


def _quoted(hit: Hit, query: frozenset[str]) -> str:
    text = hit.text.removeprefix("# ")
    for following in hit.source.sentences[hit.at + 1 : hit.at + 4]:
        if not hit.text.endswith(":") or len(text) + len(following) > _QUOTE_LENGTH:
            break
        text = f"{text} {following}"
    return f"> {_excerpt(text, query)}  \n> — {hit.source.role}, {hit.source.id}"  # two blanks: Markdown's line break


def _excerpt(text: str, query: frozenset[str]) -> str:
    """At most `_QUOTE_LENGTH` characters of a sentence, those around the words that were asked for."""
    if len(text) <= _QUOTE_LENGTH:
        return text
    first = next((word.start() for word in re.finditer(r"\S+", text) if query.intersection(terms(word[0]))), 0)
    if first < _QUOTE_LENGTH // 2:
        return cut(text, _QUOTE_LENGTH)
    start = text.find(" ", max(min(first - 80, len(text) - _QUOTE_LENGTH), 0)) + 1
    return f"…{cut(text[start:], _QUOTE_LENGTH - 1)}"


# -- what may be quoted ------------------------------------------------------------------------------------------

_SUMMARY_HEAD = re.compile(r"\W*(?:summary\b\W*)?(?:id\W+)?(sum_\w+)", re.IGNORECASE)
_SUMMARY_END = re.compile(r"\W*(?:/summary|end of summary)\b", re.IGNORECASE)
_ID = re.compile(r"\b(?:msg|sum|part|file)_\w{6,}")


def _sources(window: Iterable[_Message]) -> Iterator[Source]:
    """The window, oldest first, without questions and without this provider's own earlier answers."""
    for message in window:
        if message.role == "assistant" and _is_own(message.text):
            continue
        if message.role == "system":
            yield from _system_sources(message)
        else:
            role = "summary" if message.id.startswith("sum_") else message.role
            yield Source(role, message.id, _statements(message.sentences))


def _system_sources(message: _Message) -> Iterator[Source]:
    """The system prompt, then each summary block, under the id that the block itself carries."""
    blocks: list[tuple[str, str, list[str]]] = [
        ("summary" if message.id.startswith("sum_") else "system", message.id, [])
    ]
    for line in message.text.splitlines():
        if head := _SUMMARY_HEAD.match(line):
            blocks.append(("summary", head[1], []))
        elif _SUMMARY_END.match(line):
            blocks.append(("system", message.id, []))
        elif not _ID.search(line):  # lines with other ids say where things are, not what they are
            blocks[-1][2].append(line)
    for role, name, lines in blocks:
        yield Source(role, name, _statements(sentences("\n".join(lines))))


def _statements(said: Iterable[str]) -> list[str]:
    return [sentence for sentence in said if not is_question(sentence)]


def _is_own(text: str) -> bool:
    return text.startswith((_ANSWER, _NOTHING, _NOTED, _EMPTY))
