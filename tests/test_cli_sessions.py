"""`mnesis sessions`, `show`, `grep`, `export` and `verify`, from outside and in."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnesis import MnesisSession, TextPart, ToolPart, ToolStatus
from mnesis.cli import main

PROGRAM = Path(sys.executable).with_name("mnesis")


@pytest.fixture
async def store(store_path):
    call = ToolPart(
        tool_name="look", tool_call_id="c1", input={"at": "it"}, output="It is blue.", status=ToolStatus.COMPLETED
    )
    async with MnesisSession.open(model="offline/quote", db_path=store_path, title="talk") as session:
        await session.record("My name is Ada.", [TextPart(text="Let me look."), call, TextPart(text="Hello, Ada.")])
        await session.record("An evil \x1b]0;title\x07 word.", "Second answer.")
    async with MnesisSession.open(model="offline/quote", db_path=store_path, title="other") as session:
        await session.record("Where is the heron?", "In the reeds.")
    return store_path


def run(*args: object):
    return CliRunner().invoke(main, [str(each) for each in args])


def told(*args: object):
    done = run(*args)
    assert done.exit_code == 0, done.output
    return done.stdout


def contents(store: Path) -> list[object]:
    tables = "session turn message part view context_item event summary tombstone".split()
    connection = sqlite3.connect(store)
    try:
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]
    finally:
        connection.close()


def test_the_real_command_lists_the_sessions_of_the_store_in_the_environment(store):
    done = subprocess.run(
        [PROGRAM, "sessions"],
        env=os.environ | {"MNESIS_DB": str(store)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert " other " in first
    assert " talk " in second
    assert "2 turns" in second


def test_the_command_needs_nothing_of_jupyter_and_no_provider(store):
    code = f"""
import sys
from mnesis.cli import main
main(["show", "talk", "--db", {str(store)!r}], standalone_mode=False)
assert not {{"pandas", "IPython", "ipywidgets", "litellm", "mnesis_jupyter"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Hello, Ada." in done.stdout


def test_looking_changes_nothing(store):
    before = contents(store)
    for args in (["sessions"], ["show", "talk"], ["grep", "Ada"], ["export", "talk"], ["verify", "--deep"]):
        told(*args, "--db", store)
    assert contents(store) == before


def test_sessions_as_json_say_what_they_hold(store):
    newest, oldest = json.loads(told("sessions", "--json", "--db", store))
    assert (newest["title"], oldest["title"], oldest["turns"]) == ("other", "talk", 2)
    assert len(json.loads(told("sessions", "--json", "-n", 1, "--db", store))) == 1


def test_show_prints_what_was_said_and_no_control_characters(store):
    text = told("show", "talk", "--db", store)
    assert text.startswith("talk · offline/quote · 2 turns")
    assert "[0] user\nMy name is Ada." in text
    assert '(tool) look({"at":"it"})' in text.replace('": "', '":"')
    assert "It is blue." in text
    assert "␛]0;title␇" in text
    assert "\x1b" not in text
    assert "My name" not in told("show", "talk", "-n", 1, "--db", store)


def test_show_takes_an_id_as_well_and_gives_json(store):
    id = json.loads(told("sessions", "--json", "--db", store))[1]["id"]
    shown = json.loads(told("show", id, "--json", "--db", store))
    assert shown["title"] == "talk"
    assert [message["role"] for message in shown["messages"]] == ["user", "assistant", "user", "assistant"]


def test_grep_finds_in_all_sessions_and_says_by_its_exit_code_whether(store):
    assert "other [0] user: Where is the heron?" in told("grep", "heron", "--db", store)
    assert len(json.loads(told("grep", "-e", "(Ada|heron)", "--json", "--db", store))) >= 3
    assert run("grep", "-e", "heron", "-s", "talk", "--db", store).exit_code == 1
    wrong = run("grep", "-e", "(", "--db", store)
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("Error: ")


def test_what_is_exported_can_be_taken_in_again(store, tmp_path):
    target = tmp_path / "talk.jsonl"
    assert told("export", "talk", "-o", target, "--db", store) == ""
    assert target.read_text("utf-8") == told("export", "talk", "--db", store)

    async def roles_of_a_session_that_begins_with_it() -> list[str]:
        async with await MnesisSession.from_messages(target, model="offline/quote", db_path=tmp_path / "new.db") as it:
            return [message.role for message in await it.messages()]

    assert asyncio.run(roles_of_a_session_that_begins_with_it()) == ["user", "assistant", "user", "assistant"]
    roles = [message["role"] for message in json.loads(told("export", "talk", "--format", "openai", "--db", store))]
    assert roles[:2] == ["system", "user"]
    unwritable = run("export", "talk", "-o", tmp_path / "no" / "where.jsonl", "--db", store)
    assert unwritable.exit_code == 1
    assert "cannot be written" in unwritable.stderr


def test_verify_says_which_session_is_whole_and_which_is_not(store):
    assert told("verify", "--db", store).count("  ok") == 2
    connection = sqlite3.connect(store)
    (guard,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'turn_ends_once'").fetchone()
    connection.execute("DROP TRIGGER turn_ends_once")
    connection.execute("UPDATE turn SET request_hash = 'wrong' WHERE model = 'offline/quote' AND idx = 1")
    connection.execute(guard)
    connection.commit()
    connection.close()
    done = run("verify", "--db", store)
    assert done.exit_code == 1
    assert "1 problem" in done.stdout
    assert "turn 1" in done.stdout
    assert run("verify", "other", "--db", store).exit_code == 0
    assert sorted(map(len, json.loads(run("verify", "--json", "--db", store).stdout).values())) == [0, 1]


@pytest.mark.parametrize("command", [["sessions"], ["show", "a"], ["grep", "a"], ["export", "a"], ["verify"]])
def test_a_store_that_is_not_there_is_one_line_and_none_is_made(command, tmp_path):
    empty, noise = tmp_path / "empty.db", tmp_path / "noise.db"
    empty.touch()
    noise.write_text("not a database, " * 100)
    for path in (tmp_path / "missing" / "a.db", empty, noise):
        done = run(*command, "--db", path)
        assert done.exit_code == 1
        assert done.stdout == ""
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
        assert path.name in done.stderr
    assert not (tmp_path / "missing").exists()
    assert empty.stat().st_size == 0


def test_a_session_that_is_not_there_is_named(store):
    done = run("show", "nobody", "--db", store)
    assert done.exit_code == 1
    assert "no session 'nobody'" in done.stderr


# -- erasing ----------------------------------------------------------------------------------------------------------


def id_of(store, title):
    return next(each["id"] for each in json.loads(told("sessions", "--json", "--db", store)) if each["title"] == title)


def asked(store, *arguments, answer):
    return CliRunner().invoke(main, ["erase", *arguments, "--db", str(store)], input=answer)


def test_erase_asks_first_and_a_no_changes_nothing(store):
    before = contents(store)
    done = asked(store, id_of(store, "talk"), answer="n\n")
    assert done.exit_code == 1
    assert f"Delete talk · 2 turns · {id_of(store, 'talk')} for good? [y/N]" in done.output
    assert contents(store) == before


def test_erase_says_what_went_and_only_that_goes(store):
    id = id_of(store, "talk")
    done = asked(store, id, answer="y\n")
    assert done.exit_code == 0, done.output
    assert re.search(
        rf"erased {id}, begun on \d{{4}}-\d\d-\d\d: 2 turns, 4 messages, 0 summaries, 0 copies of files", done.output
    )
    assert [each["title"] for each in json.loads(told("sessions", "--json", "--db", store))] == ["other"]
    assert "was erased on" in asked(store, id, answer="n\n").output
    assert f"erased {id}" in told("erase", id, "--yes", "--db", store)


@pytest.mark.parametrize(
    ("id", "said"), [("talk", "no session 'talk'"), ("sess_" + "0" * 26, "check the id and the db_path")]
)
def test_what_is_no_session_is_not_erased(store, id, said):
    before = contents(store)
    done = asked(store, id, answer="y\n")
    assert (done.exit_code, contents(store)) == (1, before)
    assert said in done.output
    assert "Error: session_id='talk' is not a session id" in run("erase", "talk", "--yes", "--db", store).output


async def test_a_session_that_others_stand_on_is_not_erased(store):
    session = await MnesisSession.load(await asyncio.to_thread(id_of, store, "talk"), db_path=store)
    fork = await session.fork()
    await fork.close()
    await session.close()
    done = await asyncio.to_thread(run, "erase", session.id, "-y", "--db", store)
    assert done.exit_code == 1
    assert f"Error: {fork.id} stand on session {session.id}" in done.output
