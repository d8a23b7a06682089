"""Recall as the model has it: tools whose answers keep to their share of the window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from summarisers import Answer, Model, create, settled

from mnesis import ToolPart
from mnesis.llm.base import Request
from mnesis.llm.scripted import Reply
from mnesis.tokens import counter_for

LEAST = 256
UNEVEN = st.lists(
    st.one_of(
        st.just("a word in plain English "), st.just("0" * 40), st.just("漢字仮名交じり文"), st.just("{}[]();:,.\n")
    ),
    min_size=1,
    max_size=40,
).map("".join)


def asker(tool: str, arguments: dict[str, str]) -> Model:
    """Calls the tool once in each turn that is a question, then says what it found."""

    def chat(request: Request) -> Answer:
        asked = request.messages[-1]["role"] == "user" and "?" in request.messages[-1]["content"]
        return Reply(tool_calls=[{"name": tool, "arguments": arguments}]) if asked else "I see."

    return Model(chat)


@pytest.mark.parametrize("tool", ["mnesis_grep", "mnesis_describe", "mnesis_expand"])
@given(texts=st.lists(UNEVEN, min_size=3, max_size=8))
async def test_an_answer_of_a_recall_tool_keeps_to_its_tokens_whatever_was_said(tool, texts):
    arguments: dict[str, str] = {}
    async with await create(":memory:", asker(tool, arguments), 4_000, recall="always") as session:
        for text in texts:
            await session.send(f"Remember the needle. {text.replace('?', '')}")
            await settled(session)
        first = (await session.messages())[0]
        arguments |= {"pattern": "needle"} if tool == "mnesis_grep" else {"id": first.id}
        turn = (await session.send("Where is it?")).turn
        answers = [
            part.output
            for message in await session.messages()
            for part in message.parts
            if message.turn == turn and message.role == "tool" and isinstance(part, ToolPart)
        ]
        assert len(answers) == 1
        assert answers[0], "it answers"
        window = await session.context()
        assert counter_for("offline/quote").count(answers[0]) <= max(LEAST, window.budget // 8)
