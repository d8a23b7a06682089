"""Maps as tools: a model sends a file through a map, and its window gets counts and a path."""

import json

import pytest

from mnesis import InputError, MnesisSession
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.operators import LLMMap, map_tools

MODEL = "offline/quote"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def answer(request):
    text = request.messages[-1]["content"]
    return "no JSON" if "'bad'" in str(request.messages) else json.dumps({"n": len(text)})


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "in.jsonl").write_text('{"text": "one"}\n{"text": "bad"}\n{"text": "three"}\n')
    return folder


async def called(store_path, folder, name, **arguments):
    """What the model is told when it calls a tool, who was asked, the session's events, and those that it told of."""
    script = ScriptedProvider([Reply(tool_calls=[{"name": name, "arguments": arguments}]), "Done."])
    workers = ScriptedProvider([answer], cycle=True)
    heard = []
    async with MnesisSession.open(model=MODEL, llm=script, db_path=store_path) as session:
        session.subscribe(None, lambda event, payload: heard.append(event.value))
        await session.send("Map it.", tools=map_tools(session, folder, llm=workers))
        (result,) = [message for message in await session.messages() if message.role == "tool"]
        events = [event.event.value for event in await session.events()]
    return result.parts[0], workers, events, heard


@pytest.mark.parametrize(
    ("name", "template"), [("llm_map", "prompt_template"), ("agentic_map", "agent_prompt_template")]
)
async def test_a_model_sends_a_file_through_a_map(store_path, folder, name, template):
    arguments = {"input": "in.jsonl", "output": "out.jsonl", template: "{{ item.text }}", "output_schema": SCHEMA}
    part, _, events, _ = await called(store_path, folder, name, **arguments)
    assert "2 done, 1 failed; results in out.jsonl" in part.output
    assert "item 1 failed: " in part.output
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    by_index = {line["index"]: line for line in lines}
    assert [by_index[index]["output"] for index in range(3)] == [{"n": 3}, None, {"n": 5}]
    assert by_index[1]["error"]
    assert {"map.started", "map.completed"} <= set(events)


async def test_the_run_of_a_tool_can_be_looked_at_afterwards(store_path, folder):
    arguments = {"input": "in.jsonl", "output": "out.jsonl", "prompt_template": "{{ item.text }}"}
    part, *_ = await called(store_path, folder, "llm_map", **arguments)
    run_id = part.output.split()[1].rstrip(":")
    info = await LLMMap(model=MODEL, db_path=store_path).describe(run_id)
    assert (info.state, info.done, info.total) == ("done", 3, 3)


async def test_who_listens_to_the_session_hears_of_a_tools_map_while_it_goes_on(store_path, folder):
    arguments = {"input": "in.jsonl", "output": "out.jsonl", "prompt_template": "{{ item.text }}"}
    *_, heard = await called(store_path, folder, "llm_map", **arguments)
    of_the_map = [event for event in heard if event.startswith("map.")]
    assert of_the_map == ["map.started", *["map.item_completed"] * 3, "map.completed"]
    assert heard.index("map.completed") < heard.index("turn.committed")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input": "../sessions.db"}, "outside of the folder"),
        ({"output": "/tmp/out.jsonl"}, "outside of the folder"),
        ({"input": "link.jsonl"}, "outside of the folder"),
        ({"output": "in.jsonl"}, "nothing is written over"),
        ({"output": "no/folder/out.jsonl"}, "cannot be written"),
        ({"input": "gone.jsonl"}, "is no file of the folder"),
        ({"input": "a\0b"}, "is no path"),
        ({"input": 5}, "give a text"),
        ({"prompt_template": "hello"}, "does not use the item"),
        ({"prompt_template": "{{ ''.__class__ }} {{ item"}, "is no Jinja template"),
        ({"output_schema": {"type": "objekt"}}, "is no JSON Schema"),
    ],
    ids=range(11),
)
async def test_a_model_reaches_nothing_but_new_files_of_the_folder(store_path, folder, tmp_path, change, said):
    outside = tmp_path / "secret.jsonl"
    outside.write_text('"secret"\n')
    (folder / "link.jsonl").symlink_to(outside)
    arguments = {"input": "in.jsonl", "output": "out.jsonl", "prompt_template": "{{ item.text }}"} | change
    part, workers, *_ = await called(store_path, folder, "llm_map", **arguments)
    assert said in part.error_message
    assert workers.requests == []
    assert (folder / "in.jsonl").read_text().count("\n") == 3


async def test_a_folder_that_is_not_there_is_refused(store_path, tmp_path):
    async with MnesisSession.open(model=MODEL, db_path=store_path) as session:
        with pytest.raises(InputError, match="is no folder"):
            map_tools(session, tmp_path / "gone")
