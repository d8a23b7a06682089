"""What a summary no longer says, found without a model."""

import re
from collections.abc import Iterable

from mnesis.models.summary import Loss, LossCertificate

_LISTED = 40

_URL = re.compile(r"\bhttps?://[^\s<>\"'`)\]}]+[^\s<>\"'`)\]},.;:!?]")
_PATH = re.compile(
    r"(?<![\w/:])(?:~|\.{1,2})?(?:/[\w.@+-]+){2,}/?|\b[A-Za-z]:\\[\w.\\ -]+\w|\b[\w-]+(?:/[\w.-]+)+\.\w{1,8}\b"
)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,:]\d+)*%?(?!\w)")
_IDENTIFIER = re.compile(
    r"\b(?:[a-z]+_[a-z0-9_]+|[A-Z][A-Z0-9]*_[A-Z0-9_]+|[a-z]+[a-z0-9]*[A-Z]\w*|\w+\(\)|[A-Za-z]+-?\d+[A-Za-z\d-]*"
    r"|[0-9a-f]{7,40})\b"
)
_NAME = re.compile(r"(?<=[a-z,;:)] )[A-Z][a-z]+(?:[ -][A-Z][a-z]+)*\b")

_WORD = (r"(?<!\w)", r"(?!\w)")
_EDGES = {
    "urls": (r"(?<!\w)", r"(?![\w/#?&=%-]|[.:]\w)"),
    "paths": (r"(?<![\w.~/:\\-])", r"(?![\w/\\-]|\.\w)"),
    "identifiers": _WORD,
    "names": _WORD,
    "numbers": (r"(?<![\w])(?<!\d[.,:])", r"(?![\w%]|[.,:]\d)"),
}
"""What may not stand around a detail: 5 is not kept in 5.7, nor /etc/app in /etc/app/log."""


def certify(sources: Iterable[str], text: str) -> LossCertificate:
    """Compare the details of the sources with those of the text that takes their place."""
    whole = "\n".join(sources)
    found = _details(whole)
    kept_in = " ".join(text.split())
    return LossCertificate(**{kind: _loss(details, kept_in, *_EDGES[kind]) for kind, details in found.items()})


def _details(text: str) -> dict[str, list[str]]:
    """The details of a text by kind, each once; what is part of a URL or a path is not counted again."""
    urls = _once(_URL.findall(text))
    rest = _URL.sub(" ", text)
    paths = _once(_PATH.findall(rest))
    rest = _PATH.sub(" ", rest)
    identifiers = _once(_IDENTIFIER.findall(rest))
    names = _once(_NAME.findall(rest))
    numbers = _once(_NUMBER.findall(_IDENTIFIER.sub(" ", rest)))
    return {"urls": urls, "paths": paths, "identifiers": identifiers, "names": names, "numbers": numbers}


def _once(details: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(" ".join(detail.split()) for detail in details))


def _loss(details: list[str], text: str, before: str, after: str) -> Loss:
    kept = {each for each in details if each in text and re.search(f"{before}{re.escape(each)}{after}", text)}
    lost = [detail for detail in details if detail not in kept]
    return Loss(in_sources=len(details), kept=len(details) - len(lost), lost=tuple(lost[:_LISTED]))
