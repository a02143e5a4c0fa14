from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.comparison.splits import stratified_draw, stratified_folds
from lmclassify.errors import OptionError

LABELS = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=60)


@given(LABELS, st.data())
def test_a_draw_has_its_size_and_every_label_in_proportion(labels, data):
    counts = Counter(labels)
    size = data.draw(st.integers(len(counts), len(labels)))
    drawn = stratified_draw(labels, size, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == size
    assert drawn.tolist() == sorted(drawn.tolist())
    got = Counter(labels[place] for place in drawn)
    assert set(got) == set(counts)
    ideal = {label: count * size / len(labels) for label, count in counts.items()}
    raised = sum(share < 1 for share in ideal.values())  # labels that got their one text from others
    assert all(got[label] <= max(1, np.ceil(ideal[label] + 1e-5)) for label in counts)
    assert all(got[label] > ideal[label] - 1 - raised - 1e-5 for label in counts)


@given(LABELS, st.integers(2, 6))
def test_folds_share_every_label_out_evenly(labels, folds):
    fold_of = stratified_folds(labels, folds, np.random.default_rng(1))
    for label in set(labels):
        of_label = fold_of[np.array(labels) == label]
        counts = np.bincount(of_label, minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_draws_and_folds_come_from_the_seed():
    labels = ["a"] * 50 + ["b"] * 30
    for function, number in ((stratified_draw, 20), (stratified_folds, 5)):
        first, again, other = (function(labels, number, np.random.default_rng(seed)) for seed in (0, 0, 1))
        assert first.tolist() == again.tolist()
        assert first.tolist() != other.tolist()


@pytest.mark.parametrize("size", [1, 4])
def test_a_draw_that_cannot_be_made(size):
    with pytest.raises(OptionError, match="the size must be from 2 to 3"):
        stratified_draw(["a", "a", "b"], size, np.random.default_rng(0))
