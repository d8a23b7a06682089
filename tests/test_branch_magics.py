"""`%mnesis fork`, `branches`, `rename` and `delete` in a real IPython shell."""

import re

import pytest

from mnesis import InputError, NotFound, StoreError
from mnesis_jupyter import frames


@pytest.fixture
def notebook(notebook):
    for text in ("My name is Ada.", "My dog is Rex.", "My cat is Tom."):
        notebook(f"%%mnesis -s one\n{text}")
    return notebook


def test_a_fork_shares_the_past_up_to_a_turn_and_is_current(notebook):
    (old,) = frames.sessions().index
    ran = notebook("%mnesis fork 0")
    assert "New branch “one” of “one”: 1 turn shared." in ran.text
    assert f"`%mnesis use {old}` goes back" in ran.text
    assert "Ada" in notebook("%%mnesis -s one\nWhat is my name?").text
    assert frames.messages("one", role="user")["text"].tolist() == ["My name is Ada.", "What is my name?"]
    assert "3 turns shared" in notebook(f"%mnesis fork -s {old} --title other").text
    assert isinstance(notebook.run("%mnesis fork 99").error, NotFound)


def test_branches_are_a_tree_in_text_and_html(notebook):
    notebook("%mnesis fork 1 --title two")
    notebook("%mnesis fork 0 --title three")
    ran = notebook("%mnesis branches")
    assert "Branches (3)" in ran.text
    assert re.search(r"└─ two +turns 0-1 +2 ", ran.text)
    assert re.search(r"└─── three +this one +turn 0 +1 ", ran.text)
    assert "└─── three" in ran.html  # where spaces in front of it would be lost
    assert "2 turns so far" in notebook("%mnesis use two").text


def test_two_branches_stand_beside_each_other_from_where_they_part(notebook):
    notebook("%mnesis fork 0 --title two")
    notebook("%%mnesis\nMy dog is Bella.")
    ran = notebook("%mnesis branches one two")
    assert "They share turn 0." in ran.text
    row = next(line for line in ran.text.splitlines() if "Bella" in line)
    assert row.startswith("1 ")
    assert row.index("My dog is Rex.") < row.index("My dog is Bella.")
    assert "My name is Ada." not in ran.text
    notebook("%%mnesis\nMy parrot, who is called Polly, speaks three languages; ask her.")
    assert "user: My parrot, who is called Polly, speaks three la…" in notebook("%mnesis branches two one").text
    assert "They are the same so far" in notebook("%mnesis branches two two").text


def test_a_renamed_session_is_found_by_its_new_title_only(notebook):
    assert "“one” is “the first” now." in notebook("%mnesis rename 'the first'").text
    assert "Ada" in notebook("%%mnesis -s 'the first'\nWhat is my name?").text
    assert isinstance(notebook.run("%mnesis use one").error, NotFound)
    assert isinstance(notebook.run("%mnesis rename ' '").error, InputError)


def test_delete_says_what_would_be_lost_and_does_it_only_with_yes(notebook):
    notebook("%%mnesis -s two\nKeep this.")
    ran = notebook("%mnesis delete one")
    assert "This would delete “one”: 3 turns" in ran.text
    assert len(frames.sessions()) == 2
    ran = notebook("%mnesis delete one --yes")
    assert "Deleted “one”: 3 turns" in ran.text
    assert "A mark stays" in ran.text
    assert frames.sessions()["title"].tolist() == ["two"]
    assert "Keep this." in notebook("%mnesis messages").text


def test_what_forks_stand_on_is_not_deleted_and_that_is_told(notebook):
    (old,) = frames.sessions().index
    notebook("%mnesis fork 0 --title two")
    ran = notebook.run(f"%mnesis delete {old} --yes")
    assert isinstance(ran.error, StoreError)
    assert "erase them first" in str(ran.error)
    assert len(frames.sessions()) == 2
