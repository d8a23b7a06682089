"""Where a setting comes from when nobody has set it in the notebook: the environment, then files, in this order.

`%load_ext` needs this, so the engine is imported only to say what is wrong.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnesis.errors import ConfigError

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: its type, and in words what is allowed. Numbers begin at `least`; of `choices` there are no others."""

    type: type[bool] | type[int] | type[str]
    allowed: str
    least: int = 0
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> bool | int | str | None:
        """The value that a text of the environment stands for, `None` where that is not allowed."""
        if self.type is bool:
            return {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}.get(text.lower())
        if self.type is int:
            return self.check(int(text)) if text.isdecimal() else None
        return text if self.check(text) is not None else None

    def check(self, value: Any) -> Any:
        """The value itself, `None` where it is not allowed."""
        if type(value) is not self.type:
            return None
        if self.choices and value not in self.choices:
            return None
        return None if isinstance(value, int) and value < self.least else value


SETTINGS: Mapping[str, Setting] = {
    "model": Setting(str, 'a model string in quotes, such as "offline/quote"'),
    "db": Setting(str, "the path of a file, in quotes"),
    "stream": Setting(bool, "true or false"),
    "rows": Setting(int, "a whole number from 1 on", least=1),
    "rerun": Setting(str, '"fork" or "append"', choices=("fork", "append")),
}
"""By name: `MNESIS_<NAME>` in the environment, the key in files."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value, and where it is from."""

    value: Any
    origin: str


class Sources:
    """The environment, then `[tool.mnesis]` in the nearest pyproject.toml that has it, then `~/.mnesis/config.toml`.

    The files are read once, when a setting is first looked for in them.
    """

    def find(self, name: str) -> Found | None:
        """The value of a setting. Raises `ConfigError` for a wrong one: place, key, value, and what is allowed."""
        variable, setting = f"MNESIS_{name.upper()}", SETTINGS[name]
        if text := os.environ.get(variable):
            if (value := setting.parse(text)) is None:
                raise _wrong(f"in the environment, {variable}={text!r:.80}", setting)
            return Found(value, variable)
        for path, table in self._files:
            if name in table:
                return Found(table[name], str(path))
        return None

    @cached_property
    def _files(self) -> list[tuple[Path, dict[str, Any]]]:
        return [(path, _checked(path, table)) for path, table in _tables()]


def _tables() -> Iterator[tuple[Path, dict[str, Any]]]:
    here = Path.cwd()
    for folder in (here, *here.parents):
        table = _read(folder / "pyproject.toml").get("tool", {}).get("mnesis")
        if table is not None:
            yield folder / "pyproject.toml", table
            break
    own = Path("~/.mnesis/config.toml").expanduser()
    yield own, _read(own)


def _read(path: Path) -> dict[str, Any]:
    """A file of settings; nothing where there is none."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise _error(f"{path} cannot be read as TOML ({error}); correct it, or move it away") from error


def _checked(path: Path, table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise _error(f"{path}: tool.mnesis={table!r:.80} is no table; write [tool.mnesis]")
    for key, value in table.items():
        if key not in SETTINGS:
            close = difflib.get_close_matches(key, SETTINGS, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"these are: {', '.join(SETTINGS)}"
            raise _error(f"{path}: there is no setting {key!r}; {advice}")
        if SETTINGS[key].check(value) is None:
            raise _wrong(f"{path}: {key} = {value!r:.80}", SETTINGS[key])
    if "db" in table:  # as the file means it, wherever the notebook is
        table["db"] = str(path.parent / Path(table["db"]).expanduser())
    return table


def _wrong(what: str, setting: Setting) -> "ConfigError":
    return _error(f"{what} is not allowed; give {setting.allowed}")


def _error(message: str) -> "ConfigError":
    from mnesis.errors import ConfigError

    return ConfigError(message)
