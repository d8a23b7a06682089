"""The static views: what they say, that they stay small, and that text in them stays text."""

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_html import PAYLOADS, REPLY_ATTRIBUTES, REPLY_TAGS, inspect

from mnesis.models.context import Budget, ContextItem, ContextWindow
from mnesis.models.message import TokenUsage
from mnesis_jupyter.html import reply_html
from mnesis_jupyter.views import (
    KINDS,
    budget_html,
    budget_text,
    fair_share,
    notice_html,
    notice_text,
    reply_block,
    reply_text,
    table_html,
    table_text,
    window_html,
    window_text,
)

TAGS = REPLY_TAGS | {"bdi", "caption", "details", "span", "summary"}
ATTRIBUTES = REPLY_ATTRIBUTES | {"*": {"aria-hidden", "class", "style", "title"}, "th": {"scope"}}
# JupyterLab drops every other property, and every value with a function in it, from untrusted output.
STYLE = re.compile(
    r"(?:background-color|border(?:-top|-left|-radius|-collapse)?|bottom|caption-side|clear|color|cursor|display|float"
    r"|font-size|height|left|line-height|list-style-type|margin(?:-bottom)?|max-height|max-width|min-width|opacity"
    r"|overflow(?:-x)?|padding(?:-top|-left|-right)?|position|right|table-layout|text-align|text-indent|text-overflow"
    r"|top|vertical-align|white-space|width|word-break|word-wrap):[-a-z0-9.%# ]+"
)


def item(kind, text="some text", tokens=10, turn=1, **more):
    role = {"summary": "system", "file": "user", "media": "user"}.get(kind, kind)
    return ContextItem(
        **{"kind": kind, "role": role, "id": f"msg_{kind}", "turn": turn, "tokens": tokens, "text": text, **more}
    )


def window(*items, usable=10_000, limit=12_000, note="", turn=None):
    limits = Budget(
        context_limit=limit,
        output_reserve=(limit - usable) // 2,
        compaction_reserve=(limit - usable) // 2,
        usable=usable,
        soft=usable * 6 // 10,
        note=note,
    )
    size = sum(each.tokens for each in items)
    return ContextWindow(items=items, size=size, budget=usable, request_hash="0" * 64, limits=limits, turn=turn)


EVERY_KIND = window(*(item(kind, tokens=100 * place) for place, kind in enumerate(KINDS, 1)))


def block(reply="ok", **more):
    facts = {
        "model": "offline/quote",
        "tokens": TokenUsage(output=12),
        "window_size": 1204,
        "budget": 91_616,
        "turn": 3,
    }
    return reply_block(reply_html(reply), **{**facts, **more})


def look(html):
    seen = inspect(html, TAGS, ATTRIBUTES)
    for style in seen.styles:
        for declaration in style.split(";"):
            assert STYLE.fullmatch(declaration), declaration
    return seen


VIEWS_OF_TEXT: dict[str, Callable[[str], str]] = {
    "the text of an item": lambda text: window_html(window(item("tool", text))),
    "the id of an item": lambda text: window_html(window(item("user", id=text))),
    "the name of a tool": lambda text: window_html(window(item("tool", tool_name=text))),
    "the name of a model": lambda text: budget_html(EVERY_KIND, text),
    "the note of a budget": lambda text: budget_html(window(note=text)),
    "a reply": block,
    "the model of a reply": lambda text: block(model=text),
    "the note of a reply": lambda text: block(note=text),
    "a notice": lambda text: notice_html(text, text),
    "the cells of a table": lambda text: table_html([(text, 1)], ["a", "b"], "c"),
    "the names of a table": lambda text: table_html([(1, 2)], [text, "b"], text),
}
TEXTS_OF_TEXT: list[Callable[[str], str]] = [
    lambda text: window_text(window(item("tool", text, tool_name=text))),
    lambda text: budget_text(window(note=text)),
    lambda text: reply_text(text, model=text, tokens=None, window_size=0, budget=1, turn=None, note=text),
    lambda text: notice_text(text, text),
    lambda text: table_text([(text, 1)], [text, "b"], text),
]


@pytest.mark.parametrize("view", VIEWS_OF_TEXT.values(), ids=VIEWS_OF_TEXT)
def test_text_in_a_view_stays_text(view):
    plain = look(view("plain"))
    for payload in PAYLOADS:
        seen = look(view(payload))
        if view is not block:
            assert seen.links == []
            assert abs(seen.count - plain.count) <= payload.count("`"), payload  # backticks set code in a notice


@pytest.mark.parametrize("view", TEXTS_OF_TEXT)
def test_the_plain_twin_holds_no_control_characters(view):
    for payload in PAYLOADS:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", view(payload))


@given(st.text(st.characters(codec=None)))
def test_any_text_in_any_view_stays_text(text):
    for view in VIEWS_OF_TEXT.values():
        look(view(text))


def test_every_kind_is_named_in_words():
    seen = look(window_html(EVERY_KIND)).text
    for kind, kind_look in KINDS.items():
        assert f"{kind_look.glyph} {kind}" in seen
        assert kind_look.name in look(budget_html(EVERY_KIND)).text
        assert f"{kind_look.glyph} {kind}" in window_text(EVERY_KIND)
        assert kind_look.name in budget_text(EVERY_KIND)


def test_without_css_the_window_has_tokens_turns_ids_bars_and_the_whole_text():
    seen = look(
        window_html(
            window(item("user", "first line\nsecond line", 3_400, turn=7, id="msg_7"), item("file", tokens=850))
        )
    ).text
    assert "Window as it is sent 3,400" not in seen
    assert "4,250 / 10,000 tokens · 42 %" in seen
    assert "→ user turn 7 first line 3,400 tokens ██████████ msg_7" in seen
    assert "850 tokens ██▌" in seen
    assert "msg_7 · user · turn 7 · 3,400 tokens · 80 % of what is sent" in seen
    assert "first line\nsecond line" in seen


def test_the_window_of_a_past_turn_says_which():
    assert "as it was sent in turn 4" in look(window_html(window(item("user"), turn=4))).text


def test_an_empty_window_says_so():
    assert "Nothing is in it yet." in look(window_html(window())).text
    assert "0 / 10,000 tokens · 0 %" in window_text(window())


def test_a_tool_call_is_told_from_its_result():
    seen = window_text(
        window(item("tool", '{"q": 1}', role="assistant", tool_name="sql"), item("tool", "14 rows", tool_name="sql"))
    )
    assert 'sql {"q": 1}' in seen
    assert "sql ⇒ 14 rows" in seen


def test_a_short_form_of_the_id_is_shown_and_the_full_one_is_in_the_title():
    html = window_html(window(item("user", id="msg_01JX7Z5T9QH2M4V8K3N6P1R0AB")))
    assert "msg_…R0AB" in html
    assert 'title="msg_01JX7Z5T9QH2M4V8K3N6P1R0AB"' in html


def test_a_huge_text_is_cut_and_the_cut_says_so():
    seen = look(window_html(window(item("tool", "x" * 50_000), item("user", "y" * 500)))).text
    assert "x" * 20_000 + "\n… cut here: 20,000 of 50,000 characters are shown" in seen
    assert "x" * 20_001 not in seen
    assert "y" * 500 in seen


@pytest.mark.parametrize(
    "text", ["words and words\n" * 40, "&<>\"'" * 400, "\u202e" * 3_000, "漢" * 3_000, "x" * 100_000]
)
@pytest.mark.parametrize("count", [200, 10_000])
def test_a_window_of_any_length_stays_small(count, text):
    large = window(
        *(item("assistant" if n % 2 else "user", text, 50, turn=n // 2) for n in range(count)),
        usable=10**7,
        limit=10**7,
    )
    html = window_html(large)
    assert len(html.encode()) < 520_000
    assert look(html).count < 3_200
    assert len(window_text(large)) < 40_000
    assert len(budget_html(large)) < 8_000


def test_the_middle_of_a_long_window_is_told_by_ranges_of_turns():
    long = window(*(item("user", tokens=1, turn=n) for n in range(1_000)))
    seen = look(window_html(long)).text
    assert "turns 40-879 · 840 items · 840 tokens · 84 % of what is sent" in seen
    assert "turns 40-53 → 14 user 14 tokens" in seen
    assert "turns 40-879 · 840 items" in window_text(long)


@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=60), st.integers(1, 200_000))
def test_fair_shares_stay_within_the_total_and_leave_small_texts_whole(sizes, total):
    share = fair_share(sizes, total)
    assert sum(min(size, share) for size in sizes) <= total
    assert sum(sizes) > total or share >= max(sizes)


def test_without_css_the_budget_has_every_share_and_both_marks():
    seen = look(budget_html(EVERY_KIND, "some/model")).text
    assert "some/model" in seen
    assert "3,600 / 10,000 tokens · 36 %" in seen
    assert "■ tool outputs 600 6.0 % █▎" in seen
    assert "□ free 6,400 64 % ████████████▊" in seen
    assert "soft mark at 6,000 tokens" in seen
    assert "hard mark at 10,000 tokens" in seen
    assert "reserve of 2,000 tokens: 1,000 for the reply, 1,000 for compaction" in seen


def test_the_boxes_of_the_budget_fill_the_bar_exactly():
    boxes = re.findall(r"left:([\d.]+)%;width:([\d.]+)%", budget_html(EVERY_KIND))
    assert len(boxes) == len(KINDS) + 2
    left, width = map(float, boxes[-1])
    assert left + width == pytest.approx(100, abs=0.1)


def test_the_budget_as_text_is_one_bar_and_a_line_for_each_share():
    lines = budget_text(EVERY_KIND).splitlines()
    assert lines[0] == "Budget 3,600 / 10,000 tokens · 36 %"
    assert re.fullmatch("█+░+┆░+┃▒+", lines[1])
    assert lines[4].split() == ["summaries", "300", "3.0", "%", "▋"]


def test_a_budget_says_what_was_chosen_and_why():
    assert "reserves scaled down" in look(budget_html(window(note="reserves scaled down"))).text
    assert "reserves scaled down" in budget_text(window(note="reserves scaled down"))


def test_a_window_above_its_budget_is_drawn_full_and_told_in_numbers():
    over = window(item("user", tokens=15_000))
    assert "15,000 / 10,000 tokens · 150 %" in look(budget_html(over)).text
    assert "15,000 / 10,000" in look(window_html(over)).text
    assert budget_text(over).splitlines()[1].count("█") == 60


def test_a_reply_ends_with_one_line_of_facts():
    seen = look(block("**Hi**", cost=0.0012)).text
    assert seen.endswith("offline/quote · turn 3 · window 1,204 / 91,616 tokens (1.3 %) · 12 tokens out · $0.0012")
    assert seen.startswith("Hi")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("streaming", "writing …"),
        ("calling", "running tools …"),
        ("done", "turn 3"),
        ("aborted", "stopped: kept as partial, not sent again"),
        ("stopped", "stopped: the calls stay"),
    ],
)
def test_a_reply_says_its_state_in_words(state, words):
    assert words in look(block(state=state)).text


def test_what_is_not_known_of_a_reply_is_left_out():
    seen = look(block(tokens=None, turn=None)).text
    assert "out" not in seen
    assert "turn" not in seen
    assert "$" not in seen


@pytest.mark.parametrize(("cost", "shown"), [(0.00001, "under $0.0001"), (0.0012, "$0.0012"), (12.345, "$12.35")])
def test_a_cost_is_shown_to_what_matters(cost, shown):
    assert shown in block(cost=cost)


def test_a_reply_that_costs_nothing_says_nothing_of_cost():
    assert "$" not in block(cost=0.0)


def test_the_twin_of_a_reply_is_the_reply_and_its_facts():
    text = reply_text("**Hi**", model="m", tokens=TokenUsage(output=1), window_size=5, budget=10, turn=0)
    assert text == "**Hi**\n\nm · turn 0 · window 5 / 10 tokens (50 %) · 1 token out"


def test_a_notice_sets_backticks_as_code():
    assert "<code>offline/quote</code>" in notice_html("using `offline/quote`")
    assert notice_text("using `offline/quote`", "set a key") == "using `offline/quote`\nset a key"


def test_a_table_has_a_caption_headings_and_readable_cells():
    rows = [("sess_1", 86_120, 0.4123, None, True, datetime(2025, 3, 1, 14, 2))]  # noqa: DTZ001
    html = table_html(rows, ["id", "window", "cost", "title", "live", "used"], "Sessions")
    assert html.count('<th scope="col"') == 6
    assert "<caption" in html
    seen = look(html).text
    for cell in ("Sessions", "sess_1", "86,120", "0.4123", "yes", "2025-03-01 14:02:00"):
        assert cell in seen
        assert cell in table_text(rows, ["id", "window", "cost", "title", "live", "used"], "Sessions")


def test_a_long_table_is_cut_and_says_how_much_is_left():
    rows = [(n, "x" * 1_000) for n in range(1_000)]
    assert "… and 800 more" in look(table_html(iter(rows), ["n", "text"], "t")).text
    assert "… and 800 more" in table_text(iter(rows), ["n", "text"], "t")
    assert len(table_html(rows, ["n", "text"], "t")) < 120_000


def test_an_empty_table_says_so():
    assert "Nothing is in it yet." in look(table_html([], ["a"], "Sessions")).text


def contrast(one, other):
    def luminance(colour):
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_of_a_kind_can_be_seen_in_light_and_dark_and_carries_a_white_label(kind):
    colour = KINDS[kind].colour
    assert contrast(colour, "#ffffff") >= 4.5
    assert contrast(colour, "#212121") >= 3
    assert contrast(colour, "#111111") >= 3
