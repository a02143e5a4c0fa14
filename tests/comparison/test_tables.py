"""Tables, comparisons in words and JSON."""

from __future__ import annotations

import json

import pytest

from lmclassify.comparison.tables import summarise, to_dict, to_text, verdicts
from tests.comparison.samples import record


def test_means_standard_deviations_and_the_best():
    records = [
        record("svm", 0.80, 0.40),
        record("svm", 0.90, 0.50, seed=1),
        record("lmclassify", 0.85, 0.30),
        record("nb", figures=None, error="ValueError: x"),
        record("svm", 0.5, 0.7, size=20, training_texts=20),
    ]
    small, whole = summarise(records)
    assert (small.size, whole.size) == (20, "all")
    assert [row.method for row in whole.rows] == ["lmclassify", "svm", "nb"]
    svm = whole.rows[1]
    assert svm.figures["accuracy"].mean == pytest.approx(0.85)
    assert svm.figures["accuracy"].std == pytest.approx(0.0707, abs=1e-4)
    assert whole.rows[0].figures["accuracy"].std is None
    assert verdicts(small) == []
    assert verdicts(whole) == [
        "lmclassify, accuracy: equal to svm at 0.8500",
        "lmclassify, log-loss: ahead of the best baseline, svm, by 0.1500 (0.3000 against 0.4500)",
    ]
    text = to_text(records)
    assert "folder/mail.train.csv, 2 labels, tested on folder/mail.test.csv (50 texts)" in text
    assert "all 100 training texts" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["lmclassify", "0.85*", "±", "–", "0.85*", "±", "–", "0.30*", "±", "–"] in [
        line[:10] for line in lines
    ]
    assert "Mean ± standard deviation" in text
    narrow = to_text(records, width=60)
    assert ["lmclassify", "0.85*", "0.85*", "0.30*"] in [line.split()[:4] for line in narrow.splitlines()]
    assert "±" not in narrow
    assert "nb          failed: ValueError: x" in text
    assert "ran once: svm, nb" in text


def test_verdict_if_lmclassify_is_behind():
    (block,) = summarise([record("lmclassify", 0.80, 0.5), record("svm", 0.9, 0.2), record("nb", 0.7, 0.1)])
    assert verdicts(block) == [
        "lmclassify, accuracy: behind the best baseline, svm, by 0.1000 (0.8000 against 0.9000)",
        "lmclassify, log-loss: behind the best baseline, nb, by 0.4000 (0.5000 against 0.1000)",
    ]


def test_json():
    result = json.loads(
        json.dumps(to_dict([record("lmclassify"), record("svm", 0.8)], notes=["n"], waiting=3))
    )
    assert set(result) == {
        "data", "test", "folds", "labels", "sizes", "notes", "runs_not_done", "runs",
    }  # fmt: skip
    (size,) = result["sizes"]
    assert set(size) == {"size", "training_texts", "rows", "verdicts"}
    assert size["rows"][0] == {
        "method": "lmclassify",
        "runs": 1,
        "figures": {
            "accuracy": {"mean": 0.9, "std": None},
            "macro_f1": {"mean": 0.9, "std": None},
            "log_loss": {"mean": 0.3, "std": None},
            "ece": {"mean": 0.1, "std": None},
            "fit_seconds": {"mean": 1.25, "std": None},
            "texts_per_second": {"mean": 1234.5, "std": None},
            "peak_megabytes": {"mean": 100.0, "std": None},
        },
        "errors": [],
        "best_in": [
            "accuracy", "macro_f1", "log_loss", "ece", "fit_seconds", "texts_per_second", "peak_megabytes",
        ],
    }  # fmt: skip
    assert result["runs"][1]["method"] == "svm"
    assert result["runs_not_done"] == 3
