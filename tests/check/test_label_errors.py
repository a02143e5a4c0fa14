"""Label errors by confident learning."""

from __future__ import annotations

import numpy as np
import pytest

from lmclassify.check.findings import CheckedRows
from lmclassify.check.label_errors import CrossFit, find_label_errors
from lmclassify.check.run import check_rows
from tests.check.helpers import rows_of

WORDS = {
    "spam": ["cheap", "pills", "prize", "winner", "loan"],
    "ham": ["lunch", "meeting", "report", "train", "mum"],
}


def made_rows() -> CheckedRows:
    """Return rows of two labels; those with indices 10, 30 and 50 have the wrong one."""
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(60):
        label = "spam" if number % 2 else "ham"
        text = " ".join([*rng.choice(WORDS[label], 3), "about", *rng.choice(["this", "that", "it"], 2)])
        pairs.append((text, label if number not in (10, 30, 50) else "spam"))
    return rows_of(pairs)


@pytest.fixture(scope="module")
def rows() -> CheckedRows:
    return made_rows()


def test_wrong_labels_are_found_with_the_words_behind_them(rows):
    progress: list[float] = []
    findings = find_label_errors(rows, threads=2, progress=progress.append)
    assert {finding.index for finding in findings[:3]} == {10, 30, 50}
    assert len(findings) <= 5
    for finding in findings[:3]:
        assert (finding.kind, finding.suggested) == ("label_error", "ham")
        assert finding.score > 0.5
        reason, words = finding.reason.split("; words for ham: ")
        assert reason.startswith("ham ")
        assert set(words.split(", ")) <= set(WORDS["ham"])
        assert len(set(words.split(", "))) == len(words.split(", "))
        assert {rows.texts[finding.index][start:end] for start, end in finding.marked} == set(
            words.split(", ")
        )
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_labels_with_too_few_rows_are_not_judged():
    assert find_label_errors(rows_of([("some text", "ham")] * 20 + [("other text", "spam")] * 2)) == []
    assert find_label_errors(rows_of([("some text", "")] * 20)) == []


def test_suspects_are_as_many_as_errors_are_estimated():
    posteriors = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.95, 0.05], [0.4, 0.6]])
    fitted = CrossFit(["a", "b"], np.array([0, 0, 1, 1, 1, 0]), np.log(posteriors))
    assert fitted.number_of_errors() == 2  # rows 4 and 5
    assert fitted.suspects().tolist() == [4, 5]
    assert fitted.other().tolist() == [1, 1, 0, 0, 0, 1]
    assert fitted.suspicion() == pytest.approx([0.1, 0.2, 0.1, 0.3, 0.95, 0.6])


def test_kinds_choose_the_checks():
    rows = rows_of([("same text", "ham"), ("same text", "spam"), ("", "ham")] * 10)
    assert {finding.kind for finding in check_rows(rows, ["empty_text"])} == {"empty_text"}
    assert {finding.kind for finding in check_rows(rows, ["conflict", "rare_label"])} == {
        "conflict",
        "rare_label",
    }
