"""The log-linear combination; tests/classify/training/test_ensemble.py fits it."""

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
    before = Combination(names, np.array(weights), np.array(bias), Cascade(gap, 0.25))
    after = Combination.from_json(before.to_json())
    assert after.experts == names
    np.testing.assert_array_equal(after.weights, before.weights)
    np.testing.assert_array_equal(after.bias, before.bias)
    assert after.cascade == before.cascade


@pytest.mark.parametrize(
    ("weights", "bias"), [([-1.0], [0.0]), ([np.nan], [0.0]), ([1.0, 2.0], [0.0]), ([1.0], [np.inf])]
)
def test_unusable_numbers(weights, bias):
    with pytest.raises(ValueError, match="a combination"):
        Combination(("a",), np.array(weights), np.array(bias))
