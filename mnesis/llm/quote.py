"""`offline/quote`: the provider that needs no key and no network, because it is not a language model.

It answers with the sentences of its window that match the question best, and names the message they stand in. What the
window no longer holds it cannot answer: exactly what a person who studies context windows needs to see. The ranking is
BM25 (https://doi.org/10.1561/1500000019) with idf over the window's own sentences, weighted by coverage.
"""

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any, Final

from mnesis.llm.base import Chunk, Finish, ModelLimits, Request, TextChunk
from mnesis.llm.extract import Style, summarise
from mnesis.llm.fill import filled
from mnesis.llm.marks import MATERIAL_CLOSE, MATERIAL_OPEN, SUMMARISE_MARK
from mnesis.llm.sentences import clean, cut, heads_and_tails, sentences
from mnesis.llm.words import STOP_WORDS, stem, terms, terms_of, unspaced, words
from mnesis.tokens.counter import counter_for

MODEL: Final = "offline/quote"
LIMITS: Final = ModelLimits(context=128_000, output=4_096, schemas=True)

_MARK = re.compile(
    rf"^{re.escape(SUMMARISE_MARK)} max_tokens=(\d{{1,9}})(?: style=(structured|terse))?>>[ \t]*$", re.MULTILINE
)
_HEADER = re.compile(r"\[(\w+) \| ([^|\]\n]*?)(?: \| ([^|\]\n]*))?\]")


class QuoteProvider:
    """The model `offline/quote`: deterministic, instant, offline. It never calls tools and reports no usage.

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
        yield Finish("stop")

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
    asked = int(mark[1]), int(params.get("max_tokens") or LIMITS.output), LIMITS.output
    return _SummaryOrder(min(asked), "terse" if mark[2] == "terse" else "structured", _material_sources(material))


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

_ROLE_WEIGHTS = {"user": 1.0, "summary": 0.95, "tool": 0.95, "assistant": 0.85, "system": 0.8}
_K1, _B = 1.2, 0.4
_UNSEEN = 20  # sentences added to the window's, so that in a short one a missing word does not outweigh all others
_QUOTES = 3
_QUOTE_LENGTH = 300
_READS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Source:
    """Sentences that may be quoted: `role` and `id` are what is cited."""

    role: str
    id: str
    sentences: Sequence[str]


@dataclass(slots=True)
class _Hit:
    """A sentence that matches. `order` counts sources from the oldest, `at` sentences within one."""

    source: _Source
    order: int
    at: int
    matched: frozenset[str]
    score: float = 0.0

    @property
    def text(self) -> str:
        return self.source.sentences[self.at]


def _answer(window: Sequence[_Message]) -> str:
    first = not any(message.role == "assistant" for message in window)
    about = f"\n\n{_ABOUT}" if first else ""
    if not any(message.text.strip() for message in window):
        return f"{_EMPTY}{about}"
    window = _readable(window)
    newest = _newest_from_user(window).sentences
    questions = _asked(newest)
    if not questions:
        return f"{_NOTED} Ask about it and I quote it while it is in the window.{about}"
    sources = list(_sources(window))
    rankings = [_ranked(_query(question), sources) for question in questions]
    hits = list(_merged(rankings))[:_QUOTES]
    if not hits:
        words = " ".join(dict.fromkeys(word for question in questions for word in _key_words(question)))
        hint = f" (`grep {cut(words, 60)}`)" if words else ""
        return f"{_NOTHING} It may have been compacted: `grep` searches everything ever said{hint}.{about}"
    query = frozenset().union(*map(_query, questions))
    return "\n\n".join([_ANSWER, *(_quoted(hit, query) for hit in hits)]) + about


def _readable(window: Sequence[_Message]) -> list[_Message]:
    """The window without the middle of its longest messages, where it is far larger than any that `LIMITS` allow."""
    texts = heads_and_tails([message.text for message in window], _READS)
    return [_Message(message.role, message.id, text) for message, text in zip(window, texts, strict=True)]


def _quoted(hit: _Hit, query: frozenset[str]) -> str:
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


# -- questions ---------------------------------------------------------------------------------------------------

_QUESTION_MARKS = ("?", "？", "؟")
_CLOSERS = " \"'”’»)]*_`」』"
_LEAD = r"^(?:(?:and|but|so|ok(?:ay)?|now|then|well|also|please|hi|hello|hey|thanks|sorry|\w+,)[,!:]? )*"
_ASKS = re.compile(
    _LEAD + r"(?:"
    r"(?:what|who|whom|whose|where|when|why|how|which)(?:['’](?:s|re|d|ll))?"
    r"(?: \w+)? (?:is|are|was|were|am|do|does|did|can|could|will|would|should|shall|must|may|has|have|had|my|the|"
    r"your)\b"
    r"|(?:what|who|where|when|how)['’]?s\b|how (?:many|much|old|long|far|often|big)\b"
    r"|(?:do|does|did|is|are|was|were|can|could|will|would|should|have|has|had|may|am)(?:n['’]t)? "
    r"(?:you|i|we|they|he|she|it|the|my|your|our|this|that|there|an?)\b"
    r"|(?:tell|remind|show|give) (?:me|us)\b|i(?:['’]d| would) like to know|i want to know"
    r"|(?:explain|describe|list|quote|find|repeat|recall|name|summari[sz]e) "
    r"(?:the|my|our|all|every|what|how|why|when|where|who|which|it|that|this|to)\b"
    r"|(?:wer|was|wo|wann|warum|wie|welche[rsnm]?) (?:ist|sind|war|hei(?:ß|ss)\w*|hat|habe|kann|soll)\b"
    r")",
    re.IGNORECASE,
)
_ASKS_CJK = re.compile(
    r"什么|什麼|谁|誰|哪|几|多少|怎么|怎麼|为何|吗[。]?$|呢[。]?$|何で|ですか|ますか|뭐|무엇|누구|어디|언제"
)
_CJK_GLUE = re.compile(
    r"什么|什麼|谁|誰|哪里|哪裡|哪个|哪|多少|几|怎么|怎麼|为什么|是|的|了|吗|呢|我|你|请问|请|告诉|"
    r"ですか|ますか|でした|です|ます|ました|何|私|あなた|の|は|が|を|に|か|で|と|も|뭐예요|뭐야|뭐|무엇|누구|입니까|인가요"
)
_NAMED = re.compile(r"[\"“'‘`]([^\s\"“”'’`]+)[\"”'’`]")
# "the with statement": after an article such a word is not glue, it is what is asked about.
_MENTIONED = re.compile(
    r"\b(?:the|an?) (and|as|at|by|for|from|if|in|is|not|on|or|to|with|while|else|where|when|which|why|how)\b",
    re.IGNORECASE,
)
_INTRODUCED = re.compile(r"\b(?:I am|I['’]m|[Cc]all me|[Tt]his is) [A-Z]\w+")
_NAME = stem("name")
_SELF = re.compile(r"\bwho (?:am i|i am)\b", re.IGNORECASE)


def _is_question(sentence: str) -> bool:
    return (
        sentence.rstrip(_CLOSERS).endswith(_QUESTION_MARKS)
        or _ASKS.match(sentence) is not None
        or _ASKS_CJK.search(sentence) is not None
    )


def _asked(message: Sequence[str]) -> list[str]:
    """The questions a message ends with, or begins with, or the last one in it: not those of a text pasted along."""
    ends = list(takewhile(_is_question, reversed(message)))[::-1]
    begins = list(takewhile(_is_question, message))
    return (ends or begins or list(filter(_is_question, message)))[-_QUOTES:]


def _query(question: str) -> frozenset[str]:
    """What is asked for: the terms of a question without the words that only ask."""
    found = frozenset(terms(" ".join(_key_words(question))))
    return found or (frozenset({_NAME}) if _SELF.search(question) else found)


def _key_words(question: str) -> list[str]:
    named = {*_NAMED.findall(question), *_MENTIONED.findall(question)}
    split = re.findall(r"[^\s,;:!?\"“”‘`()\[\]{}<>。，、！？；：؟]+", _CJK_GLUE.sub(" ", question))
    bare = [(word, re.split("['’]", word.strip(".'’-*_"))[0]) for word in split]
    return [word.strip(".'’-*_") for word, core in bare if word in named or core.casefold() not in STOP_WORDS | {""}]


# -- what may be quoted ------------------------------------------------------------------------------------------

_SUMMARY_HEAD = re.compile(r"\W*(?:summary\b\W*)?(?:id\W+)?(sum_\w+)", re.IGNORECASE)
_SUMMARY_END = re.compile(r"\W*(?:/summary|end of summary)\b", re.IGNORECASE)
_ID = re.compile(r"\b(?:msg|sum|part|file)_\w{6,}")


def _sources(window: Iterable[_Message]) -> Iterator[_Source]:
    """The window, oldest first, without questions and without this provider's own earlier answers."""
    for message in window:
        if message.role == "assistant" and _is_own(message.text):
            continue
        if message.role == "system":
            yield from _system_sources(message)
        else:
            role = "summary" if message.id.startswith("sum_") else message.role
            yield _Source(role, message.id, _statements(message.sentences))


def _system_sources(message: _Message) -> Iterator[_Source]:
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
        yield _Source(role, name, _statements(sentences("\n".join(lines))))


def _statements(said: Iterable[str]) -> list[str]:
    return [sentence for sentence in said if not _is_question(sentence)]


def _is_own(text: str) -> bool:
    return text.startswith((_ANSWER, _NOTHING, _NOTED, _EMPTY))


# -- ranking -----------------------------------------------------------------------------------------------------


def _ranked(query: frozenset[str], sources: Sequence[_Source]) -> list[_Hit]:
    """The sentences that answer, best first."""
    if not query:
        return []
    hits, idf = _scored(query, sources)
    whole = sum(idf.values())
    topics: dict[int, set[str]] = {}
    for hit in hits:
        topics.setdefault(hit.order, set()).update(hit.matched)
    for hit in hits:
        share = sum(idf[term] for term in hit.matched) / whole
        enough = share >= 0.5 or (len(hit.matched) > 1 and share >= 0.3) or len(hit.matched) > 2
        recency = (hit.order + 1) / len(sources)
        topic = sum(idf[term] for term in topics[hit.order]) / whole
        hit.score *= (0.4 + 0.6 * share) * _ROLE_WEIGHTS.get(hit.source.role, 0.8) * (1 + 0.05 * recency) * enough
        hit.score *= (0.5 + 0.5 * topic) * (0.6 if hit.text.startswith("# ") else 1)
    hits = [hit for hit in hits if hit.score > 0]
    best = max((hit.score for hit in hits), default=0.0)
    hits = [hit for hit in hits if hit.score >= 0.5 * best]
    hits.sort(key=lambda hit: (hit.source.role == "system", -hit.score, -hit.order, hit.at))
    return _newest_word_first(hits)


def _scored(query: frozenset[str], sources: Sequence[_Source]) -> tuple[list[_Hit], dict[str, float]]:
    """Every sentence that shares a term with the query and says something beyond it, with its BM25 score."""
    hits: list[tuple[_Hit, Counter[str], int]] = []
    frequency: Counter[str] = Counter()
    number = length = 0
    matches = _Matches(query)
    for order, source in enumerate(sources):
        for at, sentence in enumerate(source.sentences):
            said = words(sentence)
            found = [term for word in said for term in matches[word]]
            if _NAME in query and _INTRODUCED.search(sentence):  # "I'm Alice" tells a name without the word
                found.append(_NAME)
            number += 1
            length += len(sentence)
            if not found:
                continue
            counts = Counter(found)
            frequency.update(counts.keys())
            if any(map(matches.is_new, said)):
                hits.append((_Hit(source, order, at, frozenset(counts)), counts, len(sentence)))
    idf = {term: math.log1p((number + _UNSEEN - frequency[term] + 0.5) / (frequency[term] + 0.5)) for term in query}
    average = length / max(number, 1)
    for hit, counts, size in hits:
        damping = _K1 * (1 - _B + _B * size / average)
        hit.score = sum(idf[term] * tf * (_K1 + 1) / (tf + damping) for term, tf in counts.items())
    _add_surroundings([hit for hit, *_ in hits])
    return [hit for hit, *_ in hits], idf


class _Matches(dict[str, tuple[str, ...]]):
    """The terms of the query that a word brings, looked up once per word of the window."""

    def __init__(self, query: frozenset[str]) -> None:
        self._query = query

    def is_new(self, word: str) -> bool:
        """Whether a word says something that the query does not."""
        if unspaced(word):
            return not set(_CJK_GLUE.sub("", word)).issubset("".join(self._query))
        return not self[word] and word.casefold() not in STOP_WORDS

    def __missing__(self, word: str) -> tuple[str, ...]:
        found = self[word] = tuple(term for term in terms_of(word) if term in self._query)
        return found


def _add_surroundings(hits: Sequence[_Hit]) -> None:
    """A sentence beside one that matches too is more likely about the same."""
    scores = {(hit.order, hit.at): hit.score for hit in hits}
    for hit in hits:
        hit.score += 0.2 * (scores.get((hit.order, hit.at - 1), 0.0) + scores.get((hit.order, hit.at + 1), 0.0))


def _newest_word_first(hits: list[_Hit]) -> list[_Hit]:
    """Where messages answer about equally well with the same words, the latest one holds."""
    if not hits:
        return hits
    top = hits[0]
    rivals = [hit for hit in hits if hit.matched == top.matched and hit.score >= 0.7 * top.score]
    newest = max(rivals, key=lambda hit: (hit.source.role != "system", hit.order, hit.score))
    return [newest, *(hit for hit in hits if hit is not newest)]


def _merged(rankings: Sequence[list[_Hit]]) -> Iterator[_Hit]:
    """One list from the rankings of several questions: the best of each, then the second of each, …. No repeats."""
    seen: set[str] = set()
    for place in range(max(map(len, rankings), default=0)):
        for ranking in rankings:
            if place < len(ranking) and (key := " ".join(terms(ranking[place].text))) not in seen:
                seen.add(key)
                yield ranking[place]
