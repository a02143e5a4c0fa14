import numpy as np
import pytest

from lmclassify.classify.linear_ngrams import (
    attribute_to_words,
    naive_bayes_weights,
    share_equally,
    tf_idf,
    weighted_sums,
)
from lmclassify.lm.ngram.index import count_known

COLUMNS = np.array([[0, 1, 0, 1, 2], [-1, 3, -1, -1, 4]], np.int32)
"""Two texts of two words and one of one; unigrams 0 to 2, bigrams 3 (known) and 4."""
TEXT_INDEX = np.array([0, 0, 1, 2, 2])
WEIGHTS = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)


def test_naive_bayes_probabilities_sum_to_one_over_the_known_ngrams():
    counts = np.array([[3, 0], [0, 0], [1, 2]], np.float32)
    log_p = naive_bayes_weights(counts)
    assert log_p[1].tolist() == [0, 0]  # no label has it: unknown
    np.testing.assert_allclose(np.exp(log_p[[0, 2]]).sum(axis=0), 1, rtol=1e-6)


def test_tf_idf_has_norm_one():
    counts = count_known(COLUMNS, TEXT_INDEX, 3)
    values = tf_idf(counts, np.array([1, 2, 3, 4, 5], np.float32))
    for text in range(3):
        np.testing.assert_allclose(np.linalg.norm(values[counts.text_index == text]), 1)


def test_weighted_sums():
    counts = count_known(COLUMNS, TEXT_INDEX, 3)
    sums = weighted_sums(counts, counts.count, WEIGHTS)
    expected = [WEIGHTS[[0, 1, 3]].sum(axis=0), WEIGHTS[0], WEIGHTS[[1, 2, 4]].sum(axis=0)]
    np.testing.assert_allclose(sums, expected, rtol=1e-6)


def test_ngrams_are_shared_equally_by_their_words():
    counts = count_known(COLUMNS, TEXT_INDEX, 3)
    words = np.arange(5)
    parts = attribute_to_words(counts, counts.count, WEIGHTS, COLUMNS, TEXT_INDEX, (words, words), 5)
    np.testing.assert_allclose(parts[0], WEIGHTS[0] + WEIGHTS[3] / 2, rtol=1e-6)
    np.testing.assert_allclose(parts[2], WEIGHTS[0], rtol=1e-6)
    np.testing.assert_allclose(parts[4], WEIGHTS[2] + WEIGHTS[4] / 2, rtol=1e-6)
    sums = weighted_sums(counts, counts.count, WEIGHTS)
    np.testing.assert_allclose(np.add.reduceat(parts, [0, 2, 3]), sums, rtol=1e-6)


def test_parts_are_shared_by_all_their_words():
    first, last = np.array([0, 1, 1, 3]), np.array([0, 2, 40, 3])
    shared = share_equally(np.array([[1.0], [2.0], [80.0], [3.0]]), first, last, 42)[:, 0]
    np.testing.assert_allclose(shared[:5], [1.0, 3.0, 3.0, 5.0, 2.0])
    assert shared.sum() == pytest.approx(86.0)
    assert shared[41] == 0.0
