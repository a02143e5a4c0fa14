"""Predictions in a table that people read."""

from __future__ import annotations

import numpy as np

from lmclassify.prediction.readable_table import MAX_COLUMNS, is_shortened, likeliest_labels
from lmclassify.tables.rows import Rows


def labelled(probabilities: list[list[float]], predicted: list[str]) -> Rows:
    values = np.array(probabilities).T
    columns = {f"p_{'abcdef'[number]}": column for number, column in enumerate(values)}
    novelty = np.arange(len(predicted), dtype=float)
    cells = [[str(number)] for number in range(len(predicted))]
    return Rows(["id"], cells, added={"predicted_label": predicted, **columns, "novelty": novelty})


def test_of_many_labels_the_likeliest_are_shown():
    one, missing = [0.1, 0.6, 0.05, 0.2, 0.03, 0.02], [np.nan] * 6
    rows = likeliest_labels(labelled([one, one, one, missing], ["b", "a", "unsure", ""]), list("abcdef"))
    assert rows.names == ["id", "predicted_label", "probability", "other_labels", "novelty"]
    assert rows.added["probability"] == ["0.6000", "0.1000", "", ""]
    assert rows.added["other_labels"] == [
        "d 0.2000, a 0.1000",
        "b 0.6000, d 0.2000",
        "b 0.6000, d 0.2000",
        "",
    ]
    assert is_shortened(list("abcdef"))


def test_few_labels_have_a_column_each():
    labels = list("abcdef")[:MAX_COLUMNS]
    rows = labelled([[0.25] * MAX_COLUMNS], ["a"])
    assert likeliest_labels(rows, labels) is rows
    assert not is_shortened(labels)
