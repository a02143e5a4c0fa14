"""Accuracy from the texts drawn at random, and the forecast."""

from __future__ import annotations

import numpy as np
import pytest

from lmclassify.annotation import assessment
from lmclassify.annotation.assessment import assess


class Memory:
    """A model that knows a text's label if the text has a word of a training text."""

    def __init__(self, texts, labels):
        self.known = {word: label for text, label in zip(texts, labels, strict=True) for word in text.split()}

    def predict(self, texts):
        return np.array([self.known.get(text.split()[0], "none") for text in texts], dtype=object)


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.setattr(assessment, "fit_model", lambda texts, labels, seed: Memory(texts, labels))


def test_accuracy_of_the_texts_drawn_at_random(memory):
    texts = [f"word{number % 4}" for number in range(60)] + [f"rare{number}" for number in range(40)]
    labels = {row: "ab"[row % 2] for row in range(100)}
    found = assess(texts, labels, range(20, 80))  # 40 known texts and 20 rare ones
    assert found.of == 60
    assert found.estimate == pytest.approx(40 / 60)
    assert (found.low, found.high) == pytest.approx((0.5406, 0.7727), abs=1e-4)  # Wilson


def test_the_forecast_follows_the_learning_curve(memory):
    flat = [f"word{row % 2}" for row in range(100)]
    labels = {row: "ab"[row % 2] for row in range(100)}
    assert assess(flat, labels, range(100)).forecast_points == pytest.approx(0)
    learning = [f"word{row % 70}" for row in range(200)]  # more texts, more known words
    labels = {row: "ab"[row % 70 % 2] for row in range(200)}
    found = assess(learning, labels, range(200))
    assert found.forecast_labels == 20
    assert 0 < found.forecast_points < 100 * (1 - found.estimate)


def test_the_exponent_is_shrunk_to_what_is_typical():
    typical = assessment.TYPICAL_EXPONENT
    assert assessment._exponent(0.2, 0.1, 100_000) == pytest.approx(1.0, abs=0.01)  # log2(2), many texts
    assert assessment._exponent(0.2, 0.2, 100_000) == pytest.approx(0.0, abs=0.01)
    assert 0 < assessment._exponent(0.2, 0.2, 50) < typical
    # by hand: rates .205 and .205, variance 2 * .795 / (.205 * 50) / .4805 = .323, weight 25 of 28.1
    assert assessment._exponent(0.2, 0.2, 50) == pytest.approx(25 / (25 + 1 / 0.323) * typical, abs=0.005)


@pytest.mark.parametrize(
    ("labels", "at_random"),
    [
        ({}, []),
        ({row: "ab"[row % 2] for row in range(60)}, range(9)),
        (dict.fromkeys(range(60), "a"), range(60)),
    ],
)
def test_too_little_is_no_assessment(memory, labels, at_random):
    assert assess([f"w{row}" for row in range(60)], labels, at_random) is None
