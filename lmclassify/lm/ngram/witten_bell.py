"""N-gram language models of all labels over the same n-grams, in numpy.

Shapes: n texts, F n-grams known, K labels, m symbols.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lmclassify.lm.ngram.sums import sum_by_text, text_batches

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
_SMALLEST = np.finfo(np.float32).tiny  # what very many shares of shares may come to is not 0

Indices = npt.NDArray[np.intp]


class WittenBell:
    """Interpolated n-gram language models of all labels (Witten & Bell 1991; Chen & Goodman 1998, eq. 17).

    ``p(w | h) = (c(h w) + t(h) p(w | h less its first symbol)) / (c(h) + t(h))``, where c counts a label's
    texts and t(h) how many different symbols follow h in them. An n-gram that is not known counts as never
    seen. The first symbol of a text is given, not predicted; it counts among the single symbols all the same.

    Parameters
    ----------
    counts : ndarray of float32, (F, K)
    contexts : ndarray of int32, (F,)
        See `NgramModel`.
    """

    def __init__(self, counts: Floats, contexts: npt.NDArray[np.int32]) -> None:
        size, labels = counts.shape
        parents = np.where(contexts < 0, size, contexts)  # the empty context comes last
        totals, kinds = np.zeros((2, size + 1, labels), dtype=np.float32)
        for label in range(labels):
            of_label = counts[:, label]
            totals[:, label] = np.bincount(parents, of_label, minlength=size + 1)
            kinds[:, label] = np.bincount(parents[of_label > 0], minlength=size + 1)
        totals += kinds
        # Place -1, what is not known, is the last row: it has no share, and leaves all to what is shorter.
        self._own = np.zeros((size + 1, labels), dtype=np.float32)
        np.divide(counts, totals[parents], out=self._own[:size], where=counts > 0)
        self._shorter = np.ones((size + 2, labels), dtype=np.float32)
        np.divide(kinds, totals, out=self._shorter[: size + 1], where=kinds > 0)
        symbols = int(((contexts < 0) & counts.any(axis=1)).sum())
        self._lowest = self._shorter[size] / max(1, symbols)

    def log_likelihoods(
        self, columns: npt.NDArray[np.int32], text_index: Indices, position: Indices, texts: int
    ) -> Array:
        """Return the texts' log-likelihoods in nats, (n, K).

        Parameters
        ----------
        columns, text_index, position, texts
            See `NgramModel.scores_from_columns`.
        """
        labels = self._own.shape[1]
        result = np.zeros((texts, labels))
        for first, last, part in text_batches(text_index, texts, labels):
            predicted = part.start + np.flatnonzero(position[part])
            sum_by_text(result, self._log_p(columns, predicted), text_index[predicted], first, last)
        return result

    def symbol_log_probs(self, columns: npt.NDArray[np.int32], position: Indices) -> Array:
        """Return the log-probability of each symbol after those before it, (m, K) nats; 0 for a text's first.

        Parameters
        ----------
        columns, position
            See `NgramModel.scores_from_columns`.
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
        np.log(np.maximum(p, _SMALLEST, out=p), out=p)
        return p
