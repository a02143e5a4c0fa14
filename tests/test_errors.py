from __future__ import annotations

import numpy as np

from lmclassify.errors import counted, did_you_mean, listing, plural, printable, shorten


def test_printable():
    assert printable("a\tb\x1b[0m\u202eé😀") == "a\\tb\\x1b[0m\\u202eé😀"


def test_joiners_and_spaces_of_scripts_are_printable():
    for text in ("می‌خواهم", "👩‍💻", "ភាសា\u200bខ្មែរ", "全角　空白", "\u200fעברית"):
        assert printable(text) == text
    assert printable("a\u2066b\u2028c\ud800") == "a\\u2066b\\u2028c\\ud800"


def test_shorten_and_listing():
    assert shorten("x" * 100, 10) == "'xxxxxxxx…"
    assert shorten("x") == "'x'"
    assert shorten(np.eye(2)) == "array([[1., 0.],\\n       [0., 1.]])"
    assert listing(range(5), 3) == "0, 1, 2, and 2 more"
    assert listing(["a\nb"]) == "a\\nb"
    assert listing([]) == ""


def test_did_you_mean():
    assert did_you_mean("SMAP", ["Spam", "ham"]) == " (did you mean 'Spam'?)"
    assert did_you_mean("eggs", ["spam", "ham"]) == ""
    assert did_you_mean(12, [1, 123]) == " (did you mean '123'?)"


def test_numbers_go_with_the_right_form():
    assert [counted(number, "row") for number in (0, 1, 2, 1000)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "1,000 rows",
    ]
    assert [counted(number, "row has", "rows have") for number in (1, 2)] == ["1 row has", "2 rows have"]
    assert [plural(number, "is", "are") for number in (0, 1, 2)] == ["are", "is", "are"]
