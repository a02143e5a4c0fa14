"""An interpolated n-gram language model of tokens that gives the probability of every next token (numpy).

A token's probability after a context is its share of the tokens that followed the context in the texts, plus
its probability after the shorter context, weighted.

Shapes: B texts, T steps, V vocabulary, C contexts and G n-grams of one length, N the longest n-gram.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lmclassify.lm.ngram.index import NgramIndex
from lmclassify.text.ngrams import Keys, NgramAnalyzer
from lmclassify.text.sequences import PADDING_ID, Ids

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Arrays = dict[str, npt.NDArray[Any]]

_MAX_TOKENS = 1 << 20  # more than any vocabulary has
_MAX_COUNT = 1 << 40  # of a model read from a file; sums of counts stay exact in 64-bit floats

_PARTS = ("contexts", "starts", "tokens", "counts")


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length, grouped by context: the n-gram without its last token."""

    contexts: Keys
    """(C,) ascending."""
    starts: npt.NDArray[np.int64]
    """(C + 1,) index of each context's first n-gram."""
    tokens: npt.NDArray[Any]
    """(G,) their last tokens."""
    shares: Array
    """(G,) share of the context's probability."""
    left: Array
    """(C,) share left to the shorter context."""

    @cached_property
    def codes(self) -> npt.NDArray[np.int64]:
        """(G,) the context's index of each n-gram, times `_MAX_TOKENS`, plus the last token; ascending."""
        rows = np.repeat(np.arange(len(self.contexts)), np.diff(self.starts))
        codes: npt.NDArray[np.int64] = rows * _MAX_TOKENS + self.tokens
        return codes

    def find(self, keys: Keys) -> tuple[Indices, npt.NDArray[np.bool_]]:
        """Return the index of each context, (n,), and whether it is known."""
        indices = np.searchsorted(self.contexts, keys)
        indices[indices == len(self.contexts)] = 0
        known: npt.NDArray[np.bool_] = (
            self.contexts[indices] == keys if len(self.contexts) else np.zeros(len(keys), bool)
        )
        return indices, known


class TokenNgrams:
    """An interpolated n-gram language model of tokens.

    It implements `lmclassify.lm.inference.interpolation.NextTokenModel` and
    `lmclassify.classify.scoring.Scorer`.

    ``p(w | h) = (c(h w) + t(h) p(w | h less its first token)) / (c(h) + t(h))`` (Witten & Bell 1991), where
    t(h) is the number of different tokens that follow h. For n-grams of N tokens, c is the count. For shorter
    ones it is the number of different tokens before the n-gram (Kneser & Ney 1995), or the count where the
    n-gram begins a text. The share left by the empty context is distributed equally over the vocabulary.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        as `fit` makes them: by length from 1 to N, ``<length>.contexts`` (C,) uint64, hashed,
        ``<length>.starts`` (C + 1,), ``<length>.tokens`` (G,) and ``<length>.counts`` (G,).
    vocab_size : int
        V.
    begin_id : int
        Beginning-of-text. Like padding, it is never predicted.

    Raises
    ------
    ValueError
        If the arrays are not those of such a model.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]], vocab_size: int, begin_id: int) -> None:
        self.arrays = dict(arrays)
        self.longest = len(arrays) // len(_PARTS)
        lengths = range(1, self.longest + 1)
        if self.longest < 2 or set(arrays) != {f"{length}.{part}" for length in lengths for part in _PARTS}:
            raise ValueError("not the n-grams of a language model")
        self._orders = [
            self._order([self.arrays[f"{length}.{part}"] for part in _PARTS], vocab_size)
            for length in lengths
        ]
        if any((order.tokens == token).any() for order in self._orders for token in (PADDING_ID, begin_id)):
            raise ValueError("an n-gram of a language model with a token that is never predicted")
        predicted = np.ones(vocab_size)
        predicted[[PADDING_ID, begin_id]] = 0.0
        self._lowest = predicted / predicted.sum()
        self._analyzer = NgramAnalyzer("subword", self.longest - 1)

    @classmethod
    def fit(cls, sequences: Sequence[Ids], vocab_size: int, longest: int = 5) -> Self:
        """Return a model of some texts.

        Parameters
        ----------
        sequences : sequence of array of int
            At least one text as token ids, each with beginning and end of text.
        vocab_size : int
            V.
        longest : int, default=5
            N, at least 2.
        """
        occurrences = NgramAnalyzer("subword", longest).occurrences([], sequences)
        symbols = np.concatenate(sequences)
        arrays: Arrays = {}
        for length in range(1, longest + 1):
            ends = np.flatnonzero(occurrences.position >= max(1, length - 1))
            contexts = (
                occurrences.keys[length - 2, ends - 1] if length > 1 else np.zeros(len(ends), np.uint64)
            )
            order = np.argsort(_ranks(contexts) * vocab_size + symbols[ends])
            ends, contexts = ends[order], contexts[order]
            new_context = _differ(contexts)
            new = new_context | _differ(symbols[ends])
            ngram = np.zeros(len(symbols), np.intp)
            ngram[ends] = np.cumsum(new) - 1
            counted = ends
            if length < longest:
                longer = np.flatnonzero(occurrences.position >= length)
                order = np.argsort(occurrences.keys[length, longer])
                distinct = longer[order][_differ(occurrences.keys[length, longer[order]])]
                counted = np.append(distinct, ends[occurrences.position[ends] == length - 1])
            arrays |= {
                f"{length}.contexts": contexts[new_context],
                f"{length}.starts": _in_smallest_type(np.append(np.flatnonzero(new_context[new]), new.sum())),
                f"{length}.tokens": _in_smallest_type(symbols[ends[new]]),
                f"{length}.counts": _in_smallest_type(np.bincount(ngram[counted])),
            }
        return cls(arrays, vocab_size, int(sequences[0][0]))

    @staticmethod
    def _kept_and_left(counts: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Return what each n-gram keeps and leaves to the shorter context, (G,), not normalized."""
        return counts.astype(np.float64), np.ones(len(counts))

    def _order(self, arrays: Sequence[npt.NDArray[Any]], vocab_size: int) -> _Order:
        contexts, starts, tokens, counts = arrays
        valid = all(array.dtype.kind == "u" and array.ndim == 1 for array in arrays)
        fits = len(starts) == len(contexts) + 1 and len(tokens) == len(counts)
        if not valid or not fits or contexts.dtype != np.uint64:
            raise ValueError("n-grams of a language model that do not fit one another")
        bounds = starts.astype(np.int64)
        sizes = np.diff(bounds)
        if (
            bounds[0]
            or bounds[-1] != len(tokens)
            or (sizes < 1).any()
            or (contexts[1:] <= contexts[:-1]).any()
        ):
            raise ValueError("n-grams of a language model that are out of order")
        if (tokens >= vocab_size).any() or (counts < 1).any() or (counts > _MAX_COUNT).any():
            raise ValueError("an n-gram of a language model with an unknown token or no usable count")
        ascend = tokens[1:] > tokens[:-1]
        ascend[bounds[1:-1] - 1] = True
        if not ascend.all():
            raise ValueError("an n-gram of a language model that is repeated")
        kept, left = self._kept_and_left(counts.astype(np.int64))
        if not len(contexts):
            return _Order(contexts, bounds, tokens, kept, left)
        left = np.add.reduceat(left, bounds[:-1])
        totals = np.add.reduceat(kept, bounds[:-1]) + left
        return _Order(contexts, bounds, tokens, kept / np.repeat(totals, sizes), left / totals)

    def read(self, ids: Ids, state: Ids | None = None) -> tuple[Array, Ids]:
        """Return the log-probabilities of the token after some texts, (B, V) nats, and the state after them.

        Parameters
        ----------
        ids : ndarray of int, (B, T)
            Without padding.
        state : ndarray of int, (B, N - 1), optional
            The last tokens of an earlier call, padding on the left.
        """
        before = np.full((len(ids), self.longest - 1), PADDING_ID) if state is None else state
        after = np.concatenate([before, ids], axis=1)[:, ids.shape[1] :]
        return self.log_probabilities(after), after

    def log_probabilities(self, contexts: Ids) -> Array:
        """Return the log-probabilities (B, V) after contexts (B, N - 1), padding on the left."""
        p = np.tile(self._lowest, (len(contexts), 1))
        unpadded = [row[row != PADDING_ID] for row in contexts]
        lengths = np.array([len(row) for row in unpadded])
        occurrences = self._analyzer.occurrences([], unpadded)
        for length, order in enumerate(self._orders):
            rows = np.flatnonzero(lengths >= length)
            keys = np.zeros(len(rows), np.uint64)
            if length:
                keys = occurrences.keys[length - 1, np.cumsum(lengths)[rows] - 1]
            indices, known = order.find(keys)
            for row, index in zip(rows[known], indices[known], strict=True):
                ngrams = slice(order.starts[index], order.starts[index + 1])
                p[row] *= order.left[index]
                p[row, order.tokens[ngrams]] += order.shares[ngrams]
        with np.errstate(divide="ignore"):  # padding and beginning-of-text
            log_p: Array = np.log(p)
        return log_p

    def token_nll(self, inputs: Ids, targets: Ids, state: Ids | None = None) -> tuple[Array, Ids]:
        """Return the negative log-probability of each target, and the state after the last one.

        Parameters
        ----------
        inputs, targets : ndarray of int, (B, T)
            As in `lmclassify.text.sequences.Batch`.
        state : ndarray of int, (B, N - 1), optional
            As `read` and this method return it.

        Returns
        -------
        nll : ndarray of float, (B, T)
            Nats; zero at padding.
        state : ndarray of int, (B, N - 1)
        """
        size = self.longest - 1
        before = np.full((len(inputs), size), PADDING_ID) if state is None else state
        history = np.concatenate([before, inputs], axis=1)
        steps = (inputs != PADDING_ID).sum(axis=1)
        after = np.take_along_axis(history, steps[:, np.newaxis] + np.arange(size), axis=1)
        present = history != PADDING_ID
        occurrences = self._analyzer.occurrences(
            [], [row[mask] for row, mask in zip(history, present, strict=True)]
        )
        place = np.cumsum(present).reshape(present.shape)[:, size:] - 1  # of each input among the tokens
        scored = targets != PADDING_ID
        places, tokens = place[scored], targets[scored]
        p = self._lowest[tokens]
        for length, order in enumerate(self._orders):
            rows = np.flatnonzero(occurrences.position[places] >= length - 1)
            keys = (
                np.zeros(len(rows), np.uint64) if not length else occurrences.keys[length - 1, places[rows]]
            )
            contexts, known = order.find(keys)
            rows, contexts = rows[known], contexts[known]
            p[rows] *= order.left[contexts]
            wanted = contexts * _MAX_TOKENS + tokens[rows]
            found = np.minimum(np.searchsorted(order.codes, wanted), len(order.codes) - 1)
            p[rows] += np.where(order.codes[found] == wanted, order.shares[found], 0.0)
        nll = np.zeros(targets.shape)
        nll[scored] = -np.log(p)
        return nll, after

    @property
    def num_parameters(self) -> int:
        """Number of n-grams."""
        return sum(len(order.tokens) for order in self._orders)


def _ranks(keys: Keys) -> npt.NDArray[np.int64]:
    """Return the index of each key among the distinct ones in ascending order."""
    ascending = np.sort(keys)
    return NgramIndex(ascending[_differ(ascending)]).find(keys).astype(np.int64)


def _differ(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return whether each value differs from the one before; True for the first."""
    result = np.ones(len(values), dtype=bool)
    result[1:] = values[1:] != values[:-1]
    return result


def _in_smallest_type(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return integers in the smallest unsigned type that holds them."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))
