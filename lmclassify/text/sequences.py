"""Sequences of token ids: inputs and targets, truncation, padding, masks, batches by length.

A *sequence* is beginning-of-text, the text's tokens, end-of-text. Each of its ids but the first is predicted
from the ids before it.

Shapes: B texts of a batch, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

PADDING_ID = 0
"""Id of padding. No tokenizer assigns it to a token, so ids alone tell padding from tokens."""

Ids = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """Padded sequences, ready for a language model."""

    inputs: Ids
    """(B, T) all ids but the last, then padding."""
    targets: Ids
    """(B, T) all ids but the first, then padding."""


def input_and_target(sequence: npt.ArrayLike, max_length: int | None = None) -> tuple[Ids, Ids]:
    """Split one sequence into inputs and targets.

    Parameters
    ----------
    sequence : array_like of int, (length,)
        Token ids, length >= 1.
    max_length : int, optional
        Longer sequences are cut to their first `max_length` ids.

    Returns
    -------
    inputs, targets : ndarray of int, (min(length, max_length) - 1,)
        ``sequence[:-1]`` and ``sequence[1:]`` of the cut sequence.
    """
    ids = np.asarray(sequence, dtype=np.int64)[:max_length]
    return ids[:-1], ids[1:]


def reverse(sequence: npt.ArrayLike, end_id: int) -> Ids:
    """Return a sequence with its tokens in reverse order; beginning and end of text stay where they are.

    >>> reverse([8, 1, 5, 3, 9], end_id=9).tolist()
    [8, 3, 5, 1, 9]
    """
    ids = np.array(sequence, dtype=np.int64)
    stop = len(ids) - int(ids[-1] == end_id)  # a sequence that was cut has no end of text
    ids[1:stop] = ids[1:stop][::-1]
    return ids


def pad(sequence: npt.ArrayLike, length: int) -> Ids:
    """Return a sequence padded to a length.

    >>> pad([3, 6, 1], 7).tolist()
    [3, 6, 1, 0, 0, 0, 0]
    """
    ids = np.asarray(sequence, dtype=np.int64)
    if len(ids) > length:
        raise ValueError(f"a sequence of {len(ids)} ids does not fit into {length}")
    padded = np.full(length, PADDING_ID, dtype=np.int64)
    padded[: len(ids)] = ids
    return padded


def padding_mask(ids: Ids) -> npt.NDArray[np.bool_]:
    """Return a mask of the shape of `ids`: True at tokens, False at padding."""
    mask: npt.NDArray[np.bool_] = ids != PADDING_ID
    return mask


def sequence_lengths(ids: Ids) -> Ids:
    """Return the number of tokens in each row of a padded (B, T) batch, as (B,)."""
    lengths: Ids = padding_mask(ids).sum(axis=-1)
    return lengths


class SequenceStore:
    """Truncated sequences in one array, from which batches are made without a loop.

    Parameters
    ----------
    sequences : sequence of array_like of int
        n sequences of token ids, length >= 1.
    max_length : int, optional
        Longer sequences are cut; see `input_and_target`.

    Attributes
    ----------
    lengths : ndarray of int, (n,)
        Number of ids after truncation.
    """

    def __init__(self, sequences: Sequence[npt.ArrayLike], max_length: int | None = None) -> None:
        cut = [np.asarray(sequence, dtype=np.int64)[:max_length] for sequence in sequences]
        self.lengths = np.array([len(ids) for ids in cut], dtype=np.int64)
        self._starts = np.cumsum(self.lengths) - self.lengths
        # Padding after the last, so that a batch may read beyond each sequence's end.
        self._ids = np.concatenate([*cut, np.full(self.lengths.max(initial=0), PADDING_ID, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, which: slice) -> list[Ids]:
        """Return some of the sequences, truncated."""
        ends = self._starts + self.lengths
        return [self._ids[start:end] for start, end in zip(self._starts[which], ends[which], strict=True)]

    def batch(self, indices: npt.NDArray[np.intp]) -> Batch:
        """Pad the inputs and targets of some sequences to the longest among them."""
        predicted = self.lengths[indices, np.newaxis] - 1
        steps = np.arange(predicted.max(initial=0))
        positions = self._starts[indices, np.newaxis] + steps
        real = steps < predicted
        return Batch(
            np.where(real, self._ids[positions], PADDING_ID),
            np.where(real, self._ids[positions + 1], PADDING_ID),
        )

    def targets(self) -> Ids:
        """Return the targets of all sequences, one after another."""
        first = np.zeros(len(self._ids), dtype=bool)
        first[self._starts] = True
        end = int(self.lengths.sum())
        return self._ids[:end][~first[:end]]


def positions_within(lengths: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the position of each item within its group, from 0, for consecutive groups of these lengths.

    >>> positions_within(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    starts = np.cumsum(lengths) - lengths
    positions: npt.NDArray[np.intp] = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    return positions


def make_batch(sequences: Sequence[npt.ArrayLike], max_length: int | None = None) -> Batch:
    """Pad the inputs and targets of some sequences to the longest among them.

    Parameters
    ----------
    sequences : sequence of array_like of int
        B sequences of token ids.
    max_length : int, optional
        Longer sequences are cut; see `input_and_target`.
    """
    return SequenceStore(sequences, max_length).batch(np.arange(len(sequences)))


def batches_by_length(
    lengths: npt.ArrayLike,
    batch_size: int,
    rng: np.random.Generator | None = None,
    *,
    max_tokens: int | None = None,
) -> list[npt.NDArray[np.intp]]:
    """Return the indices of each batch. Texts of similar length are batched together, to reduce padding.

    Parameters
    ----------
    lengths : array_like of int, (n,)
        Length of each sequence in tokens.
    batch_size : int
        Sequences per batch; the batch of the shortest ones may have fewer.
    rng : numpy.random.Generator, optional
        If given, texts of the same length are shuffled and the batches are in random order (for training).
        Otherwise batches are ordered from long to short (for scoring).
    max_tokens : int, optional
        Maximum number of tokens per batch, padding included; a batch of one sequence may exceed it.
    """
    lengths = np.asarray(lengths)
    order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    order = order[np.argsort(-lengths[order], kind="stable")]
    batches = []
    start = 0
    while start < len(order):
        size = batch_size
        if max_tokens is not None:
            size = min(size, max(1, max_tokens // int(lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches if rng is None else [batches[number] for number in rng.permutation(len(batches))]
