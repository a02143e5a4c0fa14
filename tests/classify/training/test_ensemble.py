import numpy as np
import pytest

from lmclassify.classify.cascade import Cascade
from lmclassify.classify.ensemble import Combination, log_softmax
from lmclassify.classify.training.ensemble import (
    add_experts,
    best_scale,
    fit_cascade,
    fit_combination,
    log_loss,
)

LSTM_NAMES = ("ngrams", "lstm", "tuned lstm")


def experts(n=4000, labels=3, seed=0):
    """Return scores of a good expert, a weaker and a random one, and labels drawn from the first two."""
    rng = np.random.default_rng(seed)
    good, weak, noise = rng.normal(size=(3, n, labels))
    log_p = log_softmax(2 * good + weak)
    codes = np.array([rng.choice(labels, p=np.exp(row)) for row in log_p])
    return [good, weak, noise], codes


def test_weights_that_made_the_labels_are_found():
    scores, codes = experts()
    found = fit_combination(["a", "b", "c"], scores, codes, np.zeros(3))
    assert found.weights == pytest.approx([2, 1, 0], abs=0.15)
    assert found.bias == pytest.approx([0, 0, 0], abs=0.15)


def test_scale_of_an_experts_scores_makes_no_difference():
    scores, codes = experts(400)
    one = fit_combination(["a", "b", "c"], scores, codes, np.zeros(3))
    other = fit_combination(["a", "b", "c"], [100 * scores[0], *scores[1:]], codes, np.zeros(3))
    np.testing.assert_allclose(
        one.joint(scores), other.joint([100 * scores[0], *scores[1:]]), rtol=1e-3, atol=1e-3
    )


def test_weight_two_is_a_text_twice():
    scores, codes = experts(60)
    twice = np.array([2.0, *np.ones(59)])
    again = [np.concatenate([of_expert[:1], of_expert]) for of_expert in scores]
    one = fit_combination(["a", "b", "c"], again, np.concatenate([codes[:1], codes]), np.zeros(3))
    weighted = fit_combination(["a", "b", "c"], scores, codes, np.zeros(3), twice * 60 / 61)
    assert one.weights == pytest.approx(weighted.weights, rel=0.1)


def test_few_texts_leave_the_weights_near_equal_shares():
    scores, codes = experts(6)
    found = fit_combination(["a", "b", "c"], scores, codes, np.zeros(3))
    spread = [(of - of.mean(axis=1, keepdims=True)).std() for of in scores]
    assert found.weights * spread == pytest.approx([2 / 3] * 3, abs=0.25)


def test_an_expert_more_helps_where_it_knows_more_and_only_there():
    scores, codes = experts()
    first = fit_combination(["weak"], scores[1:2], codes, np.zeros(3))
    joint = first.joint(scores[1:2])
    better = add_experts(first, joint, ["good"], [scores[0]], codes)
    assert log_loss(better.joint([scores[1], scores[0]]), codes) < log_loss(joint, codes) - 0.1
    useless = add_experts(first, joint, ["noise"], [scores[2]], codes)
    assert useless.weights[1] == pytest.approx(0, abs=0.1)
    assert useless.weights[0] == pytest.approx(first.weights[0], rel=0.1)
    assert useless.experts == ("weak", "noise")
    both = add_experts(first, joint, ["good", "noise"], [scores[0], scores[2]], codes)
    assert both.weights == pytest.approx([*better.weights, 0], abs=0.1)


def test_biases_stay_near_those_from_before():
    """Forty texts of the first of two labels, which no expert tells apart, move its bias by .09.

    The bias b and its opposite minimize 40 log(1 + exp(-2b)) + 100 * 2b²: b = .2 / (1 + exp(2b)).
    """
    before = Combination(("old",), np.ones(1), np.array([0.5, -0.5]))
    none = np.zeros((40, 2))
    found = add_experts(before, none, ["new"], [none], np.zeros(40, np.intp))
    assert found.bias == pytest.approx([0.5909, -0.5909], abs=1e-4)


def test_refitting_on_few_texts_of_many_labels_costs_nothing():
    (good, weak, noise), codes = experts(6000, labels=20)
    fit, held_out, new = slice(0, 2000), slice(2000, 2200), slice(2200, 6000)
    first = fit_combination(["good", "weak"], [good[fit], weak[fit]], codes[fit], np.zeros(20))
    joint = first.joint([good, weak])
    found = add_experts(first, joint[held_out], ["noise"], [noise[held_out]], codes[held_out])
    after = found.joint([good[new], weak[new], noise[new]])
    assert log_loss(after, codes[new]) < log_loss(joint[new], codes[new]) + 0.004


def test_best_scale_is_the_one_that_made_the_labels():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(5000, 2)) * 10
    codes = np.array([rng.choice(2, p=np.exp(row)) for row in log_softmax(0.2 * scores)])
    assert best_scale(scores, np.zeros(2), codes) == pytest.approx(0.2, rel=0.1)


def test_an_expert_that_says_nothing():
    codes = np.array([0, 1, 0, 1])
    found = fit_combination(["a"], [np.zeros((4, 2))], codes, np.log([0.5, 0.5]))
    assert np.isfinite(found.joint([np.zeros((4, 2))])).all()


@pytest.mark.parametrize("bias", [0.0, 10.0])
def test_the_fitted_cascade_changes_no_decision(bias):
    rng = np.random.default_rng(0)
    ngrams = rng.normal(scale=4, size=(4000, 3))
    lengths = rng.integers(4, 40, size=4000)
    noise = rng.normal(scale=0.4, size=ngrams.shape) * np.sqrt(lengths / 21)[:, np.newaxis]
    lstms = 0.3 * ngrams + noise
    combination = Combination(LSTM_NAMES, np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, bias]))
    found = fit_cascade(combination, [ngrams[:2000], lstms[:2000], lstms[:2000]], lengths[:2000])
    cascade = found.cascade
    assert cascade.slope == pytest.approx(0.3, abs=0.02)
    assert 1.8 < cascade.gap < 5 * 0.4 * 2**0.5 * 1.05  # of two labels' deviations; long texts have less
    new = [ngrams[2000:], lstms[2000:], lstms[2000:]]
    approximate = found.approximate_joint(found.ngram_joint(new[:1]))
    assert 0.05 < found.cascade_mask(approximate, lengths[2000:]).any(axis=1).mean() < 0.6
    labels = found.cascade_joint(new, lengths[2000:]).argmax(axis=1)
    assert (labels == combination.joint(new).argmax(axis=1)).all()


def test_the_cascade_of_lstms_that_say_nothing():
    combination = Combination(LSTM_NAMES, np.array([1.0, 1.0, 0.0]), np.zeros(2))
    found = fit_cascade(combination, [np.zeros((3, 2))] * 3, [2, 5, 9])
    assert found.cascade == Cascade(0.0, 0.0, 5.0)
