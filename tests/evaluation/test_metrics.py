from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lmclassify.classify.decisions import Decisions
from lmclassify.evaluation.metrics import evaluate, expected_calibration_error

TRUE = ["a", "a", "b", "b"]
LOG_POSTERIORS = np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]]))


def test_metrics_computed_by_hand():
    result = evaluate(TRUE, LOG_POSTERIORS, Decisions(["a", "b"]), {"a": 12.5, "b": math.inf})
    assert result.accuracy == 0.75
    assert result.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert result.log_loss == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean())
    assert result.confusion_matrix == [[1, 1], [0, 2]]
    assert result.ece == pytest.approx((0.1 + 0.6 + 0.2 + 0.3) / 4)
    assert result.per_label["a"]["recall"] == 0.5
    text = result.to_text()
    assert "accuracy   75%, 95% interval 30% to 95%" in text
    assert "baseline   always a: 50%" in text
    assert "not clearly better than always a: 50%" in text
    assert "a 12.5, b inf" in " ".join(text.split())
    again = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert again["perplexity"] == {"a": 12.5, "b": None}


@pytest.mark.parametrize(("texts", "shares"), [(1, [1]), (2, [1, 0.5]), (4, [1, 0.75, 0.5])])
def test_no_row_of_coverage_comes_twice(texts, shares):
    result = evaluate(TRUE[:texts], LOG_POSTERIORS[:texts], Decisions(["a", "b"]))
    assert [point["coverage"] for point in result.coverage] == shares


def test_macro_f1_leaves_out_labels_that_do_not_occur():
    log_posteriors = np.log(np.array([[0.9, 0.05, 0.05], [0.3, 0.6, 0.1]]))
    result = evaluate(["a", "a"], log_posteriors, Decisions(["a", "b", "c"]))
    assert result.macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    assert list(result.per_label) == ["a", "b", "c"]


def test_a_label_that_the_model_lacks_counts_as_wrong():
    result = evaluate(["a", "c"], LOG_POSTERIORS[:2], Decisions(["a", "b"]))
    assert result.labels == ["a", "b", "c"]
    assert result.accuracy == 0.5
    assert result.log_loss == math.inf
    assert result.to_dict()["log_loss"] is None


def test_labels_that_look_like_report_rows_or_control_a_terminal():
    result = evaluate(
        ["accuracy", "accuracy", "b\x1b[31m"], LOG_POSTERIORS[:3], Decisions(["accuracy", "b\x1b[31m"])
    )
    assert result.per_label["accuracy"]["support"] == 2
    assert "\x1b" not in result.to_text()
    assert "b\\x1b[31m" in result.to_text()


def test_expected_calibration_error_uses_15_bins():
    top = np.array([0.81, 0.85, 0.99, 1.0])  # bins 12, 12, 14, 14
    correct = np.array([True, False, True, True])
    gaps = abs(1 - 1.66) + abs(2 - 1.99)
    assert expected_calibration_error(top, correct) == pytest.approx(gaps / 4)
