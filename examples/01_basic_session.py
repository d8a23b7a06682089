"""A session: three turns, what they cost, and the same session again after the program has ended.

python examples/01_basic_session.py
MNESIS_MODEL=anthropic/claude-opus-4-6 python examples/01_basic_session.py    (key in ANTHROPIC_API_KEY)
"""

import asyncio
import os
import tempfile
from pathlib import Path

from mnesis import MnesisSession

# Any litellm model string. This one needs no key and no network, and says itself that it is not a language model.
MODEL = os.environ.get("MNESIS_MODEL", "offline/quote")


async def main(store: Path) -> None:
    async with MnesisSession.open(model=MODEL, system_prompt="Answer briefly.", db_path=store) as session:
        for message in ("My name is Alice.", "I keep bees in Oslo.", "Where do I keep bees?"):
            result = await session.send(message)
            print(f"> {message}\n{result.text}\n")

        # The whole log, and what the model would be sent next: less, once the window is full (next example).
        print(f"{len(await session.messages())} messages stored")
        window = await session.context()
        print(f"the next window: {', '.join(item.kind for item in window.items)}")
        print(f"it fits its budget: {window.size <= window.budget}")

    # Everything is in one SQLite file, so another program can go on where this one stopped.
    async with await MnesisSession.load(session.id, db_path=store) as again:
        result = await again.send("What's my name?")
        print(f"\n> What's my name?   (after loading)\n{result.text}")
        print(f"\n{len(again.history())} turns, cost: {again.cost}")  # in dollars; None where a price is not known


if __name__ == "__main__":
    # A store for this run only. Without db_path it would be ~/.mnesis/sessions.db.
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder, "sessions.db")))
