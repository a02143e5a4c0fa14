"""Linear classifiers over n-gram counts, in numpy: linear SVM on tf-idf, multinomial naive Bayes on counts.

Both sum a value times a weight over the n-grams of a text.

Shapes: n texts, F known n-grams, K labels, N the longest n-gram, m symbols, w words, p pairs of a text and an
n-gram of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.lm.ngram.index import NgramCounts
from lmclassify.lm.ngram.sums import sum_by_text, text_batches

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

SMOOTHING = 0.1
"""Added to each count of an n-gram under a label (Lidstone). Below 1, as most n-grams are rare."""

_MOST_AT_ONCE = 16
"""Words of an n-gram up to which all n-grams are shared at once; more are rare."""


def tf_idf(counts: NgramCounts, idf: Floats) -> Array:
    """Return the tf-idf of each pair, (p,): ``(1 + log count) * idf``, each text scaled to norm 1."""
    values = (1.0 + np.log(counts.count)) * idf[counts.column]
    squares = np.bincount(counts.text_index, values * values, minlength=counts.texts)
    norms = np.sqrt(squares)[counts.text_index]
    return np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)


def naive_bayes_weights(counts: Floats) -> Floats:
    """Return the log-probabilities of multinomial naive Bayes, (F, K): ``log((count + a) / (total + a F))``.

    a is `SMOOTHING`. N-grams that no label has are unknown: they count neither in F nor in any score.

    Parameters
    ----------
    counts : ndarray of float32, (F, K)
        How often each label's texts have each n-gram.
    """
    known = np.asarray(counts.any(axis=1))
    if not known.any():
        return np.zeros(counts.shape, dtype=np.float32)
    log_totals = np.log(counts.sum(axis=0, dtype=np.float64) + SMOOTHING * np.count_nonzero(known))
    unseen = (np.log(SMOOTHING) - log_totals).astype(np.float32)
    result = np.where(known[:, np.newaxis], unseen, np.float32(0))
    seen = counts.nonzero()  # few, where there are many labels
    result[seen] = np.log(counts[seen].astype(np.float64) + SMOOTHING) - log_totals[seen[1]]
    return result


def weighted_sums(counts: NgramCounts, values: Array, weights: Floats) -> Array:
    """Return each text's sum of value times weight over its n-grams, (n, K).

    Parameters
    ----------
    counts : NgramCounts
        The n-grams of n texts.
    values : ndarray, (p,)
    weights : ndarray of float32, (F, K)
    """
    result = np.zeros((counts.texts, weights.shape[1]))
    for first, last, part in text_batches(counts.text_index, counts.texts, weights.shape[1]):
        products = weights.take(counts.column[part], axis=0)
        products *= values[part, np.newaxis].astype(np.float32)
        sum_by_text(result, products, counts.text_index[part], first, last)
    return result


def attribute_to_words(
    counts: NgramCounts,
    values: Array,
    weights: Floats,
    columns: npt.NDArray[np.int32],
    text_index: Indices,
    words_of_symbol: tuple[Indices, Indices],
    words: int,
) -> Array:
    """Attribute `weighted_sums` to the words that the n-grams span, (w, K).

    An n-gram's part is shared equally by the words that it spans: their Shapley values, as the n-gram would
    not be there without any of them.

    Parameters
    ----------
    counts, values, weights
        See `weighted_sums`.
    columns : ndarray of int32, (N, m)
        The n-grams that were counted, as `NgramIndex.look_up` returns them.
    text_index : ndarray of int, (m,)
        The text of each symbol.
    words_of_symbol : pair of ndarray of int, (m,) each
        The first and the last word of each symbol; ascending, without gaps within a text.
    words : int
        w.
    """
    result = np.zeros((words, weights.shape[1]))
    size = int(columns.max(initial=0)) + 1
    pairs = counts.text_index * size + counts.column
    for length, columns_of_length in enumerate(columns):  # n-grams of length + 1 symbols
        ends = np.flatnonzero(columns_of_length >= 0)
        ngrams = columns_of_length[ends]
        pair = np.searchsorted(pairs, text_index[ends] * size + ngrams)
        first, last = words_of_symbol[0][ends - length], words_of_symbol[1][ends]
        products = weights[ngrams] * values[pair, np.newaxis].astype(np.float32)  # as in `weighted_sums`
        parts = products / counts.count[pair].astype(np.float64)[:, np.newaxis]
        result += share_equally(parts, first, last, words)
    return result


def share_equally(parts: npt.NDArray[Any], first: Indices, last: Indices, words: int) -> Array:
    """Return sums over words of parts that are shared equally by the words from `first` to `last`, (w, K).

    Parameters
    ----------
    parts : ndarray, (m, K)
    first, last : ndarray of int, (m,)
        `first` is ascending.
    words : int
        w.
    """
    result = np.zeros((words, parts.shape[1]))
    spanned = last - first + 1
    shares = parts / spanned[:, np.newaxis]
    few = spanned <= _MOST_AT_ONCE
    for offset in range(int(spanned[few].max(initial=0))):
        reaches = few & (spanned > offset)
        sums = np.zeros_like(result)
        sum_by_text(sums, shares[reaches], first[reaches] + offset, 0, words)
        result += sums
    for index in np.flatnonzero(~few).tolist():
        result[first[index] : last[index] + 1] += shares[index]
    return result
