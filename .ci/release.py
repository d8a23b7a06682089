"""`./run release`: build the wheel and the sdist, look into them, and try the wheel where nothing else is."""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("mnesis", "mnesis_jupyter")
SHIPPED = (".py", ".js", ".css", "py.typed")
"""How the names of all files in the packages end."""
COURSE = {f"mnesis_jupyter/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
"""What `python -m mnesis_jupyter.demo` opens."""


def main() -> int:
    """Build and check. Returns the exit code."""
    parser = argparse.ArgumentParser("./run release", description="Build the wheel and the sdist, and try the wheel.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="FOLDER", help="where to put them: dist")
    out: Path = parser.parse_args().out.absolute()
    with tempfile.TemporaryDirectory(prefix="mnesis-release-") as scratch:
        wheel, sdist = build(out, Path(scratch))
        problems = [*wheel_problems(wheel), *sdist_problems(sdist)]
        if problems:
            print("\n".join(problems), file=sys.stderr)
            return 1
        check_metadata(Path(scratch), wheel, sdist)
        for extra in ("", "[jupyter]"):
            try_out(Path(scratch), wheel, extra)
    print(f"\n{wheel}\n{sdist}\nare fit to be published.\n")
    print(whats_left(version_of(wheel), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    return 0


def build(out: Path, scratch: Path) -> tuple[Path, Path]:
    """The wheel and the sdist. The wheel is made of the sdist, and must be the one that the tree itself gives."""
    say("building")
    uv("build", "--quiet", "--clear", "--out-dir", out, ROOT)
    uv("build", "--quiet", "--wheel", "--out-dir", scratch / "tree", ROOT)
    [wheel], [sdist], [twin] = out.glob("*.whl"), out.glob("*.tar.gz"), (scratch / "tree").glob("*.whl")
    if wheel.read_bytes() != twin.read_bytes():
        raise SystemExit("the wheel of the sdist is not the wheel of the tree: is a file missing in the sdist?")
    return wheel, sdist


def wheel_problems(wheel: Path) -> list[str]:
    """What is wrong with the files in a wheel: all of the packages that git knows, their metadata, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "-z", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    wanted = COURSE | {name for name in tracked.stdout.split("\0") if name}
    return [
        *(f"{wheel.name} lacks {name}" for name in sorted(wanted - names)),
        *(f"{wheel.name} holds {name}, which git does not know" for name in sorted(names - wanted)),
        *(f"{wheel.name} holds {name}; is it needed?" for name in sorted(names - COURSE) if not name.endswith(SHIPPED)),
    ]


def sdist_problems(sdist: Path) -> list[str]:
    """What is wrong with the files in an sdist: it must hold what the tests need, and nothing that was made by them."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    needed = ("README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "constraints.txt", "run", "tests/conftest.py")
    made = ("__pycache__", ".ipynb_checkpoints", "_cache/", ".hypothesis", ".db", "uv.lock")
    return [
        *(f"{sdist.name} lacks {name}" for name in needed if name not in names),
        *(f"{sdist.name} holds {name}" for name in names if any(part in name for part in made)),
    ]


def check_metadata(scratch: Path, *files: Path) -> None:
    """Have twine check what the package index would show."""
    say("checking the metadata")
    python = environment(scratch / "tools", tool("twine"))
    run(python, "-m", "twine", "check", "--strict", *files, cwd=scratch)


def try_out(scratch: Path, wheel: Path, extra: str) -> None:
    """Install the wheel into an empty environment, and run `.ci/smoke.py` there, in an empty folder."""
    say(f"trying mnesis{extra} in an empty environment")
    folder = scratch / f"try{extra.strip('[]')}"
    python = environment(folder / "venv", f"{wheel}{extra}")
    home = folder / "home"
    home.mkdir()
    smoke = home / "smoke.py"
    smoke.write_text((ROOT / ".ci" / "smoke.py").read_text(encoding="utf-8"), encoding="utf-8")
    own = {"HOME": str(home), "USERPROFILE": str(home), "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    run(python, "-I", smoke, *(["jupyter"] if extra else []), cwd=home, **own)


def tool(name: str) -> str:
    """What the dependency group `release` requires of a tool."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    [requirement] = [each for each in groups["release"] if each.startswith(name)]
    return str(requirement)


def environment(folder: Path, *requirements: str) -> Path:
    """A new virtual environment with what is required, in the versions of constraints.txt. Returns its Python."""
    uv("venv", "--quiet", "--seed", "--python", sys.executable, folder)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if requirements:
        uv("pip", "install", "--quiet", "--python", python, "-c", ROOT / "constraints.txt", *requirements)
    return python


def version_of(wheel: Path) -> str:
    """The version that its metadata tells."""
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return HeaderParser().parsestr(archive.read(metadata).decode())["Version"]


def whats_left(version: str, changelog: str) -> str:
    """What is left to do by hand, in order."""
    steps = [
        f"git tag -a v{version} -m {version}, on the commit that this was built from; push it",
        "uv publish dist/*   (a token of the package index in UV_PUBLISH_TOKEN)",
        "a higher __version__ in mnesis/__init__.py, and a new Unreleased in CHANGELOG.md",
    ]
    if f"\n## {version}" not in changelog:
        steps.insert(0, f"CHANGELOG.md: name what is Unreleased {version}, with the date; commit; ./run release again")
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def uv(*arguments: str | Path) -> None:
    """Run uv: the one that `./run` found, else as it looks for it."""
    run(os.environ.get("UV") or shutil.which("uv") or ROOT / ".tools" / "bin" / "uv", *arguments, cwd=ROOT)


def run(*command: str | Path, cwd: Path, **variables: str) -> None:
    """Run a program, which must not fail."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=os.environ | variables, check=False, timeout=600)
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")


def say(what: str) -> None:
    """Tell what begins now."""
    print(f"== {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
