"""Interpolated n-gram language models with Witten-Bell smoothing, several over the same n-grams, in numpy.

Shapes: n texts, F known n-grams, K models, N the longest n-gram, m symbols.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lmclassify.lm.ngram.sums import sum_by_text, text_batches

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

MODELS_AT_A_TIME = 16
"""Models whose counts are rearranged together: single columns are slow to read."""
_MIN_PROBABILITY = np.finfo(np.float32).tiny  # products of many small factors underflow to 0 otherwise


class WittenBell:
    """K n-gram language models (Witten & Bell 1991; Chen & Goodman 1998, eq. 17).

    ``p(w | h) = (c(h w) + t(h) p(w | h less its first symbol)) / (c(h) + t(h))``, where c counts the model's
    texts and t(h) is the number of different symbols that follow h in them. An n-gram that is not known
    counts as never seen. The first symbol of a text is given, not predicted, but counts among the single
    symbols.

    Parameters
    ----------
    counts : ndarray of float32, (F, K)
        How often each model's texts have each n-gram.
    contexts : ndarray of int32, (F,)
        Index of the n-gram less its last symbol; -1 for a single symbol.
    symbols : int, optional
        How many single symbols are known, where there are more models than these. By default those that any
        of the models has.
    """

    def __init__(self, counts: Floats, contexts: npt.NDArray[np.int32], symbols: int | None = None) -> None:
        size, models = counts.shape
        parents = np.where(contexts < 0, size, contexts)  # the empty context comes last
        # Index -1 (not known) is the last row: no share of its own, everything left to the shorter context.
        self._own = np.empty((size + 1, models), dtype=np.float32)
        self._shorter = np.empty((size + 2, models), dtype=np.float32)
        self._own[-1], self._shorter[-1] = 0.0, 1.0
        for first in range(0, models, MODELS_AT_A_TIME):
            part = slice(first, first + MODELS_AT_A_TIME)
            own = np.ascontiguousarray(counts[:, part].T)
            kinds = np.stack([np.bincount(parents[row > 0], minlength=size + 1) for row in own])
            totals = np.stack([np.bincount(parents, row, minlength=size + 1) for row in own])
            kinds, totals = kinds.astype(np.float32), totals.astype(np.float32)
            totals += kinds
            np.divide(own, totals.take(parents, axis=1), out=own, where=own > 0)
            shorter = np.divide(kinds, totals, out=np.ones_like(totals), where=kinds > 0)
            self._own[:size, part], self._shorter[: size + 1, part] = own.T, shorter.T
        if symbols is None:
            symbols = int(((contexts < 0) & counts.any(axis=1)).sum())
        self._lowest = self._shorter[size] / max(1, symbols)

    def log_likelihoods(
        self, columns: npt.NDArray[np.int32], text_index: Indices, position: Indices, texts: int
    ) -> Array:
        """Return the texts' log-likelihoods in nats, (n, K).

        Parameters
        ----------
        columns : ndarray of int32, (N, m)
            As `NgramIndex.look_up` returns them.
        text_index, position : ndarray of int, (m,)
            See `NgramOccurrences`. Symbols at position 0 are not scored.
        texts : int
            n.
        """
        models = self._own.shape[1]
        result = np.zeros((texts, models))
        for first, last, part in text_batches(text_index, texts, models):
            predicted = part.start + np.flatnonzero(position[part])
            sum_by_text(result, self._log_p(columns, predicted), text_index[predicted], first, last)
        return result

    def symbol_log_probs(self, columns: npt.NDArray[np.int32], position: Indices) -> Array:
        """Return the log-probability of each symbol after those before it, (m, K) nats; 0 for a text's first.

        Parameters
        ----------
        columns, position
            See `log_likelihoods`.
        """
        result = np.zeros((len(position), self._own.shape[1]))
        predicted = np.flatnonzero(position)
        result[predicted] = self._log_p(columns, predicted)
        return result

    def _log_p(self, columns: npt.NDArray[np.int32], predicted: Indices) -> Floats:
        """Return the log-probabilities of some symbols, none of them a text's first."""
        p: Floats = self._lowest + self._own.take(columns[0, predicted], axis=0, mode="wrap")
        for contexts, ngrams in pairwise(columns):
            p *= self._shorter.take(contexts[predicted - 1], axis=0, mode="wrap")
            p += self._own.take(ngrams[predicted], axis=0, mode="wrap")
        np.log(np.maximum(p, _MIN_PROBABILITY, out=p), out=p)
        return p
