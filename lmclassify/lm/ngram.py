"""N-gram models of all labels over one view of the text, in numpy.

Two ways to weigh the same n-grams g, both sums over a text's n-grams:

*likelihood*
    ``sum_g count(g) log p(g | label)`` with ``p = (count + a) / (total + a F)`` (Lidstone), each n-gram a
    draw of its own: the maximum-likelihood model, kept as counts.
*tuned*
    ``bias + sum_g tfidf(g) w(g, label)``: the same n-grams with weights learnt to tell the label from the
    rest, tf-idf of a text having Euclidean length 1 (Joachims 1998; ``(1 + log count) idf``).

Shapes: n texts, F n-grams known, K labels, m pairs of a text and an n-gram of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lmclassify.text.ngrams import Keys, NgramView
from lmclassify.text.sequences import Ids

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

SMOOTHING = 0.1
"""Added to each count of an n-gram under a label."""

_NUMBERS_AT_A_TIME = 1 << 22


@dataclass(frozen=True)
class NgramCounts:
    """The known n-grams of some texts, ordered by text, each n-gram of a text once."""

    texts: int
    owner: Indices
    """(m,) the text, ascending."""
    column: Indices
    """(m,) the n-gram."""
    count: Array
    """(m,) how often."""


class NgramModel:
    """Weights of one view's n-grams under every label.

    Parameters
    ----------
    view : NgramView
    keys : ndarray of uint64, (F,)
        The n-grams known, ascending.
    idf : ndarray of float32, (F,)
        Inverse document frequencies.
    tuned : ndarray of float32, (F, K)
    bias : ndarray of float32, (K,)
    counts : ndarray of float32, (F, K), optional
        How often each n-gram stands in each label's texts; without it there is no likelihood.

    Raises
    ------
    ValueError
        If shapes do not fit one another, keys do not ascend, or a number is not finite.
    """

    def __init__(
        self,
        view: NgramView,
        keys: Keys,
        idf: Floats,
        tuned: Floats,
        bias: Floats,
        counts: Floats | None = None,
    ) -> None:
        size, labels = tuned.shape
        others = [] if counts is None else [counts.shape == tuned.shape, np.isfinite(counts).all()]
        fits = [keys.shape == idf.shape == (size,), bias.shape == (labels,), *others]
        if not all(fits) or (keys[1:] <= keys[:-1]).any():
            raise ValueError("n-grams and their weights do not fit one another")
        if not all(np.isfinite(array).all() for array in (idf, tuned, bias)):
            raise ValueError("a weight of an n-gram is not finite")
        self.view, self.keys, self.idf = view, keys, idf
        self.tuned, self.bias, self.counts = tuned, bias, counts

    @property
    def score_names(self) -> list[str]:
        """What the scores that `scores` returns are called."""
        kinds = ["tuned"] if self.counts is None else ["tuned", "likelihood"]
        return [f"{kind} {self.view.symbols}s" for kind in kinds]

    @property
    def num_parameters(self) -> int:
        """How many numbers there are."""
        return self.idf.size + self.tuned.size + (0 if self.counts is None else self.counts.size)

    @cached_property
    def log_probabilities(self) -> Floats | None:
        """(F, K) of each n-gram under each label, nats."""
        return None if self.counts is None else log_probabilities(self.counts)

    def scores(self, texts: Sequence[str], sequences: Sequence[Ids]) -> list[Array]:
        """Return the tuned score and, where there are counts, the log-likelihood, (n, K) each."""
        found = count_known(self.keys, *self.view.keys(texts, sequences), len(texts))
        tuned = weighted_sums(found, tf_idf(found, self.idf), self.tuned) + self.bias
        if self.log_probabilities is None:
            return [tuned]
        return [tuned, weighted_sums(found, found.count, self.log_probabilities)]


def count_known(keys: Keys, owner: Indices, found: Keys, texts: int) -> NgramCounts:
    """Count the n-grams of some texts that are among the known ones.

    Parameters
    ----------
    keys : ndarray of uint64, (F,)
        Ascending.
    owner, found
        As `NgramView.keys` returns them.
    texts : int
        n.
    """
    if not len(keys):
        nothing = np.zeros(0, dtype=np.intp)
        return NgramCounts(texts, nothing, nothing, np.zeros(0))
    column = np.searchsorted(keys, found)
    column[column == len(keys)] = 0
    known = keys[column] == found
    pairs, count = np.unique(owner[known] * len(keys) + column[known], return_counts=True)
    return NgramCounts(texts, pairs // len(keys), pairs % len(keys), count.astype(np.float64))


def tf_idf(found: NgramCounts, idf: Floats) -> Array:
    """Return the tf-idf of each pair, (m,): ``(1 + log count) idf``, a text's as a vector of length 1."""
    values = (1.0 + np.log(found.count)) * idf[found.column]
    squares = np.bincount(found.owner, values * values, minlength=found.texts)
    lengths = np.sqrt(squares)[found.owner]
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)


def weighted_sums(found: NgramCounts, values: Array, weights: Floats) -> Array:
    """Return the sum over each text's n-grams of value times weights, (n, K)."""
    result = np.zeros((found.texts, weights.shape[1]))
    starts = np.searchsorted(found.owner, np.arange(found.texts + 1))
    at_a_time = max(1, _NUMBERS_AT_A_TIME // weights.shape[1])
    first = 0
    while first < found.texts:
        last = int(np.searchsorted(starts, starts[first] + at_a_time, side="right")) - 1
        last = min(max(last, first + 1), found.texts)
        part = slice(starts[first], starts[last])
        products = weights[found.column[part]] * values[part, np.newaxis]
        some = first + np.flatnonzero(np.diff(starts[first : last + 1]))
        if len(some):
            result[some] = np.add.reduceat(products, starts[some] - starts[first], axis=0)
        first = last
    return result


def log_probabilities(counts: Floats) -> Floats:
    """Return ``log((count + a) / (total + a F))``, (F, K), a being `SMOOTHING`.

    N-grams that no label has are unknown: they count neither in F nor in any score.
    """
    known = counts.any(axis=1)
    if not known.any():
        return np.zeros(counts.shape, dtype=np.float32)
    smoothed = counts[known].astype(np.float64) + SMOOTHING
    result = np.zeros(counts.shape, dtype=np.float32)
    result[known] = np.log(smoothed) - np.log(smoothed.sum(axis=0))
    return result
