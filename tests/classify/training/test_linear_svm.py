"""Linear SVMs without the texts of each fold."""

import numpy as np
import pytest
from scipy import sparse

from lmclassify.classify.training import linear_svm


@pytest.fixture(scope="module")
def texts():
    """Return sparse rows of norm 1, codes of five labels, weights and folds."""
    rng = np.random.default_rng(0)
    codes = np.arange(150) % 5
    values = rng.random((150, 40)) * (rng.random((150, 40)) < 0.3) + 0.5 * np.eye(40)[5 * codes + 1]
    rows = sparse.csr_matrix(values / np.linalg.norm(values, axis=1, keepdims=True), dtype=np.float32)
    return rows, codes, rng.uniform(0.5, 2, 150), rng.integers(3, size=150)


def test_those_solved_from_support_vectors_are_close_to_those_fitted(texts):
    rows, codes, weights, folds = texts
    whole = linear_svm.fit_linear_svm(rows, codes, 5, weights, 0)
    for inside, svm_weights, bias in linear_svm.fold_svms(rows, codes, weights, folds, whole, 0):
        fitted, fitted_bias = linear_svm.fit_linear_svm(rows[~inside], codes[~inside], 5, weights[~inside], 0)
        found, expected = rows[inside] @ svm_weights + bias, rows[inside] @ fitted + fitted_bias
        seen = rows[inside] @ whole[0] + whole[1]
        assert np.abs(found - expected).mean() < 0.4 * np.abs(seen - expected).mean()


def test_threads_change_nothing_and_labels_may_be_absent(texts):
    rows, codes, weights, _ = texts
    folds = (codes == 4).astype(int)  # outside fold 1 no text has label 4
    whole = linear_svm.fit_linear_svm(rows, codes, 5, weights, 0)
    one, three = (list(linear_svm.fold_svms(rows, codes, weights, folds, whole, 0, n)) for n in (1, 3))
    for first, second in zip(one, three, strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)
    assert not one[1][1][:, 4].any()
    assert one[1][2][4] == linear_svm.ABSENT_BIAS


def test_equal_texts_with_very_large_weights(texts):
    """The matrix of their products is singular in floating point."""
    rows, codes, weights, folds = texts
    twice = sparse.vstack([rows, rows]).tocsr()
    weights, codes, folds = np.tile(weights, 2) * 1e14, np.tile(codes, 2), np.tile(folds, 2)
    whole = linear_svm.fit_linear_svm(rows, codes[:150], 5, np.ones(150), 0)
    for inside, svm_weights, bias in linear_svm.fold_svms(twice, codes, weights, folds, whole, 0):
        margins = twice[~inside] @ svm_weights + bias
        assert np.isfinite(margins).all()
        assert (margins.argmax(axis=1) == codes[~inside]).mean() > 0.9
