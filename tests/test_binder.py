"""What Binder makes of binder/: repo2docker's plan for the image, and the same steps in an environment of our own."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import release
from packaging.requirements import Requirement
from workers import ROOT

BINDER = ROOT / "binder"


def files():
    """What Binder clones: the files that git knows."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture
def checkout(tmp_path):
    """A copy of the repository."""
    for name in files():
        target = tmp_path / "checkout" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path / "checkout"


def test_the_files_of_binder_agree_with_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python = (BINDER / "runtime.txt").read_text().strip()
    assert python == f"python-{project['requires-python'].removeprefix('>=')}" == "python-3.12"
    extras = re.search(r'"\.\[(.+)\]"', (BINDER / "postBuild").read_text())
    assert extras
    assert {"jupyter", "local"} <= set(extras[1].split(",")) <= set(project["optional-dependencies"])
    assert os.access(BINDER / "postBuild", os.X_OK)


@pytest.mark.slow
def test_repo2docker_plans_python_3_12_the_requirements_and_postbuild(checkout, tmp_path):
    python = release.environment(tmp_path / "venv", release.tool("jupyter-repo2docker"), "setuptools")
    done = subprocess.run(
        [python.with_name("jupyter-repo2docker"), "--no-build", "--debug", checkout],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    plan = done.stdout + done.stderr
    copied = plan.index("COPY --chown=0:0 src/ ${REPO_DIR}/")
    assert plan.index('pip install --no-cache-dir -r "binder/requirements.txt"') < copied
    assert copied < plan.index("RUN ./binder/postBuild")
    assert "environment.py-3.12-" in plan.replace("-2e", ".").replace("-2d", "-")
    # What the image has of Jupyter is new enough, so that postBuild leaves it as it is.
    [lock] = (tmp_path / "venv").rglob("repo2docker/buildpacks/conda/environment.py-3.12-linux-64.lock")
    there = dict(re.findall(r"/([a-z0-9_-]+?)-(\d[\d.]*)-[^-/]+\.conda", lock.read_text()))
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["jupyter"]
    asked = {wanted.name: wanted.specifier for wanted in map(Requirement, extra)}
    assert "jupyterlab" in asked.keys() & there.keys()
    for name in asked.keys() & there.keys():
        assert there[name] in asked[name], f"{name} {there[name]}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_steps_of_binder_give_an_environment_that_runs_the_first_notebook(checkout, tmp_path):
    python = release.environment(tmp_path / "venv")
    path = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}

    def step(*command: str | Path, cwd: Path = checkout) -> None:
        done = subprocess.run(
            command, cwd=cwd, env=os.environ | path, capture_output=True, text=True, timeout=700, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    step(python, "-m", "pip", "install", "--no-cache-dir", "-r", "binder/requirements.txt")
    step("./binder/postBuild")
    step(python, "-c", "import xllamacpp, matplotlib, mnesis_jupyter.frames")
    first = min((checkout / "notebooks").glob("*.ipynb"))
    # Not in the checkout's root, where the packages lie too: what was installed is to run.
    execute = ("-m", "nbconvert", "--to", "notebook", "--execute", "--output", "done.ipynb", first.name)
    step(python, *execute, cwd=first.parent)
