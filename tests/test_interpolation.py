"""`{{ name }}` in the body of a cell."""

from types import SimpleNamespace

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
