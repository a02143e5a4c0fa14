"""N-gram models of all labels over one view of the text, in numpy.

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
from lmclassify.lm.ngram.sums import add_by_text, some_texts
from lmclassify.lm.ngram.witten_bell import WittenBell
from lmclassify.text.ngrams import Keys, NgramAnalyzer, NgramOccurrences
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
    owner: Indices
    """(p,) the text, ascending."""
    column: Indices
    """(p,) the n-gram."""
    count: Array
    """(p,) how often."""


class NgramModel:
    """Weights of one view's n-grams under every label.

    Parameters
    ----------
    view : NgramAnalyzer
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
        view: NgramAnalyzer,
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
        self.view, self.keys, self.idf = view, keys, idf
        self.tuned, self.bias, self.counts, self.contexts = tuned, bias, counts, contexts
        self.order = np.arange(size) if order is None else order
        self.known = known

    def learnt(self, label: int) -> Indices:
        """Return the places of the n-grams that were known when a label was learnt, in their order."""
        return self.order[: self.known[label]]

    def with_ngrams_of(self, windows: NgramOccurrences, idf: float) -> NgramModel:
        """Return the model with all n-grams of some texts known: those that are new, with this idf."""
        found = np.unique(windows.keys[windows.whole])
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
            for shorter, longer in pairwise(NgramIndex(keys).look_up(windows)):
                ends = np.flatnonzero(longer >= 0)
                contexts[longer[ends]] = shorter[ends - 1]
        all_idf = laid_out(self.idf)
        all_idf[new_at] = idf
        return NgramModel(
            self.view,
            keys,
            all_idf,
            laid_out(self.tuned),
            self.bias,
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
            self.view, self.keys, self.idf, tuned, bias, counts, self.contexts, self.order, known
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
            self.view,
            self.keys,
            self.idf,
            np.insert(self.tuned, label, tuned, axis=1),
            np.insert(self.bias, label, np.float32(bias)),
            np.insert(self.counts, label, counts, axis=1),
            self.contexts,
            self.order,
            [*self.known[:label], len(self.keys), *self.known[label:]],
        )

    def without_label(self, label: int) -> NgramModel:
        """Return the model without one label."""
        return NgramModel(
            self.view,
            self.keys,
            self.idf,
            np.delete(self.tuned, label, axis=1),
            np.delete(self.bias, label),
            np.delete(self.counts, label, axis=1),
            self.contexts,
            self.order,
            [*self.known[:label], *self.known[label + 1 :]],
        )

    @property
    def score_names(self) -> list[str]:
        """What the scores that `scores` returns are called."""
        likelihood = "bag" if self.contexts is None else "language model"
        return [f"{kind} of {self.view.symbols}s" for kind in ("tuned", likelihood)]

    @property
    def num_parameters(self) -> int:
        """How many numbers there are."""
        return self.idf.size + self.tuned.size + self.counts.size

    @cached_property
    def _index(self) -> NgramIndex:
        return NgramIndex(self.keys)

    def look_up(self, windows: NgramOccurrences) -> npt.NDArray[np.int32]:
        """Return each n-gram's place among the known ones, -1 where it is not known, (longest, m)."""
        return self._index.look_up(windows)

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
        self, columns: npt.NDArray[np.int32], owner: Indices, place: Indices, texts: int
    ) -> tuple[Array, Array]:
        """Return how probable texts are by single symbols of all labels together; needs contexts.

        Parameters
        ----------
        columns, owner, place, texts
            See `scores_of`.

        Returns
        -------
        log_likelihoods : ndarray, (n,)
            Nats.
        lengths : ndarray, (n,)
            Symbols scored.
        """
        log_likelihoods = self._all_labels.log_likelihoods(columns[:1], owner, place, texts)[:, 0]
        return log_likelihoods, np.bincount(owner[place > 0], minlength=texts).astype(np.float64)

    def background_of(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """Return the same for texts; of a model over characters or words."""
        log_likelihoods, lengths = np.zeros((2, len(texts)))
        for windows, seen in replace(self.view, longest=1).pieces(texts, []):  # what it looks at
            columns = self.look_up(windows)
            nats, symbols = self.background(columns, windows.owner, _new(windows, seen), len(texts))
            log_likelihoods += nats
            lengths += symbols
        return log_likelihoods, lengths

    def scores(self, texts: Sequence[str], sequences: Sequence[Ids]) -> list[Array]:
        """Return the scores of `score_names`, (n, K) each."""
        counts, likelihood = [], np.zeros((len(texts), self.tuned.shape[1]))
        for windows, seen in self.view.pieces(texts, sequences):
            columns, owner = self.look_up(windows), windows.owner
            counts.append(count_known(columns[:, seen:], owner[seen:], len(texts)))
            if self.contexts is not None:
                place = _new(windows, seen)
                likelihood += self._language_models.log_likelihoods(columns, owner, place, len(texts))
        return self._scores(_together(counts), likelihood)

    def scores_of(
        self, columns: npt.NDArray[np.int32], owner: Indices, place: Indices, texts: int
    ) -> list[Array]:
        """Return the scores of texts whose n-grams have been looked up.

        Parameters
        ----------
        columns : ndarray of int32, (longest, m)
            As `NgramModel.look_up` returns them.
        owner, place : ndarray of int, (m,)
            See `NgramOccurrences`.
        texts : int
            n.
        """
        likelihood = None
        if self.contexts is not None:
            likelihood = self._language_models.log_likelihoods(columns, owner, place, texts)
        return self._scores(count_known(columns, owner, texts), likelihood)

    def _scores(self, found: NgramCounts, likelihood: Array | None) -> list[Array]:
        """Return both scores, given the language model's, which a bag has not."""
        tuned = weighted_sums(found, tf_idf(found, self.idf), self.tuned) + self.bias
        if self.contexts is None or likelihood is None:
            return [tuned, weighted_sums(found, found.count, self._bag)]
        return [tuned, likelihood]

    def word_scores(
        self, windows: NgramOccurrences, word_of_symbol: Indices, words: int, texts: int
    ) -> list[Array]:
        """Return the scores shared out among the words of some texts, (w, K) each.

        A text's score is the sum over its words, plus `bias` in the tuned one. What an n-gram adds is shared
        equally by the words that it spans: its Shapley value, as without any of them it would not be there.
        In a language model each symbol has its own log-probability.

        Parameters
        ----------
        windows : NgramOccurrences
            Those of the texts, by `view`.
        word_of_symbol : ndarray of int, (m,)
            Ascending, without gaps within a text.
        words : int
            w.
        texts : int
            n.
        """
        columns = self.look_up(windows)
        found = count_known(columns, windows.owner, texts)
        spans = columns, windows.owner, word_of_symbol, words
        tuned = _share_out(found, tf_idf(found, self.idf), self.tuned, *spans)
        if self.contexts is None:
            return [tuned, _share_out(found, found.count, self._bag, *spans)]
        likelihood = np.zeros_like(tuned)
        log_probs = self._language_models.symbol_log_probs(columns, windows.place)
        add_by_text(likelihood, log_probs, word_of_symbol, 0, words)
        return [tuned, likelihood]


def count_known(columns: npt.NDArray[np.int32], owner: Indices, texts: int) -> NgramCounts:
    """Count the known n-grams of some texts.

    Parameters
    ----------
    columns : ndarray of int32, (longest, m)
        As `NgramModel.look_up` returns them.
    owner : ndarray of int, (m,)
        The text of each symbol.
    texts : int
        n.
    """
    known = columns >= 0
    size = int(columns.max(initial=0)) + 1
    small: type[np.unsignedinteger[Any]] = np.uint32 if texts * size < 1 << 32 else np.uint64  # sorts faster
    pairs = np.broadcast_to(owner * size, columns.shape)[known].astype(small)
    pairs += columns[known].astype(small)
    pairs, count = np.unique(pairs, return_counts=True)
    owners, found = np.divmod(pairs, np.array(size, dtype=small))
    return NgramCounts(texts, owners.astype(np.intp), found.astype(np.intp), count.astype(np.float64))


def _together(counts: Sequence[NgramCounts]) -> NgramCounts:
    """Return the counts of texts that were counted piece by piece."""
    if len(counts) == 1:
        return counts[0]
    owner, column, count = (
        np.concatenate([getattr(part, name) for part in counts]) for name in ("owner", "column", "count")
    )
    size = int(column.max(initial=0)) + 1
    pairs, places = np.unique(owner * size + column, return_inverse=True)
    owners, found = np.divmod(pairs, size)
    return NgramCounts(
        counts[0].texts, owners, found, np.bincount(places, count, len(pairs)).astype(np.float64)
    )


def _new(windows: NgramOccurrences, seen: int) -> Indices:
    """Return the symbols' places, those seen before as if they were a text's first, which has no score."""
    if not seen:
        return windows.place
    place = windows.place.copy()
    place[:seen] = 0
    return place


def tf_idf(found: NgramCounts, idf: Floats) -> Array:
    """Return the tf-idf of each pair, (p,): ``(1 + log count) idf``, a text's as a vector of length 1."""
    values = (1.0 + np.log(found.count)) * idf[found.column]
    squares = np.bincount(found.owner, values * values, minlength=found.texts)
    lengths = np.sqrt(squares)[found.owner]
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)


def weighted_sums(found: NgramCounts, values: Array, weights: Floats) -> Array:
    """Return the sum over each text's n-grams of value times weights, (n, K)."""
    result = np.zeros((found.texts, weights.shape[1]))
    for first, last, part in some_texts(found.owner, found.texts, weights.shape[1]):
        products = weights.take(found.column[part], axis=0) * values[part, np.newaxis]
        add_by_text(result, products, found.owner[part], first, last)
    return result


def _share_out(
    found: NgramCounts,
    values: Array,
    weights: Floats,
    columns: npt.NDArray[np.int32],
    owner: Indices,
    word_of_symbol: Indices,
    words: int,
) -> Array:
    """Share `weighted_sums` out among the words that the n-grams span, (w, K)."""
    result = np.zeros((words, weights.shape[1]))
    size = int(columns.max(initial=0)) + 1
    pairs = found.owner * size + found.column
    for longer, of_length in enumerate(columns):
        ends = np.flatnonzero(of_length >= 0)
        ngrams = of_length[ends]
        pair = np.searchsorted(pairs, owner[ends] * size + ngrams)
        first = word_of_symbol[ends - longer]
        spanned = word_of_symbol[ends] - first + 1
        shares = weights[ngrams] * (values[pair] / found.count[pair] / spanned)[:, np.newaxis]
        for place in range(int(spanned.max(initial=0))):
            reaches = spanned > place
            of_place = np.zeros_like(result)
            add_by_text(of_place, shares[reaches], first[reaches] + place, 0, words)
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
