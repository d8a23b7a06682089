"""Compaction and recall by `%mnesis`, in a real IPython shell."""

import re
import time

import pytest
from summarisers import Model, config
from test_html import PAYLOADS
from test_magics import shown
from test_views import look

import mnesis_jupyter
from mnesis import InputError, NotFound
from mnesis_jupyter import frames

SIZE = 250
HOSTILE = PAYLOADS[:40]


@pytest.fixture(autouse=True)
def single_display(monkeypatch):
    monkeypatch.setenv("MNESIS_STREAM", "0")


def begin(title="tour", **options):
    """A small session whose summaries are the beginnings of what they stand for."""
    return mnesis_jupyter.open_session(model="offline/quote", llm=Model(**options), config=config(8_000), title=title)


def say(notebook, *messages):
    """One chat cell a message; waits for compactions."""
    for message in messages:
        notebook.names["message"] = message
        ran = notebook("%%mnesis\n{{ message }}")
        notebook("%mnesis compact --wait")
    return ran


def talk(number, about="the weather"):
    return f"Note {number}: the needle-{number:03} lies below the lamp. " + f"It is {about} again. " * (SIZE // 5)


@pytest.fixture
def tour(notebook):
    """A session of ten turns, the first of them compacted by hand."""
    begin()
    say(notebook, *map(talk, range(5)))
    notebook("%mnesis compact")
    return notebook


def more(text):
    """The line that shows the next page."""
    return text.rpartition("More: ")[2].strip("`")


def ids(kind):
    return frames.summaries("tour").index.get_level_values("summary_id")[0] if kind == "summary" else _first_message()


def _first_message():
    return frames.messages("tour")["message_id"].iloc[0]


# -- compaction ---------------------------------------------------------------------------------------------------


def test_compact_shows_what_it_did_and_then_that_nothing_can_shrink(notebook):
    begin()
    say(notebook, *map(talk, range(5)))
    ran = notebook("%mnesis compact")
    assert re.search(r"Compacted [\d,]+ → [\d,]+ tokens, \d+ % saved", ran.text)
    assert "8 messages →" in ran.text
    assert ids("summary") in look(ran.html).text
    assert "Nothing could shrink" in notebook("%mnesis compact").text


def test_a_turn_that_sets_off_a_compaction_says_so_and_waiting_shows_what_it_did(notebook):
    session = begin()
    assert "No compaction so far" in notebook("%mnesis compact --wait").text
    for number in range(30):
        notebook.names["message"] = talk(number)
        ran = notebook("%%mnesis\n{{ message }}")
        if "compacting in the background" in ran.text:
            break
    assert "compacting in the background" in look(ran.html).text
    waited = notebook("%mnesis compact --wait").text
    assert f"Compacted after turn {number}" in waited
    assert not session.compaction_in_progress


def test_a_turn_that_had_to_make_room_says_what_it_did(notebook):
    model = Model()
    session = mnesis_jupyter.open_session(model="offline/quote", llm=model, config=config(8_000))
    say(notebook, *map(talk, range(7)))
    ran = say(notebook, "word " * 2_600)
    assert re.search(r"compacted \d+ messages?: [\d,]+ → [\d,]+ tokens before this turn", ran.text), ran.text
    assert any(turn.compact_result for turn in session.history())


def test_summaries_shows_each_with_its_originals(tour):
    ran = tour("%mnesis summaries")
    for told in (ran.text, look(ran.html).text):
        assert ids("summary") in told
        assert "turns 0-3" in told
        assert "level 1, structured, by offline/quote" in told
        assert "in the window" in told
    assert ran.text.index(ids("summary")) < ran.text.index(_first_message())
    assert "needle-003" in look(ran.html).text


def test_diff_says_what_was_summarised_into_which(tour):
    tour("%%mnesis\nGo on.")
    assert "Window of turn 2 → the next window" in tour("%mnesis diff 2").text
    ran = tour("%mnesis diff 2 5")
    assert f"summarised into {ids('summary')}" in ran.text
    assert "+ added" in look(ran.html).text
    assert "Window of turn 2 → turn 5" in ran.text


def test_context_and_budget_show_the_summary(tour):
    assert "Σ summary   turns 0-3" in tour("%mnesis context").text
    assert "Σ summary" in look(tour("%mnesis context").html).text
    assert re.search(r"summaries +[1-9]\d*", tour("%mnesis budget").text)


# -- recall -------------------------------------------------------------------------------------------------------


def test_grep_finds_what_left_the_window_and_marks_it(tour):
    ran = tour("%mnesis grep needle-002 --role user")
    assert f"Covered by {ids('summary')}" in ran.text
    assert "«needle-002»" in ran.text
    assert ">needle-002</strong>" in ran.html


def test_grep_takes_several_words_an_expression_a_summary_and_goes_on_page_by_page(tour):
    assert "hit" in tour("%mnesis grep which needle lies below the lamp").text
    first = tour(f"%mnesis grep --regex 'needle-\\d+' --summary {ids('summary')} --role user -n 2").text
    assert "2 hits, and more" in first
    second = tour(more(first)).text
    assert set(re.findall("«needle-.{3}»", first)).isdisjoint(re.findall("«needle-.{3}»", second))
    assert "«needle-004»" not in first + second


def test_a_page_can_be_asked_for_again_whatever_is_in_the_pattern(tour):
    first = tour("""%mnesis grep -n 1 --regex "it's|(is )the" """).text
    assert "and more" in first
    assert "hit" in tour(more(first)).text


def test_expand_brings_the_originals_back_page_by_page(tour):
    pages = [tour(f"%mnesis expand {ids('summary')} --tokens 300").text]
    while "\nMore: " in pages[-1]:
        pages.append(tour(more(pages[-1])).text)
    assert len(pages) > 3
    for number in range(4):
        assert talk(number)[:40] in "".join(pages)
    assert talk(1) in look(tour(f"%mnesis expand {frames.messages('tour')['message_id'].iloc[2]}").html).text


@pytest.mark.parametrize("kind", ["summary", "message"])
def test_describe_and_why_say_what_an_id_is_and_how_it_came_there(kind, tour):
    assert f"{ids(kind)} is a {kind}" in tour(f"%mnesis describe {ids(kind)}").text
    assert ids(kind) in look(tour(f"%mnesis describe {ids(kind)}").html).text
    told = tour(f"%mnesis why {ids(kind)}").text
    assert ("made of 8 messages" if kind == "summary" else f"is covered by {ids('summary')}") in told


def test_verify_finds_nothing_wrong(tour):
    assert re.search(r"All \d+ checks passed", tour("%mnesis verify").text)
    assert re.search(r"All \d+ checks passed", tour("%mnesis verify --deep").text)


def test_each_works_on_a_session_that_is_not_the_current_one(tour):
    summary = ids("summary")
    for line in (
        "grep needle -s tour",
        f"expand {summary} -s tour",
        f"describe {summary} -s tour",
        f"why {summary} -s tour",
        "diff 0 1 -s tour",
        "summaries tour",
        "verify tour",
        "compact tour",
    ):
        begin("other")
        assert tour(f"%mnesis {line}").text


# -- what goes wrong ----------------------------------------------------------------------------------------------

UNKNOWN = "sum_01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.mark.parametrize(
    ("line", "error", "told"),
    [
        (f"expand {UNKNOWN}", NotFound, UNKNOWN),
        (f"describe {UNKNOWN}", NotFound, UNKNOWN),
        (f"why {UNKNOWN}", NotFound, UNKNOWN),
        (f"grep x --summary {UNKNOWN}", NotFound, UNKNOWN),
        ("why nonsense", InputError, "nonsense"),
        ("expand nonsense", InputError, "nonsense"),
        ("describe", InputError, "required: ID"),
        ("expand {message} --tokens 3", InputError, "at least 128"),
        ("expand {message} --cursor xyz", InputError, "is no cursor"),
        ("expand {message} --cursor {cursor}", InputError, "cursor"),
        ("grep needle --regex --cursor {cursor}", InputError, "another question"),
        ("grep needle --cursor nonsense", InputError, "is no cursor"),
        ("grep x --summary nonsense", NotFound, "nonsense"),
        ("why {turn}", InputError, "does not name"),
        ("grep other --cursor {cursor}", InputError, "another question"),
        ("grep", InputError, "required: PATTERN"),
        ("grep --regex '('", InputError, "("),
        ("grep x -n 0", InputError, "1 or more"),
        ("grep x --role nobody", InputError, "nobody"),
        ("diff", InputError, "required: A"),
        ("diff 0 99", NotFound, "99"),
        ("diff a b", InputError, "invalid int value"),
        ("summaries nobody", NotFound, "nobody"),
        ("compact nobody", NotFound, "nobody"),
        ("verify --depe", InputError, "did you mean '--deep'"),
    ],
)
def test_a_mistake_fails_the_cell_with_one_line_that_says_what_to_do(line, error, told, tour):
    cursor = more(tour("%mnesis grep needle -n 1").text).split()[-1]
    turn = f"turn_{_first_message().partition('_')[2]}"
    line = line.replace("{message}", _first_message()).replace("{cursor}", cursor).replace("{turn}", turn)
    ran = tour.run(f"%mnesis {line}")
    assert isinstance(ran.error, error), ran.stdout
    lines = shown(ran).strip().splitlines()
    assert told in lines[0]
    assert len(lines) <= 2


@pytest.mark.parametrize("command", ["expand", "describe", "why", "grep x --summary"])
def test_an_id_of_another_session_is_not_found(command, tour):
    theirs = [ids("summary")] if "grep" in command else [ids("summary"), ids("message")]
    begin("other")
    for id in theirs:
        ran = tour.run(f"%mnesis {command} {id}")
        assert isinstance(ran.error, NotFound)
        assert id in shown(ran)


def test_a_cursor_of_another_session_is_refused(tour):
    cursor = more(tour("%mnesis grep needle -n 1").text).split()[-1]
    begin("other")
    assert isinstance(tour.run(f"%mnesis grep needle --cursor {cursor}").error, InputError)


def test_turns_of_another_session_are_not_there_to_compare(tour):
    begin("other")
    assert isinstance(tour.run("%mnesis diff 0 1").error, NotFound)


def test_a_hostile_regular_expression_ends_in_time_and_says_what_it_passed_over(tour):
    say(tour, "a" * 4_000 + "!")
    begun = time.monotonic()
    ran = tour("%mnesis grep --regex '^(a|aa)+$'")
    assert time.monotonic() - begun < 10
    message = frames.messages("tour")["message_id"].iloc[-2]
    assert f"Passed over, as the expression took too long on them: {message}" in ran.text
    assert "Passed over" in look(ran.html).text
    assert "hit" in tour("%mnesis grep needle").text


NEEDS_A_SESSION = [
    *("compact", "compact --wait", "summaries", "verify", "grep x", "diff 0 1"),
    *(f"{name} {UNKNOWN}" for name in ("expand", "describe", "why")),
]


@pytest.mark.parametrize("line", NEEDS_A_SESSION)
def test_without_a_session_there_is_nothing_to_show(line, notebook):
    ran = notebook.run(f"%mnesis {line}")
    assert isinstance(ran.error, InputError)
    assert "there is no session yet" in shown(ran)


# -- text stays text ----------------------------------------------------------------------------------------------


def test_hostile_text_in_messages_summaries_and_titles_never_becomes_markup(notebook):
    begin(title=HOSTILE[0], chat=HOSTILE[2], summarise="\n".join(HOSTILE))
    say(notebook, *(f"{hostile}\n{talk(number)}" for number, hostile in enumerate(HOSTILE[:6])))
    assert "→" in notebook("%mnesis compact").text
    summary = frames.summaries().index.get_level_values("summary_id")[0]
    message = frames.messages()["message_id"].iloc[0]
    lines = ["summaries", "context", "grep script alert", "grep --regex '<.*>'", "diff 0 5", "verify", "compact"]
    for line in [*lines, *(f"{name} {id}" for name in ("expand", "describe", "why") for id in (summary, message))]:
        assert look(notebook(f"%mnesis {line}").html).links == []
