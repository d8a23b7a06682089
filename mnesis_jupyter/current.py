"""Where this kernel is: its settings, and the session it talks to. Written by `state`, read by all."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets import Bool, Unicode, default
from traitlets.config import Configurable

if TYPE_CHECKING:
    from mnesis import MnesisSession

OFFLINE_MODEL = "offline/quote"
_NO = ("0", "false", "no", "off")


class Mnesis(Configurable):
    """Settings: `%config Mnesis.model = "…"`, or an environment variable read when the extension is loaded."""

    stream = Bool(
        help="Show a reply while it is written. If not, each chat cell makes one single display. [MNESIS_STREAM]"
    ).tag(config=True)
    model = Unicode(help=f"The model of new sessions; without one {OFFLINE_MODEL}. [MNESIS_MODEL]").tag(config=True)
    db = Unicode(help="The file that sessions are kept in; without one ~/.mnesis/sessions.db. [MNESIS_DB]").tag(
        config=True
    )

    @default("stream")
    def _default_stream(self) -> bool:
        return os.environ.get("MNESIS_STREAM", "").lower() not in _NO

    @default("model")
    def _default_model(self) -> str:
        return os.environ.get("MNESIS_MODEL", "")

    @default("db")
    def _default_db(self) -> str:
        return os.environ.get("MNESIS_DB", "")


class Current:
    """The settings and the session of this kernel, if it has one yet."""

    def __init__(self) -> None:
        self.settings = Mnesis()
        self.session: MnesisSession | None = None

    @property
    def model(self) -> str:
        """The model of a new session. Never one that costs money unless somebody asked for it."""
        return self.settings.model or OFFLINE_MODEL

    @property
    def store(self) -> Path:
        """The file that new sessions go to."""
        from mnesis import StoreConfig

        path = Path(self.settings.db) if self.settings.db else StoreConfig().db_path
        return path.expanduser().absolute()

    def configure(self, config: Any) -> None:
        """Start from the environment and the shell's configuration again."""
        self.settings = Mnesis(config=config)


CURRENT = Current()
"""Of this process: a kernel is one."""
