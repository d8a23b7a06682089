"""`python -m mnesis_jupyter.demo --headless`."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mnesis_jupyter import demo


@pytest.fixture
def notebook_of(tmp_path, monkeypatch):
    """Make these cells the notebook of the demo."""

    def write(*cells):
        path = tmp_path / "tour.ipynb"
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(new_notebook(cells=list(cells), metadata=kernel), path)
        monkeypatch.setattr(demo, "NOTEBOOK", path)
        return path

    return write


def test_a_headless_run_writes_one_page_that_loads_nothing_and_says_where(notebook_of, tmp_path, capsys):
    path = notebook_of(
        new_markdown_cell("# Title\n\n$x$"),
        new_code_cell("%load_ext mnesis_jupyter"),
        new_code_cell("%%mnesis\nMy name is Ada."),
        new_code_cell("%mnesis context"),
    )
    before = path.read_bytes()
    out = tmp_path / "deep" / "page.html"
    assert demo.main(["--headless", "--out", str(out)]) == 0
    page, told = out.read_text(), capsys.readouterr().out
    assert str(out) in told
    assert "[ 3/3] %mnesis context" in told
    assert "My name is Ada." in page
    assert "prefers-color-scheme: dark" in page
    assert "<script" not in page
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?https?:""", re.sub(r"<a [^>]*>", "", page))
    assert path.read_bytes() == before


def test_a_cell_that_fails_fails_the_demo_and_is_named(notebook_of, tmp_path, capsys):
    notebook_of(new_code_cell("%load_ext mnesis_jupyter"), new_code_cell("%mnesis use nobody"))
    out = tmp_path / "page.html"
    assert demo.main(["--headless", "--out", str(out)]) == 1
    assert "nobody" in capsys.readouterr().err
    assert not out.exists()


def test_without_the_notebook_the_demo_says_where_it_looked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "NOTEBOOK", tmp_path / "missing.ipynb")
    assert demo.main([]) == 2
    assert "missing.ipynb" in capsys.readouterr().err


def test_the_notebook_of_the_demo_is_stored_with_its_outputs_and_without_paths_or_widgets():
    notebook = nbformat.read(demo.NOTEBOOK, as_version=4)
    text = nbformat.writes(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not re.search(r"/(?:tmp|home|root|Users|work)/", text)
    assert all(output.output_type != "error" for cell in cells for output in cell.outputs)


def test_the_notebooks_that_the_tour_leads_to_lie_beside_it(notebook_of, tmp_path, capsys):
    notebook_of(new_code_cell("from pathlib import Path\nassert Path('01_next.ipynb').exists()"))
    nbformat.write(new_notebook(), tmp_path / "01_next.ipynb")
    assert demo.main(["--headless", "--out", str(tmp_path / "page.html")]) == 0, capsys.readouterr().err
