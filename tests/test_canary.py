"""A key goes in by every door there is, and no piece of it comes out by any other: whatever a hostile server echoes."""

import asyncio
import contextlib
import itertools
import json
import logging
import re
import threading
import traceback
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from notebook_shell import Ran, opened
from openai_server import Answer, OpenAIServer, refuse, wrong_key

from mnesis import CompactionConfig, MnesisConfig, MnesisSession
from mnesis.errors import MnesisError, Unavailable
from mnesis.events.payloads import TurnFailedPayload
from mnesis.llm.base import Chunk, ModelLimits, Request, TextChunk
from mnesis.llm.litellm import LiteLLMProvider
from mnesis.models.config import RetryConfig, SessionConfig
from mnesis_jupyter import frames

pytestmark = pytest.mark.xdist_group("litellm")

MODEL, CLAUDE = "openai/gpt-4o", "anthropic/claude-sonnet-4-5"
PREFIXED = "sk-proj-Qx7Kd9Lm2Rw5Tz8Vb3Nc6Yh4"
ODD = "Zp4/Wd8+Gk2=Hn6.Ju9_Mt3Xr7Ls5Ba1"
PUBLIC = "sk-proj-"
"""What every key of a provider begins with."""


def pieces_of(key: str) -> set[str]:
    """Six characters in a row, anywhere beyond the public prefix."""
    own = key.removeprefix(PUBLIC)
    return {own[at : at + 6] for at in range(len(own) - 5)}


def assert_clean(*shown: object) -> None:
    """No piece of a key is in any of these."""
    for each in shown:
        text = each.decode("latin-1") if isinstance(each, bytes) else str(each)
        found = sorted(piece for key in (PREFIXED, ODD) for piece in pieces_of(key) if piece in text)
        assert not found, f"{found} in {_around(text, found[0])}"


def _around(text: str, piece: str) -> str:
    at = text.index(piece)
    return repr(text[max(0, at - 200) : at + 60])


def echoes(key: str) -> list[Answer]:
    """Every way in which a server may show the key it was given, as an error of each kind."""
    quoted, odd = urllib.parse.quote(key, safe=""), json.dumps(key)[1:-1].replace("/", "\\/")
    said = [
        key,
        f"Bearer {key}",
        f"'{key}'",
        f"key={key}&alt=sse",
        f"https://127.0.0.1/v1/x?key={quoted}",
        f"{key[:12]}…",
        f"…{key[-12:]}",
        f"…{key[10:20]}…",
        f"{key[:14]}{'*' * 12}{key[-8:]}",
        f"x{key}x,{key}",
        odd,
    ]
    statuses = [401, 403, 400, 404, 422, 429, 500, 503]
    answers = [refuse(statuses[at % len(statuses)], f"refused: {text}") for at, text in enumerate(said)]
    header = {"x-echo": key, "retry-after": "0", "location": f"http://127.0.0.1:9/?key={quoted}"}
    answers += [wrong_key(key), Answer(status=500, body=f"<html>{key}</html>", headers=header)]
    answers += [Answer(status=401, body={"detail": {"headers": {"authorization": f"Bearer {key}"}}}, headers=header)]
    answers += [Answer(status=307, body="moved", headers=header)]
    answers += [Answer("one two", fault=fault, headers={"x-echo": key}) for fault in ("reset", "malformed", "eof")]
    return answers


def everything_in(error: BaseException, *, with_locals: bool = True) -> str:
    """An error as anybody could show it: with its causes, their contents, and the values in our frames.

    Without those where the caller passed the key in the call itself: `send` has its arguments in its frame.
    """
    texts = ["".join(traceback.format_exception(error))]
    shown = traceback.TracebackException.from_exception(error, capture_locals=with_locals)
    # The test's own frames hold the key in their locals: what comes after them is ours.
    own = r'  File "[^"]*(?:test_canary|asyncio/\w+|contextlib)\.py"(?:.|\n)*?(?=\n  File|\n\S|\Z)'
    texts.append(re.sub(own, "", "".join(shown.format())))
    rest = [error]
    while rest:
        one = rest.pop()
        texts += [str(one), repr(one), repr(one.args), repr(vars(one)), repr(getattr(one, "__notes__", None))]
        rest += [other for other in (one.__cause__, one.__context__) if other is not None]
    return "\n".join(texts)


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that any library logs, checked at the end."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    for record in caplog.get_records("call"):
        assert_clean(record.getMessage(), record.args, record.exc_text, record.name)
        if record.exc_info and record.exc_info[1]:
            assert_clean("".join(traceback.format_exception(record.exc_info[1])))


@pytest.fixture(autouse=True)
def prints(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Everything that is printed, checked at the end."""
    yield
    assert_clean(*capfd.readouterr())


def provider_by(
    door: str, key: str, server: OpenAIServer, model: str, monkeypatch: pytest.MonkeyPatch
) -> LiteLLMProvider:
    """A provider that has its key by this door."""
    base = server.anthropic_url if model == CLAUDE else server.url
    settings: dict[str, Any] = {"api_base": base, "timeout": 20, "idle_timeout": 5}
    match door:
        case "argument":
            settings["api_key"] = key
        case "environment":
            monkeypatch.setenv("ANTHROPIC_API_KEY" if model == CLAUDE else "OPENAI_API_KEY", key)
        case "header":
            name = "X-Gateway" if model == CLAUDE else "Authorization"
            settings |= {"api_key": "none", "extra_headers": {name: f"Bearer {key}"}}
        case "params":
            settings["api_key"] = "none"
    return LiteLLMProvider(**settings)


# -- a session ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@pytest.mark.parametrize("key", [PREFIXED, ODD])
@pytest.mark.parametrize("door", ["argument", "environment", "header", "params"])
async def test_no_piece_of_a_key_leaves_a_session(openai_server, store_path, monkeypatch, door, key, model):
    provider = provider_by(door, key, openai_server, model, monkeypatch)
    params = {"api_key": key} if door == "params" else {}
    told: list[object] = []
    openai_server.answers = [Answer("Hello.", headers={"x-echo": key}), *echoes(key)]
    config = MnesisConfig(session=SessionConfig(retry=RetryConfig(max_retries=1, base_delay=0)))
    async with MnesisSession.open(model=model, db_path=store_path, llm=provider, config=config) as session:
        session.subscribe(None, lambda event, payload: told.append((event, payload, payload.model_dump_json())))
        assert (await session.send("hi", params=params)).text == "Hello."
        assert key in str(openai_server.requests[0].headers), "the key did not arrive"
        while openai_server.answers:  # a turn takes more than one of them where it is tried again
            with pytest.raises(MnesisError) as caught:
                await session.send("a question", params=params)
            assert_clean(everything_in(caught.value, with_locals=door != "params"))
        assert "llm.retry" in str(told)
        assert_clean(*told, provider, session, vars(session), session.config, repr(session.event_bus))
        assert_clean(await session.messages(), await session.events(), session.history(), await session.context())
        assert_clean(*_files(store_path))
    await asyncio.sleep(0.1)  # litellm logs in tasks of its own
    assert_clean(*_files(store_path), *_frames(store_path))


def _files(store: Path) -> list[bytes]:
    """The store with all that lies beside it: the write-ahead log, the lock files."""
    beside = [path for path in store.parent.rglob("*") if path.is_file()]
    assert store in beside
    return [path.read_bytes() + str(path).encode() for path in beside]


def _frames(store: Path) -> list[str]:
    return [make(db=store).to_csv() for make in (frames.sessions, frames.turns, frames.messages, frames.events)]


async def test_a_summariser_that_fails_tells_nothing(openai_server, store_path, monkeypatch):
    provider = provider_by("argument", ODD, openai_server, MODEL, monkeypatch)
    config = MnesisConfig(compaction=CompactionConfig(auto=False))
    hours = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in itertools.count())
    clock = partial(next, hours)  # each failure closes the door to the summariser for a while
    async with MnesisSession.open(model=MODEL, db_path=store_path, llm=provider, config=config, clock=clock) as session:
        for number, answer in enumerate(echoes(ODD)[::5]):
            for _ in range(2):
                await session.send(f"fact {number}: " + "words and more words " * 150)
            openai_server.answers = [answer]
            await session.compact()
            assert not openai_server.answers, f"the summariser was not asked: {number}"
        failed = [record for record in await session.events() if record.event.value == "compaction.failed"]
        assert failed
        assert_clean(await session.events(), await session.summaries(), await session.messages())
        assert_clean(*_files(store_path))
    assert_clean(*_files(store_path), *_frames(store_path))


class Careless:
    """A provider of somebody's own, which tells its key in its errors."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def limits(self, model: str) -> ModelLimits:
        return ModelLimits(context=8_000, output=1_000)

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        no_text: tuple[str, ...] = ()
        for text in no_text:
            yield TextChunk(text)
        raise self.error


@pytest.mark.parametrize("kind", [ValueError, Unavailable])
async def test_what_a_provider_of_ones_own_says_is_not_stored_as_it_is(store_path, monkeypatch, kind):
    monkeypatch.setenv("MY_OWN_API_KEY", ODD)
    provider = Careless(kind(f"no luck with {ODD} nor with Bearer {PREFIXED}"))
    config = MnesisConfig(session=SessionConfig(retry=RetryConfig(max_retries=1, base_delay=0)))
    async with MnesisSession.open(model=MODEL, db_path=store_path, llm=provider, config=config) as session:
        with pytest.raises(kind):
            await session.send("hi")
        happened = await session.events()
        assert "no luck with [redacted] nor with [redacted]" in str(happened)
        assert_clean(happened)
    assert_clean(*_files(store_path), *_frames(store_path))


async def test_of_a_long_error_the_beginning_is_stored_and_no_piece_of_a_key_where_it_is_cut(store_path, monkeypatch):
    monkeypatch.setenv("MY_OWN_API_KEY", ODD)
    provider = Careless(ValueError("no" + "." * 19_980 + f" {ODD} " + "words " * 100_000))
    async with MnesisSession.open(model=MODEL, db_path=store_path, llm=provider) as session:
        with pytest.raises(ValueError, match="no"):
            await session.send("hi")
        (failed,) = (event for event in await session.events() if event.event.value == "turn.failed")
        assert isinstance(failed.payload, TurnFailedPayload)
        assert failed.payload.error.endswith("[redacted] … [cut, of 620,016 characters]")
        assert len(failed.payload.error) < 20_100
    assert_clean(*_files(store_path))


# -- what is shown and passed around -----------------------------------------------------------------------------


def test_nothing_that_holds_a_key_shows_it(monkeypatch):
    provider = LiteLLMProvider(api_key=ODD, extra_headers={"Authorization": f"Bearer {ODD}"}, aws_secret_access_key=ODD)
    request = Request(MODEL, [], params={"api_key": ODD})
    assert_clean(repr(provider), str(provider), f"{provider}", repr(request), str(request))


# -- a notebook --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def served(*answers: Answer) -> Iterator[OpenAIServer]:
    """The server on a loop in a thread of its own: a notebook's cells block."""
    ready, done = threading.Event(), asyncio.Event()
    servers: list[OpenAIServer] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with OpenAIServer(*answers) as server:
            servers.append(server)
            ready.set()
            await done.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    yield servers[0]
    loop.call_soon_threadsafe(done.set)
    thread.join(10)


@pytest.mark.parametrize("key", [PREFIXED, ODD])
def test_no_piece_of_a_key_is_in_a_notebook(monkeypatch, key, tmp_path):
    with served(Answer("Hello."), *echoes(key)) as server, opened() as notebook:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        failures = len(server.answers) - 1
        cells = ["%%mnesis -m openai/gpt-4o\nhi", *(f"%%mnesis\nquestion {n}" for n in range(failures))]
        cells += ["%mnesis debug", "%mnesis context", "%mnesis budget", "%mnesis sessions", "%mnesis grep question"]
        cells += ["%mnesis compact", "%mnesis summaries", "%mnesis verify", "_mnesis_session", "dir()"]
        cells += [
            "from mnesis_jupyter import frames",
            *(f"frames.{name}()" for name in ("events", "turns", "messages")),
        ]
        ran = [notebook.run(cell) for cell in cells]
        assert sum(each.error is not None for each in ran) >= failures
        assert key in str(server.requests[0].headers)
        for each in ran:
            assert_clean(each.stdout, *(output.data for output in each.outputs), everything_in_ran(each))
        assert_clean(_as_html(cells, ran))
        assert_clean(*(path.read_bytes() for path in Path.home().rglob("*") if path.is_file()))


def everything_in_ran(ran: Ran) -> str:
    return everything_in(ran.error) if ran.error is not None else ""


def _as_html(cells: list[str], ran: list[Ran]) -> str:
    """The notebook with its outputs, exported."""
    book = nbformat.v4.new_notebook()
    for cell, each in zip(cells, ran, strict=True):
        outputs = [nbformat.v4.new_output("display_data", data=dict(output.data)) for output in each.outputs]
        outputs.append(nbformat.v4.new_output("stream", name="stdout", text=each.stdout))
        book.cells.append(nbformat.v4.new_code_cell(cell, outputs=outputs))
    html, _ = HTMLExporter().from_notebook_node(book)
    return f"{html}{nbformat.writes(book)}"
