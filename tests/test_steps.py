"""What a chat cell shows of a reply with tool calls: every state in words, nothing hostile, nothing endless."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_html import PAYLOADS
from test_views import look

from mnesis.models.message import ReasoningPart, ToolPart, ToolStatus
from mnesis_jupyter.views import Call, call_words, steps_html, steps_text

CONTROL = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def call(name="rain", output=None, error=None, status=None, seconds=0.0321, stopped=False, **arguments):
    status = status or (ToolStatus.ERROR if error else ToolStatus.COMPLETED if output else ToolStatus.RUNNING)
    # Constructed: a provider may hand on what our own validation would refuse.
    part = ToolPart.model_construct(
        tool_name=name, tool_call_id="c1", input=arguments, output=output, error_message=error, status=status
    )
    return Call(part, seconds, stopped)


def seen(*steps):
    return look(steps_html(steps)).text


def shaped(text):
    """Steps whose markup is the same whatever the text says."""
    return [
        ReasoningPart.model_construct(text=f"thought\n{text}"),
        call(f"n{text}", f"first\n{text}", **{f"k{text}": f"{text}{'x' * 200}"}),
        call("other", error=f"first\n{text}{'x' * 500}"),
        call("third", status=ToolStatus.RUNNING, deep={"in": [text, {"more": "x" * 200}]}),
    ]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_whatever_a_tool_is_called_is_given_or_returns_stays_text(payload):
    html = steps_html(shaped(payload))
    assert look(html).count == look(steps_html(shaped("plain"))).count
    assert look(html).links == []
    assert not re.search(CONTROL, steps_text(shaped(payload)))


@given(st.text(st.characters(codec=None)))
def test_any_text_in_a_call_stays_text(text):
    look(steps_html(shaped(text)))
    assert not re.search(CONTROL, steps_text(shaped(text)))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (call(status=ToolStatus.PENDING), "○ waiting"),
        (call(), "◐ running …"),
        (call(seconds=12.3), "◐ running … 12 s"),
        (call(output="Wet."), "✓ done · 0.032 s"),
        (call(output="Wet.", seconds=75.2), "✓ done · 75 s"),
        (call(output="Wet.", seconds=0.0), "✓ done · 0.001 s"),
        (call(error="ValueError: no such town"), "✗ error · 0.032 s"),
        (call(error="no more tools are run", seconds=None), "✗ not run"),
        (call(stopped=True), "■ stopped"),
    ],
)
def test_each_state_of_a_call_is_a_sign_and_a_word(step, words):
    assert words in seen(step)
    assert words in steps_text([step])


def test_a_call_is_one_line_with_its_arguments_and_the_beginning_of_its_result():
    step = call(output="2,250 mm\nof rain", city="Bergen", years=[2024, 2025])
    assert '⚙ rain(city="Bergen", years=[2024, 2025]) ⇒ 2,250 mm … 2 lines ✓ done' in seen(step)
    assert steps_text([step]) == (
        '⚙ rain(city="Bergen", years=[2024, 2025]) · ✓ done · 0.032 s\n  ⇒ 2,250 mm … 2 lines'
    )


def test_only_what_the_line_does_not_say_unfolds():
    assert "<details" not in steps_html([call(output="Wet.", city="Bergen")])
    assert "<details" not in steps_html([call(error="ValueError: no such town", city="Bergen")])
    folded = seen(call(output="Wet.", text="word " * 100))
    assert "arguments" in folded
    assert "word " * 100 in folded
    assert "result" not in folded
    assert "one\ntwo" in seen(call(output="one\ntwo"))


def test_an_error_is_told_in_words_and_a_long_one_unfolds():
    assert "ValueError: no such town" in seen(call(error="ValueError: no such town"))
    assert "ValueError: no such town" in steps_text([call(error="ValueError: no such town")])
    assert "x" * 1_000 in seen(call(error="x" * 1_000))
    assert len(steps_text([call(error="x" * 1_000)])) < 500


def test_a_tool_that_returned_nothing_says_so():
    assert "⇒ (nothing)" in seen(call(output="", status=ToolStatus.COMPLETED))


def test_words_thoughts_and_calls_stand_in_their_order():
    steps = [
        ReasoningPart(text="It may be wet."),
        "Let me *look*.",
        call("rain", "Wet."),
        call("wind", "Calm."),
        "It is wet.",
    ]
    for text in (seen(*steps).replace("look", "*look*"), steps_text(steps)):
        places = [text.index(words) for words in ("may be wet", "Let me *look*", "rain(", "wind(", "It is wet")]
        assert places == sorted(places)
    assert "<em>look</em>" in steps_html(steps)


def test_a_thought_is_folded_and_one_that_is_kept_secret_says_so():
    html = steps_html([ReasoningPart(text="Two towns.\nBoth wet.")])
    assert "∴ thought · Two towns." in look(html).text
    assert html.index("<details") < html.index("Both wet.")
    secret = ReasoningPart(text="", data={"signature": "abc"})
    assert "keeps it to itself" in seen(secret)
    assert "abc" not in steps_html([secret]) + steps_text([secret])


def test_a_call_in_one_line_is_cut():
    words = call_words(call(text="x" * 1_000_000, more="y" * 1_000_000).part)
    assert len(words) <= 160
    assert words.endswith("…")
    assert words.startswith('rain(text="xxx')


@pytest.mark.parametrize("text", ["<&\u202e" * 20_000, "word\n" * 20_000, "漢" * 20_000], ids=["<", "word", "漢"])
def test_a_reply_with_any_number_of_calls_of_any_size_stays_small(text):
    steps = [call(text[:100], text, argument=text) for _ in range(2_000)]
    html = steps_html(steps)
    assert len(html.encode()) < 400_000
    assert look(html).text.count("… 1,880 more calls; frames.tool_calls() has all") == 1
    assert len(steps_text(steps)) < 100_000


def test_a_reply_without_calls_is_the_markdown_itself():
    from mnesis_jupyter.html import reply_html

    assert steps_html(["**Hi**"]) == reply_html("**Hi**")
    assert steps_text(["**Hi**"]) == "**Hi**"
    assert steps_html([]) == reply_html("")
