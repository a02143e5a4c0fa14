"""scikit-learn's classification report from counts: without scikit-learn and without keeping rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len

from lmclassify.errors import counted, plural
from lmclassify.text.display import share_digits, shown

MAX_LABELS = 50
"""Labels of a report: one or two screens. Of more, those that occur are shown."""
_LONGEST_NAME = 38
"""Columns for a label: 80 less those of the figures."""
_HEADER = ("precision", "recall", "f1-score", "support")


def reported_labels(texts: Mapping[str, int], most: int = MAX_LABELS) -> list[str]:
    """Return which labels a report shows: all if they are few, else the most frequent ones that occur.

    Parameters
    ----------
    texts : mapping of str to int
        Number of texts that have or got each label; the result has the same order.
    most : int, optional
    """
    if len(texts) <= most:
        return list(texts)
    occurring = sorted((label for label in texts if texts[label]), key=lambda label: (-texts[label], label))
    chosen = {*occurring[:most]}
    return [label for label in texts if label in chosen]


def classification_report(counts: Mapping[tuple[str, str], int], labels: Sequence[str]) -> str:
    """Return the text of `sklearn.metrics.classification_report` with ``zero_division=0``.

    It has 2 to 4 digits, as many as the number of texts supports.

    The macro average is that of the labels which a text has or got: so scikit-learn averages unless labels
    are named. Of more than `MAX_LABELS` labels, only those that occur have a row; a line says how many are
    left out.

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
    occurs = true + predicted > 0
    texts = true.sum()
    overall = _metrics(right.sum(), predicted.sum(), texts)
    reported = reported_labels(dict(zip(labels, (true + predicted).tolist(), strict=True)))
    names = {label: shown(label, _LONGEST_NAME) for label in reported}
    digits = share_digits(int(texts))
    width = max(map(cell_len, [*names.values(), "weighted avg"]))

    def line(name: str, *cells: object) -> str:
        shown_cells = [f"{cell:9.{digits}f}" if isinstance(cell, float) else f"{cell:>9}" for cell in cells]
        return " ".join([f"{' ' * (width - cell_len(name))}{name} ", *shown_cells])

    lines = [line("", *_HEADER), ""]
    lines += [line(names[label], *metrics.T[row_of[label]], true[row_of[label]]) for label in reported]
    total = ("micro avg", *overall) if has_other_labels else ("accuracy", "", "", overall[2])
    lines += [
        "",
        line(*total, texts),
        line("macro avg", *metrics[:, occurs].mean(axis=1), texts),
        line("weighted avg", *np.average(metrics, axis=1, weights=true), texts),
    ]
    note = _note(len(labels), len(reported), int(occurs.sum()))
    lines += ["", note] if note else []
    return "\n".join(lines) + "\n"


def _note(labels: int, reported: int, occurring: int) -> str:
    """Return a line about the labels that have no row or do not occur; empty if there are none."""
    absent = labels - occurring
    kinds = (
        [f"{absent:,} that {plural(absent, 'does', 'do')} not occur"] if absent and reported < labels else []
    )
    kinds += [f"{occurring - reported:,} with fewer texts"] if reported < occurring else []
    parts = [f"not shown: {' and '.join(kinds)}"] if kinds else []
    if absent:
        mean_of = f"the {counted(occurring, 'label')} that {plural(occurring, 'occurs', 'occur')}"
        parts.append(f"macro avg is the mean of {mean_of}, as a true or predicted one")
    elif parts:
        parts.append(f"macro avg is the mean of all {labels:,} labels")
    return "; ".join(parts)


def _metrics(right: Any, predicted: Any, true: Any) -> npt.NDArray[np.float64]:
    """Return precision, recall and F1."""
    result = np.zeros((3, *np.shape(true)))
    for row, (part, whole) in enumerate(((right, predicted), (right, true), (2 * right, predicted + true))):
        np.divide(part, whole, out=result[row, ...], where=whole > 0)
    return result
