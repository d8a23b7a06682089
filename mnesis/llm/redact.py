"""Keeps keys out of what people and logs get to see."""

import os
import re
from collections.abc import Iterable

__all__ = ["RedactedCause", "redact", "redact_secrets"]

_MASK = "[redacted]"
_SECRET_NAME = re.compile(r"(API_KEY|ACCESS_KEY|TOKEN|SECRET|PASSWORD)$")
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
_PREFIX = 8  # Characters of a known key that give it away: whatever follows them goes too, cut or masked.


class RedactedCause(Exception):
    """Stands in, as the cause of an error, for an exception whose text, request or headers may hold a key."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without anything that looks like a key, and without `secrets` and the keys of the environment.

    Of a known secret its beginnings go too; what is masked only in part (`sk-ab***yz`) goes as a whole.
    """
    known = {*secrets, *(value for name, value in os.environ.items() if _SECRET_NAME.search(name))}
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= _PREFIX:
            text = re.sub(re.escape(secret) + rf"|{re.escape(secret[:_PREFIX])}[^\s'\"]*", _MASK, text)
        elif len(secret) > 1:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _MASK, text)
    return _NAMED.sub(rf"\1{_MASK}", _SHAPES.sub(_MASK, text))


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
    """The text of a conversation without whole keys. Narrower than `redact`: what only resembles a key stays."""
    return _WHOLE_KEYS.sub(_MASK, text)
