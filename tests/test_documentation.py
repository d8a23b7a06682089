"""The documentation: its code runs, its commands are there, its links lead somewhere."""

import doctest
import re
import shlex
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import nbformat
import pytest
from anyio.from_thread import start_blocking_portal
from markdown_it import MarkdownIt
from markdown_it.token import Token
from notebook_shell import opened
from openai_server import OpenAIServer
from workers import ROOT

import mnesis
import mnesis_jupyter
from mnesis import operators
from mnesis.cli import main as terminal_command

sys.path.insert(0, str(ROOT / "docs" / "_tools"))
import generated

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
NAMES = [page.name for page in PAGES]
TALK = """import mnesis_jupyter
chat = mnesis_jupyter.chat("my chat")
for question in ("My name is Alice.", "The port is 5432.", "Which port?", "What is my name?"):
    chat.send(question)"""
PREPARED = {"frames.md": [TALK], "inspector.md": [TALK]}
"""What a page takes for granted: sessions that its reader has."""

MARKDOWN = MarkdownIt("commonmark").enable("table")


def fences(text: str) -> list[Token]:
    """The blocks of code of a page, in order."""
    return [token for token in MARKDOWN.parse(text) if token.type == "fence"]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """A server that OpenAI's client finds by itself; every other model runs offline."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(OpenAIServer()) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        monkeypatch.setenv("MNESIS_MOCK_LLM", "1")
        yield server


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_the_code_of_a_page_runs_and_prints_what_stands_below_it(page, provider, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = fences(page.read_text("utf-8"))
    below = {block.map[0]: block for block in blocks if block.map and block.info == "text"}
    with opened() as notebook:
        for source in PREPARED.get(page.name, ()):
            notebook(source)
        for block in blocks:
            if block.info not in ("python", "mnesis"):
                continue
            assert block.map
            ran = notebook.run(block.content)
            if ran.error is not None:
                pytest.fail(f"{page.name}, line {block.map[0] + 1}: {ran.error!r}")
            if expected := below.get(block.map[1] + 1):
                printed = re.sub(r"^Out\[\d+\]: ?", "", ran.stdout + ran.text, flags=re.MULTILINE)
                assert_printed(expected.content, printed, f"{page.name}, line {block.map[1] + 2}")


def assert_printed(expected: str, printed: str, place: str) -> None:
    """As doctest compares: `…` stands for anything, and spaces for spaces."""
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    same = doctest.OutputChecker().check_output(expected.replace("…", "..."), printed.replace("…", "..."), options)
    assert same, f"{place}: the page says\n{expected}\nand it is\n{printed}"


def test_no_code_of_a_page_goes_by_another_name():
    for page in PAGES:
        for block in fences(page.read_text("utf-8")):
            assert block.info in ("python", "mnesis", "sh", "text", "toml", ""), f"{page.name}: {block.info!r}"
            if block.info == "":
                assert not re.match(r"import |from |%%mnesis\n|%mnesis |\./run |pip ", block.content), (
                    f"{page.name}: {block.content}"
                )


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=[*NAMES, "CONTRIBUTING.md"])
def test_the_commands_of_a_page_are_there(page):
    text = page.read_text("utf-8")
    for block in fences(text):
        if block.info == "sh":
            for line in block.content.splitlines():
                check_command(shlex.split(line, comments=True), page)
    for command in re.findall(r"`(?:\.venv/bin/)?((?:\./run|mnesis) [^`…]+)`", text):
        check_command(shlex.split(command.replace("[", "").replace("]", "")), page)


def check_command(words: list[str], page: Path) -> None:
    """That a command line names verbs, options and extras that exist."""
    match words:
        case ["./run", verb, *options]:
            usage = (ROOT / "run").read_text("utf-8")
            assert re.search(rf"^\./run {verb}\b", usage, re.MULTILINE), f"{page.name}: there is no ./run {verb}"
            for option in options:
                assert not option.startswith("--") or option in usage, f"{page.name}: ./run {verb} has no {option}"
        case ["mnesis", *rest]:
            check_terminal(terminal_command, rest, page)
        case ["pip", "install", *rest] | ["uv", "pip", "install", *rest]:
            project = (ROOT / "pyproject.toml").read_text("utf-8")
            for extra in re.findall(r"\[([\w,]+)\]", " ".join(rest)):
                for name in extra.split(","):
                    assert re.search(rf"^{name} = \[", project, re.MULTILINE), f"{page.name}: there is no extra {name}"


def check_terminal(command: click.Command, words: list[str], page: Path) -> None:
    """That the command `mnesis` has these subcommands and options."""
    while isinstance(command, click.Group):
        name, *words = words
        assert name in command.commands, f"{page.name}: `mnesis` has no {name}"
        command = command.commands[name]
    known = {option for each in command.params for option in each.opts}
    for word in words:
        assert not word.startswith("-") or word in known, f"{page.name}: mnesis {command.name} has no {word}"


# -- links ----------------------------------------------------------------------------------------------------------


def links(text: str) -> list[str]:
    """The addresses of the links and pictures of a page."""
    inline = [child for token in MARKDOWN.parse(text) for child in token.children or ()]
    found = [str(child.attrs.get("href") or child.attrs.get("src") or "") for child in inline]
    return [each for each in (*found, *re.findall(r'(?:src|srcset|href)="([^"]+)"', text)) if each]


def anchors(text: str) -> set[str]:
    """The names of a page's headings, as code hosts and mkdocs make them."""
    tokens = MARKDOWN.parse(text)
    titles = [below.content for token, below in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.replace("`", "")).strip().lower()) for title in titles}


def texts() -> Iterator[tuple[Path, str]]:
    for page in [*ROOT.glob("*.md"), *DOCS.glob("*.md")]:
        yield page, page.read_text("utf-8")
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(notebook, as_version=4).cells
        yield notebook, "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_every_relative_link_leads_somewhere():
    for page, text in texts():
        for link in links(text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page.name}: {link} is not there"
            assert target.is_relative_to(ROOT), f"{page.name}: {link} leads out of the project"
            if anchor and target.suffix == ".md":
                body = target.read_text("utf-8")
                filled = generated.on_page_markdown(body) if generated.asked_for(body) else body
                assert anchor in anchors(filled) | set(re.findall(r"\{ #(\w+) \}", filled)), f"{page.name}: {link}"


# -- the site -------------------------------------------------------------------------------------------------------


def test_every_page_is_in_the_navigation_once():
    listed = re.findall(r"^ +- .+: ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))


def test_everything_that_is_generated_stands_in_one_page():
    asked = [name for page in PAGES for name in generated.asked_for(page.read_text("utf-8"))]
    assert sorted(asked) == sorted(generated.GENERATED)


@pytest.mark.parametrize("name", sorted(generated.GENERATED))
def test_what_is_generated_is_a_list_with_headings_or_rows(name):
    made = generated.GENERATED[name]()
    assert "| " in made or "###" in made
    assert "None |" not in made.replace("`None` |", "")


@pytest.mark.parametrize("package", [mnesis, mnesis_jupyter, operators], ids=lambda package: package.__name__)
def test_every_public_name_is_in_the_reference(package):
    listed = re.findall(r"^::: [\w.]+\.(\w+)$", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE)
    elsewhere = {*vars(mnesis.errors), *re.findall(r"^### (\w+)$", generated.settings(), re.MULTILINE), "MnesisConfig"}
    called_by_ipython = {"load_ipython_extension", "unload_ipython_extension"}
    assert set(package.__all__) - {*listed, "frames"} - elsewhere - called_by_ipython == set()


def test_every_table_of_the_store_is_in_the_design():
    with generated.new_store() as connection:
        names = generated.table_names(connection)
    assert len(names) > 10
    assert [name for name in names if not generated.words_of_table(name)] == []


def test_every_picture_of_a_page_is_there_light_and_dark():
    shown = {link.split("#")[0] for _, text in texts() for link in links(text) if link.split("#")[0].endswith(".webp")}
    names = {Path(link).name for link in shown}
    assert {name.replace("-light", "-dark") for name in names} == {name.replace("-light", "-dark") for name in names}
    assert names == {path.name for path in (DOCS / "pictures").glob("*.webp")}
    assert {name.replace("-light.", "-dark.") for name in names if "-light." in name} <= names


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 200
