"""The note on texts that are unlike the training texts."""

import numpy as np
import pytest

from lmclassify.classify.thresholds import HeldOut
from lmclassify.prediction.unlike_texts import MIN_TEXTS, TextComparison

RNG = np.random.default_rng(0)
HELD_OUT = HeldOut.from_scores(
    np.zeros((400, 2)), np.zeros(400, dtype=np.intp), np.zeros((400, 1)), RNG.normal(10, 3, 400)
)


@pytest.mark.parametrize(
    ("nats", "longer", "texts", "expected"),
    [
        (10.0, 0.05, 200, None),
        (11.5, 0.4, 200, None),  # the nats of other texts of one kind differ by so much
        (15.0, 0.0, 200, "15.0 nats per word, 9.9"),
        (10.0, 0.97, 200, "97% are longer than 95% of the training texts"),
        (15.0, 1.0, 200, "training texts; 15."),
        (15.0, 1.0, MIN_TEXTS - 1, None),
    ],
)
def test_unlike_texts_are_noted(nats, longer, texts, expected):
    comparison, other = TextComparison(), TextComparison()
    values = RNG.normal(nats, 2, texts)
    values += nats - values.mean()
    flags = np.arange(texts) < longer * texts
    comparison.add(values[:10], flags[:10])
    other.add(values[10:], flags[10:])
    comparison.merge(other)
    note = comparison.note(HELD_OUT)
    if expected is None:
        assert note is None
    else:
        assert note is not None
        assert expected in note.replace("held-out ", "")
        assert "\n" not in note


def test_without_held_out_texts_lengths_alone_are_compared():
    nothing = HELD_OUT.rows(np.arange(0))
    comparison = TextComparison()
    comparison.add(np.full(100, 99.0), np.zeros(100, dtype=bool))
    assert comparison.note(nothing) is None
    comparison.add(np.full(300, 99.0), np.ones(300, dtype=bool))
    assert "75% are longer" in str(comparison.note(nothing))
