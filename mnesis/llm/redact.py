"""Keeps keys out of what people and logs get to see."""

import logging
import os
import re
import string
from collections.abc import Iterable
from html import escape
from pathlib import Path

__all__ = ["RedactedCause", "RedactingFilter", "redact", "redact_error", "redact_secrets"]

_MASK = "[redacted]"
_SECRET_NAME = re.compile(r"(API_?KEY|_KEY|TOKEN|SECRET|PASSWORD)$")
_SHAPES = re.compile(
    r"""
      \b(?:Bearer|Basic)\s+(?!token|auth)[\w.~+/=*-]{4,}                        # an Authorization header
    | \b(?:sk|pk|rk|gsk|xai|hf|r8|nvapi|tgp|pplx|csk|key)[-_][\w*.…-]{2,}        # the providers' own prefixes
    | \b(?:AIza|AKIA|ASIA|ya29\.|eyJ)[\w.*-]{6,}                                 # Google, AWS, JSON web tokens
    | (?<![\w.-])[\w.-]+\*{3,}[\w.*-]*                                         # a key the provider masked itself
    | (?<=[?&]key=)[^&\s'"]+                                                     # Gemini's query parameter
    """,
    re.VERBOSE,
)
_NAMED = re.compile(r"(?i)(api[ _-]?key(?: provided)?['\"]?\s*[:=]\s*['\"]?)([^\s'\",;]{4,})")
_PREFIX = 8  # Characters at the beginning of a known key that give it away.
_PIECE = 6  # So many in a row anywhere in it do too, unless they could be a word.
_STORED_CHARS = 20_000
_BEFORE = string.ascii_letters + string.digits + "_%.*~-"  # What may be more of it, cut, masked or encoded.
_AFTER = re.compile(r"[^\s'\"<>]*")


class RedactedCause(Exception):
    """Stands in, as the cause of an error, for an exception whose text, request or headers may hold a key."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without anything that looks like a key, and without `secrets` and the keys of the environment.

    Of a known secret its pieces go too; what is masked only in part (`sk-ab***yz`) goes as a whole.
    """
    known = sorted({*secrets, *_of_environment()}, key=len, reverse=True)
    long = [secret for secret in known if len(secret) >= _PREFIX]
    for secret in long:
        text = text.replace(secret, _MASK)
    text = _without_pieces(text, long)
    for secret in known[len(long) :]:
        if len(secret) > 1:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _MASK, text)
    return _NAMED.sub(rf"\1{_MASK}", _SHAPES.sub(_MASK, text))


def redact_error(error: BaseException | None) -> str:
    """What an error says, as it is stored: of a longer text the first 20,000 characters, and a mark."""
    text = str(error)
    mark = f" … [cut, of {len(text):,} characters]" if len(text) > _STORED_CHARS else ""
    return redact(text[:_STORED_CHARS]) + mark


def _without_pieces(text: str, secrets: Iterable[str]) -> str:
    """The text without the words that hold a piece of a secret."""
    pieces = {secret[at : at + _PIECE] for secret in secrets for at in range(len(secret) - _PIECE + 1)}
    pieces = {piece for piece in pieces if not (piece.isalpha() and piece.islower())}
    pieces.update(secret[:_PREFIX] for secret in secrets)
    there = [re.escape(piece) for piece in pieces if piece in text]  # hardly ever any, and that is told at once
    if not there:
        return text
    piece = re.compile("|".join(there))
    kept: list[str] = []
    begin = 0
    while found := piece.search(text, begin):
        kept += text[begin : found.start()].rstrip(_BEFORE), _MASK
        rest = _AFTER.match(text, found.end())
        begin = rest.end() if rest else found.end()
    return "".join(kept) + text[begin:]


class RedactingFilter(logging.Filter):
    """Keeps keys out of what a logger of somebody else's library says, once it has learned them."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def learn(self, secrets: Iterable[str]) -> None:
        """Let these never be logged, in this process."""
        self._secrets.update(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record through, redacted."""
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
        record.msg, record.args, record.exc_info, record.exc_text = redact(text, self._secrets), (), None, None
        return True


def _of_environment() -> list[str]:
    """The keys of the environment: neither a switch (`CSRF_TOKEN=on`) nor where a key lies (`SSL_KEY=/etc/key.pem`)."""
    named = (value for name, value in os.environ.items() if _SECRET_NAME.search(name))
    return [value for value in named if len(value) >= _PREFIX and not _is_path(value)]


def _is_path(value: str) -> bool:
    """Whether this is a file, or would lie in a folder that is there. A key in base 64 may begin with a slash, too."""
    try:
        path = Path(value).expanduser()
        return path.exists() or (path.is_absolute() and Path(*path.parts[:2]).exists())
    except (OSError, ValueError, RuntimeError):  # too long for a path, or no such user
        return False


_WHOLE_KEYS = re.compile(
    r"""
      \bBearer\s+[\w.~+/=-]{20,}
    | \b(?:sk|pk|rk|gsk|xai|hf|r8|nvapi|pplx|ghp|gho|github_pat|glpat|xox[abprs])[-_][\w-]{16,}
    | \bAIza[\w-]{30,} | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b
    | \beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----[^-]{0,8000}-----END\ [A-Z ]*PRIVATE\ KEY-----
    """,
    re.VERBOSE,
)


def redact_secrets(text: str) -> str:
    """The text of a conversation, or an HTML page of it, without whole keys, and without the keys of the environment.

    Narrower than `redact`: what only resembles a key stays.
    """
    for secret in _of_environment():
        text = text.replace(secret, _MASK).replace(escape(secret), _MASK)
    return _WHOLE_KEYS.sub(_MASK, text)
