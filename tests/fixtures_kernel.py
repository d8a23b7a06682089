"""Real kernels, spoken to as a front end does. The fixture `run` is registered in `conftest.py` by `pytest_plugins`."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager


@dataclass
class Ran:
    """What a cell did."""

    reply: dict[str, Any]
    displays: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    @property
    def text(self) -> str:
        """The last version of what was displayed."""
        return self.displays[-1]["text/plain"] if self.displays else ""


class Kernel:
    """A kernel, spoken to as a front end does."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def send(self, source: str, **metadata: Any) -> str:
        """Have a cell run, without waiting for it."""
        content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        id: str = message["header"]["msg_id"]
        return id

    def finish(self, id: str, interrupt_after: int = 0) -> Ran:
        """Wait for the end of a cell; press Stop after so many displays."""
        ran = Ran({})
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind in ("display_data", "update_display_data"):
                ran.displays.append(content["data"])
                if len(ran.displays) == interrupt_after:
                    self.manager.interrupt_kernel()
            elif kind == "error":
                ran.error = "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                break
        while (message := self.client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != id:
            pass
        ran.reply = message["content"]
        return ran

    def shut_down(self) -> int:
        """Ask the kernel to end, as a front end does, and wait for its process. Returns the exit code."""
        provisioner: Any = self.manager.provisioner
        self.client.shutdown()
        code: int = provisioner.process.wait(timeout=20)
        return code

    def __call__(self, source: str, **metadata: Any) -> Ran:
        """Run a cell that must not fail."""
        ran = self.finish(self.send(source, **metadata))
        assert ran.reply["status"] == "ok", ran.error
        return ran

    def begin_anew(self, store: Path) -> None:
        """As if it had just started: the names and the sessions of before are gone, and this is the default store."""
        self("%unload_ext mnesis_jupyter\n%reset -f")
        self(f"import os\nos.environ['MNESIS_DB'] = {str(store)!r}\ndel os\n%load_ext mnesis_jupyter")


@contextlib.contextmanager
def kernel() -> Iterator[Kernel]:
    """A kernel of one's own, with the extension loaded, in the environment of this moment."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=os.environ | {"JUPYTER_PLATFORM_DIRS": "1"})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        running = Kernel(manager, client)
        running("%load_ext mnesis_jupyter")
        yield running
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="session")
def shared_kernel() -> Iterator[Kernel]:
    """One for all tests of this process that leave it running: to start one takes longer than most tests."""
    with kernel() as running:
        yield running


@pytest.fixture
def run(shared_kernel: Kernel, store_path: Path) -> Kernel:
    """A kernel that is as good as new, with the test's store as the default one."""
    shared_kernel.begin_anew(store_path)
    return shared_kernel
