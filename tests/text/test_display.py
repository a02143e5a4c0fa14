"""Cells of tables."""

from __future__ import annotations

import pytest

from lmclassify.text.display import aligned, fitting_lines, isolated, percent, quality, shown


def test_a_text_from_right_to_left_is_isolated():
    assert shown("مرحبا") == "\u2068مرحبا\u2069"
    assert isolated("שלום 3") == "\u2068שלום 3\u2069"
    for text in ("hello", "привет", "你好", "नमस्ते"):
        assert isolated(text) == text


def test_joiners_are_escaped_for_terminals_only():
    assert shown("می‌خواهم") == "\u2068می‌خواهم\u2069"
    assert shown("می‌خواهم", terminal=True) == "\u2068می\\u200cخواهم\u2069"
    assert shown("a\u2069b\x1b\n") == "a\\u2069b\\x1b\\n"


def test_cut():
    assert shown("a" * 41) == "a" * 39 + "…"
    assert shown("a" * 41, None) == "a" * 41


def test_wide_characters_count_twice():
    assert shown("免" * 20) == "免" * 20
    assert shown("免" * 21) == "免" * 19 + "…"
    assert shown("ab" + "免" * 3, 6) == "ab免…"


def test_tables_fit_the_terminal():
    cells = [["id", "text", "p"], ["1", "a" * 50, "0.1234"], ["2", "b" * 20, "0.5"]]
    assert fitting_lines(cells, None)[1] == "1   " + "a" * 50 + "  0.1234"
    assert fitting_lines(cells, 30) == [
        "id  text                p",
        "1   aaaaaaaaaaaaaaaaa…  0.1234",
        "2   bbbbbbbbbbbbbbbbb…  0.5",
    ]
    many = [["x" * 9] * 20]
    assert fitting_lines(many, 40) == ["  ".join(["x" * 5 + "…"] * 20)]
    assert fitting_lines([["免费" * 9, "a" * 20]], 24) == ["免费免费免…  aaaaaaaaaa…"]
    assert fitting_lines([], 24) == []


@pytest.mark.parametrize(
    ("texts", "expected"), [(40, "92%"), (999, "92%"), (4_000, "92.1%"), (100_000, "92.14%")]
)
def test_shares_have_the_decimals_that_their_texts_support(texts, expected):
    assert percent(0.9214, texts) == expected
    assert quality(0.9214, 0.23456, 40) == "accuracy 92%, log-loss 0.23 nats per text"


def test_wide_and_invisible_characters_are_aligned():
    assert aligned([["免费", "1"], ["\u2068م\u2069", "23"]]) == [["免费", " 1"], ["\u2068م\u2069   ", "23"]]
    assert aligned([["a", "bc"], ["", "d"]], left=0, equal=True) == [[" a", "bc"], ["  ", " d"]]
