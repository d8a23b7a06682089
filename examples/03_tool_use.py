"""A model that calls your functions: their signature, hints and docstring are all it needs.

python examples/03_tool_use.py
MNESIS_MODEL=anthropic/claude-opus-4-6 python examples/03_tool_use.py    (key in ANTHROPIC_API_KEY)
"""

import asyncio
import os
import tempfile
from pathlib import Path

from mnesis import MnesisSession
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.message import Part, ToolPart

STOCK = {"heron": 3, "owl": 0}


def stock(bird: str) -> int:
    """How many of a bird there are.

    Args:
        bird: its name, in lower case
    """
    if bird not in STOCK:
        raise LookupError(f"there is no {bird!r}; there are {', '.join(STOCK)}")
    return STOCK[bird]


async def order(bird: str, count: int = 1) -> str:
    """Order more of a bird."""
    await asyncio.sleep(0.01)  # tools may be async; the calls of one reply run side by side
    return f"ordered {count} x {bird}"


def script() -> ScriptedProvider:
    """Stands in for a model that calls tools, which none does offline: its replies are written down here."""
    calls = [{"name": "stock", "arguments": {"bird": bird}} for bird in ("heron", "owl", "dodo")]
    more = [{"name": "order", "arguments": {"bird": "owl", "count": 2}}]
    return ScriptedProvider([
        Reply("Let me look.", tool_calls=calls),
        Reply(tool_calls=more),
        "There are 3 herons. I have ordered 2 owls, of which there were none. Dodos we do not keep.",
    ])  # fmt: skip


def show(part: Part) -> None:
    """Called with each part of the reply, and with a tool call in each of its states."""
    if isinstance(part, ToolPart) and part.status in ("completed", "error"):
        print(f"  {part.tool_name}({part.input}) -> {part.output or part.error_message}")


async def main(store: Path) -> None:
    model = os.environ.get("MNESIS_MODEL", "offline/script")
    offline = model.startswith("offline/") or "MNESIS_MOCK_LLM" in os.environ
    async with MnesisSession.open(model=model, llm=script() if offline else None, db_path=store) as session:
        # An error of a tool, or arguments that do not fit it, go back to the model, which can do better.
        result = await session.send(
            "Do we have herons, owls and dodos? Order two where there are none.", tools=[stock, order], on_part=show
        )
        print(result.text)

        # Each call is stored with its result, and they stay together, in the window and in a summary.
        print(f"stored as: {', '.join(message.role for message in await session.messages())}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder, "sessions.db")))
