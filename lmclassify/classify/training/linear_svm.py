"""One-vs-rest linear SVMs of all texts (liblinear), and what they would be without the texts of each fold.

An SVM minimizes ``|w|² / 2 + sum_i c_i max(0, 1 - y_i w·x_i)²``; its bias is the weight of a constant 1. With
b_i = 2 c_i (y_i - w·x_i) for support vectors, whose loss is not 0, ``w = sum_i b_i x_i``. So the b are the
solution of ``(X X' + 1 / 2c) b = y`` over the support vectors (Chapelle 2007).

Shapes: n texts, F n-grams, K labels, u support vectors of a label.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from lmclassify.parallel import ForkSafeLock, map_ordered

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

SVM_TOLERANCE = 0.1
"""A smaller tolerance takes longer. On held-out text, accuracy changed by at most .0012 (trec6)."""

ABSENT_BIAS = -1.0
"""SVM bias of a label without texts in a fold's training part: the margin of "not this label"."""

MAX_TEXTS_TO_SOLVE = 150
"""Up to so many texts per label, a fold's SVMs are found from the support vectors of the SVMs of all texts,
which takes a tenth of the time. With more texts, and two labels, there are too many support vectors."""

MAX_TEXTS_IN_GRAM = 4000
"""With so many texts their products take 128 MB; with more they are computed for each label."""

MIN_RIDGE = 1e-2
"""Smallest number added to the diagonal. Without it, equal texts with very large weights make the matrix
singular."""

_liblinear = ForkSafeLock()  # its random numbers are one stream for the whole process


def fit_linear_svm(
    rows: sparse.csr_matrix, codes: Codes, labels: int, weights: Array, seed: int
) -> tuple[Floats, Floats]:
    """Return weights (F, K) and biases (K,) of one-vs-rest linear SVMs; two labels share one SVM."""
    svm_weights = np.zeros((rows.shape[1], labels), np.float32)
    present = np.unique(codes)
    if len(present) < 2 or not rows.shape[1]:
        return svm_weights, np.zeros(labels, np.float32)
    bias = np.full(labels, ABSENT_BIAS, np.float32)
    with warnings.catch_warnings(), _liblinear:
        warnings.simplefilter("ignore", ConvergenceWarning)  # close enough after the usual iterations
        svm = LinearSVC(tol=SVM_TOLERANCE, random_state=seed).fit(rows, codes, sample_weight=weights)
    sides = np.array([-0.5, 0.5]) if len(present) == 2 else 1.0
    svm_weights[:, present], bias[present] = svm.coef_.T * sides, svm.intercept_ * sides
    return svm_weights, bias


def fold_svms(
    rows: sparse.csr_matrix,
    codes: Codes,
    weights: Array,
    folds: Codes,
    whole: tuple[Floats, Floats],
    seed: int,
    threads: int = 1,
) -> Iterator[tuple[Mask, Floats, Floats]]:
    """Yield for each fold its texts, and the SVMs of all other texts.

    Parameters
    ----------
    rows : csr_matrix, (n, F)
    codes : ndarray of int, (n,)
        Index of each text's label.
    weights : ndarray, (n,)
    folds : ndarray of int, (n,)
    whole : tuple of ndarray, (F, K) and (K,)
        The SVMs of all texts.
    seed : int
    threads : int, default=1
        The result does not depend on it.

    Yields
    ------
    inside : ndarray of bool, (n,)
    svm_weights : ndarray, (F, K)
    bias : ndarray, (K,)
    """
    labels = whole[0].shape[1]
    insides = [folds == fold for fold in np.unique(folds)]
    if labels == 2 or len(codes) > MAX_TEXTS_TO_SOLVE * labels:
        for inside in insides:
            yield inside, *fit_linear_svm(rows[~inside], codes[~inside], labels, weights[~inside], seed)
        return
    duals = _Duals(rows, codes, weights, whole)

    def solve(label: int) -> list[tuple[Codes, Floats]]:
        return duals.solve(label, insides)

    with threadpool_limits(limits=1, user_api="blas"):
        solved = list(map_ordered(solve, range(labels), threads))
    for inside, of_labels in zip(insides, zip(*solved, strict=True), strict=True):
        ends = np.cumsum([0, *(len(vectors) for vectors, _ in of_labels)])
        vectors, values = (np.concatenate(parts) for parts in zip(*of_labels, strict=True))
        by_label = sparse.csc_matrix((values, vectors, ends), shape=(len(codes), labels))
        bias = np.asarray(by_label.sum(axis=0), dtype=np.float32).ravel()
        bias[np.diff(ends) == 0] = ABSENT_BIAS
        yield inside, (rows.T @ by_label).toarray(), bias


class _Duals:
    """Finds SVMs without some of the texts from the support vectors of the SVMs of all texts."""

    def __init__(
        self, rows: sparse.csr_matrix, codes: Codes, weights: Array, whole: tuple[Floats, Floats]
    ) -> None:
        self._rows, self._codes, self._weights = rows, codes, weights
        self._margins = rows @ whole[0] + whole[1]
        few = len(codes) <= MAX_TEXTS_IN_GRAM
        self._gram = (rows @ rows.T).toarray() if few else None

    def solve(self, label: int, insides: list[Mask]) -> list[tuple[Codes, Floats]]:
        """Return for each fold the support vectors (u,) outside it, and their b (u,); none without texts."""
        own = self._codes == label
        signs = np.where(own, 1.0, -1.0)
        vectors = np.flatnonzero((signs * self._margins[:, label] < 1) & (self._weights > 0))
        if self._gram is not None:
            products = self._gram[np.ix_(vectors, vectors)]
        else:
            chosen = self._rows[vectors]
            products = (chosen @ chosen.T).toarray()
        products += np.float32(1.0)  # the constant whose weight is the bias
        products[np.diag_indices_from(products)] += np.maximum(MIN_RIDGE, 0.5 / self._weights[vectors])
        result = []
        for inside in insides:
            outside = np.flatnonzero(~inside[vectors])
            if not len(outside) or not (own & ~inside).any():
                result.append((np.zeros(0, np.intp), np.zeros(0, np.float32)))
                continue
            chosen, y = products[np.ix_(outside, outside)], signs[vectors[outside]].astype(np.float32)
            _, solution, _ = linalg.lapack.sposv(chosen.T, y, overwrite_a=True, overwrite_b=True)
            result.append((vectors[outside], solution))
        return result
