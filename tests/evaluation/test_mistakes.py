from __future__ import annotations

import numpy as np

from lmclassify.classify.decisions import UNSURE
from lmclassify.evaluation.mistakes import Mistake, mistakes_text, place, worst_mistakes


def test_most_confident_mistakes_come_first_and_duplicates_once():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.1, 0.9], [0.45, 0.55], [0.99, 0.01]])
    true = ["ham", "ham", "ham", "ham", "ham", "other"]
    predicted = ["ham", "spam", "spam", "spam", UNSURE, "ham"]
    found = worst_mistakes(list("abccde"), true, predicted, np.log(p), ["ham", "spam"], 5)
    assert [(mistake.text, mistake.true, mistake.predicted, mistake.rows) for mistake in found] == [
        ("e", "other", "ham", [6]),
        ("c", "ham", "spam", [3, 4]),
        ("b", "ham", "spam", [2]),
    ]
    np.testing.assert_allclose([mistake.probability for mistake in found], [0.99, 0.9, 0.8])
    assert len(worst_mistakes(list("abccde"), true, predicted, np.log(p), ["ham", "spam"], 1)) == 1


def test_a_mistake_made_by_a_threshold():
    (found,) = worst_mistakes(["a"], ["spam"], ["ham"], np.log([[0.3, 0.7]]), ["ham", "spam"], 5)
    assert round(found.probability, 6) == 0.3
    assert worst_mistakes([], [], [], np.empty((0, 2)), ["ham", "spam"], 5) == []


def test_row_numbers_are_those_given():
    log_p = np.log([[0.1, 0.9], [0.2, 0.8], [0.1, 0.9]])
    found = worst_mistakes(list("aba"), ["ham"] * 3, ["spam"] * 3, log_p, ["ham", "spam"], 5, [9, 4, 7])
    assert [(mistake.text, mistake.rows) for mistake in found] == [("a", [7, 9]), ("b", [4])]


def test_mistakes_as_text_fit_80_columns_and_name_the_file_where_there_are_several():
    found = [
        Mistake("long text " * 9, "a long name of a label", "spam", 0.99999, [1234, 1300]),
        Mistake("\u05d0\x1b[31m", "ham", "spam", 0.5, [7]),
    ]

    def locate(row):
        return "folder/a long name.csv", row - 2

    assert place(1234, locate, several_files=False) == "row 1,232"
    assert place(1234, locate, several_files=True) == "row 1,232 of folder/a long name.csv"
    for several in (False, True):
        lines = mistakes_text(found, locate, several_files=several).splitlines()
        assert max(map(len, lines)) <= 88
        assert lines[0].split() == ["row", *["file"] * several, "true", "predicted", "probability", "text"]
        assert lines[1].startswith("1,232  ")
        assert ">99.9%" in lines[1]
        assert several == ("…long name.csv" in lines[1])
        assert "\x1b" not in lines[2]
