from __future__ import annotations

import numpy as np

from lmclassify.classify.decisions import UNSURE
from lmclassify.evaluation.mistakes import worst_mistakes


def test_most_confident_mistakes_come_first_and_duplicates_once():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.1, 0.9], [0.45, 0.55], [0.99, 0.01]])
    true = ["ham", "ham", "ham", "ham", "ham", "other"]
    predicted = ["ham", "spam", "spam", "spam", UNSURE, "ham"]
    found = worst_mistakes(list("abccde"), true, predicted, np.log(p), ["ham", "spam"], 5)
    assert [(mistake.text, mistake.true, mistake.predicted, mistake.times) for mistake in found] == [
        ("e", "other", "ham", 1),
        ("c", "ham", "spam", 2),
        ("b", "ham", "spam", 1),
    ]
    np.testing.assert_allclose([mistake.probability for mistake in found], [0.99, 0.9, 0.8])
    assert len(worst_mistakes(list("abccde"), true, predicted, np.log(p), ["ham", "spam"], 1)) == 1


def test_a_mistake_made_by_a_threshold():
    (found,) = worst_mistakes(["a"], ["spam"], ["ham"], np.log([[0.3, 0.7]]), ["ham", "spam"], 5)
    assert round(found.probability, 6) == 0.3
    assert worst_mistakes([], [], [], np.empty((0, 2)), ["ham", "spam"], 5) == []
