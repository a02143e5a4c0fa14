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
    expected = metrics.classification_report(true, predicted, labels=labels, digits=2, zero_division=0.0)
    assert classification_report(Counter(zip(true, predicted, strict=True)), labels) == expected


def test_control_characters_of_labels_are_escaped():
    assert "\\x1b[31m" in classification_report({("\x1b[31m", "a"): 1}, ["\x1b[31m", "a"])
