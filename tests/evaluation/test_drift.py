"""Drift between new and held-out text."""

import numpy as np
import pytest

from lmclassify import DataError
from lmclassify.classify.thresholds import HeldOut
from lmclassify.evaluation.drift import (
    FALSE_ALARM_RATE,
    MIN_CHANGE,
    MORE_LIKE,
    change_with_interval,
    measure_drift,
)
from lmclassify.evaluation.plots import plot_drift


def held_out(nats, codes):
    joint = np.where(np.arange(2) == np.array(codes)[:, np.newaxis], 0.0, -5.0)
    features = np.zeros((len(codes), 1))
    return HeldOut.from_scores(joint, np.array(codes), features, np.array(nats))


@pytest.fixture
def reference():
    rng = np.random.default_rng(0)
    return held_out(np.append(rng.normal(5.0, 1.0, 300), rng.normal(8.0, 1.0, 300)), [0] * 300 + [1] * 300)


def drift_of(nats, predicted, reference, **options):
    positions = [f"row {index + 1}" for index in range(len(nats))]
    return measure_drift(np.array(nats), predicted, positions, reference, ["ham", "spam"], **options)


def test_drift_is_found_from_where_it_begins(reference, tmp_path):
    rng = np.random.default_rng(1)
    predicted = np.array(["ham", "spam", "spam", "spam"] * 125)
    nats = np.where(predicted == "ham", 5.0, 8.0) + rng.normal(0, 1.0, 500)
    nats[300:][predicted[300:] == "spam"] += 6.0
    drift = drift_of(nats, predicted, reference, chunks=5)
    assert [part.label for part in drift.labels] == [None, "ham", "spam"]
    assert [chunk.drifted for chunk in drift.labels[0].chunks] == [False, False, False, True, True]
    assert [chunk.drifted for chunk in drift.labels[1].chunks] == [False] * 5
    assert [chunk.drifted for chunk in drift.labels[2].chunks] == [False, False, False, True, True]
    assert drift.drifted == 2
    chunk = drift.labels[0].chunks[3]
    assert (chunk.first, chunk.last, chunk.texts) == ("row 301", "row 400", 100)
    assert chunk.nats_per_word == pytest.approx(np.median(nats[300:400]))
    pairs = nats[300:400, np.newaxis] / reference.cross_entropies
    assert chunk.change == pytest.approx(np.median(pairs) - 1, abs=1e-6)
    text = " ".join(drift.to_text().split())
    assert "2 of 5 chunks are less like the training texts; the first one begins at row 301." in text
    assert "Texts predicted as spam have drifted." in text
    assert "fit again with them" in text
    assert drift.to_dict()["labels"][2]["chunks"][4]["drifted"] is True
    plot_drift(drift, ["ham", "spam"], str(tmp_path / "drift.svg"))
    assert (tmp_path / "drift.svg").read_bytes().startswith(b"<?xml")


def test_texts_that_the_model_knows_are_drift_too(reference):
    nats = np.random.default_rng(3).normal(3.0, 0.5, 200)
    drift = drift_of(nats, ["ham"] * 200, reference)
    assert drift.drifted == 10
    assert {chunk.verdict for chunk in drift.labels[0].chunks} == {MORE_LIKE}
    assert "10 of 10 chunks are more like the training texts" in drift.verdict()
    assert "may be copies of training texts" in drift.verdict()


def test_the_verdict_agrees_with_the_figures(reference):
    rng = np.random.default_rng(4)
    nats = reference.cross_entropies[rng.choice(600, 500)] * np.repeat(np.linspace(0.6, 1.6, 10), 50)
    nats[::50] *= 100.0  # an extreme text in each chunk
    drift = drift_of(nats, rng.choice(["ham", "spam"], 500), reference)
    for part in drift.labels:
        for chunk in (part.whole, *part.chunks):
            low, high = chunk.interval
            assert low <= chunk.change <= high
            assert chunk.drifted == (low > MIN_CHANGE or high < -MIN_CHANGE)
            assert not chunk.drifted or chunk.p_value < FALSE_ALARM_RATE / 20
    changes = [chunk.change for chunk in drift.labels[0].chunks]
    assert np.corrcoef(changes, np.arange(10))[0, 1] > 0.98
    assert [chunk.drifted for chunk in drift.labels[0].chunks][:2] == [True, True]
    assert [chunk.drifted for chunk in drift.labels[0].chunks][-2:] == [True, True]


def test_false_alarms_are_as_rare_as_stated():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(60):
        nats, codes = rng.lognormal(2.0, 0.5, 300), rng.integers(0, 2, 300)
        nats[rng.random(300) < 0.02] *= 50.0  # heavy tails, as of long addresses
        predicted = np.array(["ham", "spam"])[codes[:150]]
        reference = held_out(nats[150:], codes[150:])
        drift = drift_of(nats[:150], predicted, reference, chunks=2, min_change=0.0)
        alarms += any(part.drifted for part in drift.labels)
    assert alarms <= 2  # at a rate of 1%, more are rarer than 3 in 100


def test_the_interval_contains_the_change_and_needs_enough_texts():
    values, reference = np.exp(np.random.default_rng(6).normal(0.2, 0.1, (2, 3000)))
    change, (low, high) = change_with_interval(values * 1.5, reference, 1e-6)
    assert low < change < high
    assert change == pytest.approx(0.5, abs=0.01)
    _, (low, high) = change_with_interval(values[:2], reference, 1e-6)
    assert (low, high) == (-1.0, np.inf)


def test_labels_that_drifted_are_shown_first():
    rng = np.random.default_rng(7)
    labels = [f"label {number}" for number in range(30)]
    codes = np.repeat(np.arange(30), 40)
    joint = np.where(np.arange(30) == codes[:, np.newaxis], 0.0, -5.0)
    reference = HeldOut.from_scores(joint, codes, np.zeros((1200, 1)), rng.normal(5.0, 0.5, 1200))
    nats = rng.normal(5.0, 0.5, 1200)
    nats[codes == 29] *= 3.0
    order = rng.permutation(1200)
    drift = measure_drift(
        nats[order],
        [labels[code] for code in codes[order]],
        [str(row) for row in order],
        reference,
        labels,
        2,
    )
    assert drift.shown_labels()[0].label == "label 29"
    text = " ".join(drift.to_text().split())
    assert "Texts predicted as label 29 have drifted." in text
    assert "10 more labels: --format json shows all" in text


def test_equally_distributed_text_has_not_drifted(reference):
    rng = np.random.default_rng(2)
    for _ in range(20):
        nats = reference.cross_entropies[rng.choice(600, 200)]
        assert drift_of(nats, ["ham"] * 200, reference).drifted == 0


def test_a_significant_but_small_change_is_not_drift():
    reference = held_out(np.full(1000, 5.0) + np.tile([0.01, -0.01], 500), [0, 1] * 500)
    drift = drift_of(np.full(100, 5.1), ["ham"] * 100, reference)
    assert drift.labels[0].chunks[0].p_value < 1e-6
    assert drift.drifted == 0
    assert "no drift found" in drift.to_text()


def test_few_texts(reference):
    drift = drift_of([5.0] * 12, ["ham"] * 11 + ["spam"], reference)
    assert [chunk.texts for chunk in drift.labels[0].chunks] == [6, 6]
    assert [part.label for part in drift.labels] == [None, "ham"]
    assert len(drift_of([5.0], ["ham"], reference).labels[0].chunks) == 1
    assert drift_of([5.0] * 40, ["ham"] * 36 + ["spam"] * 4, reference).labels[-1].label == "ham"
    assert "too few texts to tell" in drift_of([50.0] * 3, ["ham"] * 3, reference).to_text()
    with pytest.raises(DataError, match="no texts"):
        drift_of([], [], reference)
    with pytest.raises(DataError, match="without held-out texts"):
        drift_of([5.0], ["ham"], held_out([], np.zeros(0, int)))
