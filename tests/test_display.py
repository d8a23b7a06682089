"""What an object looks like as the last line of a cell: HTML by the extension, one readable line without it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from notebook_shell import opened
from pydantic import BaseModel
from test_html import PAYLOADS
from test_recall_views import summary
from test_views import item, look, window

import mnesis_jupyter
from mnesis import (
    Budget,
    CompactionConfig,
    CompactionResult,
    ContextBreakdown,
    LLMMap,
    MapProgress,
    MapResult,
    MapResults,
    MapRunInfo,
    Message,
    MnesisConfig,
    MnesisSession,
    RecordResult,
    StoreConfig,
    TextPart,
    TokenUsage,
    ToolPart,
    ToolStatus,
    TurnResult,
    TurnSnapshot,
    model_facts,
)
from mnesis.llm.base import ModelLimits
from mnesis.llm.scripted import ScriptedProvider
from mnesis.models.recall import (
    Change,
    Description,
    Expansion,
    ExpansionItem,
    GrepMatch,
    GrepResult,
    Lineage,
    LineageStep,
    VerifyReport,
    WindowDiff,
)
from mnesis.models.summary import Loss, LossCertificate

NOW = datetime(2025, 3, 1, 14, 2, tzinfo=UTC)
USAGE = TokenUsage(input=1200, output=34)


class Answer(BaseModel):
    said: str


def turn_result(text: str = "Hello **Alice**.", model: str = "openai/gpt-4o", reason: str = "stop") -> TurnResult:
    return TurnResult(
        text=text, tokens=USAGE, finish_reason=reason, cost=0.0012, message_id="msg_b", user_message_id="msg_a", turn=3,
        model=model,
    )  # fmt: skip


def values(text: str) -> list[object]:
    """One of each, with this text wherever one may stand."""
    part = TextPart(text=text)
    message = Message(
        id=text, session_id="sess_a", turn_id="turn_a", turn=0, seq=0, role="user", parts=(part,), part_ids=("part_a",),
        part_tokens=(3,), tokens=3, partial=False, created_at=NOW,
    )  # fmt: skip
    hit = GrepMatch(id=text, kind="message", turn=1, role=text, snippet=text, covered_by=text, message_id=text)
    change = Change(
        id=text, kind="user", turn=1, change="summarised", tokens_before=9, tokens_after=0, into=text, cause=text
    )
    original = ExpansionItem(id=text, kind="message", role=text, turn=1, text=text)
    step = LineageStep(view=1, turn=1, at=NOW, cause=text, words=text)
    compacted = CompactionResult(
        level_used=1, compacted_message_count=4, summary_token_count=80, tokens_before=900, tokens_after=200,
        elapsed_ms=12.5, summary_message_id=text,
    )  # fmt: skip
    failed = MapResult(index=0, input=text, success=False, error=text, error_kind=text, attempts=1, cost=0.1)
    progress = MapProgress(
        run_id=text, total=9, done=3, failed=2, running=1, tokens=USAGE, cost=0.01, seconds=2, rate=2.5
    )
    return [
        turn_result(text, text, text),
        RecordResult(user_message_id=text, assistant_message_id=text, tokens=USAGE, turn=1),
        USAGE,
        message,
        compacted,
        window(item("user", text, id=text)),
        item("user", text, id=text),
        ContextBreakdown(messages=5, total=5),
        Budget(context_limit=8000, output_reserve=500, compaction_reserve=500, usable=7000, soft=4200, note=text),
        TurnSnapshot(turn_index=2, context_tokens=ContextBreakdown(messages=5, total=5), compact_result=compacted),
        summary(id=text, text=text, model=text),
        LossCertificate(names=Loss(in_sources=2, kept=1, lost=(text,))),
        GrepResult(pattern=text, matches=(hit,), next_cursor=text),
        hit,
        Description(id=text, kind="message", sentence=text, text=text, role=text, parts=(text,)),
        Expansion(id=text, text=text, items=(original,), tokens=3),
        Lineage(id=text, state="covered", covered_by=text, steps=(step,)),
        WindowDiff(a=1, b=None, tokens_before=900, tokens_after=200, changes=(change,)),
        VerifyReport(problems=(text,), checked=9),
        MnesisConfig(compaction=CompactionConfig(compaction_prompt=text, compaction_model=text)),
        CompactionConfig(compaction_model=text),
        failed,
        MapResult(index=3, input={text: text}, output={text: [text]}, success=True, attempts=2, session_id=text),
        MapResult(index=3, input=text, output=Answer(said=text), success=True),
        progress,
        MapResults([failed, failed], progress),
        MapResults([], progress),
        LLMMap(model="offline/quote").run([text], "{{ item }}"),
        MapRunInfo(
            id=text,
            kind="llm",
            session_id=text,
            model=text,
            template=text,
            state="stopped",
            total=9,
            pending=4,
            running=0,
            done=3,
            failed=2,
            tokens=USAGE,
            cost=0.01,
        ),
        ModelLimits(context=8000, output=500),
        model_facts("openai/gpt-4o"),
    ]


@pytest.fixture(scope="module")
def notebook():
    with opened() as notebook:
        yield notebook


def shown(notebook, value: object) -> dict[str, str]:
    bundle: dict[str, str] = notebook.shell.display_formatter.format(value)[0]
    return bundle


def test_each_has_html_that_says_something_and_text_of_a_line(notebook):
    for value in values("The secret code."):
        bundle = shown(notebook, value)
        assert look(bundle["text/html"]).text.strip(), value
        assert len(bundle["text/plain"]) < 1500, value
        assert not re.search(r"object at 0x", bundle["text/plain"])


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_leaves_the_allow_list_of_any_of_them(payload, notebook):
    for value in values(payload):
        look(shown(notebook, value)["text/html"])


def test_ten_megabytes_are_shown_by_their_beginning(notebook):
    long = "x " * 5_000_000
    original = ExpansionItem(id="msg_a", kind="message", role="user", turn=1, text=long)
    for value in (
        turn_result(long),
        window(item("user", long)),
        item("user", long),
        summary(text=long),
        Description(id="msg_a", kind="message", sentence="It is a message.", text=long),
        Expansion(id="sum_a", text=long, items=(original,), tokens=3),
        CompactionConfig(compaction_prompt=long),
        MapResult(index=0, input=long, output={"text": long}, success=True),
        MapResult(index=0, input=[long], success=False, error=long, error_kind="BadRequest"),
    ):
        bundle = shown(notebook, value)
        assert len(bundle["text/html"]) < 600_000, type(value)
        assert len(bundle["text/plain"]) < 1500, type(value)


def test_after_unloading_the_objects_are_text_again():
    with opened() as notebook:
        assert "text/html" in shown(notebook, USAGE)
        notebook.run("%unload_ext mnesis_jupyter")
        assert set(shown(notebook, USAGE)) == {"text/plain"}
        notebook.run("%load_ext mnesis_jupyter")
        assert "text/html" in shown(notebook, USAGE)


def test_a_turn_is_its_reply_and_a_line_of_facts(notebook):
    html = shown(notebook, turn_result(reason="length"))["text/html"]
    assert "<strong>Alice</strong>" in html
    assert look(html).text.strip().endswith("openai/gpt-4o · turn 3 · 1,200 in, 34 out · $0.0012 · length")


def test_settings_are_a_table_of_all_of_them(notebook):
    text = look(shown(notebook, MnesisConfig())["text/html"]).text
    for words in (
        "MnesisConfig",
        "compaction.soft_threshold_fraction",
        "0.6",
        "session.retry.max_delay",
        "store.db_path",
    ):
        assert words in text


def test_a_chat_and_its_session_say_the_same(notebook, store_path, monkeypatch):
    monkeypatch.setenv("MNESIS_DB", str(store_path))
    chat = mnesis_jupyter.chat("<b>talk</b>")
    chat.send("Hello.")
    for value, kind in ((chat, "Chat"), (chat.session, "MnesisSession")):
        bundle = shown(notebook, value)
        text = look(bundle["text/html"]).text
        for words in ("<b>talk</b>", "offline/quote", "turns", chat.id, "last window"):
            assert words in text
        assert bundle["text/plain"].startswith(f"<{kind} ")
    chat.close()


async def test_a_session_is_shown_without_the_extension_by_its_repr():
    async with MnesisSession.open(model="offline/quote", db_path=":memory:") as session:
        assert repr(session) == f"<MnesisSession {session.id} offline/quote 0 turns>"
        assert not hasattr(session, "_repr_html_")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (USAGE, "TokenUsage(input=1200, output=34)"),
        (MnesisConfig(), "MnesisConfig()"),
        (
            MnesisConfig(compaction=CompactionConfig(auto=False)),
            "MnesisConfig(compaction=CompactionConfig(auto=False))",
        ),
        (StoreConfig(db_path=Path("a.db")), f"StoreConfig(db_path={Path('a.db')!r})"),
        (TextPart(text="x" * 70), f"TextPart(text='{'x' * 60}'… (70 characters))"),
        (
            ToolPart(tool_name="look", tool_call_id="c1", input={"a": 1}, status=ToolStatus.RUNNING),
            "ToolPart(tool_name='look', tool_call_id='c1', input=<1 keys>, status='running')",
        ),
        (GrepResult(pattern="code", matches=()), "GrepResult(pattern='code', matches=())"),
        (VerifyReport(problems=(), checked=12), "VerifyReport(problems=(), checked=12)"),
        (
            turn_result(),
            "TurnResult(text='Hello **Alice**.', tokens=TokenUsage(input=1200, output=34), finish_reason='stop', "
            "cost=0.0012, message_id='msg_b', user_message_id='msg_a', turn=3, model='openai/gpt-4o')",
        ),
    ],
)
def test_the_text_is_one_line_of_what_is_not_at_its_default(value, text):
    assert repr(value) == text


async def test_a_map_and_its_results_are_told_by_their_numbers_and_the_first_of_them(notebook, store_path):
    said = ScriptedProvider([lambda request: request.messages[-1]["content"]], cycle=True)
    llm_map = LLMMap(model="offline/quote", llm=said, db_path=store_path)
    run = llm_map.run([f"word {number}" for number in range(30)], "Say {{ item }}")
    assert shown(notebook, run)["text/plain"] == f"<MapRun {run.id}: 0 of 30 items finished>"
    found = sorted([result async for result in run], key=lambda result: result.index)
    results = MapResults(found, run.progress)
    assert shown(notebook, run)["text/plain"] == f"<MapRun {run.id}: 30 of 30 items finished>"
    bundle = shown(notebook, results)
    assert bundle["text/plain"] == f"<MapResults of {run.id}: 30 done, 0 failed>"
    seen = look(bundle["text/html"]).text
    assert "30 / 30 items" in seen
    assert "the first 20 of 30 results" in seen
    assert "word 19" in seen
    assert "word 29" not in seen
    assert "word 3" in look(shown(notebook, results[3])["text/html"]).text
    stored = shown(notebook, await llm_map.describe(run.id))
    assert "Say {{ item }}" in look(stored["text/html"]).text


def test_a_list_of_summaries_is_a_line_for_each(notebook):
    text = shown(notebook, [summary(id=f"sum_{number}", text="They met. " * 900) for number in range(3)])["text/plain"]
    assert text.count("Summary(id='sum_") == 3
    assert len(text) < 2000


def test_a_window_is_told_by_the_number_of_its_items():
    assert "items=<2 ContextItem>" in repr(window(item("user"), item("assistant")))
