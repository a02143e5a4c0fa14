"""The cascade: which labels of a text need the LSTMs, and how the scores of the others are approximated.

The n-gram models are fast and usually sure. The LSTMs score a text only under the labels that the n-gram
models leave in question; under the others their scores are approximated by regression on those of the n-gram
models.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MAX_ABS_VALUE = 1e9
"""Largest absolute value of a saved weight, bias or log prior. Fitted ones are far smaller; the bound keeps
every score finite."""
MAX_LSTM_LABELS = 20
"""Labels of a text that the LSTMs score at most, unless they score all: each costs as much as all n-grams."""


@dataclass(frozen=True)
class Cascade:
    """Parameters of the cascade; `lmclassify.classify.training.ensemble.fit_cascade` fits them."""

    gap: float = math.inf
    """Nats, for a text of usual length: the LSTMs score the labels whose approximate joint log-probability is
    less than this below the largest one. Infinite: they score every label."""
    slope: float = 0.0
    """Nats that the LSTMs add for each nat of the n-gram models' evidence."""
    length: float = 1.0
    """The usual length of a text, in the n-gram models' subwords."""

    def __post_init__(self) -> None:
        usable = self.gap >= 0 and 0 <= self.slope <= MAX_ABS_VALUE
        if not usable or not 1 / MAX_ABS_VALUE <= self.length <= MAX_ABS_VALUE:
            raise ValueError("a cascade whose numbers are negative, too large or not finite")

    def approximate(self, ngram_joint: Array, evidence: Array) -> Array:
        """Return what n-gram models and LSTMs add together, the latter approximated, (n, K).

        Parameters
        ----------
        ngram_joint : ndarray, (n, K)
            What the n-gram models and the biases add: to texts, or, as this is linear, to parts of them.
        evidence : ndarray, (n, K)
            The same without the biases.
        """
        joint: Array = ngram_joint + self.slope * evidence
        return joint

    def mask(self, approximate: Array, lengths: npt.ArrayLike) -> Mask:
        """Return which labels of each text the LSTMs score, (n, K): none, or from two to `MAX_LSTM_LABELS`.

        Parameters
        ----------
        approximate : ndarray, (n, K)
            Approximate joint log-probabilities.
        lengths : array_like, (n,)
            Of the texts, in subwords. The gap grows with the length, as LSTM scores add up over a text.
        """
        gaps = self.gap * relative_length(lengths, self.length)
        near: Mask = approximate > approximate.max(axis=1, keepdims=True) - gaps[:, np.newaxis]
        if math.isfinite(self.gap) and near.shape[1] > MAX_LSTM_LABELS:
            near &= np.argsort(np.argsort(-approximate, axis=1, kind="stable"), axis=1) < MAX_LSTM_LABELS
        near &= near.sum(axis=1, keepdims=True) > 1
        return near


def merge(approximate: Array, computed: Array, mask: Mask, likeliest: npt.NDArray[np.intp]) -> Array:
    """Return computed values where the mask is set and approximate ones elsewhere, (n, K).

    LSTM scores are large negative numbers and the approximation is relative. So approximate values are
    shifted by what the computed value of the likeliest label exceeds its approximation.

    Parameters
    ----------
    approximate, computed : ndarray, (n, K)
        Joint log-probabilities of texts, or, as this is linear, the parts of their words.
    mask : ndarray of bool, (n, K)
    likeliest : ndarray of int, (n,)
        The label with the largest approximate joint log-probability of the whole text.
    """
    excess = np.where(mask, computed - approximate, 0.0)
    shift = np.take_along_axis(excess, likeliest[:, np.newaxis], axis=1)
    merged: Array = np.where(mask, computed, approximate + shift)
    return merged


def relative_length(lengths: npt.ArrayLike, usual: float) -> Array:
    """Return by what factor the LSTM scores of texts deviate more than those of a text of usual length, (n,).

    On real text the deviations grow like the square root of the length, and those of long texts like the
    length itself.
    """
    ratio = np.asarray(lengths, dtype=np.float64) / usual
    return np.maximum(ratio, np.sqrt(ratio))
