"""Language models of labels that have too little text for training: the background model, rescaled (numpy).

The background model's probability of each token is multiplied by a power of how much more frequent the token
is in the label's texts, and normalised again (Kneser, Peters & Klakow 1997, "Language model adaptation using
dynamic marginals"). As the output layer is a softmax, this adds a constant to each of its biases. All other
weights stay the background's, and a saved model holds them once.

Shapes: n sequences, K labels, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.text.sequences import Ids

Weights = dict[str, npt.NDArray[np.float32]]

BACKGROUND_COUNT = 20.0
"""Tokens of background text that are added to each label's own: with few texts, frequencies are rough."""
EXPONENT = 0.7
"""Of the ratio of frequencies. Below 1, because the context already predicts a part of the difference."""


def unigram_rescaled(
    background: Weights,
    sequences: Sequence[Ids],
    codes: npt.NDArray[np.intp],
    labels: int,
    weights: npt.NDArray[np.float64] | None = None,
) -> list[Weights]:
    """Return a language model for each label: the background model with other output biases.

    Parameters
    ----------
    background : dict of str to ndarray
        Its arrays; ``output.bias`` has shape (V,).
    sequences : sequence of array of int, (n,)
    codes : ndarray of int, (n,)
        The index of each sequence's label.
    labels : int
        K.
    weights : ndarray, (n,), optional
        Of the sequences; by default 1.

    Returns
    -------
    list of dict of str to ndarray, (K,)
        All arrays but ``output.bias`` are the background's own, not copies.
    """
    bias = background["output.bias"]
    counts = np.zeros((labels, len(bias)))
    weights = np.ones(len(sequences)) if weights is None else weights / weights.mean()
    for sequence, code, weight in zip(sequences, codes.tolist(), weights.tolist(), strict=True):
        np.add.at(counts[code], sequence[1:], weight)
    pooled = counts.sum(axis=0) + 1 / len(bias)
    frequencies = pooled / pooled.sum()
    own = counts + BACKGROUND_COUNT * frequencies
    own /= own.sum(axis=1, keepdims=True)
    shifts = EXPONENT * (np.log(own) - np.log(frequencies))
    return [background | {"output.bias": (bias + shift).astype(np.float32)} for shift in shifts]
