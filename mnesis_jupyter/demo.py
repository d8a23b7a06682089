"""`python -m mnesis_jupyter.demo`: the tour, as a notebook in JupyterLab or as one HTML file.

The notebook and those that it leads to are copied into a folder of their own first, so the originals stay as they are.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
NOTEBOOK = _HERE.parent / "notebooks" / "00_tour.ipynb"
"""In a checkout."""

if not NOTEBOOK.exists():
    NOTEBOOK = _HERE / "notebooks" / "00_tour.ipynb"  # a wheel brings it along


def main(arguments: list[str] | None = None) -> int:
    """Run the demo. Returns the exit code."""
    parser = argparse.ArgumentParser("mnesis_jupyter.demo", description="The tour, as a notebook.")
    parser.add_argument("--headless", action="store_true", help="run it here and write one self-contained HTML file")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the HTML file")
    options = parser.parse_args(arguments)
    if not NOTEBOOK.exists():
        print(f"{NOTEBOOK} is not there; install mnesis again, or run the demo from a checkout", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="mnesis-demo-"))
    for course in NOTEBOOK.parent.glob("*.ipynb"):  # the tour links to the others
        shutil.copy(course, folder)
    notebook = folder / NOTEBOOK.name
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment, whatever the user has installed
    if options.headless:
        return _headless(notebook, (options.out or folder / f"{notebook.stem}.html").absolute())
    return _lab(notebook)


def _lab(notebook: Path) -> int:
    print(f"opening {notebook} in JupyterLab; Ctrl+C here ends it", flush=True)
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    try:
        return subprocess.run([sys.executable, "-m", "jupyterlab", *root, str(notebook)], check=False).returncode
    except KeyboardInterrupt:
        return 0


def _headless(path: Path, out: Path) -> int:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    began, done = time.monotonic(), 0

    def tell(cell: Any, cell_index: int) -> None:
        nonlocal done
        done += 1
        print(f"[{done:2}/{total}] {_first_line(cell.source)}", flush=True)

    print(f"running {path.name} ...", flush=True)
    client = NotebookClient(
        notebook,
        timeout=120,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        on_cell_execute=tell,
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"the notebook failed: {error}", file=sys.stderr)
        return 1
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(to_html(notebook), encoding="utf-8")
    print(f"done in {time.monotonic() - began:.1f} s; open it in a browser:\n{out}", flush=True)
    return 0


def _first_line(source: str) -> str:
    lines = [line for line in source.splitlines() if line.strip()]
    line = " ".join(lines[:2]) if source.startswith("%%") else lines[0]
    return line if len(line) <= 70 else f"{line[:69]}…"


def to_html(notebook: Any) -> str:
    """A notebook as one HTML page that loads nothing, light or dark as the reader's system is."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="lab", theme="light", embed_images=True)  # type: ignore[no-untyped-call]
    page, _ = exporter.from_notebook_node(notebook)
    page = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)  # nothing of ours needs one; they load from CDNs
    themes = [Path(folder) / "static" / "theme-dark.css" for folder in exporter.template_paths]
    dark = next((theme.read_text(encoding="utf-8") for theme in themes if theme.exists()), "")
    title = "<title>mnesis in five minutes</title>"
    page = re.sub(r"<title>.*?</title>", title, page, count=1, flags=re.DOTALL)
    return page.replace("</head>", f"<style>{_LAYOUT}\n@media (prefers-color-scheme: dark) {{{dark}}}</style></head>")


_LAYOUT = """
:root { color-scheme: light dark; }
body.jp-Notebook { background: var(--jp-layout-color0); padding: 24px 16px; }
body.jp-Notebook main { max-width: 1080px; margin: 0 auto; }
.jp-OutputPrompt:empty { padding: var(--jp-code-padding); border: var(--jp-border-width) solid transparent; }
"""

if __name__ == "__main__":
    sys.exit(main())
