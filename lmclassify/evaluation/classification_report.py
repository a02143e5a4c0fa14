"""scikit-learn's classification report from counts: without scikit-learn and without keeping rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.errors import printable

_HEADER = ("precision", "recall", "f1-score", "support")


def classification_report(counts: Mapping[tuple[str, str], int], labels: Sequence[str]) -> str:
    """Return the text of `sklearn.metrics.classification_report` with 4 digits and ``zero_division=0``.

    Parameters
    ----------
    counts : mapping of (str, str) to int
        Number of texts by true and predicted label; at least one text.
    labels : sequence of str
        Rows of the report: all true labels, possibly others.
    """
    row_of = {label: row for row, label in enumerate(labels)}
    right, predicted, true = np.zeros((3, len(labels)), dtype=np.int64)
    has_other_labels = False  # predictions such as "unsure", which are not in `labels`
    for (true_label, predicted_label), count in counts.items():
        true[row_of[true_label]] += count
        if predicted_label in row_of:
            predicted[row_of[predicted_label]] += count
        else:
            has_other_labels = True
        if true_label == predicted_label:
            right[row_of[true_label]] += count
    metrics = _metrics(right, predicted, true)
    texts = true.sum()
    overall = _metrics(right.sum(), predicted.sum(), texts)
    names = [printable(label) for label in labels]
    width = max(map(len, [*names, "weighted avg"]))

    def line(name: str, *cells: object) -> str:
        shown = [f"{cell:9.4f}" if isinstance(cell, float) else f"{cell:>9}" for cell in cells]
        return " ".join([f"{name:>{width}} ", *shown])

    lines = [line("", *_HEADER), ""]
    lines += [line(name, *row, count) for name, row, count in zip(names, metrics.T, true, strict=True)]
    total = ("micro avg", *overall) if has_other_labels else ("accuracy", "", "", overall[2])
    lines += [
        "",
        line(*total, texts),
        line("macro avg", *metrics.mean(axis=1), texts),
        line("weighted avg", *np.average(metrics, axis=1, weights=true), texts),
    ]
    return "\n".join(lines) + "\n"


def _metrics(right: Any, predicted: Any, true: Any) -> npt.NDArray[np.float64]:
    """Return precision, recall and F1."""
    result = np.zeros((3, *np.shape(true)))
    for row, (part, whole) in enumerate(((right, predicted), (right, true), (2 * right, predicted + true))):
        np.divide(part, whole, out=result[row, ...], where=whole > 0)
    return result
