"""Drift between new and held-out text."""

import numpy as np
import pytest

from lmclassify import DataError
from lmclassify.classify.thresholds import HeldOut
from lmclassify.evaluation.drift import measure_drift
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
    predicted = np.array(["ham", "spam"] * 250)
    nats = np.where(predicted == "ham", 5.0, 8.0) + rng.normal(0, 1.0, 500)
    nats[300:][predicted[300:] == "spam"] += 3.0
    drift = drift_of(nats, predicted, reference, chunks=5)
    assert [part.label for part in drift.labels] == [None, "ham", "spam"]
    assert [chunk.drifted for chunk in drift.labels[0].chunks] == [False, False, False, True, True]
    assert [chunk.drifted for chunk in drift.labels[1].chunks] == [False] * 5
    assert [chunk.drifted for chunk in drift.labels[2].chunks] == [False, False, False, True, True]
    assert drift.drifted == 2
    chunk = drift.labels[0].chunks[3]
    assert (chunk.first, chunk.last, chunk.texts) == ("row 301", "row 400", 100)
    assert chunk.nats_per_word == pytest.approx(nats[300:400].mean())
    assert chunk.change == pytest.approx(nats[300:400].mean() / reference.cross_entropies.mean() - 1)
    assert "the texts differ from the held-out texts in 2 of 5 chunks" in drift.to_text()
    assert drift.to_dict()["labels"][2]["chunks"][4]["drifted"] is True
    plot_drift(drift, str(tmp_path / "drift.svg"))
    assert (tmp_path / "drift.svg").read_bytes().startswith(b"<?xml")


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
    assert "the texts look like the held-out texts" in drift.to_text()


def test_few_texts(reference):
    drift = drift_of([5.0] * 12, ["ham"] * 11 + ["spam"], reference)
    assert [chunk.texts for chunk in drift.labels[0].chunks] == [6, 6]
    assert [part.label for part in drift.labels] == [None, "ham"]
    assert len(drift_of([5.0], ["ham"], reference).labels[0].chunks) == 1
    assert "too few texts to tell" in drift_of([50.0] * 3, ["ham"] * 3, reference).to_text()
    with pytest.raises(DataError, match="no texts"):
        drift_of([], [], reference)
    with pytest.raises(DataError, match="without held-out texts"):
        drift_of([5.0], ["ham"], held_out([], np.zeros(0, int)))
