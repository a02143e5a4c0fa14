from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn import metrics

from lmclassify.evaluation.classification_report import classification_report


@pytest.mark.parametrize("given", [["ham", "spam"], ["ham", "spam", "a very long label", "unsure"], ["ham"]])
def test_report_equals_scikit_learns(given):
    rng = np.random.default_rng(0)
    labels = ["a very long label", "ham", "never", "spam"]
    true = rng.choice(labels[:2] + labels[3:], 500).tolist()
    predicted = rng.choice(given, 500).tolist()
    options = {"digits": 2, "zero_division": 0.0}
    expected = metrics.classification_report(true, predicted, labels=labels, **options).splitlines()
    occurring = [label for label in labels if label in {*true, *predicted}]
    macro_at = next(at for at, line in enumerate(expected) if "macro avg" in line)
    of_occurring = metrics.classification_report(true, predicted, labels=occurring, **options)
    expected[macro_at] = of_occurring.splitlines()[-2]
    expected += ["", "macro avg is the mean of the 3 labels that occur, as a true or predicted one"]
    found = classification_report(Counter(zip(true, predicted, strict=True)), labels)
    assert found.splitlines() == expected


def test_macro_average_is_scikit_learns_default():
    """A label that only predictions have counts; one that neither texts nor predictions have does not."""
    true, predicted = ["a", "a", "b"], ["a", "c", "b"]
    report = classification_report(Counter(zip(true, predicted, strict=True)), ["a", "b", "c", "d"])
    f1 = metrics.f1_score(true, predicted, average="macro", zero_division=0.0)
    assert f"{f1:.2f}         3" in next(line for line in report.splitlines() if "macro avg " in line)
    assert "macro avg is the mean of the 3 labels that occur" in report
    report = classification_report({("a", "a"): 1}, ["a", "b"])
    assert report.endswith(
        "\n\nmacro avg is the mean of the 1 label that occurs, as a true or predicted one\n"
    )
    assert "macro avg is" not in classification_report({("a", "b"): 1}, ["a", "b"])


def test_control_characters_of_labels_are_escaped():
    assert "\\x1b[31m" in classification_report({("\x1b[31m", "a"): 1}, ["\x1b[31m", "a"])
