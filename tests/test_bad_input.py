"""Bad input: each a typed error whose sentence names the value, nothing lost, and the session usable afterwards."""

import asyncio
import contextlib
import os
import re
import sqlite3
import sys
import time

import pytest
from workers import run

from mnesis import (
    ConfigError,
    ContextOverflow,
    Corrupt,
    InputError,
    Locked,
    MnesisConfig,
    MnesisError,
    MnesisSession,
    NotFound,
    ReadOnly,
    ReasoningPart,
    SchemaVersion,
    SessionNotFoundError,
    StoreError,
    TextPart,
    TokenUsage,
    ToolPart,
    ToolStatus,
)
from mnesis.llm.scripted import ScriptedProvider


def create(path, **options):
    options.setdefault("llm", ScriptedProvider(["fine"], cycle=True))
    options.setdefault("model", "offline/quote")
    return MnesisSession.create(db_path=path, **options)


def load(id, path, **options):
    return MnesisSession.load(id, db_path=path, llm=ScriptedProvider(["fine"], cycle=True), **options)


@contextlib.contextmanager
def sql(path):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@contextlib.asynccontextmanager
async def unharmed(path, **options):
    """A session with one turn, that must have exactly this turn afterwards, and work."""
    session = await create(path, **options)
    await session.send("before")
    yield session
    assert [message.text for message in await session.messages()] == ["before", "fine"]
    assert (await session.send("after")).turn == 1
    assert len(await session.messages()) == 4
    assert len(session.history()) == 2
    await session.close()


# -- messages ----------------------------------------------------------------------------------------------------

LOOP: dict = {}
LOOP["self"] = LOOP
DEEP: dict = {}
for _ in range(400):
    DEEP = {"deeper": DEEP}


def call_with(input):
    return [ToolPart(tool_name="f", tool_call_id="1", input=input)]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("", "message='' says nothing"),
        (" \n\t ", r"message=' \n\t ' says nothing"),
        ([], "message=[] says nothing"),
        ([TextPart(text=" ")], "says nothing"),
        (5, "message is a int (5)"),
        (None, "message is a NoneType (None)"),
        (b"bytes", "message is a bytes (b'bytes')"),
        ({"type": "text", "text": "x"}, "message is a dict"),
        ([5], "message[0]=5"),
        (["text"], "message[0]='text'"),
        ([{"type": "text"}], "message[0"),
        ([{"type": "nonsense", "text": "x"}], "nonsense"),
        ([{"type": "text", "text": "x", "extra": 1}], "extra"),
        ([{"type": "text", "text": "fine"}, {"type": "tool", "tool_name": "f"}], "message[1"),
        ("lone \ud83d surrogate", "lone surrogate (U+D83D) at position 5"),
        ([TextPart(text="fine"), TextPart(text="\udcff")], "message[1].text has a lone surrogate (U+DCFF)"),
        (call_with({"a": "\ud800"}), "message[0].input has a lone surrogate"),
        (call_with({"a": object()}), "message[0].input cannot be kept as JSON"),
        (call_with(LOOP), "message[0].input cannot be kept as JSON"),
        (call_with(DEEP), "message[0].input cannot be kept as JSON"),
        (call_with({"a": 10**5_000}), "message[0].input cannot be kept as JSON"),
    ],
    ids=range(21),
)
async def test_a_message_that_is_none_is_refused(message, said, store_path):
    async with unharmed(store_path) as session:
        with pytest.raises(InputError, match=re.escape(said)):
            await session.send(message)
        with pytest.raises(InputError, match=re.escape(said.replace("message", "user_message"))):
            await session.record(message, "answer")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (ReasoningPart(text="Hm."), "message[1] is a ReasoningPart, and a user's message has none"),
        (ToolPart(tool_name="f", tool_call_id="1"), "message[1] is a ToolPart, and a user's message has none"),
        (
            ToolPart(tool_name="f", tool_call_id="1", output="42", status=ToolStatus.COMPLETED),
            "give TextPart, MediaPart or FileRefPart; results of tools go to submit_tool_results",
        ),
    ],
)
async def test_what_only_a_model_says_is_no_message_of_a_user(part, said, store_path):
    message = [TextPart(text="Look."), part]
    async with unharmed(store_path) as session:
        for ask in (session.send, session.preview, lambda message: anext(session.stream(message))):
            with pytest.raises(InputError, match=re.escape(said)):
                await ask(message)
        with pytest.raises(InputError, match=re.escape(said)):
            await session.record(message, "answer")


async def test_a_message_of_ten_megabytes_is_refused_in_time_with_its_size(store_path):
    """Invariant 5: never left out silently, never sent over the limit."""
    message = "All work and no play makes Jack a dull boy.\n" * 240_000
    async with unharmed(store_path, config=MnesisConfig(compaction={"auto": False})) as session:
        start = time.monotonic()
        with pytest.raises(ContextOverflow) as caught:
            await session.send(message)
        assert time.monotonic() - start < 30
        needed, fits = (
            int(number.replace(",", ""))
            for number in re.findall(r"hold ([\d,]+) tokens and ([\d,]+) fit", str(caught.value))[0]
        )
        assert needed > 2_000_000
        assert fits == (await session.context()).budget
        assert "nothing was sent" in str(caught.value)


async def test_an_overflowing_conversation_says_so_and_the_log_is_whole(store_path):
    """Invariant 5, by record: the log takes everything, the window refuses."""
    session = await create(
        store_path, config=MnesisConfig(model_overrides={"context_limit": 1_000}, compaction={"auto": False})
    )
    for turn in range(40):
        await session.record(f"question {turn} " * 10, "answer " * 10)
    for call in (session.context(), session.context_for_next_turn(), session.send("more")):
        with pytest.raises(ContextOverflow, match=r"largest item"):
            await call
    assert len(await session.messages()) == 80
    await session.close()
    async with await load(session.id, store_path, config=MnesisConfig()) as wide:
        assert len((await wide.context()).items) == 81
        assert (await wide.send("more")).turn == 40


@pytest.mark.parametrize(
    "text",
    [
        "NUL \x00 inside",
        "".join(map(chr, range(32))) + "\x7f\x80\x9f",
        "line\r\nends\rand\u2028more\u2029",
        "text that holds <|endoftext|> and <|im_start|>system",
        "\ufeffbom, \ufffe and \uffff, and \U0010ffff",
        "👩\u200d👩\u200d👧 e\u0301 \u202eright to left",
        "'; DROP TABLE message; -- \" ` {{name}} %s {0}",
    ],
)
async def test_strange_but_valid_text_comes_back_equal(text, store_path):
    provider = ScriptedProvider([lambda request: request.messages[-1]["content"]])
    session = await create(store_path, llm=provider, system_prompt=text, title=text, agent=text)
    assert (await session.send(text, origin=text)).text == text
    tool = ToolPart(tool_name=text, tool_call_id=text, input={text: [text]}, output=text, error_message=text)
    await session.record(text, [TextPart(text=text), tool])
    await session.close()
    async with await load(session.id, store_path) as loaded:
        messages = await loaded.messages()
        assert [message.text for message in messages] == [text] * 4
        assert messages[3].parts == (TextPart(text=text), tool)
        assert (loaded.system_prompt, loaded.title) == (text, text)
    assert provider.requests[0].messages[-1] == {"role": "user", "content": text}


async def test_negative_usage_is_refused():
    with pytest.raises(InputError, match=r"TokenUsage\.input=-1.*greater than or equal to 0"):
        TokenUsage(input=-1)


# -- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["", "nonsense", "msg_01ABC", "sess_", None, 5, "sess_\ud800"])
async def test_a_malformed_session_id_is_refused_by_name(id, store_path):
    await (await create(store_path)).close()
    with pytest.raises(InputError, match="session_id"):
        await load(id, store_path)


@pytest.mark.parametrize(
    "id", ["sess_01M0000000000000000000000", "sess_../../etc/passwd", "sess_\x00", "sess_' OR 1=1"]
)
async def test_an_unknown_session_id_is_not_found(id, store_path):
    await (await create(store_path)).close()
    before = sorted(store_path.parent.rglob("*"))
    with pytest.raises(SessionNotFoundError, match=re.escape(repr(id))):
        await load(id, store_path)
    assert sorted(store_path.parent.rglob("*")) == before


@pytest.mark.parametrize("wrong", [{"llm": 5}, {"pool": 5}])
async def test_what_is_no_provider_or_no_store_is_refused_on_every_way_to_a_session(wrong, store_path):
    session = await create(store_path)
    for way in (
        lambda: MnesisSession.create(model="offline/quote", db_path=store_path, **wrong),
        lambda: MnesisSession.load(session.id, db_path=store_path, **wrong),
        lambda: session.replay(**wrong),
    ):
        with pytest.raises(InputError, match=rf"^{next(iter(wrong))}=5 is no .*; give "):
            await way()
    await session.close()


@pytest.mark.parametrize("prompt", [5, b"x"])
async def test_a_system_prompt_that_is_no_text_is_refused_wherever_it_is_given(prompt, store_path):
    session = await create(store_path)
    for ask in (
        session.send("x", system_prompt=prompt),
        session.preview("x", system_prompt=prompt),
        session.context_for_next_turn(system_prompt=prompt),
    ):
        with pytest.raises(InputError, match=r"system_prompt=.* is a \w+; give a str"):
            await ask
    await session.close()


@pytest.mark.parametrize(
    ("event", "handler", "said"),
    [
        ("nonsense", print, r"event='nonsense' is not known; there are: session\.created, "),
        ([], print, r"event=\[\] is not known"),
        (None, 5, "handler=5 is a int"),
    ],
)
async def test_one_can_only_subscribe_to_what_happens_with_what_can_be_called(event, handler, said, store_path):
    session = await create(store_path)
    with pytest.raises(InputError, match=said):
        session.subscribe(event, handler)
    await session.close()


@pytest.mark.parametrize("model", ["", "  ", None, 5])
async def test_a_model_that_is_none_is_refused(model, store_path):
    with pytest.raises(InputError, match=f"model={model!r}"):
        await MnesisSession.create(model=model, db_path=store_path)
    assert not store_path.exists()


@pytest.mark.parametrize("argument", ["system_prompt", "agent", "title", "parent_id"])
@pytest.mark.parametrize("value", [5, "\ud800"])
async def test_an_argument_that_is_no_text_is_refused_by_name(argument, value, store_path):
    with pytest.raises(InputError, match=argument):
        await create(store_path, **{argument: value})
    assert not store_path.exists()


@pytest.mark.slow
@pytest.mark.xdist_group("litellm")
@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_a_model_name_that_cannot_exist_fails_at_the_first_turn(store_path):
    session = await MnesisSession.create(model="no-such-provider/no-such-model", db_path=store_path)
    with pytest.raises(MnesisError, match="no-such"):
        await session.send("hello")
    assert [message.text for message in await session.messages()] == ["hello"]
    await session.close()


# -- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [{"store": {}}, "fast", 5])
async def test_settings_that_are_no_config_are_refused(config, store_path):
    with pytest.raises(ConfigError, match="config="):
        await create(store_path, config=config)
    await (await create(store_path)).close()
    with pytest.raises(ConfigError, match="config="):
        await load("sess_x", store_path, config=config)


# -- files -------------------------------------------------------------------------------------------------------


async def test_a_path_that_cannot_be_written_says_so(tmp_path):
    file = tmp_path / "a file"
    file.write_text("hello")
    cases = {
        file / "below.db": (ReadOnly, "a file"),
        file / "far" / "below.db": (ReadOnly, "a file"),
        tmp_path: (StoreError, "is a folder"),
        tmp_path / ("long" * 100): (ReadOnly, "too long"),
        "nul\0inside": (StoreError, "NUL"),
        "~no-such-user/s.db": (StoreError, "no-such-user"),
        5: (InputError, "db_path=5"),
    }
    if sys.platform == "linux":
        cases["/proc/mnesis.db"] = (ReadOnly, "/proc/mnesis.db")
    for path, (error, said) in cases.items():
        with pytest.raises(error, match=said):
            await create(path)
    assert file.read_text() == "hello"


async def test_names_with_a_meaning_elsewhere_are_just_names(tmp_path):
    for name in ("a b?mode=ro#x%41.db", "ünï & 'code'.db", ";drop.db"):
        session = await create(tmp_path / "new folder" / name)
        await session.send("hello")
        await session.close()
        assert (tmp_path / "new folder" / name).is_file()
        await (await load(session.id, tmp_path / "new folder" / name)).close()


@pytest.mark.parametrize(
    "content",
    [b"not a database, but a text " * 100, bytes(range(1, 256)) * 20, b"SQLite format 3\0" * 9],
    ids=["text", "bytes", "almost"],
)
async def test_a_file_that_is_not_sqlite_is_left_alone(content, store_path):
    store_path.write_bytes(content)
    for call in (create(store_path), load("sess_x", store_path)):
        with pytest.raises(StoreError, match="not an SQLite file"):
            await call
    assert store_path.read_bytes() == content
    assert list(store_path.parent.glob("sessions*")) == [store_path]


@pytest.mark.parametrize("version", [0, 1, 7])
async def test_a_database_of_another_program_is_left_alone(version, store_path):
    with sql(store_path) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute("INSERT INTO theirs VALUES ('precious')")
        other.execute(f"PRAGMA user_version = {version}")
    content = store_path.read_bytes()
    for call in (create(store_path), load("sess_x", store_path)):
        with pytest.raises(SchemaVersion, match="another program"):
            await call
    assert store_path.read_bytes() == content
    assert list(store_path.parent.glob("sessions*")) == [store_path]


async def test_a_store_of_a_newer_version_is_left_alone(store_path):
    session = await create(store_path)
    await session.close()
    with sql(store_path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA user_version = 999")
    content = store_path.read_bytes()
    for call in (create(store_path), load(session.id, store_path)):
        with pytest.raises(SchemaVersion, match=r"version 999.*upgrade"):
            await call
    assert store_path.read_bytes() == content


async def test_a_locked_database_says_so_after_the_timeout(store_path):
    config = MnesisConfig(store={"connection_timeout": 0.2})
    session = await create(store_path, config=config)
    with sql(store_path) as other:
        other.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        with pytest.raises(Locked, match=r"sessions\.db is locked.*connection_timeout"):
            await session.send("hello")
        with pytest.raises(Locked):
            await create(store_path, config=config)
        assert time.monotonic() - start < 10
        other.execute("ROLLBACK")
    assert await session.messages() == []
    assert (await session.send("hello")).turn == 0
    await session.close()


async def test_a_new_file_that_somebody_locks_says_so_after_the_timeout(store_path):
    with sql(store_path) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE t (x)")
        with pytest.raises(Locked, match="is locked"):
            await create(store_path, config=MnesisConfig(store={"connection_timeout": 0.2}))
        other.execute("ROLLBACK")
    await (await create(store_path)).close()


async def test_a_turn_whose_reply_cannot_be_stored_is_settled_by_the_next_one(store_path):
    """Invariant 10: the second transaction fails, for want of the lock; nothing stays open for ever."""
    holder = sqlite3.connect(store_path, isolation_level=None, check_same_thread=False)

    def answer(request):
        if not holder.in_transaction:
            holder.execute("BEGIN IMMEDIATE")
        return "cannot be stored"

    config = MnesisConfig(store={"connection_timeout": 0.2})
    session = await create(store_path, llm=ScriptedProvider([answer, "fine"]), config=config)
    with pytest.raises(Locked):
        await session.send("hello")
    holder.execute("ROLLBACK")
    holder.close()
    assert (await session.send("again")).turn == 1
    with sql(store_path) as connection:
        states = connection.execute("SELECT state FROM turn ORDER BY idx").fetchall()
    assert states == [("aborted",), ("committed",)]
    assert [turn.turn_index for turn in session.history()] == [0, 1]
    assert [message.text for message in await session.messages()] == ["hello", "again", "fine"]
    await session.close()


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE")
def test_a_full_disk_loses_nothing_and_the_session_goes_on_when_there_is_space(store_path):
    done = run(
        """
        import asyncio, resource, signal, sys
        from mnesis import MnesisSession, StoreError
        from mnesis.llm.scripted import ScriptedProvider

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        def limit(bytes):
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, resource.RLIM_INFINITY))

        async def main(path):
            llm = ScriptedProvider(["fine"], cycle=True)
            session = await MnesisSession.create(model="offline/quote", db_path=path, llm=llm)
            done = 0
            limit(500_000)
            try:
                while done < 1_000:
                    await session.record(f"question {done} " + "x" * 5_000, "answer")
                    done += 1
            except StoreError as error:
                print(type(error).__name__, error)
            try:
                await session.send("still full " + "y" * 20_000)
            except StoreError as error:
                print(type(error).__name__, error)
            limit(resource.RLIM_INFINITY)
            assert len(await session.conversation_messages()) == 2 * done, done
            assert (await session.send("again")).text == "fine"
            assert len(session.history()) == done + 1
            await session.close()
            async with await MnesisSession.load(session.id, db_path=path) as loaded:
                messages = await loaded.messages()
                assert len(messages) == 2 * done + 2, (len(messages), done)
                assert messages[0].text.startswith("question 0 x")
                assert messages[-1].text == "fine"

        asyncio.run(main(sys.argv[1]))
        """,
        store_path,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = done.stdout.splitlines()
    assert re.match(r"StoreError .*sessions\.db", first)
    assert re.match(r"StoreError .*sessions\.db", second)
    with sql(store_path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# -- programs that must end --------------------------------------------------------------------------------------

LOAD = """
    import asyncio, sys
    from mnesis import MnesisError, MnesisSession

    async def main(path, session_id):
        try:
            await MnesisSession.load(session_id, db_path=path)
        except MnesisError as error:
            print(type(error).__name__)

    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("case", ["no file", "no session", "no database", "somebody else's"])
def test_a_load_that_fails_leaves_no_thread_that_keeps_the_program_alive(case, store_path):
    if case == "no session":
        asyncio.run(close_soon(store_path))
    elif case == "no database":
        store_path.write_bytes(b"hello" * 1_000)
    elif case == "somebody else's":
        with sql(store_path) as other:
            other.execute("CREATE TABLE theirs (x)")
    before = sorted(store_path.parent.glob("*"))
    done = run(LOAD, store_path, "sess_01X", timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    expected = {
        "no file": "NotFound",
        "no session": "SessionNotFoundError",
        "no database": "StoreError",
        "somebody else's": "SchemaVersion",
    }
    assert done.stdout.strip() == expected[case]
    assert sorted(store_path.parent.glob("*")) == before


async def close_soon(path):
    await (await create(path)).close()


async def test_loading_from_a_file_that_is_not_there_creates_nothing(tmp_path):
    for path in (tmp_path / "none.db", tmp_path / "no folder" / "none.db"):
        with pytest.raises(NotFound, match=r"none\.db"):
            await load("sess_01X", path)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_program_that_forgets_to_close_ends_and_has_lost_nothing(store_path):
    done = run(
        """
        import asyncio, sys
        from mnesis import MnesisSession

        async def main(path):
            session = await MnesisSession.create(model="offline/quote", db_path=path)
            await session.send("My name is Alice.")
            print(session.id)

        asyncio.run(main(sys.argv[1]))
        """,
        store_path,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr

    async def look():
        async with await load(done.stdout.strip(), store_path) as session:
            return [message.role for message in await session.messages()]

    assert asyncio.run(look()) == ["user", "assistant"]


# -- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["session", "message", "part", "view", "event", "turn", "context_item"])
async def test_nothing_stored_can_be_changed_or_deleted(table, store_path):
    """Invariant 1, enforced by the file itself, whoever writes."""
    async with unharmed(store_path):
        with sql(store_path) as connection:
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(f"DELETE FROM {table}")
            for _, column, type, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if (table, column) == ("context_item", "died_view"):  # the one that may be set, once
                    continue
                value = f"{column} || 'x'" if type == "TEXT" else f"coalesce({column}, 0) + 1"
                with pytest.raises(sqlite3.IntegrityError, match=r"append-only|does not change|only dies"):
                    connection.execute(f"UPDATE {table} SET {column} = {value}")


async def a_damaged_session(path, table, change):
    session = await create(path)
    await session.send("hello")
    await session.record("look", [ToolPart(tool_name="f", tool_call_id="1", input={"a": 1})])
    await session.record("done", "yes")
    await session.close()
    with sql(path) as connection:
        connection.execute(f"DROP TRIGGER IF EXISTS {table}_stays")
        connection.execute(f"DROP TRIGGER IF EXISTS {table}_ends_once")
        connection.execute(change)
    return session.id


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("part", "UPDATE part SET data = '{\"tool_name\": \"f\"' WHERE type = 'tool'"),
        ("part", "UPDATE part SET data = '[1]' WHERE type = 'tool'"),
        ("part", "UPDATE part SET data = '{\"tool_name\": 5}' WHERE type = 'tool'"),
        ("part", "UPDATE part SET data = NULL WHERE type = 'tool'"),
        ("part", "UPDATE part SET type = 'teXt'"),
        ("part", "UPDATE part SET text = CAST(x'68ff6c' AS TEXT) WHERE text = 'hello'"),
        ("part", "UPDATE part SET text = NULL WHERE text = 'hello'"),
        ("message", "UPDATE message SET created_at = 9223372036854775807 WHERE seq = 0"),
        ("message", "UPDATE message SET turn_id = CAST(x'ff' AS TEXT) WHERE seq = 0"),
    ],
)
async def test_a_damaged_row_is_named_and_never_becomes_an_empty_text(table, change, store_path):
    id = await a_damaged_session(store_path, table, change)
    session = await load(id, store_path)
    for call in (session.messages, session.context, lambda: session.context(2), lambda: session.send("and now?")):
        with pytest.raises(Corrupt, match=rf"row '(part|msg)_\w+' of table '{table}' is damaged") as caught:
            await call()
        assert caught.value.table == table
        with sql(store_path) as connection:
            assert connection.execute(f"SELECT count(*) FROM {table} WHERE id = ?", (caught.value.id,)).fetchall() == [
                (1,)
            ]
    assert await session.events()
    await session.close()


async def test_a_damaged_event_is_named(store_path):
    id = await a_damaged_session(store_path, "event", "UPDATE event SET payload = '{' WHERE seq = 1")
    async with await load(id, store_path) as session:
        with pytest.raises(Corrupt, match=r"row 'evt_\w+' of table 'event'"):
            await session.events()
        assert len(await session.messages()) == 6


async def test_a_damaged_session_row_is_named(store_path):
    id = await a_damaged_session(store_path, "session", "UPDATE session SET config = '{\"a\"'")
    with pytest.raises(Corrupt, match=rf"row '{id}' of table 'session'"):
        await load(id, store_path)


async def test_flipped_bytes_in_the_file_are_a_typed_error_and_other_sessions_are_not_lost(store_path):
    session = await create(store_path)
    for turn in range(50):
        await session.record(f"question {turn} " + "needle " * 30, "answer")
    await session.close()
    with sql(store_path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(store_path.read_bytes())
    at = content.index(b"needle needle")
    content[at] ^= 0x80
    store_path.write_bytes(content)
    async with await load(session.id, store_path) as damaged:
        with pytest.raises(Corrupt, match="part"):
            await damaged.messages()
    async with await create(store_path) as other:
        assert (await other.send("hello")).text == "fine"


async def test_a_file_that_was_cut_short_is_a_typed_error(store_path):
    session = await create(store_path)
    for turn in range(50):
        await session.record(f"question {turn} " + "word " * 100, "answer")
    await session.close()
    with sql(store_path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(store_path, store_path.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(StoreError):
        async with await load(session.id, store_path) as damaged:
            await damaged.messages()
