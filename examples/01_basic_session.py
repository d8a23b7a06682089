"""A session: three turns, what the model would see next, and the same session again in another program.

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

        # What the model would be sent next, item by item. Here that is all that was said; in the next example, less.
        window = await session.context()
        for item in window.items:
            print(f"{item.tokens:>5} tokens  {item.kind:<9}  {item.text.splitlines()[0]}")
        print(f"{window.size:>5} of {window.budget:,} tokens; {len(await session.messages())} messages stored")

    # Everything is in one SQLite file, so another program can go on where this one stopped.
    async with await MnesisSession.load(session.id, db_path=store) as again:
        result = await again.send("What's my name?")
        print(f"\n> What's my name?   (after loading)\n{result.text}")
        used = again.token_usage  # and again.cost in dollars; None where a price is not known
        print(f"\n{len(again.history())} turns, {used.input} tokens in, {used.output} tokens out")


if __name__ == "__main__":
    # A store for this run only. Without db_path it would be ~/.mnesis/sessions.db.
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder, "sessions.db")))
