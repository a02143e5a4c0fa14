"""Equal and nearly equal texts."""

from __future__ import annotations

from lmclassify.check.duplicates import find_duplicates
from tests.check.helpers import found_in, rows_of

LONG = "please send the signed contract back to our office in the main street by friday"


def test_equal_texts_are_duplicates_conflicts_or_leaks():
    rows = rows_of(
        [("Lunch  today?", "ham"), ("lunch today?", "ham"), ("win a prize", "spam"), ("Win a prize", "ham")],
        [("lunch today?", "ham"), ("new text", "ham"), ("new text", "ham")],
    )
    findings = find_duplicates(rows)
    assert found_in(rows, findings) == {
        "duplicate": ["row 2 of train.csv", "row 3 of test.csv"],
        "leak": ["row 1 of test.csv"],
        "conflict": ["row 3 of train.csv", "row 4 of train.csv"],
    }
    reasons = {finding.kind: finding.reason for finding in findings}
    assert reasons["conflict"] == "same text: spam in row 3"
    assert reasons["leak"] == "same text as row 1 of train.csv"
    assert not any(finding.suggested for finding in findings)


def test_of_a_conflict_the_rows_of_the_rarer_labels_are_named():
    rows = rows_of([("same text", label) for label in ("ham", "ham", "spam", "ham", "")])
    conflict, *_ = [finding for finding in find_duplicates(rows) if finding.kind == "conflict"]
    assert (conflict.index, conflict.suggested) == (2, "ham")
    assert conflict.reason == "same text: ham in row 1, ham in row 2, ham in row 4"


def test_a_leak_with_another_label_is_a_conflict_too():
    rows = rows_of([("same text", "ham")], [("same text", "spam")])
    findings = find_duplicates(rows)
    assert found_in(rows, findings)["leak"] == ["row 1 of test.csv"]
    assert len(found_in(rows, findings)["conflict"]) == 2
    assert findings[-1].reason == "same text as row 1 of train.csv, which has label ham"


def test_nearly_equal_texts_name_the_words_that_differ():
    rows = rows_of(
        [
            (LONG, "ham"),
            (f"{LONG} evening", "ham"),
            (LONG.replace("friday", "monday"), "spam"),
            ("24", "ham"),
        ],
        [(f"{LONG.upper()}!", "ham"), ("25", "ham")],
    )
    findings = {finding.index: finding for finding in find_duplicates(rows)}
    assert {index: finding.kind for index, finding in findings.items()} == {
        1: "near_duplicate",
        2: "near_conflict",
        4: "near_leak",
    }
    assert findings[1].reason.endswith("the same as row 1; only here: evening")
    assert "row 1, which has label ham; only here: monday; only there: friday" in findings[2].reason
    assert findings[4].reason == "same text as row 1 of train.csv but for case, numbers or punctuation"
    start, end = findings[2].marked[0]
    assert rows.texts[2][start:end] == "monday"


def test_empty_texts_are_no_duplicates():
    assert find_duplicates(rows_of([("", "ham"), (" ", "ham")])) == []
