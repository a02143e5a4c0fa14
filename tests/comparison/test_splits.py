from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.comparison.splits import proportional_sample, stratified_folds
from lmclassify.errors import OptionError

LABELS = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=60)


@settings(max_examples=25)
@given(LABELS, st.data())
def test_a_proportional_sample_has_its_size_and_every_label(labels, data):
    counts = Counter(labels)
    size = data.draw(st.integers(len(counts), len(labels)))
    sample = proportional_sample(labels, size, np.random.default_rng(0))
    assert len(set(sample.tolist())) == size
    assert sample.tolist() == sorted(sample.tolist())
    got = Counter(labels[row] for row in sample)
    assert set(got) == set(counts)
    ideal = {label: count * size / len(labels) for label, count in counts.items()}
    raised = sum(share < 1 for share in ideal.values())  # labels that get one text at the cost of others
    assert all(got[label] <= max(1, np.ceil(ideal[label] + 1e-5)) for label in counts)
    assert all(got[label] > ideal[label] - 1 - raised - 1e-5 for label in counts)


@settings(max_examples=25)
@given(LABELS, st.integers(2, 6))
def test_folds_are_stratified(labels, folds):
    fold_of = stratified_folds(labels, folds, np.random.default_rng(1))
    for label in set(labels):
        counts = np.bincount(fold_of[np.array(labels) == label], minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_samples_and_folds_depend_on_the_seed_only():
    labels = ["a"] * 50 + ["b"] * 30
    for function, number in ((proportional_sample, 20), (stratified_folds, 5)):
        first, again, other = (function(labels, number, np.random.default_rng(seed)) for seed in (0, 0, 1))
        assert first.tolist() == again.tolist()
        assert first.tolist() != other.tolist()


@pytest.mark.parametrize("size", [1, 4])
def test_impossible_sample_size(size):
    with pytest.raises(OptionError, match="the size must be from 2 to 3"):
        proportional_sample(["a", "a", "b"], size, np.random.default_rng(0))
