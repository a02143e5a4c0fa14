import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.classify.calibration import Combination, log_softmax
from lmclassify.classify.combining import add_experts, best_scale, learn_combination, log_loss


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
)
def test_json_keeps_every_bit(weights, bias):
    names = tuple(f"expert {number}" for number in range(len(weights)))
    before = Combination(names, np.array(weights), np.array(bias))
    after = Combination.from_json(before.to_json())
    assert after.experts == names
    np.testing.assert_array_equal(after.weights, before.weights)
    np.testing.assert_array_equal(after.bias, before.bias)


@pytest.mark.parametrize(
    ("weights", "bias"), [([-1.0], [0.0]), ([np.nan], [0.0]), ([1.0, 2.0], [0.0]), ([1.0], [np.inf])]
)
def test_numbers_that_make_no_combination(weights, bias):
    with pytest.raises(ValueError, match="a combination"):
        Combination(("a",), np.array(weights), np.array(bias))
