"""The texts that a model got most confidently wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mistake:
    """A text that was given another label than its own."""

    text: str
    true: str
    predicted: str
    probability: float
    """Of the predicted label."""
    times: int
    """Rows that say the same and were mistaken the same way."""


def worst_mistakes(
    texts: Sequence[str],
    true: Sequence[str],
    predicted: Sequence[str],
    log_posteriors: Array,
    labels: Sequence[str],
    n: int,
) -> list[Mistake]:
    """Return the texts whose wrong label is most probable, worst first.

    Texts that were left unsure, or taken for unknown, are none.

    Parameters
    ----------
    texts, true, predicted : sequence of str, (n,)
    log_posteriors : ndarray, (n, K)
    labels : sequence of str, (K,)
    n : int
        How many different ones at most.
    """
    place = {label: code for code, label in enumerate(labels)}
    codes = np.array([place.get(label, -1) for label in predicted], dtype=np.intp)
    truth = np.array([place.get(label, -2) for label in true], dtype=np.intp)
    wrong = np.flatnonzero((codes >= 0) & (codes != truth))
    confidence = log_posteriors[wrong, codes[wrong]]
    found: dict[tuple[str, str, str], list[int]] = {}
    for row in wrong[np.argsort(-confidence, kind="stable")].tolist():
        found.setdefault((texts[row], true[row], predicted[row]), []).append(row)
    return [
        Mistake(*what, float(np.exp(log_posteriors[rows[0], codes[rows[0]]])), len(rows))
        for what, rows in list(found.items())[:n]
    ]
