"""Cells of tables."""

from __future__ import annotations

from lmclassify.text.display import aligned, isolated, shown


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


def test_wide_and_invisible_characters_are_aligned():
    assert aligned([["免费", "1"], ["\u2068م\u2069", "23"]]) == [["免费", " 1"], ["\u2068م\u2069   ", "23"]]
    assert aligned([["a", "bc"], ["", "d"]], left=0, equal=True) == [[" a", "bc"], ["  ", " d"]]
