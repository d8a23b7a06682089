"""An erase takes a session's content away for good, and leaves a mark."""

import asyncio
import sqlite3

import pytest
from summarisers import Model, create, fill, needle
from workers import DEADLY, output

import mnesis
from mnesis import FileConfig, MnesisConfig, MnesisSession, SessionBusy, SessionNotFoundError, StoreError


def bytes_of(path):
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(path.name + "*")) if each.is_file())


async def test_no_byte_of_an_erased_session_stays_and_others_are_whole(store_path):
    async with await create(store_path, Model(), window=4_000, title="Xylophone") as secret:
        await fill(secret, 20, start=700)
        await secret.record("The password is Quetzalcoatl; it was running.", "Noted: Quetzalcoatl.")
    async with await create(store_path, Model(), window=4_000) as other:
        await fill(other, 20)
        await other.record("He runs home.", "So he does.")
        messages = await other.messages()
        before = bytes_of(store_path)
        assert b"Quetzalcoatl" in before
        mark = await mnesis.erase(secret.id, db_path=store_path)
        assert (mark.session_id, mark.turns, mark.messages) == (secret.id, 21, 42)
        after = bytes_of(store_path)
        for word in ("quetzalcoatl", "xylophone", needle(705)[:12], "password"):
            assert word.encode() not in after.lower()
        assert needle(5).encode() in after
        with sqlite3.connect(store_path) as store:
            words = {word for (word,) in store.execute("SELECT word FROM search_word")}
            assert store.execute("SELECT turns, messages FROM erasure").fetchall() == [(21, 42)]
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                store.execute("DELETE FROM message")
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                store.execute("DELETE FROM erasure")
        assert "runs" in words
        assert not words & {"running", "quetzalcoatl", "00705"}
        assert await other.messages() == messages
        assert (await other.grep(needle(5))).matches
        assert not (await other.grep("Quetzalcoatl")).matches
        report = await other.verify(deep=True)
        assert report.ok, report
    with pytest.raises(SessionNotFoundError, match="its 21 turns were erased on"):
        await MnesisSession.load(secret.id, db_path=store_path)
    assert await mnesis.erase(secret.id, db_path=store_path) == mark


async def test_a_session_with_forks_is_not_erased_before_them_and_a_fork_takes_nothing_with_it(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        await session.record("a", "b")
        fork = await session.fork()
        await fork.record("c", "d")
        await fork.close()
        with pytest.raises(StoreError, match=f"{fork.id} stand on session .*; erase them first"):
            await mnesis.erase(session.id, db_path=store_path)
        assert (await mnesis.erase(fork.id, db_path=store_path)).messages == 2
        assert [message.text for message in await session.messages()] == ["a", "b"]
        report = await session.verify(deep=True)
        assert report.ok, report
    assert (await mnesis.erase(session.id, db_path=store_path)).turns == 1


async def test_a_session_in_a_turn_is_not_erased(store_path):
    model = Model()
    begun, gate = asyncio.Event(), asyncio.Event()
    answer = model.stream

    async def slow(request):
        begun.set()
        await gate.wait()
        async for chunk in answer(request):
            yield chunk

    model.stream = slow  # type: ignore[method-assign]
    async with await create(store_path, model) as session:
        turn = asyncio.create_task(session.send("a"))
        await begun.wait()
        with pytest.raises(SessionBusy):
            await mnesis.erase(session.id, db_path=store_path)
        gate.set()
        await turn


async def test_what_is_not_there_is_not_erased(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path):
        pass
    with pytest.raises(SessionNotFoundError, match="check the id"):
        await mnesis.erase("sess_" + "0" * 26, db_path=store_path)
    with pytest.raises(mnesis.InputError, match="session_id='x'"):
        await mnesis.erase("x", db_path=store_path)


KILLED = (
    DEADLY
    + """
import asyncio, sys
import mnesis

for count in range(0, 2000, 9):
    pid = os.fork()
    if not pid:
        deadly(count)
        asyncio.run(mnesis.erase(sys.argv[1], db_path=sys.argv[2]))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        assert os.waitstatus_to_exitcode(status) == 0
        print(count)
        break
    store = connect(sys.argv[2])
    turns = store.execute("SELECT count(*) FROM turn").fetchone()[0]
    marks = store.execute("SELECT count(*) FROM erasure").fetchone()[0]
    assert (turns, marks) in [(3, 0), (0, 1)], (turns, marks)
    store.close()
"""
)


async def test_an_erase_is_whole_or_has_not_happened_wherever_its_process_is_killed(store_path):
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        for text in ("Quetzalcoatl", "b", "c"):
            await session.record(text, text)
    await asyncio.to_thread(output, KILLED, session.id, store_path, timeout=60)
    assert b"uetzalcoatl" not in bytes_of(store_path)


async def test_what_a_session_refers_to_and_the_maps_that_it_ran_go_with_it(store_path, tmp_path):
    path = tmp_path / "Quetzalcoatl.log"
    path.write_text("INFO the temple of Quetzalcoatl opens\n" * 20_000)
    async with await MnesisSession.create(model="offline/quote", db_path=store_path) as session:
        await session.send([await session.attach(path), mnesis.TextPart(text="What opens?")])
        maps = mnesis.LLMMap(model="offline/quote", db_path=store_path, parent_id=session.id)
        await maps.run_all(["Quetzalcoatl flies."], "Who flies? {{ item }}")
    assert b"quetzalcoatl" in bytes_of(store_path).lower()
    await mnesis.erase(session.id, db_path=store_path)
    assert b"quetzalcoatl" not in bytes_of(store_path).lower()
    assert path.exists()


# -- copies of files --------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path):
    return MnesisConfig(file=FileConfig(inline_threshold=0, storage_dir=tmp_path / "kept"))


def copies(config):
    return [each.read_bytes() for each in config.file.storage_dir.rglob("*") if each.is_file() and each.stat().st_size]


async def keeping(store_path, config, *contents):
    """A session that has had these contents kept."""
    async with await MnesisSession.create(model="offline/quote", db_path=store_path, config=config) as session:
        parts = [await session.attach(content) for content in contents]
        await session.send([*parts, mnesis.TextPart(text="Keep it.")])
    return session.id


async def test_a_copy_goes_with_the_last_session_that_refers_to_it_in_any_store(store_path, config, tmp_path):
    one = await keeping(store_path, config, b"shared", b"its own", b"its own")
    two = await keeping(store_path, config, b"shared")
    other = await keeping(tmp_path / "other.db", config, b"shared")
    assert sorted(copies(config)) == [b"its own", b"shared"]

    assert (await mnesis.erase(one, db_path=store_path)).copies == 1
    assert copies(config) == [b"shared"]
    async with await MnesisSession.load(two, db_path=store_path) as session:
        [file] = await session.files()
        assert "it is as it was" in (await session.describe(file.id)).sentence
    assert (await mnesis.erase(two, db_path=store_path)).copies == 0
    assert copies(config) == [b"shared"]
    assert (await mnesis.erase(other, db_path=tmp_path / "other.db")).copies == 1
    assert copies(config) == []
    assert await keeping(store_path, config, b"shared")  # it can be kept again
    assert copies(config) == [b"shared"]


async def test_a_refused_erase_leaves_the_copies(store_path, config):
    id = await keeping(store_path, config, b"kept")
    session = await MnesisSession.load(id, db_path=store_path)
    await (await session.fork()).close()
    await session.close()
    with pytest.raises(StoreError, match="erase them first"):
        await mnesis.erase(id, db_path=store_path)
    assert copies(config) == [b"kept"]


KILLED_OVER_COPIES = """
import asyncio, os, signal, sqlite3, sys
from pathlib import Path
import mnesis
id, store, folder = sys.argv[1:]
hooked = ("os.remove", "os.rmdir", "open", "os.truncate")

def deadly(count):
    left = count
    def hook(event, arguments):
        nonlocal left
        if event in hooked and folder in str(arguments[0]) or ".erasing-" in str(arguments[:1]):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

for count in range(200):
    pid = os.fork()
    if not pid:
        deadly(count)
        asyncio.run(mnesis.erase(id, db_path=store))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        assert os.waitstatus_to_exitcode(status) == 0
        print(count)
        break
    with sqlite3.connect(store) as cx:
        rows = cx.execute("SELECT count(*) FROM file WHERE session_id = ?", (id,)).fetchone()[0]
    kept = [path.read_bytes() for path in Path(folder).rglob("*") if path.is_file() and path.stat().st_size]
    assert b"shared" in kept
    assert not rows or b"its own" in kept, "a copy went before the row that refers to it"
"""


async def test_no_copy_goes_before_its_session_nor_stays_after_it_wherever_the_process_is_killed(store_path, config):
    id = await keeping(store_path, config, b"shared", b"its own")
    await keeping(store_path, config, b"shared")
    told = await asyncio.to_thread(output, KILLED_OVER_COPIES, id, store_path, config.file.storage_dir, timeout=120)
    assert int(told) > 5
    assert copies(config) == [b"shared"]
    assert not list(store_path.parent.glob("*.erasing-*"))
