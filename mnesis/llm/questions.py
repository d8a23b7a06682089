"""What a message asks, told by its form: for a provider that only quotes."""

import re
from collections.abc import Sequence
from itertools import takewhile

from mnesis.llm.words import STOP_WORDS, stem, terms

MOST = 3
"""Of so many questions at once is any answered."""

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
# What asks or glues in scripts without spaces.
CJK_GLUE = re.compile(
    r"什么|什麼|谁|誰|哪里|哪裡|哪个|哪|多少|几|怎么|怎麼|为什么|是|的|了|吗|呢|我|你|请问|请|告诉|"
    r"ですか|ますか|でした|です|ます|ました|何|私|あなた|の|は|が|を|に|か|で|と|も|뭐예요|뭐야|뭐|무엇|누구|입니까|인가요"
)
_NAMED = re.compile(r"[\"“'‘`]([^\s\"“”'’`]+)[\"”'’`]")
# "the with statement": after an article such a word is not glue, it is what is asked about.
_MENTIONED = re.compile(
    r"\b(?:the|an?) (and|as|at|by|for|from|if|in|is|not|on|or|to|with|while|else|where|when|which|why|how)\b",
    re.IGNORECASE,
)
# Tells a name without the word.
INTRODUCED = re.compile(r"\b(?:I am|I['’]m|[Cc]all me|[Tt]his is) [A-Z]\w+")
NAME = stem("name")
_SELF = re.compile(r"\bwho (?:am i|i am)\b", re.IGNORECASE)


def is_question(sentence: str) -> bool:
    """Whether a sentence asks something, by its mark or by its first words."""
    return (
        sentence.rstrip(_CLOSERS).endswith(_QUESTION_MARKS)
        or _ASKS.match(sentence) is not None
        or _ASKS_CJK.search(sentence) is not None
    )


def asked(message: Sequence[str]) -> list[str]:
    """The questions a message ends with, or begins with, or the last one in it: not those of a text pasted along."""
    ends = list(takewhile(is_question, reversed(message)))[::-1]
    begins = list(takewhile(is_question, message))
    return (ends or begins or list(filter(is_question, message)))[-MOST:]


def query_of(question: str) -> frozenset[str]:
    """What is asked for: the terms of a question without the words that only ask."""
    found = frozenset(terms(" ".join(key_words(question))))
    return found or (frozenset({NAME}) if _SELF.search(question) else found)


def key_words(question: str) -> list[str]:
    """The words of a question that say what it is about, in order."""
    named = {*_NAMED.findall(question), *_MENTIONED.findall(question)}
    split = re.findall(r"[^\s,;:!?\"“”‘`()\[\]{}<>。，、！？；：؟]+", CJK_GLUE.sub(" ", question))
    bare = [(word, re.split("['’]", word.strip(".'’-*_"))[0]) for word in split]
    return [word.strip(".'’-*_") for word, core in bare if word in named or core.casefold() not in STOP_WORDS | {""}]
