"""`{{ name }}` in the body of a cell."""

import time
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnesis import InputError
from mnesis_jupyter.interpolation import interpolate

NAMES = {
    "name": "Ada",
    "größe": 3,
    "page": SimpleNamespace(title="With", tags=["a", "b"]),
    "topics": {"with": "the with statement", "a}}b": "braces", 3: "three"},
    "tricky": "{{ name }}",
    "call": lambda: 1,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello {{ name }}!", "Hello Ada!"),
        ("{{name}}{{name}}", "AdaAda"),
        ("{{ größe }}", "3"),
        ("{{ page.title }}", "With"),
        ("{{ page.tags[1] }} {{ page.tags[-1] }}", "b b"),
        ('{{ topics["with"] }}', "the with statement"),
        ("{{ topics['with'] }}", "the with statement"),
        ('{{ topics["a}}b"] }}', "braces"),
        ("{{ topics[3] }}", "three"),
    ],
)
def test_names_attributes_and_indexes_are_put_in(text, expected):
    assert interpolate(text, NAMES) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{name} and {0}",
        '{"a": {"b": {}}}',
        '[{"a":{"b":1}}]',
        r"\frac{{1}}{2} {{\bf x}}",
        r"\frac{{a}}{{b}} and x^{{name}}",
        '{{"a": 1}}',
        "f'{x!r:>{width}}'",
        "{{}} {{ }} }} {{",
        "{% if name %}{# no #}{% endif %}",
        "{{\nname\n}}",
    ],
)
def test_everything_else_with_braces_is_left_alone(text):
    assert interpolate(text, NAMES) == text


def test_a_value_is_never_looked_at_again():
    assert interpolate("{{ tricky }}", NAMES) == "{{ name }}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ nam }}", "no name 'nam'.*did you mean 'name'"),
        ("{{ nothing_like_it }}", "no name 'nothing_like_it'.*--raw"),
        ("{{ page.titel }}", "no attribute 'titel'; did you mean 'title'"),
        ('{{ topics["wiht"] }}', "no item 'wiht'.*did you mean 'with'"),
        ("{{ page.tags[9] }}", "page.tags has no item 9"),
        ("{{ größe[0] }}", "größe has no item 0"),
        ("{{ call() }}", "--raw"),
        ("{{ name + name }}", "--raw"),
        ("{{ page.tags[0:1] }}", "--raw"),
        ("{{ topics[name] }}", "--raw"),
        ("{{ name name }}", "--raw"),
        ("{{ name if name else name }}", "--raw"),
    ],
)
def test_what_cannot_be_put_in_is_named(text, told):
    with pytest.raises(InputError, match=told):
        interpolate(text, NAMES)


@given(st.text())
def test_any_value_arrives_as_it_is(value):
    assert interpolate("<{{ value }}>", {"value": value}) == f"<{value}>"


def test_a_large_hostile_cell_takes_no_time():
    for piece in ("{{", "{{a", '{{"', "{{a[", "}}{{ "):
        text = piece * (1_000_000 // len(piece))
        assert interpolate(text, {}) == text


def test_a_frame_is_put_in_as_a_table_of_some_rows_that_says_how_many_there_are():
    frame = pd.DataFrame({"city": ["Oslo", "Rome, Italy", "Bern"], "degrees": [3.5, 21.0, None]})
    names = {"frame": frame, "keyed": frame.set_index("city"), "column": frame["degrees"]}
    assert interpolate("{{ frame }}", names) == 'city,degrees\nOslo,3.5\n"Rome, Italy",21.0\nBern,'
    assert interpolate("{{ frame }}", names, rows=1) == "city,degrees\nOslo,3.5\n(the first 1 of 3 rows x 2 columns)"
    assert interpolate("{{ keyed }}", names, rows=1).startswith("city,degrees\nOslo,3.5")
    assert interpolate("{{ column }}", names) == 'degrees\n3.5\n21.0\n""'


def test_a_message_of_five_megabytes_is_looked_through_in_a_moment():
    text = "{{ name }} {x} \\frac{{a}} " * 200_000
    began = time.perf_counter()
    assert interpolate(text, NAMES).count("Ada") == 200_000
    assert time.perf_counter() - began < 10
