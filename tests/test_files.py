"""Files larger than a window: attached to a session, referred to, read on in by the model, and watched."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from summarisers import Model, create, settled

from mnesis import FileConfig, FileRefPart, MnesisConfig, MnesisSession, NotFound, TextPart, ToolPart
from mnesis.erasing import erase
from mnesis.errors import FileError, InputError
from mnesis.llm.base import ModelLimits
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.tokens import counter_for

LIMITS = ModelLimits(context=128_000, output=4_096, tools=True)


def asks(name: str, **arguments: object) -> Reply:
    """A reply that calls a tool."""
    return Reply(tool_calls=[{"name": name, "arguments": arguments}])


@pytest.fixture
def config(tmp_path) -> MnesisConfig:
    return MnesisConfig(file=FileConfig(inline_threshold=100, storage_dir=tmp_path / "kept"))


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.txt"
    path.write_text("".join(f"line {number} of the story\n" for number in range(1, 5_001)))
    return path


def opened(store_path, config, provider=None, **options):
    llm = provider or ScriptedProvider(["I see."], cycle=True, limits=LIMITS)
    return MnesisSession.open(model="test/scripted", llm=llm, db_path=store_path, config=config, **options)


async def answers(
    store_path, config, path, *calls: tuple[str, dict[str, object]], keep="reference", before=lambda: None
):
    """What the tools answer that the model calls, one after the other, on an attached file."""
    script: list[Reply | str] = []
    provider = ScriptedProvider([lambda _: script.pop(0)], cycle=True, limits=LIMITS)
    async with opened(store_path, config, provider) as session:
        part = await session.attach(path, keep=keep)
        assert isinstance(part, FileRefPart)
        script += [asks(name, **({"id": part.file_id} | arguments)) for name, arguments in calls]
        script.append("Done.")
        before()
        await session.send([part, TextPart(text="Read it.")])
        tools = [each for message in await session.messages() for each in message.parts if isinstance(each, ToolPart)]
        return [each.output or each.error_message or "" for each in tools if each.finished]


def copies(folder: Path) -> list[Path]:
    """What is kept: not the empty files that say who refers to it."""
    return [each for each in folder.rglob("*") if each.is_file() and each.stat().st_size]


# -- what attach gives ------------------------------------------------------------------------------------------------


async def test_a_small_text_goes_into_the_window_as_it_is_within_a_label(store_path, config, tmp_path):
    (tmp_path / "note.txt").write_text("The gate is green.")
    async with opened(store_path, config) as session:
        part = await session.attach(tmp_path / "note.txt", name="note.txt")
        assert part == TextPart(text="[attached: note.txt]\nThe gate is green.\n[end of note.txt]")
        assert await session.files() == []


async def test_a_large_file_is_a_reference_with_what_is_in_it_and_its_content_stays_outside(store_path, config, big):
    async with opened(store_path, config) as session:
        part = await session.attach(big, name="big.txt")
        assert isinstance(part, FileRefPart)
        assert part.counted == "exact"
        assert part.size == big.stat().st_size
        assert "5,000 lines" in part.summary
        await session.send([part, TextPart(text="What is it?")])
        [item] = [item for item in (await session.context()).items if item.kind == "file"]
        assert item.text.startswith(f"[file {part.file_id} · big.txt · text/plain · ")
        assert item.tokens < 300
        [record] = await session.files()
        assert (record.id, record.name, record.path, record.kept) == (part.file_id, "big.txt", str(big), False)
        assert record.hash.startswith("sha256:")


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"id": range(900), "city": "Oslo"}),
        pa.table({"id": list(range(900)), "city": ["Oslo"] * 900}),
    ],
)
async def test_a_table_becomes_csv_and_is_kept(store_path, config, table):
    async with opened(store_path, config) as session:
        part = await session.attach(table, name="cities")
        assert isinstance(part, FileRefPart)
        assert "900 rows" in part.summary
        [record] = await session.files()
        assert record.kept
        assert record.path is None


async def test_an_index_that_says_something_is_a_column_of_the_csv(store_path, config):
    async with opened(store_path, config) as session:
        part = await session.attach(pd.DataFrame({"n": [1]}, index=pd.Index(["a"], name="key")))
        assert isinstance(part, TextPart)
        assert "key,n\na,1" in part.text


async def test_the_same_content_is_kept_once_whole_and_under_its_hash(store_path, config, big, tmp_path):
    async with opened(store_path, config) as session:
        await session.attach(big, keep="copy")
        await session.attach(big.read_bytes(), name="again")
        first, second = await session.files()
        assert first.hash == second.hash
        kept = copies(tmp_path / "kept")
        assert [each.read_bytes() for each in kept] == [big.read_bytes()]
        assert first.hash == f"sha256:{kept[0].name}"


async def test_a_folder_that_cannot_be_written_is_said(store_path, big, tmp_path):
    (tmp_path / "taken").write_text("a file")
    config = MnesisConfig(file=FileConfig(inline_threshold=10, storage_dir=tmp_path / "taken"))
    async with opened(store_path, config) as session:
        with pytest.raises(FileError, match="storage_dir"):
            await session.attach(big, keep="copy")
        assert await session.files() == []


async def test_an_unknown_keep_is_refused(store_path, config, big):
    async with opened(store_path, config) as session:
        with pytest.raises(InputError, match="'reference' or 'copy'"):
            await session.attach(big, keep="somewhere")


async def test_secrets_in_what_is_told_of_a_file_are_blotted_out(store_path, config, tmp_path):
    key = "sk-ant-api03-" + "a1B2" * 20
    (tmp_path / "keys.py").write_text(f'KEY = "{key}"\n' + "x = 1\n" * 300)
    async with opened(store_path, config) as session:
        part = await session.attach(tmp_path / "keys.py")
        assert isinstance(part, FileRefPart)
        assert key not in part.summary


async def test_what_is_stored_of_a_file_never_changes(store_path, config, big):
    async with opened(store_path, config) as session:
        await session.attach(big)
    with closing(sqlite3.connect(store_path)) as cx:
        for statement in ("UPDATE file SET name = 'x'", "DELETE FROM file"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                cx.execute(statement)


async def test_files_are_there_again_after_a_load_and_only_in_their_session(store_path, config, big):
    async with opened(store_path, config) as session:
        part = await session.attach(big)
        assert isinstance(part, FileRefPart)
    async with await MnesisSession.load(session.id, db_path=store_path, llm=ScriptedProvider([])) as again:
        assert [each.id for each in await again.files()] == [part.file_id]
        assert part.file_id in (await again.describe(part.file_id)).sentence
    async with opened(store_path, config) as other:
        with pytest.raises(NotFound):
            await other.describe(part.file_id)


# -- what a model says of it ------------------------------------------------------------------------------------------


async def test_a_model_describes_prose_where_one_is_set(store_path, tmp_path, big):
    config = MnesisConfig(file=FileConfig(inline_threshold=10, exploration_summary_model="test/other"))
    provider = ScriptedProvider(["A story in five thousand lines."], limits=LIMITS)
    async with opened(store_path, config, provider) as session:
        part = await session.attach(big)
        assert isinstance(part, FileRefPart)
        assert "in the words of test/other: A story in five thousand lines." in part.summary
        assert "line 1 of the story" in str(provider.requests[0].messages)


async def test_where_the_model_fails_what_was_found_without_one_is_there(store_path, big):
    config = MnesisConfig(file=FileConfig(inline_threshold=10, exploration_summary_model="test/other"))
    async with opened(store_path, config, ScriptedProvider([])) as session:
        part = await session.attach(big)
        assert isinstance(part, FileRefPart)
        assert "5,000 lines" in part.summary
        assert "in the words of" not in part.summary


# -- the model reads on -----------------------------------------------------------------------------------------------


async def test_tools_to_read_are_offered_once_the_window_refers_to_a_file(store_path, config, big):
    provider = ScriptedProvider(["Hm."], cycle=True, limits=LIMITS)
    async with opened(store_path, config, provider) as session:
        await session.send("Hello.")
        part = await session.attach(big)
        await session.send([part, TextPart(text="Read.")])
        await session.send("And now?")
        offered = [{spec["function"]["name"] for spec in request.tools} for request in provider.requests]
        assert offered == [set(), *[{"mnesis_read_file", "mnesis_search_file"}] * 2]


async def test_a_file_is_read_from_any_line_and_says_where_it_goes_on(store_path, config, big):
    [page] = await answers(store_path, config, big, ("mnesis_read_file", {"start": 4_000, "lines": 2}))
    assert "line 4,000 to line 4,001; more follows from line 4002".replace(",", "") in page.replace(",", "")
    assert "\nline 4000 of the story\nline 4001 of the story\n[end of file_" in page


async def test_pages_of_a_file_put_together_are_the_file(store_path, config, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("é" * 9_000 + "\nsecond\n" + "word " * 9_000)
    got, start, offset = "", 1, 0
    for _ in range(60):
        [page] = await answers(store_path, config, path, ("mnesis_read_file", {"start": start, "offset": offset}))
        head, _, rest = page.partition("]\n")
        body = rest.rpartition("\n[end of ")[0]
        got += body
        if "more follows: " not in head:
            break
        values = dict(each.split("=") for each in head.partition("more follows: ")[2].split(", "))
        offset = int(values.get("offset", 0))
        got += "\n" * (int(values["start"]) > start and not got.endswith("\n"))
        start = int(values["start"])
    assert "".join(got.split()) == "".join(path.read_text().split())


async def test_beyond_the_end_of_a_file_it_is_said_how_long_it_is(store_path, config, big):
    [page] = await answers(store_path, config, big, ("mnesis_read_file", {"start": 9_000}))
    assert "nothing there" in page


async def test_a_search_gives_lines_with_their_numbers_in_any_case(store_path, config, big):
    [found] = await answers(store_path, config, big, ("mnesis_search_file", {"pattern": r"LINE 49\d9 of"}))
    assert "10 matching lines" in found
    assert "\n4909: line 4909 of the story\n" in found


@pytest.mark.parametrize(
    ("pattern", "told"), [("(", "no regular expression"), (3, "not usable"), ("nowhere", "nothing matches")]
)
async def test_a_search_that_finds_nothing_or_makes_no_sense_is_told(store_path, config, big, pattern, told):
    [found] = await answers(store_path, config, big, ("mnesis_search_file", {"pattern": pattern}))
    assert told in found


async def test_a_pattern_that_takes_for_ever_is_given_up(store_path, config, tmp_path):
    (tmp_path / "a.txt").write_text("a" * 5_000 + "!\n" * 500)
    [found] = await answers(
        store_path, config, tmp_path / "a.txt", ("mnesis_search_file", {"pattern": "(a|a)+(a|a)+$"})
    )
    assert "took too long" in found


async def test_what_stands_across_two_pieces_of_a_huge_line_is_found(store_path, config, tmp_path):
    (tmp_path / "a.txt").write_text("x" * 65_530 + "the needle" + "y" * 100_000)
    [found] = await answers(store_path, config, tmp_path / "a.txt", ("mnesis_search_file", {"pattern": "the needle"}))
    assert "1, character 65530" in found


async def test_an_answer_keeps_to_its_share_of_the_window(store_path, config, big):
    page, found = await answers(
        *(store_path, config, big),
        ("mnesis_read_file", {"lines": 5_000}),
        ("mnesis_search_file", {"pattern": "line"}),
    )
    for answer in (page, found):
        assert counter_for("test/scripted").count(answer) <= 4_000


async def test_an_id_that_is_no_file_is_told_to_the_model(store_path, config, big):
    [told] = await answers(store_path, config, big, ("mnesis_read_file", {"id": "file_nothing"}))
    assert "has none of this id" in told


async def test_data_without_text_is_not_read_as_text(store_path, config, tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 100)
    [told] = await answers(store_path, config, tmp_path / "a.bin", ("mnesis_read_file", {}))
    assert "holds no text" in told


# -- files that change ------------------------------------------------------------------------------------------------


def rewritten(path: Path, *, keep_time: bool = False):
    """Change a file, to one of the same size."""

    def change() -> None:
        times = path.stat()
        path.write_bytes(path.read_bytes().replace(b"story", b"STORY"))
        if keep_time:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    return change


@pytest.mark.parametrize("keep_time", [False, True])
async def test_a_file_that_has_changed_is_read_as_it_is_now_and_that_is_said(store_path, config, big, keep_time):
    [page] = await answers(
        *(store_path, config, big), ("mnesis_read_file", {"lines": 1}), before=rewritten(big, keep_time=keep_time)
    )
    assert page.startswith("[the file has changed since it was attached, and this is what it holds now")
    assert "line 1 of the STORY" in page


async def test_a_file_that_was_only_touched_has_not_changed(store_path, config, big):
    [page] = await answers(*(store_path, config, big), ("mnesis_read_file", {"lines": 1}), before=big.touch)
    assert "changed" not in page


@pytest.mark.parametrize("name", ["mnesis_read_file", "mnesis_search_file"])
async def test_a_file_that_is_gone_is_told(store_path, config, big, name):
    [told] = await answers(store_path, config, big, (name, {"pattern": "x"}), before=big.unlink)
    assert "there is no file" in told


async def test_a_copy_is_read_whatever_becomes_of_the_file(store_path, config, big):
    [page] = await answers(store_path, config, big, ("mnesis_read_file", {"lines": 1}), keep="copy", before=big.unlink)
    assert "line 1 of the story" in page
    assert "changed" not in page


async def test_a_damaged_copy_is_never_taken_for_the_file(store_path, config, big, tmp_path):
    def damage() -> None:
        [kept] = copies(tmp_path / "kept")
        kept.write_bytes(kept.read_bytes().replace(b"story", b"STORY"))

    [told] = await answers(store_path, config, big, ("mnesis_read_file", {}), keep="copy", before=damage)
    assert "damaged" in told
    assert "STORY" not in told


async def test_a_copy_that_was_damaged_is_whole_again_once_the_file_is_attached_again(
    store_path, config, big, tmp_path
):
    async with opened(store_path, config) as session:
        part = await session.attach(big, keep="copy")
        [kept] = copies(tmp_path / "kept")
        kept.write_bytes(kept.read_bytes().replace(b"story", b"STORY"))
        assert "is damaged" in (await session.describe(part.file_id)).sentence
        await session.attach(big, keep="copy")
        assert "it is as it was" in (await session.describe(part.file_id)).sentence


async def test_describe_says_how_a_file_is_now(store_path, config, big):
    async with opened(store_path, config) as session:
        part = await session.attach(big)
        assert isinstance(part, FileRefPart)
        before = await session.describe(part.file_id)
        assert "it was never sent" in before.sentence
        assert "as it was when it was attached" in before.sentence
        await session.send([part, TextPart(text="Look.")])
        big.write_text("short")
        after = await session.describe(part.file_id)
        assert "sent in turn 0" in after.sentence
        assert "has changed" in after.sentence
        big.unlink()
        assert "cannot be read now" in (await session.describe(part.file_id)).sentence


async def test_a_file_is_found_by_its_name(store_path, config, big):
    async with opened(store_path, config) as session:
        part = await session.attach(big, name="reports/harvest.txt")
        await session.send([part, TextPart(text="Look.")])
        assert [match.kind for match in (await session.grep("harvest")).matches] == ["file"]


# -- compaction -------------------------------------------------------------------------------------------------------


async def test_invariant_4_a_summary_names_the_files_it_stands_for_and_they_can_still_be_read(
    store_path, tmp_path, big
):
    model = Model(lambda request: "I see.")
    async with await create(store_path, model, 4_000, recall="always") as session:
        part = await session.attach(big, name="big.txt")
        assert isinstance(part, FileRefPart), "it is larger than what goes in as it is"
        await session.send([part, TextPart(text="Keep this in mind.")])
        for number in range(60):
            await session.send(f"Something else, number {number}. " + "It is long. " * 40)
            await settled(session)
        items = (await session.context()).items
        assert [item for item in items if item.kind == "file"] == []
        assert any(f"{part.file_id} (big.txt)" in item.text for item in items if item.kind == "summary")
        assert "big.txt" in (await session.describe(part.file_id)).sentence
        assert (await session.verify(deep=True)).ok
        offered = (await session.preview("Hello.")).preamble[-1].text
        assert "mnesis_read_file" in offered


# -- gigabytes --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="files with holes are made otherwise there")
def test_a_file_of_three_gigabytes_is_attached_and_read_at_its_end_in_little_memory(tmp_path):
    path = tmp_path / "sparse.txt"
    with path.open("wb") as file:
        file.write(b"a line at the beginning\n" * 20_000)
        file.seek(3_000_000_000)
        file.write(b"\nthe last but one\nthe last line\n")
    program = textwrap.dedent("""
        import asyncio, resource, sys
        from pathlib import Path
        from mnesis import MnesisSession, MnesisConfig
        from mnesis.files.reading import read
        from functools import partial
        from mnesis.llm.scripted import Reply, ScriptedProvider
        from mnesis.llm.base import ModelLimits

        def peak():  # in kB. What getrusage tells began, on Linux, with the peak of the process that started this one
            status = Path("/proc/self/status")
            if status.exists():
                return int(status.read_text().partition("VmHWM:")[2].split()[0])
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        async def main():
            script = []
            limits = ModelLimits(128_000, 4_096, tools=True)
            llm = ScriptedProvider([lambda _: script.pop(0)], cycle=True, limits=limits)
            async with MnesisSession.open(model="test/x", llm=llm, db_path=":memory:") as session:
                part = await session.attach(Path(sys.argv[1]))
                arguments = {"id": part.file_id, "start": 20_002}
                script += [Reply(tool_calls=[{"name": "mnesis_read_file", "arguments": arguments}]), "Done."]
                from mnesis import TextPart
                await session.send([part, TextPart(text="Read the end.")])
                print(part.counted, part.size)
                print([each.output or each.error_message for m in await session.messages() for each in m.parts
                    if each.type == "tool" and each.finished])
                print("MB", peak() // 1024)

        asyncio.run(main())
    """)
    ran = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=250, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "estimate 3000000032" in ran.stdout
    assert "the last but one\\nthe last line" in ran.stdout
    assert int(ran.stdout.rpartition("MB ")[2]) < 400


async def test_a_fork_has_the_files_of_its_past_and_an_erasure_takes_those_of_its_session(store_path, config, big):
    async with opened(store_path, config) as session:
        part = await session.attach(big)
        assert isinstance(part, FileRefPart)
        await session.send([part, TextPart(text="Look.")])
        await session.attach(big, name="not in the past")
        fork = await session.fork(turn=0)
        assert [each.id for each in await fork.files()] == [part.file_id]
        await fork.close()
    async with opened(store_path, config) as other:
        await other.attach(big)
    await erase(other.id, db_path=store_path)
    with closing(sqlite3.connect(store_path)) as cx:
        assert cx.execute("SELECT count(*) FROM file WHERE session_id = ?", (other.id,)).fetchone() == (0,)
