"""Text without a model: its words, and the terms that they are found by. Deterministic, in time proportional to it."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from mnesis.tokens.scripts import UNSPACED

# \w has no combining vowel signs: without them a Hindi word would fall apart.
_LETTER = r"\w\u0300-\u036f\u0610-\u065f\u0900-\u0dff\u0e31-\u0e4e"
_WORD = re.compile(rf"\d+(?:[.,:]\d+)+|[{_LETTER}]+(?:['’][{_LETTER}]+)*")
_FIRST_UNSPACED = re.compile(f"[{UNSPACED}]")
_RUNS = re.compile(rf"[{UNSPACED}]+|[^{UNSPACED}]+")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_VOWEL = re.compile("[aeiouy]")
_FORMS = """
    be was were been; begin began begun; bring brought; build built; buy bought; choose chose chosen;
    come came; draw drew drawn; drive drove driven; eat ate eaten; fall fell fallen; feel felt; find
    found; fly flew flown; forget forgot forgotten; get got gotten; give gave given; go went gone; grow
    grew grown; hold held; keep kept; know knew known; lead led; leave left; lose lost; make made; mean
    meant; meet met; pay paid; run ran; say said; see saw seen; sell sold; send sent; sing sang sung;
    speak spoke spoken; spend spent; take took taken; teach taught; tell told; think thought; throw
    threw thrown; understand understood; wear wore worn; win won; write wrote written; child children;
    person people; man men; woman women
"""
_IRREGULAR = {form: base for base, *forms in map(str.split, _FORMS.split(";")) for form in forms}


def terms(text: str) -> list[str]:
    """The search terms of a text: those of its words, in order."""
    return [term for word in words(text) for term in terms_of(word)]


def forms(word: str) -> tuple[str, ...]:
    """A word and, where it is irregular, its other forms: go, went, gone. What a suffix makes of it is left out."""
    base = _IRREGULAR.get(word.casefold(), word.casefold())
    return tuple(dict.fromkeys((word, base, *(form for form, other in _IRREGULAR.items() if other == base))))


def has_word(text: str) -> bool:
    """Whether there is any word in a text."""
    return _WORD.search(text) is not None


def words(text: str) -> list[str]:
    """The words of a text as they stand there; in scripts without spaces, the runs of letters."""
    return _WORD.findall(text)


@lru_cache(maxsize=1 << 14)
def terms_of(word: str) -> tuple[str, ...]:
    """What a word is found by: its folded, light stem, the parts of an identifier, CJK characters and their pairs."""
    if not word.isascii():
        word = unicodedata.normalize("NFKC", word)
    if word[0].isdecimal() and not word.isalnum():
        return (word,)
    found: list[str] = []
    for number, part in enumerate(re.split("['’]", word)):
        if number and len(part) <= 2:  # the 's, 'm, 're, 'll of a contraction or a genitive
            continue
        for run in _RUNS.findall(part):
            found.extend(_unspaced_terms(run) if unspaced(run) else _spaced_terms(run))
    return tuple(dict.fromkeys(found))


def unspaced(word: str) -> bool:
    """Whether a word begins in a script where a run of letters is not one word."""
    return _FIRST_UNSPACED.match(word) is not None


def _unspaced_terms(run: str) -> Iterator[str]:
    yield from run
    yield from map("".join, pairwise(run))


def _spaced_terms(run: str) -> Iterator[str]:
    whole = run.strip("_")
    yield stem(whole.casefold())
    parts = _HUMPS.findall(whole)
    if len(parts) > 1:
        yield from (stem(part.casefold()) for part in parts)


def stem(word: str) -> str:
    """A folded English word without its inflection: one form for raise, raises, raised and raising."""
    word = _IRREGULAR.get(word, word)
    if len(word) < 4 or not word.isalpha():
        return word
    if word.endswith("ies"):
        word = f"{word[:-3]}y"
    elif word.endswith(("sses", "xes", "ches", "shes", "zzes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in ("ing", "ed", "ion", "ly"):
        base = word.removesuffix(suffix)
        if base != word and len(base) > 2 and _VOWEL.search(base):
            word = base[:-1] if base[-1] == base[-2] and base[-1] in "bdgmnprt" else base
            break
    if len(word) > 3:
        word = word.removesuffix("e")
    if len(word) > 5:
        word = word.replace("our", "or")
    return f"{word[:-1]}i" if word.endswith("y") else word


STOP_WORDS = frozenset(
    """
    a about actually after again ago all also although am an and any are aren as ask asked at be because been
    before being but by called can cannot could couldn did didn do does doesn doing don done during each earlier
    either else ever every exactly for from further gave get give given go goes going got had has hasn have haven
    having he hello her here hers hey hi him his how i if in into is isn it its itself just know known let ll like
    may me mean mention mentioned might mine more most much must my myself named no nor not now of off ok okay on
    once one only or other our ours out over own please previously quote re really recall remember remind repeat
    same say said says shall she should shouldn show since so some such sure tell thank thanks than that the their
    theirs them then there these they this those though through to told too under until up us use used uses using
    ve very via want was wasn way we well were weren what whatever when whenever where whether which while who
    whom whose why will with within without won would wouldn yes yet you your yours happen happens happened exist
    exists call many kind thing things list explain describe find work works que qui quoi quel quelle est le la
    les un une des du de et je mon ma mes tu vous nous il elle der die das ein eine ist sind war wer wie wo wann
    warum welche welcher welches ich mein meine du dein und el los las una es son cual cuál qué quién cómo dónde
    cuándo mi tu su y
    whats whos wheres hows im dont doesnt didnt cant isnt wasnt thats
    """.split()
)
"""Words that ask or glue, and say nothing about what is asked for."""
