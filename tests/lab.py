"""JupyterLab in headless Chromium: one server and one browser for as many notebooks as wanted."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from workers import ROOT

SHOTS = ROOT / "build" / "screenshots"
_KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
_FAILED = '[data-mime-type="application/vnd.jupyter.error"]'
_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Outputs that are out of sight are in the page as well.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},
}


@dataclass
class Open:
    """A notebook in a page of its own."""

    page: Page
    name: str
    errors: list[str] = field(default_factory=list)

    def run_all(self, timeout: float = 60) -> None:
        """Run every cell, and wait until none runs."""
        self.start()
        self.settle(timeout)

    def start(self) -> None:
        """Run every cell, without waiting."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); return null; }")

    def settle(self, timeout: float = 60) -> None:
        """Wait until every cell has a number."""
        self.page.wait_for_function(
            """() => {
                const seen = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent);
                return document.querySelector('[data-mime-type="application/vnd.jupyter.error"]')
                    || seen.length && seen.every(text => /\\[\\d+\\]/.test(text));
            }""",
            timeout=timeout * 1000,
        )
        if self.page.locator(_FAILED).count():
            raise AssertionError(self.page.locator(_FAILED).first.inner_text())

    def add_and_run(self, source: str) -> None:
        """A cell more, at the end, run without waiting."""
        self.page.evaluate(
            """async source => {
                const app = window.jupyterapp, content = app.shell.currentWidget.content;
                content.activeCellIndex = content.widgets.length - 1;
                await app.commands.execute('notebook:insert-cell-below');
                content.activeCell.model.sharedModel.setSource(source);
                app.commands.execute('notebook:run-cell');
                return null;
            }""",
            source,
        )

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); return null; }")

    def shot(self, name: str, selector: str = ".mnesis") -> Path:
        """A picture of the first element that matches, as a file to look at."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        self.page.wait_for_timeout(150)
        self.page.locator(selector).first.screenshot(path=path)
        return path


class Lab:
    """A JupyterLab server, and a browser."""

    def __init__(self, base: str, token: str, folder: Path, browser: Browser) -> None:
        self.base, self.token, self.folder, self.browser = base, token, folder, browser
        self.requests: list[str] = []

    def write(self, name: str, *cells: str) -> Path:
        """A notebook of these cells."""
        path = self.folder / name
        nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=_KERNEL), path)
        return path

    @contextmanager
    def page(self, *, width: int = 1280, height: int = 1500, dark: bool = False, scale: float = 1) -> Iterator[Page]:
        """A page of its own, without JupyterLab in it."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            device_scale_factor=scale,
        )
        try:
            context.set_default_timeout(15_000)
            yield context.new_page()
        finally:
            context.close()

    @contextmanager
    def open(self, name: str, *, ready: bool = True, **options: Any) -> Iterator[Open]:
        """A notebook in JupyterLab; with `ready`, once its kernel is."""
        with self.page(**options) as page:
            yield self.opened(page, name, ready=ready, dark=bool(options.get("dark")))
        self.end_kernels()

    def end_kernels(self) -> None:
        """Shut down what the notebooks have started."""
        headers = {"Authorization": f"token {self.token}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.base}/api/sessions", headers=headers)) as answer:
            running = json.load(answer)
        for session in running:
            address = f"{self.base}/api/sessions/{session['id']}"
            urllib.request.urlopen(urllib.request.Request(address, headers=headers, method="DELETE")).close()

    def opened(self, page: Page, name: str, *, ready: bool = True, dark: bool = False) -> Open:
        """A notebook in a page."""
        notebook = Open(page, name)
        page.on("pageerror", lambda error: notebook.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(f"{self.base}/lab/tree/{name}?token={self.token}&reset")
        page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        theme = "JupyterLab Dark" if dark else "JupyterLab Light"
        page.evaluate(
            """async theme => {
                await window.jupyterapp.commands.execute('apputils:change-theme', { theme });
                return null;
            }""",
            theme,
        )
        if ready:
            # The toolbar says idle before there is a kernel; the session itself knows.
            page.wait_for_function(
                """() => {
                    const session = window.jupyterapp.shell.currentWidget?.sessionContext;
                    return session?.isReady && session.session?.kernel?.status === 'idle';
                }""",
                timeout=60_000,
            )
        return notebook

    @property
    def foreign(self) -> list[str]:
        """Addresses outside of this server that any page asked for."""
        own = (self.base, self.base.replace("http", "ws"), "data:", "blob:", "about:")
        return [url for url in self.requests if not url.startswith(own)]


@contextmanager
def lab(folder: Path, **environment: str) -> Iterator[Lab]:
    """JupyterLab on a folder, with settings of its own."""
    own = folder / ".lab"
    for name, values in _SETTINGS.items():
        path = own / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": own / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": own / "workspaces",
        "JUPYTER_CONFIG_DIR": own / "config",
        "JUPYTER_RUNTIME_DIR": own / "runtime",
        "JUPYTER_DATA_DIR": own / "data",
        "IPYTHONDIR": own / "ipython",
    }
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
            *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
            *(f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"),
            "--LabServerApp.extension_manager=readonly",
        ],
        stdout=(folder / "lab.log").open("wb"),
        stderr=subprocess.STDOUT,
        env={**os.environ, "JUPYTER_PREFER_ENV_PATH": "1", **{k: str(v) for k, v in folders.items()}, **environment},
        start_new_session=True,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_for(server, f"{base}/api?token={token}", folder / "lab.log")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
            )
            try:
                yield Lab(base, token, folder, browser)
            finally:
                browser.close()
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def _wait_for(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(address, timeout=2)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


__all__ = ["SHOTS", "BrowserContext", "Lab", "Open", "lab"]
