"""Folds, samples and splits keep the labels' shares."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.classify.training.data import (
    TrainingData,
    split_label,
    stratified_folds,
    stratified_sample,
)


@settings(max_examples=25)
@given(codes=st.lists(st.integers(0, 4), min_size=1, max_size=60), folds=st.integers(1, 7))
def test_each_label_is_spread_over_the_folds(codes, folds):
    found = stratified_folds(np.array(codes), folds, np.random.default_rng(0))
    assert set(found) <= set(range(folds))
    for code in set(codes):
        sizes = np.bincount(found[np.array(codes) == code], minlength=folds)
        assert sizes.max() - sizes.min() <= 1


def test_a_sample_has_each_label_by_its_share_and_some_of_the_rarest():
    codes = np.repeat([0, 1, 2, 3], [60_000, 30_000, 30, 1])
    rng = np.random.default_rng(0)
    sample = stratified_sample(codes, 9000, rng)
    assert (np.diff(sample) > 0).all()
    assert np.bincount(codes[sample]).tolist() == [5998, 2999, 10, 1]
    assert stratified_sample(codes, len(codes), rng).tolist() == list(range(len(codes)))


@pytest.mark.parametrize(
    ("texts", "fraction", "validation"), [(1, 0.5, 0), (2, 0.1, 1), (20, 0.1, 2), (20, 0.0, 0)]
)
def test_a_split_holds_out_the_fraction_and_at_least_one_of_several_texts(texts, fraction, validation):
    split = split_label("label", np.arange(texts), fraction, [1, 2])
    assert len(split.validation) == validation
    assert sorted([*split.training, *split.validation]) == list(range(texts))


def test_selected_data_keep_labels_and_weights():
    data = TrainingData.from_labels(["a", "b", "c"], ["y", "x", "y"], seed=0)
    assert data.classes.tolist() == ["x", "y"]
    np.testing.assert_allclose(np.exp(data.log_frequencies), [1 / 3, 2 / 3])
    data.weights = np.array([1.0, 2.0, 3.0])
    data.unlabelled = ["d", "e"]
    some = data.select(np.array([0, 2]), 1)
    assert (some.texts, some.codes.tolist(), some.weights.tolist()) == (["a", "c"], [1, 1], [1.0, 3.0])
    assert len(some.unlabelled) == 1
