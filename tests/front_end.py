"""The other end of a widget's line, without a browser: what it is sent, and a way to ask."""

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comm
from comm.base_comm import BaseComm


class FrontEnd:
    """Keeps every message, and asks as the JavaScript does."""

    def __init__(self) -> None:
        self.opened: dict[str, dict[str, Any]] = {}
        """The state that each widget was opened with, by model id."""
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.pushes: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._count = 0

    def ask(self, widget: Any, what: str, **arguments: Any) -> dict[str, Any]:
        """Ask the kernel, and wait for the answer."""
        self._count += 1
        content = {"ask": what, "number": self._count, "with": arguments}
        widget.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
        while (answer := self._answers.get(timeout=20))["answer"] != self._count:
            pass
        return answer

    def set(self, widget: Any, **traits: Any) -> None:
        """Change traits from this end."""
        data = {"method": "update", "state": traits, "buffer_paths": []}
        widget.comm.handle_msg({"content": {"data": data}, "buffers": []})

    def pushed(self, timeout: float = 10) -> dict[str, Any]:
        """The next thing that was told without being asked for."""
        return self.pushes.get(timeout=timeout)

    def receive(self, comm_id: str, kind: str, data: dict[str, Any]) -> None:
        """Called by the line."""
        json.dumps(data)  # as it has to cross
        self.messages.append((comm_id, data))
        if kind == "comm_open":
            self.opened[comm_id] = data["state"]
        elif data.get("method") == "custom":
            content = data["content"]
            (self._answers if "answer" in content else self.pushes).put(content.get("push", content))


def press(widget: Any) -> None:
    """Press the button of a widget that has one, which stops its work."""
    widget.comm.handle_msg({"content": {"data": {"method": "custom", "content": {"stop": True}}}, "buffers": []})


@contextmanager
def connected(monkeypatch: Any) -> Iterator[FrontEnd]:
    """Have all widgets made from now on speak to this front end."""
    front = FrontEnd()

    class Line(BaseComm):
        def publish_msg(self, msg_type: str, data: Any = None, *args: Any, **keys: Any) -> None:
            front.receive(self.comm_id, msg_type, data or {})

    monkeypatch.setattr(comm, "create_comm", Line)
    yield front
