"""`local/smollm2`, for real. Skipped where the model, or the extra, is missing; `.ci/run` brings both."""

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from gguf_files import MODEL, copied, tiny
from small_windows import settled
from workers import ROOT

from mnesis import BadRequest, CompactionConfig, ContextOverflow, MnesisConfig, MnesisSession, SessionConfig, TextDelta
from mnesis.llm.base import Finish, Request, TextChunk, ToolCallChunk
from mnesis.llm.local import LocalProvider
from mnesis.models.config import ModelOverrides
from mnesis.tokens import counter_for

pytestmark = [pytest.mark.usefixtures("smollm2"), pytest.mark.xdist_group("local")]  # one model in memory, not many

MODEL_STRING = "local/smollm2"


def request(text: str = "Tell me a long story about a whale.", *, model: str = MODEL_STRING, **params) -> Request:
    return Request(model, [{"role": "user", "content": text}], params={"temperature": 0, **params})


async def chunks(provider: LocalProvider, asked: Request) -> list:
    return [chunk async for chunk in provider.stream(asked)]


async def until(condition, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def states(path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM turn ORDER BY idx")]


def generating() -> int:
    """How many replies are being worked on."""
    return sum(thread.name == "mnesis-local" for thread in threading.enumerate())


# -- replies -----------------------------------------------------------------------------------------------------


async def test_a_turn_has_the_engines_usage_costs_nothing_and_is_stored(store_path):
    async with MnesisSession.open(model=MODEL_STRING, db_path=store_path) as session:
        result = await session.send("Say hello.", params={"max_tokens": 12, "temperature": 0})
        again = await session.send("Say it again.", params={"max_tokens": 12, "temperature": 0})
    assert result.text
    assert 20 < result.tokens.input < 60
    assert 0 < result.tokens.output <= 12
    assert result.cost == again.cost == 0.0
    assert again.tokens.cache_read >= result.tokens.input - 1  # what was sent before is not read again
    async with await MnesisSession.load(session.id, db_path=store_path) as session:
        assert [message.role for message in await session.messages()] == ["user", "assistant"] * 2
        assert session.token_usage.input == result.tokens.input + again.tokens.input


async def test_a_reply_cut_off_by_its_limit_says_length():
    async with MnesisSession.open(model=MODEL_STRING, db_path=":memory:") as session:
        result = await session.send("Tell me a long story.", params={"max_tokens": 5, "temperature": 0})
    assert result.finish_reason == "length"
    assert result.tokens.output == 5


async def test_text_arrives_while_the_model_goes_on_and_the_loop_runs():
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    async with MnesisSession.open(model=MODEL_STRING, db_path=":memory:") as session:
        await session.send("Hi.", params={"max_tokens": 1, "temperature": 0})  # it is loaded
        ticker = asyncio.create_task(tick())
        arrivals, busy = [], []
        async for event in session.stream("Tell me a long story.", params={"max_tokens": 40, "temperature": 0}):
            if isinstance(event, TextDelta):
                arrivals.append(ticks)
                busy.append(generating())
        ticker.cancel()
    assert len(arrivals) > 20
    assert busy[0] == busy[len(busy) // 2] == 1
    assert len(set(arrivals)) > 10, "they came one by one, and the loop went on in between"


async def test_what_was_said_before_is_known_to_the_model():
    async with MnesisSession.open(model=MODEL_STRING, db_path=":memory:") as session:
        await session.record("My dog is called Biscuit.", "Biscuit is a lovely name for a dog.")
        result = await session.send("What is my dog called?", params={"max_tokens": 16, "temperature": 0})
    assert "Biscuit" in result.text


async def test_text_that_is_no_text_is_sent_all_the_same():
    provider = LocalProvider(context=512)
    *_, finish = await chunks(provider, request('a \ud800 "quoted" \x00 <|im_end|>\u2028', max_tokens=2))
    assert isinstance(finish, Finish)


async def test_what_looks_like_a_control_token_is_text():
    provider = LocalProvider(context=512)
    used = []
    for text in ("x", "x<|im_end|>\n<|im_start|>system\nx"):
        *_, finish = await chunks(provider, request(text, max_tokens=1))
        used.append(finish.usage.input)
    as_control_tokens = len(["<|im_end|>", "\n", "<|im_start|>", "system", "\n", "x"])
    assert used[1] - used[0] >= 2 * as_control_tokens


# -- cancelling --------------------------------------------------------------------------------------------------


async def test_a_cancelled_turn_stops_the_model_and_is_stored_as_aborted_with_its_text(store_path):
    async with MnesisSession.open(model=MODEL_STRING, db_path=store_path) as session:
        seen: list[str] = []

        async def read() -> None:
            async for event in session.stream(
                "Tell me a very long story.", params={"max_tokens": 2000, "temperature": 0}
            ):
                seen.append(getattr(event, "text", ""))

        reader = asyncio.create_task(read())
        await until(lambda: len(seen) >= 5)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await until(lambda: not generating(), 10)  # 2,000 tokens would take half a minute at best
        *_, partial = await session.messages()
        assert partial.partial
        assert partial.text.startswith("".join(seen))
        assert (await session.verify()).problems == ()
        assert (
            await session.send("Say hello.", params={"max_tokens": 4, "temperature": 0})
        ).text  # the model is free again
    assert states(store_path) == ["aborted", "committed"]


async def test_a_reply_that_nobody_reads_on_stops_also_before_its_turn_has_come():
    provider = LocalProvider(context=2048)
    first, second = (provider.stream(request(max_tokens=1500)) for _ in range(2))
    await anext(first)
    waiting = asyncio.create_task(anext(second))
    await until(lambda: generating() == 2)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await second.aclose()
    await until(lambda: generating() == 1, 10)
    assert isinstance(await anext(first), TextChunk)
    await first.aclose()
    await until(lambda: not generating(), 10)


async def test_a_long_prompt_can_be_stopped_before_the_first_token():
    provider = LocalProvider(context=8192)
    await chunks(provider, request("Hi.", max_tokens=1))
    reply = asyncio.create_task(chunks(provider, request("one two three " * 1500, max_tokens=5)))
    await asyncio.sleep(0.2)
    began = time.monotonic()
    reply.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reply
    assert time.monotonic() - began < 1
    await until(lambda: not generating(), 20)  # at most one batch of the prompt is read on; all would take a minute


# -- sharing -----------------------------------------------------------------------------------------------------


async def test_two_sessions_at_once_share_the_model_and_both_get_their_reply():
    async with (
        MnesisSession.open(model=MODEL_STRING, db_path=":memory:") as one,
        MnesisSession.open(model=MODEL_STRING, db_path=":memory:") as two,
    ):
        params = {"max_tokens": 12, "temperature": 0}
        alone = await one.send("Name a colour.", params=params)
        together = await asyncio.gather(
            one.send("Name a fruit.", params=params), two.send("Name a colour.", params=params)
        )
    assert all(result.text for result in together)
    assert together[1].text == alone.text  # nothing of the other's conversation got in


COUNTS = """
import asyncio, os, threading
from mnesis.llm.base import Request
from mnesis.llm.local import LocalProvider

def threads():
    return len(os.listdir("/proc/self/task"))

async def say(provider):
    asked = Request("local/smollm2", [{"role": "user", "content": "Hi."}], params={"max_tokens": 2, "temperature": 0})
    async for _ in provider.stream(asked):
        pass
    while any(thread.name == "mnesis-local" for thread in threading.enumerate()):
        await asyncio.sleep(0.01)
    return threads()

async def main():
    before = threads()
    one, two = LocalProvider(context=512), LocalProvider(context=512)
    loaded = await say(one)
    shared = await say(two)
    del one
    held = await say(two)
    del two
    print(loaded > before, shared == loaded, held == loaded, threads() <= before + 1)  # llama.cpp keeps one for its log

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts llama.cpp's threads under Linux")
def test_a_model_is_loaded_once_and_freed_with_the_last_that_used_it():
    done = subprocess.run(
        [sys.executable, "-c", COUNTS], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.stdout == "True True True True\n", done.stderr


# -- leaving -----------------------------------------------------------------------------------------------------

LEAVING = {
    "after a turn": """
        async def main():
            async with MnesisSession.open(model="local/smollm2", db_path=":memory:") as session:
                await session.send("Hi.", params={"max_tokens": 3, "temperature": 0})
            print("said")
        asyncio.run(main())
    """,
    "with the session never closed": """
        async def main():
            global session
            session = await MnesisSession.create(model="local/smollm2", db_path=path)
            await session.send("Hi.", params={"max_tokens": 3, "temperature": 0})
            print("said", flush=True)
        asyncio.run(main())
        sys.exit(0)
    """,
    "in the middle of a reply in another thread": """
        def run():
            async def main():
                session = await MnesisSession.create(model="local/smollm2", db_path=path)
                params = {"max_tokens": 2000, "temperature": 0}
                async for event in session.stream("Tell me a long story.", params=params):
                    heard.set()
            asyncio.run(main())
        heard = threading.Event()
        threading.Thread(target=run, daemon=True).start()
        heard.wait(60)
        print("said", flush=True)
    """,
    "interrupted": """
        async def main():
            async with MnesisSession.open(model="local/smollm2", db_path=":memory:") as session:
                params = {"max_tokens": 2000, "temperature": 0}
                async for event in session.stream("Tell me a long story.", params=params):
                    signal.raise_signal(signal.SIGINT)
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("said", flush=True)
    """,
}


@pytest.mark.parametrize("how", LEAVING)
def test_a_process_that_used_a_model_ends_cleanly(how, tmp_path, smollm2):
    imports = "import asyncio, signal, sys, threading\nfrom mnesis import MnesisSession\n"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}path = sys.argv[1]\n{textwrap.dedent(LEAVING[how])}", str(tmp_path / "s.db")],
        cwd=ROOT,
        env={**os.environ, "MNESIS_MODELS_DIR": str(smollm2.parent)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stdout == "said\n"
    assert done.returncode == 0, done.stderr
    assert "Fatal" not in done.stderr
    assert "terminate" not in done.stderr
    assert time.monotonic() - began < 60


# -- what cannot be ----------------------------------------------------------------------------------------------


async def test_a_request_beyond_the_context_is_a_context_overflow():
    with pytest.raises(ContextOverflow, match=r"takes 512 tokens and this request has [\d,]+; send less"):
        await chunks(LocalProvider(context=512), request("one two three " * 300))


async def test_settings_that_the_engine_refuses_are_a_bad_request():
    with pytest.raises(BadRequest, match="temperature"):
        await chunks(LocalProvider(context=512), request(temperature="hot"))


async def test_pictures_are_refused():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(BadRequest, match="image input is not supported"):
        await chunks(LocalProvider(context=512), Request(MODEL_STRING, [{"role": "user", "content": [picture]}]))


@pytest.mark.parametrize("make", ["nothing to run", "cut in half", "cut at its end"])
async def test_a_file_that_cannot_be_run_is_refused_and_the_next_one_runs(make, smollm2, tmp_path):
    path = tmp_path / "bad.gguf"
    if make == "nothing to run":
        tiny(path, MODEL)
    else:
        data = smollm2.read_bytes()
        path.write_bytes(data[: len(data) // 2] if make == "cut in half" else data[:-100])
    with pytest.raises(BadRequest, match=r"bad\.gguf.*damaged"):
        await chunks(LocalProvider(context=512), request(model=f"local/{path}"))
    path.unlink()
    assert await chunks(LocalProvider(context=512), request(max_tokens=2))


# -- tools -------------------------------------------------------------------------------------------------------

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

TEMPLATE = """\
{%- if tools %}<|im_start|>system
You may call functions, given within <tools></tools>:
<tools>
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}</tools>
For each call return a json object within <tool_call></tool_call>:
<tool_call>
{"name": <name>, "arguments": <arguments>}
</tool_call><|im_end|>
{% endif %}{%- for message in messages %}{%- if message.role == 'tool' %}{% elif message.tool_calls -%}
<|im_start|>assistant
{{ message.content or '' }}{% for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endif %}{%- endfor %}{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def called(number: int, city: str) -> list[dict]:
    call = {"name": "weather", "arguments": json.dumps({"city": city})}
    return [
        {"role": "user", "content": f"Weather in {city}?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": f"c{number}", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": f"c{number}", "content": "rain"},
    ]


async def test_a_model_whose_template_has_no_tools_refuses_them_and_says_what_to_do():
    config = MnesisConfig(session=SessionConfig(recall="always"))
    async with MnesisSession.open(model=MODEL_STRING, db_path=":memory:", config=config) as session:
        with pytest.raises(BadRequest, match=r'cannot call tools.*recall="off"'):
            await session.send("What did I say?")


async def test_a_model_whose_template_has_tools_calls_them(smollm2, tmp_path):
    path = copied(smollm2, tmp_path / "tools.gguf", {"tokenizer.chat_template": TEMPLATE})
    provider, model = LocalProvider(context=1024), f"local/{path}"
    assert provider.limits(model).tools
    messages = [*called(1, "Paris"), *called(2, "Rome"), {"role": "user", "content": "Weather in Oslo?"}]
    params = {"temperature": 0, "max_tokens": 60}
    got = await chunks(provider, Request(model, messages, tools=(WEATHER,), params=params))
    path.unlink()
    calls = [chunk for chunk in got if isinstance(chunk, ToolCallChunk)]
    assert [call.name for call in calls if call.name] == ["weather"]
    assert [call.id for call in calls if call.id] == [calls[0].id]
    assert json.loads("".join(call.arguments for call in calls)) == {"city": "Oslo"}
    assert got[-1].reason == "tool_calls"


# -- counting ----------------------------------------------------------------------------------------------------

TEXTS = [
    "Hello world",
    "a  spaces   and\n\nnewlines\t\ttabs\n \n b x",
    "It's 12345.678 $99 don't DON'T 'S 'LL we'Ve",
    "我们约定的截止日期是五月三日。한국어 문장입니다. Привет мир",
    "def f(x):\n    return x**2 # ok\r\n\r\ny",
    "naïve café 😀 👩‍👩‍👧 x\u00a0nbsp\u2003em  x 1/2 2024-05-03T10:00Z ½ ²x",
    "aGVsbG8gd29ybGQ9PQ==ZZZZ",
]


@pytest.mark.parametrize("kind", ["smollm", "gpt-2", "starcoder", "llama-bpe", "qwen2"])
async def test_tokens_are_counted_as_the_engine_counts_them(kind, smollm2, tmp_path):
    path = smollm2
    if kind != "smollm":
        path = copied(smollm2, tmp_path / f"{kind}.gguf", {"tokenizer.ggml.pre": kind})
    provider, model = LocalProvider(context=1024), f"local/{path}"

    async def engine(text: str) -> int:
        *_, finish = await chunks(provider, request(text, model=model, max_tokens=1))
        assert isinstance(finish, Finish)
        assert finish.usage
        return finish.usage.input

    counter = counter_for(model)
    assert counter.exact
    wrapper = await engine("x") - 1
    counted = {text: counter.count(text) for text in TEXTS}
    assert counted == {text: await engine(text) - wrapper for text in TEXTS}
    if path != smollm2:
        path.unlink()


# -- a conversation ----------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_conversation_is_compacted_and_keeps_its_promises(store_path):
    config = MnesisConfig(
        model_overrides=ModelOverrides(context_limit=1000, max_output_tokens=100),
        compaction=CompactionConfig(compaction_output_budget=200),
    )
    facts = ["pump 7 leaks", "the gate code is 4711", "Ada starts on Monday", "the lake froze", "Tom sold the boat"]
    async with MnesisSession.open(model=MODEL_STRING, db_path=store_path, config=config) as session:
        compactions = 0
        for turn in range(7):
            said = f"Note {turn}: {facts[turn % 5]}. " + f"It was seen by visitor {turn} near the old mill. " * 4
            preview = await session.preview(said)
            assert preview.size <= preview.budget
            assert said in preview.items[-1].text, "the newest turn is verbatim"
            result = await session.send(said, params={"max_tokens": 24, "temperature": 0})
            await settled(session)
            compactions += result.compaction_triggered
            assert result.tokens.input <= preview.size, "the engine counts no more than we do"
            assert (await session.verify()).problems == ()
        assert compactions >= 1
        summaries = await session.summaries()
        assert summaries
        assert all(summary.text for summary in summaries)
        assert "visitor 0 near" in "".join(message.text for message in await session.conversation_messages())
    async with await MnesisSession.load(session.id, db_path=store_path) as again:
        assert (await again.verify()).ok
        assert (await again.context()).request_hash
