"""The views of compaction and recall: what they say, that they stay small, and that text in them stays text."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_html import PAYLOADS
from test_views import item, look, window

from mnesis.models.message import CompactionResult
from mnesis.models.recall import (
    Change,
    Description,
    Expansion,
    ExpansionItem,
    GrepMatch,
    GrepResult,
    Lineage,
    LineageStep,
    Neighbour,
    VerifyReport,
    WindowDiff,
)
from mnesis.models.summary import Fidelity, Loss, LossCertificate, Summary, SummarySource
from mnesis_jupyter.views import (
    compaction_html,
    compaction_text,
    compaction_words,
    description_html,
    description_text,
    diff_html,
    diff_text,
    expansion_html,
    expansion_text,
    grep_html,
    grep_text,
    lineage_html,
    lineage_text,
    summaries_html,
    summaries_text,
    tree_of,
    verify_html,
    verify_text,
    window_html,
    window_text,
)

NOW = datetime(2025, 3, 1, 14, 2, tzinfo=UTC)


def summary(id="sum_a", text="They met.", sources=("msg_a",), *, depth=0, model="some/model", lost=(), **more):
    kind = "condensed" if depth else "leaf"
    return Summary(
        **{
            "id": id,
            "session_id": "sess_a",
            "kind": kind,
            "depth": depth,
            "level": 1 if model else 3,
            "model": model,
            "prompt_hash": "",
            "text": text,
            "tokens": 20,
            "source_tokens": 100,
            "first_turn": 0,
            "last_turn": 3,
            "message_count": 8,
            "sources": tuple(
                SummarySource(kind="summary" if depth else "message", id=each, fidelity=Fidelity.FULL)
                for each in sources
            ),
            "certificate": LossCertificate(numbers=Loss(in_sources=len(lost) + 1, kept=1, lost=tuple(lost))),
            "created_at": NOW,
            "in_window": True,
            **more,
        }
    )


def original(text="Hello.", id="msg_a", role="user", **more):
    return ExpansionItem(id=id, kind="message", role=role, turn=0, text=text, **more)


def page(*items, id="sum_a", cursor=None):
    return Expansion(id=id, text="", items=items, tokens=30, next_cursor=cursor)


def tree(*made, pages=None):
    return tree_of(made, pages or {})


def hit(snippet="the gate is green", **more):
    return GrepMatch(
        **{
            "id": "msg_a",
            "kind": "message",
            "turn": 2,
            "role": "user",
            "snippet": snippet,
            "covered_by": "sum_a",
            "message_id": "msg_a",
            **more,
        }
    )


def found(*hits, pattern="gate", **more):
    return GrepResult(pattern=pattern, matches=hits, **more)


def result(before=100, after=40, **more):
    return CompactionResult(
        **{
            "level_used": 1,
            "compacted_message_count": 12,
            "summary_token_count": 20,
            "tokens_before": before,
            "tokens_after": after,
            "elapsed_ms": 3.2,
            "summary_message_id": "sum_a",
            **more,
        }
    )


def change(change="added", id="msg_a", before=0, after=10, into=None, cause="came", kind="user"):
    return Change(
        id=id, kind=kind, turn=1, change=change, tokens_before=before, tokens_after=after, into=into, cause=cause
    )


def diff(*changes):
    return WindowDiff(a=3, b=7, tokens_before=100, tokens_after=60, changes=changes)


def described(text="Hello.", **more):
    return Description(**{"id": "sum_a", "kind": "summary", "sentence": "It is a summary.", "text": text, **more})


def lineage(words="said by the user", id="msg_a"):
    step = LineageStep(view=1, turn=0, at=NOW, cause="message", words=words)
    return Lineage(id=id, state="covered", covered_by="sum_a", steps=(step,))


def neighbour(text):
    return Neighbour(id="msg_b", role="assistant", turn=1, text=text)


VIEWS_OF_TEXT: dict[str, Callable[[str], str]] = {
    "the text of a summary": lambda text: summaries_html(tree(summary(text=text)), 1),
    "the model of a summary": lambda text: summaries_html(tree(summary(model=text or "m")), 1),
    "what a summary lost": lambda text: summaries_html(tree(summary(lost=[text])), 1),
    "an original": lambda text: summaries_html(tree(summary(), pages={"sum_a": page(original(text))}), 1),
    "the id of a summary": lambda text: summaries_html(tree(summary(id=text)), 1),
    "a snippet": lambda text: grep_html(found(hit(text))),
    "what matched": lambda text: grep_html(found(hit(text, spans=((0, len(text)),)))),
    "a pattern": lambda text: grep_html(found(hit(), pattern=text), more=text),
    "a neighbour": lambda text: grep_html(found(hit(before=(neighbour(text),), after=(neighbour(text),)))),
    "the ids of a hit": lambda text: grep_html(found(hit(id=text, covered_by=text), skipped=(text,))),
    "a page": lambda text: expansion_html(page(original(text)), more=text),
    "the ids of a page": lambda text: expansion_html(page(original(id=text), id=text)),
    "a description": lambda text: description_html(described(text, sentence=text, id=text, parts=(text,))),
    "a lineage": lambda text: lineage_html(lineage(text, text)),
    "a change": lambda text: diff_html(diff(change(id=text, cause=text, kind=text), change("summarised", into=text))),
    "a problem": lambda text: verify_html(VerifyReport(problems=(text,), checked=3)),
    "the title of a compaction": lambda text: compaction_html(result(), text),
    "the id of a compaction": lambda text: compaction_html(result(summary_message_id=text)),
    "a summary in the window": lambda text: window_html(window(item("summary", f"[summary s of turn 1, x]\n{text}"))),
}
TEXTS_OF_TEXT: list[Callable[[str], str]] = [
    lambda text: summaries_text(tree(summary(text=text, model=text or "m"), pages={"sum_a": page(original(text))}), 1),
    lambda text: grep_text(found(hit(text, before=(neighbour(text),)), skipped=(text,), pattern=text), more=text),
    lambda text: grep_text(found(hit(text, spans=((0, len(text) // 2),)))),
    lambda text: expansion_text(page(original(text)), more=text),
    lambda text: description_text(described(text, sentence=text)),
    lambda text: lineage_text(lineage(text, text)),
    lambda text: diff_text(diff(change(id=text, kind=text))),
    lambda text: verify_text(VerifyReport(problems=(text,), checked=3)),
    lambda text: compaction_text(result(), text),
]


@pytest.mark.parametrize("view", VIEWS_OF_TEXT.values(), ids=VIEWS_OF_TEXT)
def test_text_in_a_view_stays_text(view):
    plain = look(view("plain"))
    for payload in PAYLOADS:
        seen = look(view(payload))
        assert seen.links == []
        assert abs(seen.count - plain.count) <= payload.count("`") + 8, payload  # backticks set code, marks are strong


@pytest.mark.parametrize("view", TEXTS_OF_TEXT)
def test_the_plain_twin_holds_no_control_characters(view):
    for payload in PAYLOADS:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", view(payload))


@given(st.text(st.characters(codec=None)))
def test_any_text_in_any_view_stays_text(text):
    for view in VIEWS_OF_TEXT.values():
        look(view(text))


# -- a compaction -------------------------------------------------------------------------------------------------


def test_a_compaction_is_told_in_tokens_messages_level_and_pruned_outputs():
    did = result(100, 40, pruned_tool_outputs=2, pruned_tokens=15)
    for told in (look(compaction_html(did)).text, compaction_text(did)):
        for words in (
            "100 → 40 tokens, 60 % saved",
            "12 messages → 20 tokens of summary (level 1, structured)",
            "2 tool outputs pruned: 15 tokens less",
            "%mnesis expand sum_a",
        ):
            assert words in told
    assert "40 now" in look(compaction_html(did)).text
    assert "60 free" in look(compaction_html(did)).text


def test_a_compaction_that_could_not_shrink_anything_says_so():
    nothing = result(100, 100, compacted_message_count=0, summary_message_id=None)
    assert "Nothing could shrink: the window keeps its 100 tokens." in look(compaction_html(nothing)).text
    assert "Nothing could shrink" in compaction_text(nothing)


def test_a_compaction_in_one_line():
    assert compaction_words(result(3910, 1620)) == "compacted 12 messages: 3,910 → 1,620 tokens before this turn"
    only_pruned = result(compacted_message_count=0, pruned_tool_outputs=1, summary_message_id=None)
    assert compaction_words(only_pruned) == "pruned 1 tool output: 100 → 40 tokens before this turn"


# -- summaries ----------------------------------------------------------------------------------------------------


def test_without_css_the_tree_has_condensed_over_leaves_over_originals():
    leaf = summary("sum_a", "They met.", lost=["48213"], in_window=False)
    top = summary("sum_b", "It was long.", ["sum_a"], depth=1, model=None)
    nodes = tree(leaf, top, pages={"sum_a": page(original("Hello there."))})
    assert [(node.summary.id, node.depth, node.parent) for node in nodes] == [
        ("sum_b", 0, None),
        ("sum_a", 1, "sum_b"),
    ]
    for told in (look(summaries_html(nodes, 2)).text, summaries_text(nodes, 2)):
        assert "condensed, depth 1 · level 3, without a model · 100 → 20 tokens, 80 % saved · in the window" in told
        assert "leaf, depth 0 · level 1, structured, by some/model" in told
        assert "covered by sum_b" in told
        assert "not in the text any more: 1 numbers" in told
        assert told.index("It was long.") < told.index("They met.") < told.index("Hello there.")
    assert "numbers: 48213 (1 of 2 kept)" in look(summaries_html(nodes, 2)).text


def test_originals_that_are_not_shown_are_counted():
    leaf = summary(sources=[f"msg_{n}" for n in range(90)])
    nodes = tree(leaf, pages={"sum_a": page(*(original(id=f"msg_{n}") for n in range(80)))})
    assert "10 more: %mnesis expand sum_a" in summaries_text(nodes, 1)
    assert "10 more: %mnesis expand sum_a" in look(summaries_html(nodes, 1)).text


def test_without_summaries_the_view_says_that_everything_is_there():
    assert "the whole session stands in the window" in look(summaries_html([], 0)).text
    assert "the whole session stands in the window" in summaries_text([], 0)


@pytest.mark.parametrize("text", ["words and words\n" * 500, "&<>\"'" * 2_000, "x" * 100_000])
def test_many_summaries_of_long_texts_stay_small(text):
    made = [summary(f"sum_{n}", text, [f"msg_{n}"]) for n in range(60)]
    pages = {each.id: page(*(original(text, id=f"msg_{n}") for n in range(60))) for each in made}
    html = summaries_html(tree(*made, pages=pages), 1_000)
    assert len(html.encode()) < 600_000
    assert "the newest 60 of 1,000" in look(html).text


# -- recall -------------------------------------------------------------------------------------------------------


def test_hits_stand_below_the_summary_that_covers_them_with_the_match_marked_and_their_neighbours():
    one = hit(spans=((4, 8),), before=(neighbour("Before."),), after=(neighbour("After."),))
    here = hit("a gate", id="msg_c", covered_by=None)
    html = grep_html(found(one, here, next_cursor="c"), more="%mnesis grep gate --cursor c")
    assert re.search(r"the <strong style=[^>]+>gate</strong> is green", html)
    for told in (look(html).text, grep_text(found(one, here, next_cursor="c"), "%mnesis grep gate --cursor c")):
        order = [
            "Covered by sum_a",
            "user · turn 2 · msg_a",
            "Before.",
            "After.",
            "In the window",
            "msg_c",
            "--cursor c",
        ]
        assert [told.index(words) for words in order] == sorted(told.index(words) for words in order)
    assert "the «gate» is green" in grep_text(found(one))


def test_each_span_is_marked_and_nothing_else():
    assert "the «gate» is «green»" in grep_text(found(hit(spans=((4, 8), (12, 17)))))
    assert "> the gate is green" in grep_text(found(hit()))


def test_no_hit_says_so():
    assert "No match." in grep_text(found())
    assert "No match so far." in grep_text(found(next_cursor="c"))


def test_a_page_of_originals_says_where_each_begins_and_how_to_go_on():
    shown = page(original("the rest", start=1_200), cursor="c")
    for told in (look(expansion_html(shown, "%mnesis expand x")).text, expansion_text(shown, "%mnesis expand x")):
        assert "user · turn 0 · msg_a · from character 1,200 on" in told
        assert "the rest" in told
        assert "30 tokens · there is more" in told
        assert "More: %mnesis expand x" in told


def test_a_description_has_its_sentence_what_was_lost_and_its_sources():
    source = SummarySource(kind="message", id="msg_a", fidelity=Fidelity.CLIPPED)
    certificate = LossCertificate(paths=Loss(in_sources=2, kept=1, lost=("/etc/app",)))
    seen = look(description_html(described(sources=(source,), certificate=certificate))).text
    for words in ("It is a summary.", "not in the text any more: 1 paths", "/etc/app", "msg_a (clipped)", "1 sources"):
        assert words in seen
    assert "msg_a (clipped)" in description_text(described(sources=(source,)))


def test_a_lineage_tells_what_happened_and_where_the_item_is_now():
    for told in (look(lineage_html(lineage())).text, lineage_text(lineage())):
        assert "said by the user" in told
        assert "is covered by sum_a" in told


def test_a_diff_groups_items_by_their_fate_and_only_counts_what_did_not_change():
    shown = diff(
        change("summarised", "msg_1", 30, 0, "sum_a"),
        change("summarised", "msg_2", 50, 0, "sum_a"),
        change("pruned", "part_1", 40, 5, kind="tool"),
        change("unchanged", "msg_3", 10, 10),
        change("added", "sum_a", 0, 20, kind="summary"),
    )
    text = diff_text(shown)
    for told in (look(diff_html(shown)).text, text):
        for words in (
            "turn 3 → turn 7",
            "100 → 60 tokens · -40",
            "Σ summarised into sum_a · 2 items · 80 tokens",
            "✂ pruned · 1 item · 40 → 5 tokens",
            "= unchanged · 1 item · 10 tokens",
            "+ added · 1 item · 20 tokens",
            "msg_1",
        ):
            assert words in told
    assert "msg_3" not in text


def test_the_checks_say_how_many_passed_or_what_is_wrong():
    assert "✓ All 15 checks passed." in verify_text(VerifyReport(problems=(), checked=15))
    assert (
        "a message is not covered"
        in look(verify_html(VerifyReport(problems=("a message is not covered",), checked=3))).text
    )


# -- the window ---------------------------------------------------------------------------------------------------


def test_the_window_shows_what_a_summary_says_and_the_turns_that_it_stands_for():
    label = "[summary sum_a of turns 0-4, 10 messages; generated by m; not said by anybody; expand sum_a for more]"
    shown = window(item("summary", f"{label}\n## Facts\n- The gate is green.\n[end of summary]", id="sum_a", turn=4))
    assert re.search(r"Σ summary +turns 0-4 The gate is green\.", window_text(shown))
    assert "turns 0-4" in look(window_html(shown)).text


def test_the_window_tells_tombstones_and_excerpts_from_originals():
    stone = "[output of look pruned: 1,200 tokens; expand part_1 to see it]"
    cut = (
        "The head.\n[… 900 of 1,000 characters left out here (300 tokens in all); expand part_2 to read them …]\nTail."
    )
    shown = window(
        item("tool", stone, id="part_1", tool_name="look"),
        item("tool", stone, id="part_9", tool_name="look"),  # a tool that says so itself
        item("user", cut),
        item("tool", "found it", tool_name="grep", recalled=True),
    )
    lines = window_text(shown).splitlines()[1:]
    assert "✂ pruned: look ⇒ [output of look pruned" in lines[0]
    assert "✂" not in lines[1]
    assert "✂ excerpt: The head." in lines[2]
    assert "↺ recalled: grep ⇒ found it" in lines[3]
    assert "✂ pruned" in look(window_html(shown)).text
