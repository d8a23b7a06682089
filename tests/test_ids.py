"""Ids: prefixed, unique, sortable whatever the clock does."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnesis.ids import PREFIXES, IdFactory, kind_of, new_id


@given(st.lists(st.integers(0, 2**48 - 1), min_size=2, max_size=30))
def test_ids_are_strictly_increasing_also_when_the_clock_steps_back(moments):
    clock = iter(moments)
    make = IdFactory(lambda: next(clock))
    ids = [make("msg") for _ in moments]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_an_id_is_a_prefix_and_26_characters_that_begin_with_the_time():
    assert IdFactory(lambda: 0)("msg").startswith("msg_0000000000")
    assert IdFactory(lambda: 2**48 - 1)("msg").startswith("msg_7ZZZZZZZZZ")
    assert {len(new_id(prefix)) - len(prefix) for prefix in PREFIXES} == {27}


def test_ids_of_several_threads_are_unique():
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id("evt"), range(20_000)))
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("prefix", "kind"), PREFIXES.items())
def test_an_id_says_what_it_names(prefix, kind):
    assert kind_of(new_id(prefix)) == kind


@pytest.mark.parametrize("text", ["", "msg", "msg_", "xyz_01", "_01", "MSG_01"])
def test_what_is_no_id_of_ours_names_nothing(text):
    assert kind_of(text) is None


def test_an_unknown_prefix_is_refused():
    with pytest.raises(ValueError, match="'xyz'"):
        new_id("xyz")
