"""The mistakes that a model made with the highest probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mistake:
    """A text with a wrong predicted label."""

    text: str
    true: str
    predicted: str
    probability: float
    """Of the predicted label."""
    times: int
    """Number of rows with this text, true label and predicted label."""


def worst_mistakes(
    texts: Sequence[str],
    true: Sequence[str],
    predicted: Sequence[str],
    log_posteriors: Array,
    labels: Sequence[str],
    n: int,
) -> list[Mistake]:
    """Return the texts with the most probable wrong labels, most probable first.

    Texts that are unsure or got the unknown label are not mistakes.

    Parameters
    ----------
    texts, true, predicted : sequence of str, (n,)
    log_posteriors : ndarray, (n, K)
    labels : sequence of str, (K,)
    n : int
        Maximum number of different mistakes.
    """
    code_of = {label: code for code, label in enumerate(labels)}
    codes = np.array([code_of.get(label, -1) for label in predicted], dtype=np.intp)
    truth = np.array([code_of.get(label, -2) for label in true], dtype=np.intp)
    wrong = np.flatnonzero((codes >= 0) & (codes != truth))
    confidence = log_posteriors[wrong, codes[wrong]]
    rows_of: dict[tuple[str, str, str], list[int]] = {}
    for row in wrong[np.argsort(-confidence, kind="stable")].tolist():
        rows_of.setdefault((texts[row], true[row], predicted[row]), []).append(row)
    return [
        Mistake(*key, float(np.exp(log_posteriors[rows[0], codes[rows[0]]])), len(rows))
        for key, rows in list(rows_of.items())[:n]
    ]
