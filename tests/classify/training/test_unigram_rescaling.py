"""Rescaled language models, with numbers worked out by hand."""

import numpy as np
import pytest

from lmclassify.classify.training import unigram_rescaling
from lmclassify.classify.training.unigram_rescaling import unigram_rescaled


@pytest.fixture
def _round_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unigram_rescaling, "BACKGROUND_COUNT", 4.0)
    monkeypatch.setattr(unigram_rescaling, "EXPONENT", 0.5)


def sequences(*tokens: list[int]) -> list[np.ndarray]:
    return [np.array([0, *ids]) for ids in tokens]  # the first id is given, not predicted


@pytest.mark.usefixtures("_round_numbers")
def test_worked_numbers() -> None:
    background = {"output.bias": np.zeros(3, np.float32), "embedding.weight": np.ones((3, 2), np.float32)}
    first, second = unigram_rescaled(background, sequences([1, 1, 1], [2]), np.array([0, 1]), 2)
    # All texts: token 1 three times, token 2 once, and a third of a count more for each token: 1/15, 10/15, 4/15.
    pooled = np.array([1, 10, 4]) / 15
    own = (np.array([0, 3, 0]) + 4 * pooled) / 7
    assert first["output.bias"] == pytest.approx(0.5 * np.log(own / pooled), abs=1e-6)
    own = (np.array([0, 0, 1]) + 4 * pooled) / 5
    assert second["output.bias"] == pytest.approx(0.5 * np.log(own / pooled), abs=1e-6)
    assert first["embedding.weight"] is second["embedding.weight"] is background["embedding.weight"]


def test_weights_count_texts() -> None:
    background = {"output.bias": np.zeros(4, np.float32)}
    twice = unigram_rescaled(background, sequences([1], [1], [2]), np.zeros(3, int), 2)
    weighted = unigram_rescaled(
        background, sequences([1], [2], [3]), np.zeros(3, int), 2, np.array([2.0, 1.0, 0.0])
    )
    assert weighted[0]["output.bias"] == pytest.approx(twice[0]["output.bias"], abs=1e-6)


def test_a_label_without_texts_keeps_the_background() -> None:
    background = {"output.bias": np.array([0.5, -1.0, 2.0], np.float32)}
    _, empty = unigram_rescaled(background, sequences([1, 2]), np.zeros(1, int), 2)
    assert empty["output.bias"] == pytest.approx(background["output.bias"], abs=1e-6)
