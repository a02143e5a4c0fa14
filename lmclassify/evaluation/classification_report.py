"""scikit-learn's classification report from counts: no row need be kept, and scikit-learn not imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.errors import printable

_HEADER = ("precision", "recall", "f1-score", "support")


def classification_report(counts: Mapping[tuple[str, str], int], labels: Sequence[str]) -> str:
    """Return what `sklearn.metrics.classification_report` says with 4 digits, 0 where a figure is undefined.

    Parameters
    ----------
    counts : mapping of (str, str) to int
        How many texts have each pair of true and predicted label; at least one.
    labels : sequence of str
        Those to report on: all true ones, and others.
    """
    place = {label: index for index, label in enumerate(labels)}
    right, predicted, true = np.zeros((3, len(labels)), dtype=np.int64)
    elsewhere = 0  # texts that were given none of the labels
    for (of_text, given), count in counts.items():
        true[place[of_text]] += count
        if given in place:
            predicted[place[given]] += count
        else:
            elsewhere += count
        if of_text == given:
            right[place[given]] += count
    figures = _figures(right, predicted, true)
    texts = true.sum()
    overall = _figures(right.sum(), predicted.sum(), texts)
    names = [printable(label) for label in labels]
    width = max(map(len, [*names, "weighted avg"]))

    def line(name: str, *cells: object) -> str:
        shown = [f"{cell:9.4f}" if isinstance(cell, float) else f"{cell:>9}" for cell in cells]
        return " ".join([f"{name:>{width}} ", *shown])

    lines = [line("", *_HEADER), ""]
    lines += [line(name, *row, count) for name, row, count in zip(names, figures.T, true, strict=True)]
    lines += [
        "",
        line("micro avg", *overall, texts) if elsewhere else line("accuracy", "", "", overall[2], texts),
        line("macro avg", *figures.mean(axis=1), texts),
        line("weighted avg", *np.average(figures, axis=1, weights=true), texts),
    ]
    return "\n".join(lines) + "\n"


def _figures(right: Any, predicted: Any, true: Any) -> npt.NDArray[np.float64]:
    """Return precision, recall and F1."""
    result = np.zeros((3, *np.shape(true)))
    for row, (part, whole) in enumerate(((right, predicted), (right, true), (2 * right, predicted + true))):
        np.divide(part, whole, out=result[row, ...], where=whole > 0)
    return result
