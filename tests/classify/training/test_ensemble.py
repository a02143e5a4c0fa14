import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.classify.ensemble import Combination, log_softmax
from lmclassify.classify.training.ensemble import (
    add_experts,
    best_scale,
    fit_cascade,
    learn_combination,
    log_loss,
)


def experts(n=4000, labels=3, seed=0):
    """Return scores of a good expert, a weaker and a random one, and labels drawn from the first two."""
    rng = np.random.default_rng(seed)
    good, weak, noise = rng.normal(size=(3, n, labels))
    log_p = log_softmax(2 * good + weak)
    codes = np.array([rng.choice(labels, p=np.exp(row)) for row in log_p])
    return [good, weak, noise], codes


def test_weights_that_made_the_labels_are_found():
    scores, codes = experts()
    found = learn_combination(["a", "b", "c"], scores, codes, np.zeros(3))
    assert found.weights == pytest.approx([2, 1, 0], abs=0.15)
    assert found.bias == pytest.approx([0, 0, 0], abs=0.15)


def test_scale_of_an_experts_scores_makes_no_difference():
    scores, codes = experts(400)
    one = learn_combination(["a", "b", "c"], scores, codes, np.zeros(3))
    other = learn_combination(["a", "b", "c"], [100 * scores[0], *scores[1:]], codes, np.zeros(3))
    np.testing.assert_allclose(
        one.joint(scores), other.joint([100 * scores[0], *scores[1:]]), rtol=1e-3, atol=1e-3
    )


def test_weight_two_is_a_text_twice():
    scores, codes = experts(60)
    twice = np.array([2.0, *np.ones(59)])
    again = [np.concatenate([of_expert[:1], of_expert]) for of_expert in scores]
    one = learn_combination(["a", "b", "c"], again, np.concatenate([codes[:1], codes]), np.zeros(3))
    weighted = learn_combination(["a", "b", "c"], scores, codes, np.zeros(3), twice * 60 / 61)
    assert one.weights == pytest.approx(weighted.weights, rel=0.1)


def test_few_texts_leave_the_weights_near_equal_shares():
    scores, codes = experts(6)
    found = learn_combination(["a", "b", "c"], scores, codes, np.zeros(3))
    spread = [(of - of.mean(axis=1, keepdims=True)).std() for of in scores]
    assert found.weights * spread == pytest.approx([2 / 3] * 3, abs=0.25)


def test_an_expert_more_helps_where_it_knows_more_and_only_there():
    scores, codes = experts()
    first = learn_combination(["weak"], scores[1:2], codes, np.zeros(3))
    joint = first.joint(scores[1:2])
    better = add_experts(first, joint, ["good"], [scores[0]], codes)
    assert log_loss(better.joint([scores[1], scores[0]]), codes) < log_loss(joint, codes) - 0.1
    useless = add_experts(first, joint, ["noise"], [scores[2]], codes)
    assert useless.weights[1] == pytest.approx(0, abs=0.1)
    assert useless.weights[0] == pytest.approx(first.weights[0], rel=0.1)
    assert useless.experts == ("weak", "noise")
    both = add_experts(first, joint, ["good", "noise"], [scores[0], scores[2]], codes)
    assert both.weights == pytest.approx([*better.weights, 0], abs=0.1)


def test_best_scale_is_the_one_that_made_the_labels():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(5000, 2)) * 10
    codes = np.array([rng.choice(2, p=np.exp(row)) for row in log_softmax(0.2 * scores)])
    assert best_scale(scores, np.zeros(2), codes) == pytest.approx(0.2, rel=0.1)


def test_an_expert_that_says_nothing():
    codes = np.array([0, 1, 0, 1])
    found = learn_combination(["a"], [np.zeros((4, 2))], codes, np.log([0.5, 0.5]))
    assert np.isfinite(found.joint([np.zeros((4, 2))])).all()


@given(
    weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=4),
    bias=st.lists(st.floats(-1e6, 1e6), min_size=1),
    gap=st.floats(0),
)
def test_json_keeps_every_bit(weights, bias, gap):
    names = tuple(f"expert {number}" for number in range(len(weights)))
    before = Combination(names, np.array(weights), np.array(bias), gap, 0.25)
    after = Combination.from_json(before.to_json())
    assert after.experts == names
    np.testing.assert_array_equal(after.weights, before.weights)
    np.testing.assert_array_equal(after.bias, before.bias)
    assert (after.gap, after.slope) == (gap, 0.25)


@pytest.mark.parametrize(("gap", "slope"), [(-1.0, 0.0), (np.nan, 0.0), (1.0, -0.1), (1.0, np.inf)])
def test_a_shortcut_that_makes_no_sense(gap, slope):
    with pytest.raises(ValueError, match="a combination"):
        Combination(LSTM_NAMES, np.ones(3), np.zeros(2), gap, slope)


@pytest.mark.parametrize(
    ("weights", "bias"), [([-1.0], [0.0]), ([np.nan], [0.0]), ([1.0, 2.0], [0.0]), ([1.0], [np.inf])]
)
def test_numbers_that_make_no_combination(weights, bias):
    with pytest.raises(ValueError, match="a combination"):
        Combination(("a",), np.array(weights), np.array(bias))


LSTM_NAMES = ("ngrams", "lstm", "tuned lstm")


def test_lstms_are_asked_about_near_labels_and_foretold_for_others():
    bias = np.array([0.0, 0.0, -1.0])  # the n-gram models' evidence alone tells what is foretold
    combination = Combination(LSTM_NAMES, np.array([1.0, 0.5, 0.25]), bias, gap=2.0, slope=0.1, length=9.0)
    ngrams = np.array([[0.0, -1.0, -4.0], [0.0, -3.0, -3.0], [-3.0, 0.0, -0.5]])
    asked = [[True, True, False], [False] * 3, [False, True, True]]
    assert combination.contested(ngrams + bias, [9, 9, 9]).tolist() == asked
    lstms = np.array([[-10.0, -8.0, -1.0], [-10.0, -2.0, -1.0], [-9.0, -6.0, -6.0]])
    joint = combination.decided([ngrams, lstms, 2 * lstms], [9, 9, 9])  # together the LSTMs have the weight 1
    np.testing.assert_allclose(
        joint,
        [
            [-10.0, -9.0, -5.0 - 10.0 - 0.4],  # as the first label's, less a tenth of the 4 nats below it
            [0.0, -3.0 - 0.3, -4.0 - 0.3],  # nobody is near: not asked at all
            [-3.0 - 6.0 - 0.3, -6.0, -7.5],
        ],
    )


def test_longer_texts_have_larger_gaps():
    combination = Combination(LSTM_NAMES, np.ones(3), np.zeros(2), gap=1.0, length=9.0)
    margins = np.array([[0.0, -0.9], [0.0, -0.6], [0.0, -2.9], [0.0, -3.1]])
    asked = combination.contested(margins, [9, 4, 27, 27]).any(axis=1)
    assert asked.tolist() == [True, True, True, False]  # like the root of the length, or like the length
    assert not combination.contested(margins[1:2], [3]).any()


def test_a_label_that_leads_by_its_bias_alone_is_contested():
    combination = Combination(LSTM_NAMES, np.ones(3), np.array([0.0, -10.0]), gap=2.0, slope=0.5)
    evidence = np.array([[0.0, 6.0], [0.0, 7.0], [0.0, 1.0]])  # 4, 3 and 9 nats less likely in all
    asked = combination.contested(evidence + combination.bias, [1, 1, 1]).any(axis=1)
    assert asked.tolist() == [True, True, False]  # foretold: 1, -0.5 and 8.5 nats less likely


def test_without_a_gap_every_label_counts_as_computed():
    rng = np.random.default_rng(0)
    scores = list(rng.normal(size=(3, 20, 4)))
    combination = Combination(LSTM_NAMES, np.array([2.0, 0.5, 0.1]), rng.normal(size=4))
    np.testing.assert_allclose(combination.decided(scores, np.ones(20)), combination.joint(scores))
    nobody = Combination(LSTM_NAMES, np.array([2.0, 0.0, 0.0]), np.zeros(4))
    assert not nobody.contested(scores[0], np.ones(20)).any()


@pytest.mark.parametrize("bias", [0.0, 10.0])
def test_the_learnt_shortcut_turns_no_decision(bias):
    rng = np.random.default_rng(0)
    ngrams = rng.normal(scale=4, size=(4000, 3))
    lengths = rng.integers(4, 40, size=4000)
    noise = rng.normal(scale=0.4, size=ngrams.shape) * np.sqrt(lengths / 21)[:, np.newaxis]
    lstms = 0.3 * ngrams + noise
    combination = Combination(LSTM_NAMES, np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, bias]))
    found = fit_cascade(combination, [ngrams[:2000], lstms[:2000], lstms[:2000]], lengths[:2000])
    assert found.slope == pytest.approx(0.3, abs=0.02)
    assert 1.8 < found.gap < 5 * 0.4 * 2**0.5 * 1.05  # of two labels' deviations; long texts have less
    new = [ngrams[2000:], lstms[2000:], lstms[2000:]]
    asked = found.contested(combination.of_ngrams(new[:1]), lengths[2000:]).any(axis=1).mean()
    assert 0.05 < asked < 0.6
    decided = found.decided(new, lengths[2000:]).argmax(axis=1)
    assert (decided == combination.joint(new).argmax(axis=1)).all()


def test_a_shortcut_of_lstms_that_say_nothing():
    combination = Combination(LSTM_NAMES, np.array([1.0, 1.0, 0.0]), np.zeros(2))
    found = fit_cascade(combination, [np.zeros((3, 2))] * 3, [2, 5, 9])
    assert (found.gap, found.slope, found.length) == (0.0, 0.0, 5.0)
