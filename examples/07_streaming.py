"""A reply as it is written; and a reader who leaves early, whose turn is stored whole all the same.

python examples/07_streaming.py
MNESIS_MODEL=anthropic/claude-opus-4-6 python examples/07_streaming.py    (key in ANTHROPIC_API_KEY)
"""

import asyncio
import os
import tempfile
from contextlib import aclosing
from pathlib import Path

from mnesis import MnesisSession, TextDelta, TurnComplete

MODEL = os.environ.get("MNESIS_MODEL", "offline/quote")


async def main(store: Path) -> None:
    async with MnesisSession.open(model=MODEL, db_path=store) as session:
        await session.send("The ferry to Moss leaves at 9:40, and the last one back at 22:15.")

        pieces = 0
        async for event in session.stream("When does the last ferry leave?"):
            match event:
                case TextDelta(text=text):
                    print(text, end="", flush=True)
                    pieces += 1
                case TurnComplete(result=result):
                    print(f"\n\nin more than one piece: {pieces > 1}; finished with {result.finish_reason!r}")

        # Leaving does not stop the turn: it goes on to its end. (Cancelling the task would: the turn is then aborted.)
        async with aclosing(session.stream("When does the ferry to Moss leave?")) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    print(f"left after {event.text!r}")
                    break

    # `open` has waited for it.
    async with await MnesisSession.load(session.id, db_path=store) as again:
        last = (await again.messages())[-1]
        print(f"stored: {last.role}, {'partial' if last.partial else 'whole'}, {len(again.history())} turns")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder, "sessions.db")))
