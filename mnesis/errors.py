"""The error tree. Every message is one sentence of what happened, with the value, and one of what to do."""

from pathlib import Path
from typing import Any


class MnesisError(Exception):
    """Everything this library raises on purpose."""


class InputError(MnesisError, ValueError):
    """An argument of a call is unusable: which one, what it was, what is allowed."""


class ConfigError(MnesisError, ValueError):
    """A setting is wrong: which one, what it was, what is allowed."""


# -- the store ---------------------------------------------------------------------------------------------------


class StoreError(MnesisError):
    """The store could not do what was asked."""


class NotFound(StoreError, LookupError):
    """Nothing with this id is in the store, or the store itself is not there. `kind` says what was looked for."""

    def __init__(self, kind: str, id: str, hint: str = "") -> None:
        self.kind, self.id = kind, id
        what = f"there is no store {id!r}" if kind == "store" else f"no {kind} {id!r} in this store"
        super().__init__(f"{what}: {hint}" if hint else what)


class SessionNotFoundError(NotFound):
    """No session with this id is in the store."""

    def __init__(self, id: str, path: str | Path, erased: str = "") -> None:
        super().__init__("session", id, erased or f"{path} does not hold it; check the id and the db_path")


class Corrupt(StoreError):
    """A row cannot be read back. Nothing was changed; the row is named."""

    def __init__(self, table: str, id: str, detail: str) -> None:
        self.table, self.id = table, id
        super().__init__(
            f"row {id!r} of table {table!r} is damaged ({detail}); restore it from a backup, nothing was changed"
        )


class SchemaVersion(StoreError):
    """The file was written by a newer mnesis, or by something else."""


class Locked(StoreError):
    """Another process holds the database for longer than `StoreConfig.connection_timeout`."""


class ReadOnly(StoreError):
    """The file, or its folder, cannot be written."""


# -- the provider ------------------------------------------------------------------------------------------------


class LLMError(MnesisError):
    """The provider did not give a reply.

    `transient` says whether the same request may succeed later; `retry_after` is the provider's own wish in seconds.
    """

    transient = False

    def __init__(self, message: str, *, model: str | None = None, retry_after: float | None = None) -> None:
        self.model, self.retry_after = model, retry_after
        super().__init__(message)


class Authentication(LLMError):
    """The key is missing, wrong, or not allowed to use this model."""


class RateLimit(LLMError):
    """Too many requests or tokens for now."""

    transient = True


class Timeout(LLMError):
    """No answer, or no further token, in time."""

    transient = True


class ContextOverflow(LLMError):
    """The window does not fit the model, by our count (nothing was sent) or by the provider's."""


class BadRequest(LLMError):
    """The provider refuses this request and would refuse it again."""


class Unavailable(LLMError):
    """The provider is down, cannot be reached, or broke off in the middle of the reply."""

    transient = True


# -- the rest ----------------------------------------------------------------------------------------------------


class CompactionError(MnesisError):
    """The window could not be compacted."""


class FileError(MnesisError):
    """A file could not be taken in or explored."""


class SessionClosed(MnesisError):
    """The session was closed before this call."""

    def __init__(self, id: str) -> None:
        super().__init__(f"session {id} is closed; MnesisSession.load({id!r}) opens it again")


class SessionBusy(MnesisError):
    """Another process is in the middle of a turn of this session."""

    def __init__(self, id: str, waited: float) -> None:
        super().__init__(
            f"session {id} is in a turn of another process, still after {waited:g} s; "
            "wait for it, or raise StoreConfig.connection_timeout"
        )


MnesisStoreError = StoreError


def describe_value(value: Any, limit: int = 80) -> str:
    """A value as an error message shows it: its repr, cut."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
