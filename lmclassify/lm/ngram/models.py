"""N-gram models of all labels over one analyzer of the text, in numpy.

Two scores from the same n-grams g, both sums over a text: *tuned*, and a likelihood, of a *language model* or
of a *bag*.

*tuned*
    ``bias + sum_g tfidf(g) w(g, label)``: weights learnt to tell the label from the rest, tf-idf of a text
    having Euclidean length 1 (Joachims 1998; ``(1 + log count) idf``).
*language model*
    the log-likelihood of the text's symbols one after the other; see `WittenBell`.
*bag*
    ``sum_g count(g) log p(g | label)`` with ``p = (count + a) / (total + a F)`` (Lidstone), each n-gram a
    draw of its own.

Shapes: n texts, F n-grams known, K labels, m symbols, p pairs of a text and an n-gram of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.lm.ngram.index import NgramIndex
from lmclassify.lm.ngram.sums import sum_by_text, text_batches
from lmclassify.lm.ngram.witten_bell import WittenBell
from lmclassify.text.ngrams import CHUNK_SYMBOLS, Keys, NgramAnalyzer, NgramOccurrences
from lmclassify.text.sequences import Ids

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

SMOOTHING = 0.1
"""Added to each count of an n-gram under a label."""


@dataclass(frozen=True)
class NgramCounts:
    """The known n-grams of some texts, ordered by text, each n-gram of a text once."""

    texts: int
    text_index: Indices
    """(p,) the text, ascending."""
    column: Indices
    """(p,) the n-gram."""
    count: Array
    """(p,) how often."""


class NgramModel:
    """Weights of one analyzer's n-grams under every label.

    Parameters
    ----------
    analyzer : NgramAnalyzer
    keys : ndarray of uint64, (F,)
        The n-grams known, ascending.
    idf : ndarray of float32, (F,)
        Inverse document frequencies.
    tuned : ndarray of float32, (F, K)
    bias : ndarray of float32, (K,)
    counts : ndarray of float32, (F, K)
        How often each n-gram stands in each label's texts.
    contexts : ndarray of int32, (F,), optional
        The n-gram less its last symbol, itself among the known ones; -1 for a single symbol. With them the
        likelihood is a language model's, without them that of a bag.
    order : ndarray of int, (F,), optional
        The n-grams' places in the order in which they became known. By default their own.
    known : sequence of int, (K,), optional
        How many of the n-grams, in that order, were known when each label was learnt; it has no weight and
        no count for later ones. By default all.

    Raises
    ------
    ValueError
        If shapes do not fit one another, keys do not ascend, or a number is not finite.
    """

    def __init__(
        self,
        analyzer: NgramAnalyzer,
        keys: Keys,
        idf: Floats,
        tuned: Floats,
        bias: Floats,
        counts: Floats,
        contexts: npt.NDArray[np.int32] | None = None,
        order: Indices | None = None,
        known: Sequence[int] | None = None,
    ) -> None:
        size, labels = tuned.shape
        known = [size] * labels if known is None else list(known)
        fits = [
            keys.shape == idf.shape == (size,),
            bias.shape == (labels,),
            counts.shape == tuned.shape,
            contexts is None or contexts.shape == (size,),
            len(known) == labels and all(0 <= count <= size for count in known),
            order is None or (order.shape == (size,) and (np.sort(order) == np.arange(size)).all()),
        ]
        if not all(fits) or (keys[1:] <= keys[:-1]).any():
            raise ValueError("n-grams and their weights do not fit one another")
        if not all(np.isfinite(array).all() for array in (idf, tuned, bias, counts)) or (counts < 0).any():
            raise ValueError("a weight or count of an n-gram is not finite, or a count is negative")
        if contexts is not None and ((contexts < -1) | (contexts >= size)).any():
            raise ValueError("an n-gram whose context is not known")
        self.analyzer, self.keys, self.idf = analyzer, keys, idf
        self.svm_weights, self.svm_bias, self.counts, self.contexts = tuned, bias, counts, contexts
        self.order = np.arange(size) if order is None else order
        self.known = known

    def known_to(self, label: int) -> Indices:
        """Return the places of the n-grams that were known when a label was learnt, in their order."""
        return self.order[: self.known[label]]

    def with_ngrams(self, occurrences: NgramOccurrences, idf: float) -> NgramModel:
        """Return the model with all n-grams of some texts known: those that are new, with this idf."""
        found = np.unique(occurrences.keys[occurrences.complete])
        new = np.setdiff1d(found, self.keys, assume_unique=True)
        if not len(new):
            return self
        keys = np.union1d(self.keys, new)
        old_at, new_at = np.searchsorted(keys, self.keys), np.searchsorted(keys, new)

        def laid_out(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            result = np.zeros((len(keys), *values.shape[1:]), dtype=values.dtype)
            result[old_at] = values
            return result

        contexts = None
        if self.contexts is not None:
            known = self.contexts >= 0
            contexts = np.full(len(keys), -1, dtype=np.int32)
            contexts[old_at[known]] = old_at[self.contexts[known]]
            for shorter, longer in pairwise(NgramIndex(keys).look_up(occurrences)):
                ends = np.flatnonzero(longer >= 0)
                contexts[longer[ends]] = shorter[ends - 1]
        all_idf = laid_out(self.idf)
        all_idf[new_at] = idf
        return NgramModel(
            self.analyzer,
            keys,
            all_idf,
            laid_out(self.svm_weights),
            self.svm_bias,
            laid_out(self.counts),
            contexts,
            np.concatenate([old_at[self.order], new_at]),
            self.known,
        )

    def with_weights(self, tuned: Floats, bias: Floats, counts: Floats, changed: Sequence[int]) -> NgramModel:
        """Return the model with other weights, (F, K), (K,), (F, K), of which some labels' have changed."""
        size = len(self.keys)
        known = [size if label in changed else count for label, count in enumerate(self.known)]
        return NgramModel(
            self.analyzer, self.keys, self.idf, tuned, bias, counts, self.contexts, self.order, known
        )

    def with_label(self, label: int, tuned: Floats, bias: float, counts: Floats) -> NgramModel:
        """Return the model with one label more at an index.

        Parameters
        ----------
        label : int
        tuned, counts : ndarray, (F,)
        bias : float
        """
        return NgramModel(
            self.analyzer,
            self.keys,
            self.idf,
            np.insert(self.svm_weights, label, tuned, axis=1),
            np.insert(self.svm_bias, label, np.float32(bias)),
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
        """What the scores that `scores` returns are called."""
        likelihood = "bag" if self.contexts is None else "language model"
        return [f"{kind} of {self.analyzer.symbols}s" for kind in ("tuned", likelihood)]

    @property
    def num_parameters(self) -> int:
        """How many numbers there are."""
        return self.idf.size + self.svm_weights.size + self.counts.size

    @cached_property
    def _index(self) -> NgramIndex:
        return NgramIndex(self.keys)

    def look_up(self, occurrences: NgramOccurrences) -> npt.NDArray[np.int32]:
        """Return each n-gram's position among the known ones, -1 where it is not known, (longest, m)."""
        return self._index.look_up(occurrences)

    @cached_property
    def _bag(self) -> Floats:
        return log_probabilities(self.counts)

    @cached_property
    def _language_models(self) -> WittenBell:
        assert self.contexts is not None
        return WittenBell(self.counts, self.contexts)

    @cached_property
    def _all_labels(self) -> WittenBell:
        assert self.contexts is not None
        return WittenBell(self.counts.sum(axis=1, keepdims=True), self.contexts)

    def background(
        self, columns: npt.NDArray[np.int32], text_index: Indices, position: Indices, texts: int
    ) -> tuple[Array, Array]:
        """Return how probable texts are by single symbols of all labels together; needs contexts.

        Parameters
        ----------
        columns, text_index, position, texts
            See `scores_from_columns`.

        Returns
        -------
        log_likelihoods : ndarray, (n,)
            Nats.
        lengths : ndarray, (n,)
            Symbols scored.
        """
        log_likelihoods = self._all_labels.log_likelihoods(columns[:1], text_index, position, texts)[:, 0]
        return log_likelihoods, np.bincount(text_index[position > 0], minlength=texts).astype(np.float64)

    def background_scores(
        self, texts: Sequence[str], chunk_symbols: int = CHUNK_SYMBOLS
    ) -> tuple[Array, Array]:
        """Return the same for texts; for a model over characters or words."""
        log_likelihoods, lengths = np.zeros((2, len(texts)))
        for occurrences, seen in replace(self.analyzer, longest=1).chunks(
            texts, [], chunk_symbols
        ):  # what it looks at
            columns = self.look_up(occurrences)
            nats, symbols = self.background(
                columns, occurrences.text_index, _new(occurrences, seen), len(texts)
            )
            log_likelihoods += nats
            lengths += symbols
        return log_likelihoods, lengths

    def scores(
        self, texts: Sequence[str], sequences: Sequence[Ids], chunk_symbols: int = CHUNK_SYMBOLS
    ) -> list[Array]:
        """Return the scores of `score_names`, (n, K) each."""
        counts, likelihood = [], np.zeros((len(texts), self.svm_weights.shape[1]))
        for occurrences, seen in self.analyzer.chunks(texts, sequences, chunk_symbols):
            columns, text_index = self.look_up(occurrences), occurrences.text_index
            counts.append(count_known(columns[:, seen:], text_index[seen:], len(texts)))
            if self.contexts is not None:
                position = _new(occurrences, seen)
                likelihood += self._language_models.log_likelihoods(columns, text_index, position, len(texts))
        return self._scores(_together(counts), likelihood)

    def scores_from_columns(
        self, columns: npt.NDArray[np.int32], text_index: Indices, position: Indices, texts: int
    ) -> list[Array]:
        """Return the scores of texts whose n-grams have been looked up.

        Parameters
        ----------
        columns : ndarray of int32, (longest, m)
            As `NgramModel.look_up` returns them.
        text_index, position : ndarray of int, (m,)
            See `NgramOccurrences`.
        texts : int
            n.
        """
        likelihood = None
        if self.contexts is not None:
            likelihood = self._language_models.log_likelihoods(columns, text_index, position, texts)
        return self._scores(count_known(columns, text_index, texts), likelihood)

    def _scores(self, found: NgramCounts, likelihood: Array | None) -> list[Array]:
        """Return both scores, given the language model's, which a bag has not."""
        tuned = weighted_sums(found, tf_idf(found, self.idf), self.svm_weights) + self.svm_bias
        if self.contexts is None or likelihood is None:
            return [tuned, weighted_sums(found, found.count, self._bag)]
        return [tuned, likelihood]

    def word_scores(
        self, occurrences: NgramOccurrences, word_of_symbol: Indices, words: int, texts: int
    ) -> list[Array]:
        """Return the scores shared out among the words of some texts, (w, K) each.

        A text's score is the sum over its words, plus `bias` in the tuned one. What an n-gram adds is shared
        equally by the words that it spans: its Shapley value, as without any of them it would not be there.
        In a language model each symbol has its own log-probability.

        Parameters
        ----------
        occurrences : NgramOccurrences
            Those of the texts, by `analyzer`.
        word_of_symbol : ndarray of int, (m,)
            Ascending, without gaps within a text.
        words : int
            w.
        texts : int
            n.
        """
        columns = self.look_up(occurrences)
        found = count_known(columns, occurrences.text_index, texts)
        spans = columns, occurrences.text_index, word_of_symbol, words
        tuned = _share_out(found, tf_idf(found, self.idf), self.svm_weights, *spans)
        if self.contexts is None:
            return [tuned, _share_out(found, found.count, self._bag, *spans)]
        likelihood = np.zeros_like(tuned)
        log_probs = self._language_models.symbol_log_probs(columns, occurrences.position)
        sum_by_text(likelihood, log_probs, word_of_symbol, 0, words)
        return [tuned, likelihood]


def count_known(columns: npt.NDArray[np.int32], text_index: Indices, texts: int) -> NgramCounts:
    """Count the known n-grams of some texts.

    Parameters
    ----------
    columns : ndarray of int32, (longest, m)
        As `NgramModel.look_up` returns them.
    text_index : ndarray of int, (m,)
        The text of each symbol.
    texts : int
        n.
    """
    known = columns >= 0
    size = int(columns.max(initial=0)) + 1
    small: type[np.unsignedinteger[Any]] = np.uint32 if texts * size < 1 << 32 else np.uint64  # sorts faster
    pairs = np.broadcast_to(text_index * size, columns.shape)[known].astype(small)
    pairs += columns[known].astype(small)
    pairs, count = np.unique(pairs, return_counts=True)
    text_indices, found = np.divmod(pairs, np.array(size, dtype=small))
    return NgramCounts(texts, text_indices.astype(np.intp), found.astype(np.intp), count.astype(np.float64))


def _together(counts: Sequence[NgramCounts]) -> NgramCounts:
    """Return the counts of texts that were counted piece by piece."""
    if len(counts) == 1:
        return counts[0]
    text_index, column, count = (
        np.concatenate([getattr(part, name) for part in counts]) for name in ("text_index", "column", "count")
    )
    size = int(column.max(initial=0)) + 1
    pairs, places = np.unique(text_index * size + column, return_inverse=True)
    text_indices, found = np.divmod(pairs, size)
    return NgramCounts(
        counts[0].texts, text_indices, found, np.bincount(places, count, len(pairs)).astype(np.float64)
    )


def _new(occurrences: NgramOccurrences, seen: int) -> Indices:
    """Return the symbols' places, those seen before as if they were a text's first, which has no score."""
    if not seen:
        return occurrences.position
    position = occurrences.position.copy()
    position[:seen] = 0
    return position


def tf_idf(found: NgramCounts, idf: Floats) -> Array:
    """Return the tf-idf of each pair, (p,): ``(1 + log count) idf``, a text's as a vector of length 1."""
    values = (1.0 + np.log(found.count)) * idf[found.column]
    squares = np.bincount(found.text_index, values * values, minlength=found.texts)
    lengths = np.sqrt(squares)[found.text_index]
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)


def weighted_sums(found: NgramCounts, values: Array, weights: Floats) -> Array:
    """Return the sum over each text's n-grams of value times weights, (n, K)."""
    result = np.zeros((found.texts, weights.shape[1]))
    for first, last, part in text_batches(found.text_index, found.texts, weights.shape[1]):
        products = weights.take(found.column[part], axis=0) * values[part, np.newaxis]
        sum_by_text(result, products, found.text_index[part], first, last)
    return result


def _share_out(
    found: NgramCounts,
    values: Array,
    weights: Floats,
    columns: npt.NDArray[np.int32],
    text_index: Indices,
    word_of_symbol: Indices,
    words: int,
) -> Array:
    """Share `weighted_sums` out among the words that the n-grams span, (w, K)."""
    result = np.zeros((words, weights.shape[1]))
    size = int(columns.max(initial=0)) + 1
    pairs = found.text_index * size + found.column
    for longer, of_length in enumerate(columns):
        ends = np.flatnonzero(of_length >= 0)
        ngrams = of_length[ends]
        pair = np.searchsorted(pairs, text_index[ends] * size + ngrams)
        first = word_of_symbol[ends - longer]
        spanned = word_of_symbol[ends] - first + 1
        shares = weights[ngrams] * (values[pair] / found.count[pair] / spanned)[:, np.newaxis]
        for position in range(int(spanned.max(initial=0))):
            reaches = spanned > position
            of_place = np.zeros_like(result)
            sum_by_text(of_place, shares[reaches], first[reaches] + position, 0, words)
            result += of_place
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
