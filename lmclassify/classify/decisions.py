"""From posteriors and novelty to a label, or to none: unknown, unsure, costs of mistakes; in numpy.

Shapes: n texts, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmclassify.classify.held_out import log_odds_if_likeliest

Array = npt.NDArray[np.float64]

UNSURE = "unsure"


@dataclass(frozen=True)
class Decisions:
    """How labels are decided. By default: the likeliest."""

    labels: Sequence[str]
    """(K,) their names."""
    positive: int | None = None
    """The label that `positive_log_odds` and `unsure` are about."""
    positive_log_odds: float | None = None
    """The positive label is given where it is the likeliest and from these log-odds on, else the likeliest of
    the others."""
    unsure: tuple[float, float] | None = None
    """Of two labels: the positive one from the upper probability on, the other up to the lower one, `UNSURE`
    between them."""
    min_confidence: float | None = None
    """`UNSURE` where the likeliest label's probability is below this."""
    unknown_label: str | None = None
    """What a text is called whose novelty is above `unknown_threshold`."""
    unknown_threshold: float = np.inf

    def decide(self, log_posteriors: Array, novelty: Array | None = None) -> npt.NDArray[np.object_]:
        """Return a name for each text, (n,): a label's, `UNSURE`, or the unknown label.

        Parameters
        ----------
        log_posteriors : ndarray, (n, K)
        novelty : ndarray, (n,), optional
            Needed with an unknown label.
        """
        names = np.array(self.labels, dtype=object)
        chosen: npt.NDArray[np.object_] = names[log_posteriors.argmax(axis=1)]
        if self.positive is not None and self.positive_log_odds is not None:
            others = log_posteriors.copy()
            others[:, self.positive] = -np.inf
            is_positive = log_odds_if_likeliest(log_posteriors, self.positive) >= self.positive_log_odds
            chosen = names[np.where(is_positive, self.positive, others.argmax(axis=1))]
        if self.min_confidence is not None:
            chosen[np.exp(log_posteriors.max(axis=1)) < self.min_confidence] = UNSURE
        if self.positive is not None and self.unsure is not None:
            probability = np.exp(log_posteriors[:, self.positive])
            low, high = self.unsure
            chosen = names[np.where(probability >= high, self.positive, 1 - self.positive)]
            chosen[(probability > low) & (probability < high)] = UNSURE
        if self.unknown_label is not None:
            assert novelty is not None
            chosen[novelty > self.unknown_threshold] = self.unknown_label
        return chosen
