import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.classify.cascade import Cascade
from lmclassify.classify.ensemble import Combination, log_softmax
from lmclassify.classify.training.ensemble import (
    MAX_LIKELIHOOD_WEIGHT,
    MAX_WEIGHT,
    add_experts,
    best_scale,
    fit_cascade,
    fit_combination,
    log_loss,
)

LSTM_NAMES = ("ngrams", "lstm", "tuned lstm")
NAMES = ("tuned of a", "tuned of b", "tuned of c")
"""Linear SVMs, whose weights may be larger than 1."""
SHORT = [1]
"""Lengths of texts that are not longer than usual."""


def experts(n=4000, labels=3, seed=0):
    """Return scores of a good expert, a weaker and a random one, and labels drawn from the first two."""
    rng = np.random.default_rng(seed)
    good, weak, noise = rng.normal(size=(3, n, labels))
    log_p = log_softmax(2 * good + weak)
    codes = np.array([rng.choice(labels, p=np.exp(row)) for row in log_p])
    return [good, weak, noise], codes


def test_weights_that_made_the_labels_are_found():
    scores, codes = experts()
    found = fit_combination(NAMES, scores, codes, np.zeros(3))
    assert found.weights == pytest.approx([2, 1, 0], abs=0.15)
    assert found.bias == pytest.approx([0, 0, 0], abs=0.15)


def test_scale_of_an_experts_scores_makes_no_difference():
    scores, codes = experts(400)
    one = fit_combination(NAMES, scores, codes, np.zeros(3))
    other = fit_combination(NAMES, [100 * scores[0], *scores[1:]], codes, np.zeros(3))
    np.testing.assert_allclose(
        one.joint(scores, SHORT), other.joint([100 * scores[0], *scores[1:]], SHORT), rtol=1e-3, atol=1e-3
    )


def test_weight_two_is_a_text_twice():
    scores, codes = experts(60)
    twice = np.array([2.0, *np.ones(59)])
    again = [np.concatenate([of_expert[:1], of_expert]) for of_expert in scores]
    one = fit_combination(NAMES, again, np.concatenate([codes[:1], codes]), np.zeros(3))
    weighted = fit_combination(NAMES, scores, codes, np.zeros(3), twice * 60 / 61)
    assert one.weights == pytest.approx(weighted.weights, rel=0.1)


def test_few_texts_leave_the_weights_near_equal_shares():
    scores, codes = experts(8)
    found = fit_combination(NAMES, scores, codes, np.zeros(3))
    spread = [(of - of.mean(axis=1, keepdims=True)).std() for of in scores]
    assert found.weights * spread == pytest.approx([2 / 3] * 3, abs=0.25)


def test_an_expert_more_helps_where_it_knows_more_and_only_there():
    scores, codes = experts()
    first = fit_combination(["tuned of weak"], scores[1:2], codes, np.zeros(3))
    joint = first.joint(scores[1:2], SHORT)
    better = add_experts(first, joint, ["tuned of good"], [scores[0]], codes)
    assert log_loss(better.joint([scores[1], scores[0]], SHORT), codes) < log_loss(joint, codes) - 0.1
    useless = add_experts(first, joint, ["noise"], [scores[2]], codes)
    assert useless.weights[1] == pytest.approx(0, abs=0.1)
    assert useless.weights[0] == pytest.approx(first.weights[0], rel=0.1)
    assert useless.experts == ("tuned of weak", "noise")
    both = add_experts(first, joint, ["tuned of good", "noise"], [scores[0], scores[2]], codes)
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
    first = fit_combination(
        ["tuned of good", "tuned of weak"], [good[fit], weak[fit]], codes[fit], np.zeros(20)
    )
    joint = first.joint([good, weak], SHORT)
    found = add_experts(first, joint[held_out], ["noise"], [noise[held_out]], codes[held_out])
    after = found.joint([good[new], weak[new], noise[new]], SHORT)
    assert log_loss(after, codes[new]) < log_loss(joint[new], codes[new]) + 0.004


def test_best_scale_is_the_one_that_made_the_labels():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(5000, 2)) * 10
    codes = np.array([rng.choice(2, p=np.exp(row)) for row in log_softmax(0.2 * scores)])
    assert best_scale(scores, np.zeros(2), codes) == pytest.approx(0.2, rel=0.1)


def test_an_expert_that_says_nothing():
    codes = np.array([0, 1, 0, 1])
    found = fit_combination(["a"], [np.zeros((4, 2))], codes, np.log([0.5, 0.5]))
    assert np.isfinite(found.joint([np.zeros((4, 2))], SHORT)).all()


KNOWS_NOTHING = ("constant", "nearly constant", "unseen words", "one text", "few texts", "noise")
SIZES = {"tuned of words": 1.5, "bag of words": 8.0}
"""Size of the scores of an expert that knows nothing, by its name."""


def ignorant_expert(kind, name, codes, labels, rng):
    """Return held-out scores of an expert that knows nothing, or very little, about the labels."""
    scores = np.tile(rng.normal(size=labels), (len(codes), 1)) * SIZES[name] / 4
    if kind == "nearly constant":
        scores += rng.normal(size=scores.shape) * 10.0 ** rng.integers(-9, -2)
    if kind == "unseen words":  # the folds differ a little
        scores[:] = rng.normal(size=(5, labels))[np.arange(len(codes)) % 5] * 0.01
    if kind in ("one text", "few texts"):
        few = rng.choice(len(codes), 1 if kind == "one text" else max(1, len(codes) // 200), replace=False)
        scores[few, codes[few]] += SIZES[name]
    if kind == "noise":
        scores = rng.normal(size=scores.shape) * SIZES[name]
    return scores


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(KNOWS_NOTHING),
    name=st.sampled_from(sorted(SIZES)),
    labels=st.integers(2, 6),
    n=st.sampled_from([100, 400, 1000]),
    seed=st.integers(0, 1000),
)
def test_an_expert_that_knows_nothing_does_not_decide(kind, name, labels, n, seed):
    """Others are right about every held-out text; it is sure of a wrong label where they are as sure as there."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, labels, n)
    margins = 2.0 * np.eye(labels)[codes] - 1.0
    names = ["tuned of characters", "tuned of subwords", name]
    known = [margins + rng.normal(size=margins.shape) * 0.1 for _ in range(2)]
    ignorant = ignorant_expert(kind, name, codes, labels, rng)
    found = fit_combination(names, [*known, ignorant], codes, np.log(np.full(labels, 1 / labels)))
    new = 2.0 * np.eye(labels) - 1.0
    surprise = SIZES[name] * np.roll(new, 1, axis=1)
    joint = found.joint([new, new, surprise], np.ones(labels))
    assert joint.argmax(axis=1).tolist() == list(range(labels))
    assert abs(found.weights[2] * surprise).max() < 2


@pytest.mark.parametrize("seed", range(5))
def test_equal_texts_with_both_labels_equally_often(seed):
    """The folds differ in size, so that scores do, a little."""
    rng = np.random.default_rng(seed)
    folds = rng.normal(size=10)[np.arange(40) % 10, np.newaxis]
    scores = [folds * [size, -size] for size in (0.003, 0.01)]
    found = fit_combination(["tuned of words", "bag of words"], scores, np.arange(40) % 2, np.log([0.5, 0.5]))
    joint = found.joint([np.array([[0.01, -0.01]])] * 2, SHORT)
    assert abs(joint[0, 0] - joint[0, 1]) < 0.05


def test_no_weight_is_larger_than_the_largest():
    """The second expert is always right, and sure of it a thousandth of its usual nats."""
    codes = np.arange(2000) % 2
    sure = 2.0 * np.eye(2)[codes] - 1.0
    found = fit_combination(
        ["tuned of words", "bag of words"], [sure * 1e-3, sure * 1e-3], codes, np.zeros(2)
    )
    assert found.weights[0] <= MAX_WEIGHT
    assert found.weights[1] <= MAX_LIKELIHOOD_WEIGHT


def test_longer_texts_are_fitted_as_they_are_scored():
    """Scores that are sums over words are fitted as those of texts of usual length."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, 1000)
    lengths = np.where(np.arange(1000) < 960, 10, 1000)
    per_word = rng.normal(size=(1000, 2)) + np.eye(2)[codes]
    scores = [per_word * lengths[:, np.newaxis]]
    found = fit_combination(["bag of words"], scores, codes, np.zeros(2), None, lengths)
    alike = fit_combination(["bag of words"], [per_word * 10], codes, np.zeros(2))
    assert found.usual_length == 10
    np.testing.assert_allclose(found.weights, alike.weights, rtol=1e-4)
    np.testing.assert_allclose(found.joint(scores, lengths), alike.joint([per_word * 10], SHORT), atol=1e-3)


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
    approximate = found.approximate_joint(found.ngram_joint(new[:1], SHORT))
    assert 0.05 < found.cascade_mask(approximate, lengths[2000:]).any(axis=1).mean() < 0.6
    labels = found.cascade_joint(new, lengths[2000:]).argmax(axis=1)
    assert (labels == combination.joint(new, SHORT).argmax(axis=1)).all()


def test_the_cascade_of_lstms_that_say_nothing():
    combination = Combination(LSTM_NAMES, np.array([1.0, 1.0, 0.0]), np.zeros(2))
    found = fit_cascade(combination, [np.zeros((3, 2))] * 3, [2, 5, 9])
    assert found.cascade == Cascade(0.0, 0.0, 5.0)


def test_the_only_text_of_a_label_does_not_count():
    """It is scored by models that do not know its label, so the weights are those of the other texts."""
    rng = np.random.default_rng(0)
    codes = np.array([0, 1, 2] * 20 + [3, 4])
    scores = [rng.normal(size=(62, 5)) + useful * (codes[:, None] == np.arange(5)) for useful in (3.0, 1.0)]
    for expert in scores:
        expert[60:] -= 50.0 * (codes[60:, None] == np.arange(5))
    priors = np.log(np.bincount(codes) / 62)
    names = ["tuned of words", "tuned of characters"]
    found = fit_combination(names, scores, codes, priors).weights
    without = fit_combination(names, [expert[:60] for expert in scores], codes[:60], priors).weights
    assert found == pytest.approx(without, rel=0.2)


def test_one_text_of_each_label_leaves_the_weights_that_are_assumed():
    scores = [np.eye(4) * -2.0, np.eye(4) * -1.0]
    priors = np.log(np.full(4, 0.25))
    found = fit_combination(["tuned of words", "tuned of characters"], scores, np.arange(4), priors)
    assert found.weights[1] == pytest.approx(2 * found.weights[0])  # scaled to the same spread
    assert found.weights[0] > 0
    assert found.bias == pytest.approx(priors)
