"""The log-linear combination; tests/classify/training/test_ensemble.py fits it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.classify.cascade import Cascade
from lmclassify.classify.ensemble import Combination


@settings(max_examples=25, deadline=None)
@given(
    weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=4),
    bias=st.lists(st.floats(-1e6, 1e6), min_size=1),
    gap=st.floats(0),
)
def test_json_keeps_every_bit(weights, bias, gap):
    names = tuple(f"expert {number}" for number in range(len(weights)))
    before = Combination(names, np.array(weights), np.array(bias), Cascade(gap, 0.25), gap or 9.5)
    after = Combination.from_json(before.to_json())
    assert after.experts == names
    np.testing.assert_array_equal(after.weights, before.weights)
    np.testing.assert_array_equal(after.bias, before.bias)
    assert after.cascade == before.cascade
    assert after.usual_length == before.usual_length


def test_combinations_of_earlier_versions_have_no_usual_length():
    content = json.loads(Combination(("a",), np.ones(1), np.zeros(2), usual_length=9.0).to_json())
    del content["usual_length"]
    before = Combination.from_json(json.dumps(content))
    assert before.usual_length == np.inf
    assert before.joint([np.ones((1, 2))], [10**6]).tolist() == [[1.0, 1.0]]


def test_a_longer_text_counts_like_one_of_usual_length_with_the_same_mean_per_word():
    experts = ("tuned of words", "bag of words")
    combination = Combination(experts, np.ones(2), np.zeros(2), usual_length=10.0)
    assert combination.length_factor("bag of words", [1, 10, 20, 1000]).tolist() == [1, 1, 0.5, 0.01]
    np.testing.assert_allclose(
        combination.length_factor("tuned of words", [1, 10, 20, 1000]), [1, 1, 2**0.25, 2]
    )
    scores = [np.array([[1.0, -1.0]]), np.array([[-300.0, -200.0]])]
    np.testing.assert_allclose(combination.joint(scores, [160]), [[2 - 300 / 16, -2 - 200 / 16]])


@pytest.mark.parametrize(
    ("weights", "bias"), [([-1.0], [0.0]), ([np.nan], [0.0]), ([1.0, 2.0], [0.0]), ([1.0], [np.inf])]
)
def test_unusable_numbers(weights, bias):
    with pytest.raises(ValueError, match="a combination"):
        Combination(("a",), np.array(weights), np.array(bias))
