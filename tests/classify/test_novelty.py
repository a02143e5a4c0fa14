"""Novelty, thresholds on held-out text, and decisions."""

import math

import numpy as np
import pytest

from lmclassify import FittedModel, LMClassifier
from lmclassify.classify.decisions import UNSURE, Decisions
from lmclassify.classify.novelty import cross_entropies, likelihood_ratio, plain_ood_features
from lmclassify.classify.thresholds import HeldOut, log_odds
from lmclassify.errors import DataError, OptionError
from tests.conftest import bundled

KNOWN = bundled("emails.csv", limit=100)[0]
STRANGE = ["qzx vvkq jjwx zzq", "ЩЮЪ ЫЭЮ ЪЪЩ", "xkcd qqq wxyz zxq jq vq"]


@pytest.mark.parametrize("recipe", ["classifier", "golden_tuned"])
def test_strange_texts_are_newer_than_usual_ones(recipe, request):
    classifier = request.getfixturevalue(recipe)
    usual, strange = classifier.novelty(KNOWN), classifier.novelty(STRANGE)
    assert usual.shape == (len(KNOWN),)
    assert np.median(strange) > np.quantile(usual, 0.9)
    assert classifier.novelty([]).shape == (0,)
    assert np.isfinite(classifier.novelty(["", " "])).all()


@pytest.mark.parametrize("recipe", ["classifier", "golden_tuned"])
def test_other_texts_and_storage_change_no_novelty(recipe, request, tmp_path):
    classifier = request.getfixturevalue(recipe)
    texts = [*KNOWN[:30], *STRANGE, ""]
    together = classifier.novelty(texts)
    np.testing.assert_allclose(together[::-1], classifier.novelty(texts[::-1]), rtol=1e-6, atol=1e-9)
    classifier.save(tmp_path / "model")
    loaded = FittedModel.load(tmp_path / "model")
    assert np.array_equal(loaded.novelty(texts), together)
    joint, novelty, nats = loaded.score_texts(texts)
    assert (nats[:-1] > 0).all()
    assert np.array_equal(joint, loaded.predict_joint_log_proba(texts))
    assert np.array_equal(novelty, together)
    assert loaded.unknown_threshold(0.1) == classifier.unknown_threshold(0.1)


def test_the_threshold_keeps_its_rate_on_held_out_text(golden_tuned):
    held_out = golden_tuned.held_out
    novelty = held_out.novelty(held_out.ood_features.astype(float))
    assert len(novelty) == 24
    assert novelty.mean() == pytest.approx(0, abs=1e-6)
    for rate in (0.0, 0.05, 0.5):
        above = (novelty > golden_tuned.unknown_threshold(rate)).mean()
        assert above <= rate
        assert above > rate - 0.05
    with pytest.raises(OptionError, match="from 0 to below 1"):
        golden_tuned.unknown_threshold(1)


def test_likelihood_ratio_of_a_worked_example():
    log_posteriors = np.log([[0.25, 0.75]])
    ratio = likelihood_ratio(log_posteriors, np.array([[-8.0, -4.0]]), np.array([-10.0]), np.array([5.0]))
    assert ratio == pytest.approx([(0.25 * 2 + 0.75 * 6) / 5])
    nothing = likelihood_ratio(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(1))
    assert nothing == pytest.approx([0])


def test_plain_features_of_a_worked_example():
    features = plain_ood_features(np.log([[0.5, 0.5]]), np.array([[-8.0, -4.0]]), [" a  b "])
    assert features == pytest.approx(np.array([[-6 / 4]]))


def held_out(probabilities, codes):
    p = np.array(probabilities)
    joint = np.log(np.column_stack([1 - p, p]))
    return HeldOut.from_scores(joint, np.array(codes), p[:, np.newaxis], p)


def test_the_false_positive_rate_of_a_worked_example():
    scores = held_out([0.1, 0.2, 0.6, 0.9, 0.3, 0.7, 0.95, 0.97], [0, 0, 0, 0, 1, 1, 1, 1])
    one = scores.positive_threshold(1, 0.25)  # of four others one may be above
    assert 0.6 < one.probability < 0.7
    assert (one.negatives, one.false_positives, one.positives, one.found) == (4, 1, 4, 3)
    none = scores.positive_threshold(1, 0.001)
    assert none.probability == pytest.approx(0.9)
    assert (none.false_positives, none.found) == (0, 2)
    half = scores.positive_threshold(1, 0.5)  # below 1/2, where the other label is likelier
    assert half.probability == pytest.approx(0.2)
    assert (half.false_positives, half.found) == (2, 4)
    other = scores.positive_threshold(0, 0)
    assert (other.false_positives, other.found) == (0, 2)
    with pytest.raises(OptionError):
        scores.positive_threshold(1, -0.1)
    with pytest.raises(DataError, match="no held-out text of another label"):
        held_out([0.5], [1]).positive_threshold(1, 0.1)


def test_of_many_scores_a_sample_is_kept():
    n = 1000
    scores = HeldOut.from_scores(
        np.zeros((n, 2)), np.zeros(n, dtype=int), np.arange(n)[:, np.newaxis], np.zeros(n)
    ).sample(seed=1, max_scores=n)
    assert len(scores.codes) == len(scores.joint) == n // 2
    assert np.unique(scores.ood_features).size == n // 2


def test_damaged_held_out_scores_are_refused():
    good = held_out([0.1, 0.2], [0, 1])
    for bad in (
        {"codes": np.array([0, 2], np.int32)},
        {"codes": np.array([0], np.int32)},
        {"joint": np.full((2, 2), np.nan, np.float32)},
        {"ood_features": np.zeros(2, np.float32)},
        {"cross_entropies": np.zeros(1, np.float32)},
    ):
        with pytest.raises(ValueError, match="held-out"):
            HeldOut(**{**vars(good), **bad})


def test_without_held_out_text_there_is_novelty_but_no_threshold():
    classifier = LMClassifier(recipe="plain", max_epochs=1, num_lstm_units=4, validation_fraction=0)
    classifier.fit(*bundled(limit=30))
    assert np.isfinite(classifier.novelty(KNOWN)).all()
    with pytest.raises(DataError, match="--validation-fraction"):
        classifier.unknown_threshold()


P = np.array([0.1, 0.4, 0.55, 0.9])
LOG_P = np.log(np.column_stack([1 - P, P]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["ham", "ham", "spam", "spam"]),
        ({"min_confidence": 0.6}, ["ham", "ham", UNSURE, "spam"]),
        ({"unsure": (0.2, 0.5), "positive": 1}, ["ham", UNSURE, "spam", "spam"]),
        ({"unsure": (0.15, 0.9), "positive": 0}, ["ham", UNSURE, UNSURE, "spam"]),
        ({"positive": 1, "positive_log_odds": 2.0}, ["ham", "ham", "ham", "spam"]),
        ({"positive": 1, "positive_log_odds": -1.0}, ["ham", "spam", "spam", "spam"]),
        ({"unknown_label": "new", "unknown_threshold": 1.0}, ["ham", "ham", "new", "spam"]),
    ],
)
def test_decisions(options, expected):
    novelty = np.array([0.0, 1.0, 1.5, -3.0])
    found = Decisions(["ham", "spam"], **options).decide(LOG_P, novelty)
    assert found.tolist() == expected


def test_log_odds_are_against_all_others_together():
    log_p = np.log([[0.5, 0.2, 0.3]])
    assert log_odds(log_p, 1) == pytest.approx([math.log(0.2 / 0.8)])
    assert log_odds(np.zeros((2, 1)), 0).tolist() == [np.inf, np.inf]


def test_below_the_threshold_the_likeliest_of_the_others_is_given():
    log_p = np.log([[0.2, 0.5, 0.3], [0.05, 0.9, 0.05]])
    decisions = Decisions(["a", "b", "c"], positive=1, positive_log_odds=1.0)
    assert decisions.decide(log_p).tolist() == ["c", "b"]
    rare = Decisions(["a", "b", "c"], positive=0, positive_log_odds=float(np.log(0.1 / 0.9)))
    assert rare.decide(log_p).tolist() == ["a", "b"]  # .2 is enough, though another label is likelier


def test_words_of_scripts_without_spaces_are_counted():
    texts = ["今天天气很好", "ham and eggs", ""]
    arrays = np.zeros((3, 1)), np.full((3, 1), -12.0)
    assert cross_entropies(*arrays, texts, unspaced_words=True).tolist() == [2.0, 4.0, 12.0]
    assert cross_entropies(*arrays, texts, unspaced_words=False).tolist() == [12.0, 4.0, 12.0]


def test_old_models_compare_texts_with_the_words_of_their_held_out_texts(golden_tuned, tuned):
    assert not golden_tuned.unspaced_words
    assert tuned.model_.unspaced_words
