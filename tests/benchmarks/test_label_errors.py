"""Made label errors and the measures of how many are found."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.label_errors import other_orders, quality, rows_of_table, with_errors
from lmclassify.check.label_errors import CrossFit


def test_labels_are_changed_to_other_ones():
    labels = ["a", "b", "c", "a"] * 50
    wrong, changed = with_errors(labels, 0.1, np.random.default_rng(0))
    assert changed.sum() == 20
    assert [one != other for one, other in zip(wrong, labels, strict=True)] == changed.tolist()
    assert set(wrong) == {"a", "b", "c"}


def test_quality():
    changed = np.array([True, False, True, False])
    assert quality(np.array([0.9, 0.1, 0.8, 0.2]), changed) == {"ap": 1.0, "recall": 1.0}
    assert quality(np.array([0.9, 0.8, 0.1, 0.2]), changed) == {"ap": 0.75, "recall": 0.5}


def test_other_orders_agree_for_two_equally_sure_labels():
    posteriors = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]])
    orders = other_orders(CrossFit(["a", "b"], np.array([0, 1, 1, 0]), np.log(posteriors)))
    assert len(orders) == 4
    for order in orders.values():
        assert order[:2] == pytest.approx(order[0])
        assert order[2:] == pytest.approx(order[2])
        assert order[2] > order[0]


def test_table_has_the_mean_of_the_seeds():
    records = [
        {
            "set": "sms",
            "rate": 0.05,
            "figures": {"check": {"ap": ap, "recall": 0.5}, "other": {"ap": 0.2, "recall": 0.6}},
        }
        for ap in (0.8, 0.9)
    ]
    head, _, line = rows_of_table(records, 0.05)
    assert head == "| set | check, AP | other, AP | check, recall | other, recall |"
    assert line == "| sms | **0.850 ± 0.071** | 0.200 ± 0.000 | 0.500 ± 0.000 | **0.600 ± 0.000** |"
