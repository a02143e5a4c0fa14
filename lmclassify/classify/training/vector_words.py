"""Fits the n-gram model of words that have vectors: a ridge classifier of texts' mean word vectors.

A text's vector is the sum of its words' vectors, each times ``(1 + log count) / norm``, where the norm is the
Euclidean one of these factors. So the classifier is linear in the words: each word's weight is the product of
its vector with the classifier's coefficients, and the fitted model needs no vectors any more. Words that no
training text has get weights, too, which helps where texts are few.

Shapes: n texts, F words, d dimensions, K labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from lmclassify.classify.training.ngram_counts import CountedNgrams, LabelCounts
from lmclassify.text.ngrams import NgramAnalyzer
from lmclassify.text.word_vectors import WordVectors

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

VECTOR_WORDS = NgramAnalyzer("vector-word", 1)

RIDGE = 3.0
"""Penalty of the squared coefficients, for texts of mean squared norm 1. From 50 to 4,000 training texts, 1
and 10 are about as good (docs/benchmarks.md)."""


@dataclass(frozen=True)
class WordFeatures:
    """The words of texts and their vectors."""

    idf: Floats
    """(F,) 1 for words with a vector, 0 for others, which do not count."""
    vectors: Floats
    """(F, d) divided by the root mean square of the texts' norms."""
    rows: sparse.csr_matrix
    """(n, F) the factors of each text's words."""


def with_vectors(
    counted: CountedNgrams, by_label: Sequence[LabelCounts], texts: Iterable[str], vectors: WordVectors
) -> tuple[CountedNgrams, list[LabelCounts], Floats]:
    """Return counts with all words known that have a vector, and the words' vectors, (F, d).

    Words without a vector have zeros.

    Parameters
    ----------
    counted : CountedNgrams
        The words of the texts.
    by_label : sequence of LabelCounts
    texts : iterable of str
    vectors : WordVectors
    """
    vectors = vectors.with_words(VECTOR_WORDS.words_of_texts(texts))
    word_keys, single = VECTOR_WORDS.keys_of_words(vectors.words)
    keys = np.union1d(counted.keys, word_keys[single])
    array = np.zeros((len(keys), vectors.array.shape[1]), np.float32)
    array[np.searchsorted(keys, word_keys[single])] = vectors.array[single]
    places = np.searchsorted(keys, counted.keys)
    rows = counted.counts
    remainder_texts = np.zeros(len(keys), counted.remainder_texts.dtype)
    remainder_texts[places] = counted.remainder_texts
    counts = sparse.csr_matrix(
        (rows.data, places[rows.indices], rows.indptr), shape=(rows.shape[0], len(keys))
    )

    def placed(some: LabelCounts) -> LabelCounts:
        found = some.counts.tocoo()
        at = (places[found.row], found.col)
        return replace(some, counts=sparse.csr_matrix((found.data, at), shape=(len(keys), found.shape[1])))

    return (
        replace(counted, keys=keys, counts=counts, remainder_texts=remainder_texts),
        [placed(some) for some in by_label],
        array,
    )


def word_features(counts: sparse.csr_matrix, vectors: Floats) -> WordFeatures:
    """Return the features of texts from counts of words (n, F) and the words' vectors (F, d)."""
    idf: Floats = np.asarray(vectors.any(axis=1)).astype(np.float32)
    rows = counts.astype(np.float32)
    rows.data = (1 + np.log(rows.data)) * idf[rows.indices]
    norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    rows = sparse.diags(np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)) @ rows
    spread = float(np.sqrt(np.square(rows @ vectors).sum(axis=1).mean()))
    scaled: Floats = vectors / np.float32(spread or 1.0)
    return WordFeatures(idf, scaled, rows.tocsr())


def fit_ridge(
    features: WordFeatures, codes: Codes, labels: int, weights: Array, folds: Codes
) -> Iterator[tuple[Mask, Floats, Floats]]:
    """Fit ridge classifiers: one of all texts, and one of all others for each fold.

    The targets are 1 for the label's texts and -1 for others (Hoerl & Kennard 1970).

    Yields
    ------
    inside : ndarray of bool, (n,)
        The texts that the classifier is not fitted on: none, then those of each fold.
    word_weights : ndarray of float32, (F, K)
    bias : ndarray of float32, (K,)
    """
    texts = (features.rows @ features.vectors).astype(np.float64)
    texts = np.column_stack([texts, np.ones(len(texts))])
    targets = 2.0 * (codes[:, np.newaxis] == np.arange(labels)) - 1.0
    numbers = np.unique(folds)
    products = []
    for number in numbers:
        some = folds == number
        weighted = texts[some] * weights[some, np.newaxis]
        products.append((weighted.T @ texts[some], weighted.T @ targets[some]))
    gram, moments = (np.sum(parts, axis=0) for parts in zip(*products, strict=True))
    penalty = np.append(np.full(texts.shape[1] - 1, RIDGE), 0.0)
    everything = (np.zeros(len(texts), bool), np.zeros_like(gram), np.zeros_like(moments))
    left_out = ((folds == number, *sums) for number, sums in zip(numbers, products, strict=True))
    for inside, fold_gram, fold_moments in (everything, *left_out):
        matrix = gram - fold_gram + np.diag(np.maximum(penalty, 1e-6))
        found = linalg.solve(matrix, moments - fold_moments, assume_a="pos")
        yield inside, (features.vectors @ found[:-1]).astype(np.float32), found[-1].astype(np.float32)
