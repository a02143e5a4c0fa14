"""Missing, rare, unknown and differently written labels."""

from __future__ import annotations

from lmclassify.check.labels import MIN_ROWS, find_bad_labels, with_joined_forms
from tests.check.helpers import rows_of

MANY = [("text", "ham")] * MIN_ROWS


def test_bad_labels():
    rows = rows_of(
        [*MANY, ("text", "Ham"), ("text", ""), ("text", "spam")], [("text", "news"), ("text", "HAM")]
    )
    rows.padded.append(0)
    found = {(finding.kind, finding.index): finding for finding in find_bad_labels(rows)}
    assert set(found) == {
        ("label_form", 0),
        ("label_form", MIN_ROWS),
        ("missing_label", MIN_ROWS + 1),
        ("rare_label", MIN_ROWS + 2),
        ("unknown_label", MIN_ROWS + 3),
        ("label_form", MIN_ROWS + 4),
    }
    form = found["label_form", MIN_ROWS]
    assert form.reason == "label 'Ham' (1 row) differs from 'ham' (20) only in case"
    assert form.suggested == "ham"
    assert found["rare_label", MIN_ROWS + 2].reason == "label 'spam' has 1 row, fewer than 20"
    assert found["unknown_label", MIN_ROWS + 3].reason == "label 'news' (1 row) is not in the training data"


def test_forms_are_joined():
    rows = rows_of([*MANY, ("text", "HAM"), ("text", "")])
    assert with_joined_forms(rows).labels == [*["ham"] * (MIN_ROWS + 1), ""]
    assert rows.labels[MIN_ROWS] == "HAM"
