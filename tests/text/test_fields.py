"""Texts of several fields."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lmclassify.text.fields import fields_at, join_fields

NAMES = ["a", "b", "c"]


@given(st.lists(st.text("xy \n\t\x1e\u2028é"), min_size=3, max_size=3))
def test_each_line_is_a_field(fields):
    text = join_fields(fields)
    if not any(field.split() for field in fields):
        assert text == ""
        return
    lines = text.split("\n")
    assert lines == [" ".join(field.split()) for field in fields]
    starts = [start for start, character in enumerate(text) if character != "\n"]
    expected = [name for name, line in zip(NAMES, lines, strict=True) for _ in line]
    assert fields_at(text, starts, NAMES) == expected


def test_texts_that_are_not_of_the_fields():
    assert fields_at("one\ntwo", [0], NAMES) is None
    assert fields_at("one\ntwo\nthree\nfour", [0], NAMES) is None
    assert fields_at("one", [0], ["a"]) is None
    assert fields_at("one\ntwo", [], []) is None
