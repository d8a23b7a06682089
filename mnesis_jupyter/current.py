"""Where this kernel is: its settings, and the session it talks to. Written by `state`, read by all."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets import Bool, Enum, Int, Unicode, default
from traitlets.config import Config, Configurable

from mnesis_jupyter.settings import SETTINGS, Found, Sources

if TYPE_CHECKING:
    from mnesis import MnesisSession

OFFLINE_MODEL = "offline/quote"

_ROWS = 20


class Mnesis(Configurable):
    """Settings. The first that is there wins: a flag of a cell, `%config Mnesis.model = "…"`, `MNESIS_MODEL` in the
    environment, `[tool.mnesis]` in pyproject.toml, ~/.mnesis/config.toml. `%mnesis config` shows which.
    """

    stream = Bool(
        help="Show a reply while it is written. If not, each chat cell makes one single display. [MNESIS_STREAM]"
    ).tag(config=True)
    model = Unicode(help=f"The model of new sessions; without one {OFFLINE_MODEL}. [MNESIS_MODEL]").tag(config=True)
    db = Unicode(help="The file that sessions are kept in; without one ~/.mnesis/sessions.db. [MNESIS_DB]").tag(
        config=True
    )
    rows = Int(min=1, help="So many rows of a DataFrame go into a message, by {{ name }}. [MNESIS_ROWS]").tag(
        config=True
    )

    rerun = Enum(
        ("fork", "append"),
        help="What a cell does that is run again: replace its turn, in a new branch, or add one. [MNESIS_RERUN]",
    ).tag(config=True)

    def __init__(self, config: Config | None = None) -> None:
        self._sources = Sources()
        super().__init__(config=config or Config())
        self._at_first = dict(self.config.get("Mnesis", {}))

    def found(self, name: str) -> Found:
        """The value of a setting as it stands, and where it is from."""
        value, given = getattr(self, name), self.config.get("Mnesis", {})
        if name in given:
            unchanged = name in self._at_first and self._at_first[name] == value
            return Found(value, "the configuration of IPython" if unchanged else "%config")
        source = self._sources.find(name)
        return source if source and source.value == value else Found(value, "default")

    @default("stream")
    def _default_stream(self) -> bool:
        return bool(self._outside("stream", True))

    @default("model")
    def _default_model(self) -> str:
        return str(self._outside("model", ""))

    @default("db")
    def _default_db(self) -> str:
        return str(self._outside("db", ""))

    @default("rows")
    def _default_rows(self) -> int:
        return int(self._outside("rows", _ROWS))

    @default("rerun")
    def _default_rerun(self) -> str:
        return str(self._outside("rerun", "fork"))

    def _outside(self, name: str, otherwise: Any) -> Any:
        found = self._sources.find(name)
        return found.value if found else otherwise


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
        """Start from the environment, the files and the shell's configuration again."""
        self.settings = Mnesis(config=config)

    def in_force(self) -> dict[str, Found]:
        """Each setting with the value that is used, and where that is from."""
        found = {name: self.settings.found(name) for name in SETTINGS}
        return found | {
            "model": Found(self.model, found["model"].origin),
            "db": Found(str(self.store), found["db"].origin),
        }


CURRENT = Current()
"""Of this process: a kernel is one."""
