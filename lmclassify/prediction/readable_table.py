"""Predictions in a table that people read: of many labels, only the likeliest ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmclassify.tables.rows import Column, Rows

MAX_COLUMNS = 4
"""Labels with a column of probabilities: more make a line too long for a terminal."""
_OTHERS = 2
"""Labels named beside the predicted one: the rest are rarely of interest."""


def is_shortened(labels: Sequence[str]) -> bool:
    """Return whether `likeliest_labels` leaves out probabilities."""
    return len(labels) > MAX_COLUMNS


def likeliest_labels(rows: Rows, labels: Sequence[str]) -> Rows:
    """Return labelled rows with the probability of the predicted label and the other likeliest labels.

    These replace the columns ``p_<label>``, unless there are few. The probability of a prediction that is no
    label of the model, such as "unsure", is empty.

    Parameters
    ----------
    rows : Rows
        From `lmclassify.prediction.labelling.TableLabeller.label`.
    labels : sequence of str
        Labels of the model.
    """
    if not is_shortened(labels):
        return rows
    code_of = {label: code for code, label in enumerate(labels)}
    predicted = [str(label) for label in rows.added["predicted_label"]]
    probabilities = np.array([rows.added[f"p_{label}"] for label in labels], dtype=np.float64).T
    own, others = [], []
    for label, row in zip(predicted, probabilities, strict=True):
        code = code_of.get(label)
        own.append("" if code is None else f"{row[code]:.4f}")
        likeliest = [] if not label else np.argsort(-row, kind="stable")[: _OTHERS + 1].tolist()
        named = [other for other in likeliest if other != code][:_OTHERS]
        others.append(", ".join(f"{labels[other]} {row[other]:.4f}" for other in named))
    added: dict[str, Column] = {"predicted_label": predicted, "probability": own, "other_labels": others}
    if "novelty" in rows.added:
        added["novelty"] = rows.added["novelty"]
    return Rows(rows.columns, rows.cells, rows.first, added, rows.original, rows.stray)
