"""A file larger than any window: the model is told what is in it, and searches and reads the original when it has to.

python examples/04_large_files.py
MNESIS_MODEL=anthropic/claude-opus-4-6 python examples/04_large_files.py    (key in ANTHROPIC_API_KEY)
"""

import asyncio
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from mnesis import FileConfig, FileRefPart, MnesisConfig, MnesisSession, TextPart
from mnesis.llm.base import ModelLimits, Request
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.message import Part, ToolPart


def script() -> ScriptedProvider:
    """Stands in for a model that calls tools, which none does offline. Only the id is taken from its window."""

    def calls(tool: str, **arguments: object) -> Callable[[Request], Reply]:
        def reply(request: Request) -> Reply:
            file = re.search(r"file_\w+", str(request.messages))
            return Reply(tool_calls=[{"name": tool, "arguments": {"id": file[0] if file else "", **arguments}}])

        return reply

    search, read = calls("mnesis_search_file", pattern="error"), calls("mnesis_read_file", start=45_677, lines=3)
    said = ("In line 45678, the disk of node 7 was full.", "By now the disk has been replaced.", "There are 2 disks.")
    limits = ModelLimits(context=128_000, output=4_000, tools=True)
    return ScriptedProvider([search, read, said[0], search, *said[1:]], limits=limits)


def show(part: Part) -> None:
    """Called with each part of the reply, and with a tool call in each of its states."""
    if isinstance(part, ToolPart) and part.status == "completed":
        print(f"  {part.tool_name}({part.input})\n    " + (part.output or "").replace("\n", "\n    "))


async def main(folder: Path) -> None:
    log, disks = folder / "nodes.log", folder / "disks.csv"
    times = [f"2024-05-01 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}" for n in range(80_000)]
    lines = [f"{time} INFO node {n % 9} ok" for n, time in enumerate(times)]
    lines[45_677] = f"{times[45_677]} ERROR node 7: disk full"
    log.write_text("\n".join(lines) + "\n")
    disks.write_text("disk,node,size\na,7,2 TB\nb,8,4 TB\n")

    model = os.environ.get("MNESIS_MODEL", "offline/script")
    offline = model.startswith("offline/") or "MNESIS_MOCK_LLM" in os.environ
    config = MnesisConfig(file=FileConfig(storage_dir=folder / "kept"))  # by default ~/.mnesis/files
    llm = script() if offline else None
    async with MnesisSession.open(model=model, llm=llm, config=config, db_path=folder / "sessions.db") as session:
        reference = await session.attach(log, name="nodes.log")
        assert isinstance(reference, FileRefPart)
        print(f"{reference.size:,} bytes as a reference; what the model is told of them:\n{reference.summary}\n")
        print((await session.send([reference, TextPart(text="What went wrong?")], on_part=show)).text)
        small_enough = (await session.context()).size < reference.tokens / 100
        print(f"the window has less than a hundredth of the file's {reference.tokens:,} tokens: {small_enough}")

        with log.open("a") as file:  # the file is read as it is now, and the model is told that it has changed
            file.write("2024-05-02 09:00:00 INFO node 7: the disk with the error has been replaced\n")
        print((await session.send("And now?", on_part=show)).text)

        small = await session.attach(disks)  # up to FileConfig.inline_threshold tokens, a text goes along whole
        result = await session.send([small, TextPart(text="How many disks are there?")])
        print(f"\na small file is a {small.type} part: {result.text}")
        await session.attach(log.read_bytes(), name="copy.log", keep="copy")  # kept: it has no path to read it at
        print("\n".join(f"{file.name}: kept here: {file.kept}" for file in await session.files()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(main(Path(place)))
