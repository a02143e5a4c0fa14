"""Labels that differ in form only."""

from __future__ import annotations

import pytest

from lmclassify.datasets.label_forms import LabelMatcher, describe_forms, difference, label_key, merged_labels


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["ham", "Ham", "HAM"], "case"),
        (["1", "1.0", "01", "+1", "1e0"], "number form"),
        (["Straße", "STRASSE"], "case"),
        (["a  b", "A b"], "case, blanks or the form of characters"),
        (["é", "e\u0301"], "case, blanks or the form of characters"),
    ],
)
def test_one_label_in_several_forms(labels, reason):
    assert len({label_key(label) for label in labels}) == 1
    assert difference(labels) == reason


def test_labels_that_are_different():
    labels = ["ham", "hams", "1", "1.5", "12345678901234567890", "12345678901234567891", "nan", "é", "e"]
    assert len({label_key(label) for label in labels}) == len(labels)
    assert describe_forms(dict.fromkeys(labels, 1)) == []


def test_merged_labels():
    assert merged_labels({"Ham": 1, "ham": 2, "x": 3}) == {"Ham": "ham"}
    assert merged_labels({"Ham": 1, "ham": 2}, ["Ham"]) == {"ham": "Ham"}
    assert merged_labels({"01": 1, "1": 1, "1.0": 1}) == {"01": "1", "1.0": "1"}


def test_many_groups_are_one_line():
    counts = {form: 1 for number in range(20) for form in (f"a{number}", f"A{number}")}
    (line,) = describe_forms(counts)
    assert line.endswith("; 15 more groups of labels; --merge-labels joins them")


def test_labels_of_a_model():
    matcher = LabelMatcher(["ham", "spam", "1", "x", "X"])
    assert [matcher.match(label) for label in ("Ham", "ham", "1.0", "x", "eggs")] == [
        "ham",
        None,
        "1",
        None,
        None,
    ]
    assert LabelMatcher(["ab", "AB"]).match("Ab") is None
