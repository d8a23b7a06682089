"""`count_tokens`: the same numbers as in the windows of sessions, for what is in none."""

import pytest
from small_windows import small

from mnesis import InputError, count_tokens
from mnesis.models.message import TextPart, ToolPart, ToolStatus
from mnesis.tokens import counter_for


def test_a_text_is_counted_as_its_model_counts():
    text = "My name is Alice, and the secret code is 42. 我们约定的截止日期是五月三日。"
    counted = count_tokens(text, model="openai/gpt-4o")
    assert counted == counter_for("openai/gpt-4o").count(text)
    assert counted.exact
    assert (repr(counted), str(counted)) == (f"{counted} tokens (exact)", f"{int(counted)}")


def test_an_unknown_model_is_estimated_and_that_is_said():
    counted = count_tokens("Some words.", model="anthropic/claude-opus-4-6")
    assert not counted.exact
    assert "an estimate" in repr(counted)
    assert counted + 1 > counted > 0


async def test_messages_are_counted_as_the_window_that_holds_them():
    async with small() as session:
        call = ToolPart(
            tool_name="look", tool_call_id="c1", input={"at": 1}, output="seen " * 30, status=ToolStatus.COMPLETED
        )
        await session.record("Look at it.", [TextPart(text="I did."), call])
        await session.record("And now?", "Nothing more.")
        size = (await session.context()).size
        messages = await session.export("openai")
    assert count_tokens(messages, model="offline/quote") == size
    assert count_tokens({"messages": messages}, model="offline/quote") == size
    assert count_tokens([], model="offline/quote") == 0


@pytest.mark.parametrize(
    ("counted", "model"), [([{"role": "nobody"}], "offline/quote"), ("x", ""), (7, "offline/quote")]
)
def test_what_cannot_be_counted_is_refused(counted, model):
    with pytest.raises(InputError):
        count_tokens(counted, model=model)
