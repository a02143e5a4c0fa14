"""Curves, compared with scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_auc_score, roc_curve

from lmclassify.classify.decisions import Decisions
from lmclassify.classify.ensemble import log_softmax
from lmclassify.evaluation.curves import measure_coverage, measure_curves, measure_reliability
from lmclassify.evaluation.metrics import confidence, evaluate, wilson_interval


def sample(labels, n=400, spread=2.0, seed=0):
    """Return true labels and informative log posteriors."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(len(labels), n)
    joint = rng.normal(0, spread, (n, len(labels))) + spread * (
        np.arange(len(labels)) == codes[:, np.newaxis]
    )
    return [labels[code] for code in codes], log_softmax(joint)


def curves_of(true, log_posteriors, decisions):
    return measure_curves(true, log_posteriors, decisions, decisions.decide(log_posteriors))


def test_two_labels_have_the_curve_of_the_positive_one_with_the_threshold():
    true, log_posteriors = sample(["ham", "spam"])
    is_spam = np.array(true) == "spam"
    p = np.exp(log_posteriors[:, 1])
    curves = curves_of(true, log_posteriors, Decisions(["ham", "spam"]))
    (roc,), (pr,) = curves.roc, curves.precision_recall
    assert (roc.label, roc.texts, curves.labels) == ("spam", is_spam.sum(), 1)
    assert roc.area == pytest.approx(roc_auc_score(is_spam, p))
    assert pr.area == pytest.approx(average_precision_score(is_spam, p))
    fpr, tpr, _ = roc_curve(is_spam, p)
    assert set(zip(roc.x, roc.y, strict=True)) <= set(zip(fpr, tpr, strict=True))
    (point,) = roc.points
    assert point.name == "0.5"
    assert point.recall == pytest.approx(recall_score(is_spam, p >= 0.5))
    assert point.precision == pytest.approx(precision_score(is_spam, p >= 0.5))
    assert point.false_positive_rate == pytest.approx((p >= 0.5)[~is_spam].mean())


@pytest.mark.parametrize(
    ("options", "thresholds"),
    [
        ({"positive": 0, "positive_log_odds": np.log(9)}, [0.9]),
        ({"positive": 0, "positive_log_odds": -np.log(9)}, [0.1]),
        ({"positive": 0, "unsure": (0.25, 0.75)}, [0.25, 0.75]),
        ({"min_confidence": 0.8}, [0.2, 0.8]),
        ({"min_confidence": 0.3}, [0.5]),
    ],
)
def test_thresholds_of_the_decision_rule_are_marked(options, thresholds):
    true, log_posteriors = sample(["ham", "spam"])
    (roc,) = curves_of(true, log_posteriors, Decisions(["ham", "spam"], **options)).roc
    positive = options.get("positive", 1)
    assert roc.label == ["ham", "spam"][positive]
    is_positive = np.array(true) == roc.label
    assert [float(point.name) for point in roc.points] == thresholds
    for point, threshold in zip(roc.points, thresholds, strict=True):
        called = np.exp(log_posteriors[:, positive]) >= threshold
        assert point.recall == pytest.approx(called[is_positive].mean())


def test_unsure_between_0_and_1():
    true, log_posteriors = sample(["ham", "spam"])
    decisions = Decisions(["ham", "spam"], positive=1, unsure=(0.0, 1.0))
    (roc,) = curves_of(true, log_posteriors, decisions).roc
    assert [(point.name, point.recall, point.precision) for point in roc.points][1] == ("1", 0.0, None)


def test_many_labels_have_the_curves_of_the_most_frequent_and_the_mean():
    labels = [f"label {number}" for number in range(8)]
    true, log_posteriors = sample(labels, 600)
    curves = curves_of(true, log_posteriors, Decisions(labels))
    counts = {label: true.count(label) for label in labels}
    assert [line.label for line in curves.roc] == [
        *sorted(labels, key=lambda label: (-counts[label], label))[:5],
        None,
    ]
    truth = np.array(true)[:, np.newaxis] == np.array(labels)
    p = np.exp(log_posteriors)
    assert curves.roc[-1].area == pytest.approx(roc_auc_score(truth, p, average="macro"))
    assert curves.precision_recall[-1].area == pytest.approx(
        average_precision_score(truth, p, average="macro")
    )
    assert np.trapezoid(curves.roc[-1].y, curves.roc[-1].x) == pytest.approx(curves.roc[-1].area, abs=0.01)
    (point,) = curves.roc[0].points
    predicted = np.array(labels)[p.argmax(axis=1)]
    assert point.recall == pytest.approx(
        (predicted == curves.roc[0].label)[np.array(true) == curves.roc[0].label].mean()
    )
    positive = min(labels, key=lambda label: counts[label])
    named = Decisions(labels, positive=labels.index(positive), positive_log_odds=3.0)
    assert curves_of(true, log_posteriors, named).roc[0].label == positive


def test_posteriors_that_round_to_one_are_still_ranked():
    joint = np.array([[0.0, 50.0, 0.0], [0.0, 60.0, 0.0], [0.0, 70.0, 0.0], [9.0, 0.0, 0.0]])
    curves = curves_of(["a", "b", "b", "a"], log_softmax(joint), Decisions(["a", "b", "c"]))
    assert {line.label: line.area for line in curves.roc}["b"] == 1.0


def test_labels_without_a_curve():
    one = np.zeros((3, 1))
    assert curves_of(["a"] * 3, one, Decisions(["a"])).roc == []
    two = np.log(np.full((3, 2), 0.5))
    assert curves_of(["a"] * 3, two, Decisions(["a", "b"])).roc == []
    with np.errstate(divide="ignore"):
        impossible = np.log([[1.0, 0.0], [0.0, 1.0]])
    assert curves_of(["a", "b"], impossible, Decisions(["a", "b"])).roc[0].area == 1.0


def test_curves_of_many_texts_are_thinned():
    true, log_posteriors = sample(["ham", "spam"], 50_000, spread=0.5)
    curves = curves_of(true, log_posteriors, Decisions(["ham", "spam"]))
    for line in (*curves.roc, *curves.precision_recall):
        assert 100 < len(line.x) <= 302
        assert {line.x[0], line.x[-1]} == {0.0, 1.0}


def test_reliability_equals_scikit_learns_and_sums_to_the_ece():
    true, log_posteriors = sample(["a", "b", "c"])
    decisions = Decisions(["a", "b", "c"])
    top, correct = confidence(true, log_posteriors, decisions)
    bins = measure_reliability(top, correct)
    accuracy, mean = calibration_curve(correct, top, n_bins=15)
    np.testing.assert_allclose([part.accuracy for part in bins], accuracy)
    np.testing.assert_allclose([part.confidence for part in bins], mean)
    assert sum(part.texts for part in bins) == len(true)
    assert all(part.low <= part.confidence <= part.high for part in bins)
    ece = sum(part.texts * abs(part.accuracy - part.confidence) for part in bins) / len(true)
    assert evaluate(true, log_posteriors, decisions).ece == pytest.approx(ece)


def test_coverage_goes_from_the_most_confident_texts_to_all():
    true, log_posteriors = sample(["a", "b"])
    result = evaluate(true, log_posteriors, Decisions(["a", "b"]))
    curve = measure_coverage(*confidence(true, log_posteriors, Decisions(["a", "b"])))
    accuracy_at = dict(zip(curve.coverage.round(4).tolist(), curve.accuracy, strict=True))
    for point in result.coverage:
        assert accuracy_at[round(point["coverage"], 4)] == pytest.approx(point["accuracy"])
    assert (curve.low <= curve.accuracy).all()
    assert (curve.accuracy <= curve.high).all()
    assert len(measure_coverage(np.array([0.9]), np.array([True])).coverage) == 1


@pytest.mark.parametrize(("right", "texts"), [(0, 7), (7, 7), (3, 7), (950, 1000), (0, 0)])
def test_wilson_interval(right, texts):
    expected = binomtest(right, texts).proportion_ci(method="wilson") if texts else (0.0, 1.0)
    assert wilson_interval(right, texts) == pytest.approx(tuple(expected))


def test_the_accuracy_has_its_interval():
    true, log_posteriors = sample(["a", "b"])
    result = evaluate(true, log_posteriors, Decisions(["a", "b"]))
    expected = binomtest(round(result.accuracy * 400), 400).proportion_ci(method="wilson")
    assert result.accuracy_interval == pytest.approx(tuple(expected))
