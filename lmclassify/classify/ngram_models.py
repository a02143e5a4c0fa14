"""N-gram models of all labels: two experts that score the same n-grams of a text.

*Linear SVM*
    ``bias + sum_g tfidf(g) w(g, label)`` over the text's n-grams g. The weights separate the label from the
    other labels; a text's tf-idf has Euclidean norm 1 (Joachims 1998; ``(1 + log count) idf``).
*Likelihood*
    With contexts, the log-likelihood of the text's symbols one after the other by a language model; see
    `WittenBell`. Without, that of multinomial naive Bayes, ``sum_g count(g) log p(g | label)`` with
    ``p = (count + a) / (total + a F)`` (Lidstone).

Shapes: n texts, F known n-grams, K labels, N the longest n-gram, m symbols, w words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.linear_ngrams import (
    attribute_to_words,
    naive_bayes_weights,
    share_equally,
    tf_idf,
    weighted_sums,
)
from lmclassify.lm.ngram.index import NgramCounts, NgramIndex, count_known, merge_counts
from lmclassify.lm.ngram.witten_bell import WittenBell
from lmclassify.text.ngrams import CHUNK_SYMBOLS, Keys, NgramAnalyzer, NgramOccurrences
from lmclassify.text.sequences import Ids

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


class NgramModel:
    """Weights and counts of one analyzer's n-grams under every label.

    Raises ValueError if shapes do not fit one another, keys do not ascend, or a number is not finite.

    Parameters
    ----------
    keys : ndarray of uint64, (F,)
        The known n-grams, ascending.
    idf : ndarray of float32, (F,)
        Inverse document frequencies.
    svm_weights : ndarray of float32, (F, K)
    svm_bias : ndarray of float32, (K,)
    counts : ndarray of float32, (F, K)
        How often each label's texts have each n-gram.
    contexts : ndarray of int32, (F,), optional
        Index of the n-gram less its last symbol, which is known too; -1 for a single symbol. With contexts
        the likelihood is a language model's, without them that of multinomial naive Bayes.
    order : ndarray of int, (F,), optional
        Indices of the n-grams in the order in which they became known. By default ascending.
    known : sequence of int, (K,), optional
        How many n-grams, in that order, were known when each label was fitted; the label has no weight and no
        count for later ones. By default all.
    """

    def __init__(
        self,
        analyzer: NgramAnalyzer,
        keys: Keys,
        idf: Floats,
        svm_weights: Floats,
        svm_bias: Floats,
        counts: Floats,
        contexts: npt.NDArray[np.int32] | None = None,
        order: Indices | None = None,
        known: Sequence[int] | None = None,
    ) -> None:
        size, labels = svm_weights.shape
        known = [size] * labels if known is None else list(known)
        fits = [
            keys.shape == idf.shape == (size,),
            svm_bias.shape == (labels,),
            counts.shape == svm_weights.shape,
            contexts is None or contexts.shape == (size,),
            len(known) == labels and all(0 <= count <= size for count in known),
            order is None or (order.shape == (size,) and (np.sort(order) == np.arange(size)).all()),
        ]
        if not all(fits) or (keys[1:] <= keys[:-1]).any():
            raise ValueError("n-grams and their weights do not fit one another")
        numbers = (idf, svm_weights, svm_bias, counts)
        if not all(np.isfinite(array).all() for array in numbers) or (counts < 0).any():
            raise ValueError("a weight or count of an n-gram is not finite, or a count is negative")
        if contexts is not None and ((contexts < -1) | (contexts >= size)).any():
            raise ValueError("an n-gram whose context is not known")
        self.analyzer, self.keys, self.idf = analyzer, keys, idf
        self.svm_weights, self.svm_bias, self.counts, self.contexts = svm_weights, svm_bias, counts, contexts
        self.order = np.arange(size) if order is None else order
        self.known = known

    def known_to(self, label: int) -> Indices:
        """Return the indices of the n-grams that were known when a label was fitted, in their order."""
        return self.order[: self.known[label]]

    def with_ngrams(self, occurrences: NgramOccurrences, idf: float) -> NgramModel:
        """Return the model with all n-grams of some texts known; new ones get this idf and zero weights."""
        found = np.unique(occurrences.keys[occurrences.complete])
        new = np.setdiff1d(found, self.keys, assume_unique=True)
        if not len(new):
            return self
        keys = np.union1d(self.keys, new)
        old_indices, new_indices = np.searchsorted(keys, self.keys), np.searchsorted(keys, new)

        def expanded(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            result = np.zeros((len(keys), *values.shape[1:]), dtype=values.dtype)
            result[old_indices] = values
            return result

        contexts = None
        if self.contexts is not None:
            has_context = self.contexts >= 0
            contexts = np.full(len(keys), -1, dtype=np.int32)
            contexts[old_indices[has_context]] = old_indices[self.contexts[has_context]]
            for shorter, longer in pairwise(NgramIndex(keys).look_up(occurrences)):
                ends = np.flatnonzero(longer >= 0)
                contexts[longer[ends]] = shorter[ends - 1]
        all_idf = expanded(self.idf)
        all_idf[new_indices] = idf
        return NgramModel(
            self.analyzer,
            keys,
            all_idf,
            expanded(self.svm_weights),
            self.svm_bias,
            expanded(self.counts),
            contexts,
            np.concatenate([old_indices[self.order], new_indices]),
            self.known,
        )

    def with_label(self, label: int, svm_weights: Floats, svm_bias: float, counts: Floats) -> NgramModel:
        """Return the model with one more label.

        Parameters
        ----------
        label : int
            Index of the new label.
        svm_weights, counts : ndarray, (F,)
        """
        return NgramModel(
            self.analyzer,
            self.keys,
            self.idf,
            np.insert(self.svm_weights, label, svm_weights, axis=1),
            np.insert(self.svm_bias, label, np.float32(svm_bias)),
            np.insert(self.counts, label, counts, axis=1),
            self.contexts,
            self.order,
            [*self.known[:label], len(self.keys), *self.known[label:]],
        )

    def without_label(self, label: int) -> NgramModel:
        """Return the model without one label."""
        return NgramModel(
            self.analyzer,
            self.keys,
            self.idf,
            np.delete(self.svm_weights, label, axis=1),
            np.delete(self.svm_bias, label),
            np.delete(self.counts, label, axis=1),
            self.contexts,
            self.order,
            [*self.known[:label], *self.known[label + 1 :]],
        )

    @property
    def score_names(self) -> list[str]:
        """Names of the two experts, in the order of `scores`. Saved models use these names."""
        likelihood = "bag" if self.contexts is None else "language model"
        return [f"{kind} of {self.analyzer.unit}s" for kind in ("tuned", likelihood)]

    @property
    def num_parameters(self) -> int:
        """Number of weights, counts and inverse document frequencies."""
        return self.idf.size + self.svm_weights.size + self.counts.size

    @cached_property
    def totals(self) -> Array:
        """How often each n-gram occurs in the texts of all labels, (F,)."""
        result: Array = self.counts.sum(axis=1, dtype=np.float64)
        return result

    @cached_property
    def label_totals(self) -> Array:
        """How many n-grams the texts of each label have in all, (K,)."""
        result: Array = self.counts.sum(axis=0, dtype=np.float64)
        return result

    @cached_property
    def _index(self) -> NgramIndex:
        return NgramIndex(self.keys)

    def look_up(self, occurrences: NgramOccurrences) -> npt.NDArray[np.int32]:
        """Return the index of each n-gram among the known ones, -1 for unknown n-grams, (N, m)."""
        return self._index.look_up(occurrences)

    def texts_with(self, keys: Keys, texts: float) -> Array:
        """Return how many training texts have each of some n-grams; 0 for unknown n-grams.

        From ``idf = log((1 + texts) / (1 + texts with the n-gram)) + 1``.
        """
        if not len(self.keys):
            return np.zeros(len(keys))
        columns = self._index.find(keys)
        known: Array = (1.0 + texts) / np.exp(self.idf[columns].astype(np.float64) - 1.0) - 1.0
        return np.where(columns >= 0, np.maximum(known, 1.0), 0.0)

    @cached_property
    def _naive_bayes(self) -> Floats:
        return naive_bayes_weights(self.counts)

    @cached_property
    def _language_models(self) -> WittenBell:
        assert self.contexts is not None
        return WittenBell(self.counts, self.contexts)

    @cached_property
    def _pooled_language_model(self) -> WittenBell:
        """The language model of all labels' texts together."""
        assert self.contexts is not None
        return WittenBell(self.counts.sum(axis=1, keepdims=True), self.contexts)

    def background(
        self, columns: npt.NDArray[np.int32], text_index: Indices, position: Indices, texts: int
    ) -> tuple[Array, Array]:
        """Return the log-likelihood of texts by single symbols of all labels together; needs contexts.

        Parameters
        ----------
        columns, text_index, position, texts
            See `scores_from_columns`.

        Returns
        -------
        log_likelihoods : ndarray, (n,)
            Nats.
        lengths : ndarray, (n,)
            Number of symbols scored.
        """
        likelihoods = self._pooled_language_model.log_likelihoods(columns[:1], text_index, position, texts)
        lengths = np.bincount(text_index[position > 0], minlength=texts).astype(np.float64)
        return likelihoods[:, 0], lengths

    def background_scores(
        self, texts: Sequence[str], chunk_symbols: int = CHUNK_SYMBOLS
    ) -> tuple[Array, Array]:
        """Return `background` of texts; for a model of characters or words."""
        log_likelihoods, lengths = np.zeros((2, len(texts)))
        for occurrences, overlap in replace(self.analyzer, longest=1).chunks(texts, [], chunk_symbols):
            columns = self.look_up(occurrences)
            position = _without_overlap(occurrences, overlap)
            nats, symbols = self.background(columns, occurrences.text_index, position, len(texts))
            log_likelihoods += nats
            lengths += symbols
        return log_likelihoods, lengths

    def scores(
        self, texts: Sequence[str], sequences: Sequence[Ids], chunk_symbols: int = CHUNK_SYMBOLS
    ) -> list[Array]:
        """Return both experts' scores of texts, (n, K) each.

        Parameters
        ----------
        texts, sequences
            See `NgramAnalyzer.occurrences`.
        chunk_symbols : int
            Symbols processed at a time.
        """
        counts, likelihood = [], np.zeros((len(texts), self.svm_weights.shape[1]))
        for occurrences, overlap in self.analyzer.chunks(texts, sequences, chunk_symbols):
            columns, text_index = self.look_up(occurrences), occurrences.text_index
            counts.append(count_known(columns[:, overlap:], text_index[overlap:], len(texts)))
            if self.contexts is not None:
                position = _without_overlap(occurrences, overlap)
                likelihood += self._language_models.log_likelihoods(columns, text_index, position, len(texts))
        return self._scores(merge_counts(counts), likelihood)

    def scores_from_columns(
        self, columns: npt.NDArray[np.int32], text_index: Indices, position: Indices, texts: int
    ) -> list[Array]:
        """Return both experts' scores of texts whose n-grams have been looked up, (n, K) each.

        Parameters
        ----------
        columns : ndarray of int32, (N, m)
            As `look_up` returns them.
        text_index, position : ndarray of int, (m,)
            See `NgramOccurrences`.
        texts : int
            n.
        """
        likelihood = None
        if self.contexts is not None:
            likelihood = self._language_models.log_likelihoods(columns, text_index, position, texts)
        return self._scores(count_known(columns, text_index, texts), likelihood)

    def _scores(self, counts: NgramCounts, likelihood: Array | None) -> list[Array]:
        """Return both experts' scores; the likelihood given is used only if there are contexts."""
        svm = weighted_sums(counts, tf_idf(counts, self.idf), self.svm_weights) + self.svm_bias
        if self.contexts is None or likelihood is None:
            return [svm, weighted_sums(counts, counts.count, self._naive_bayes)]
        return [svm, likelihood]

    def word_scores(
        self, occurrences: NgramOccurrences, words_of_symbol: tuple[Indices, Indices], words: int, texts: int
    ) -> list[Array]:
        """Return both experts' scores attributed to the words of some texts, (w, K) each.

        A text's score is the sum over its words, plus `svm_bias` for the SVM. What an n-gram adds is shared
        equally by the words that it spans; see `attribute_to_words`. A language model attributes each
        symbol's log-probability to the symbol's words.

        Parameters
        ----------
        occurrences : NgramOccurrences
            The texts' n-grams, by `analyzer`.
        words_of_symbol : pair of ndarray of int, (m,) each
            The first and the last word of each symbol; ascending, without gaps within a text.
        words : int
            w.
        texts : int
            n.
        """
        columns = self.look_up(occurrences)
        counts = count_known(columns, occurrences.text_index, texts)
        spans = columns, occurrences.text_index, words_of_symbol, words
        svm = attribute_to_words(counts, tf_idf(counts, self.idf), self.svm_weights, *spans)
        if self.contexts is None:
            return [svm, attribute_to_words(counts, counts.count, self._naive_bayes, *spans)]
        log_probs = self._language_models.symbol_log_probs(columns, occurrences.position)
        return [svm, share_equally(log_probs, *words_of_symbol, words)]


def _without_overlap(occurrences: NgramOccurrences, overlap: int) -> Indices:
    """Return the symbols' positions, 0 in the overlap: the first symbol of a text has no score."""
    if not overlap:
        return occurrences.position
    position = occurrences.position.copy()
    position[:overlap] = 0
    return position
