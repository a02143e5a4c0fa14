"""Changing a model, compared with fitting it again."""

import pytest

from benchmarks.common import fit_or_load
from benchmarks.incremental import (
    measure_corrections,
    measure_growth,
    measure_label,
    measure_single_corrections,
)
from lmclassify.datasets.labelled import LabelledTexts
from tests.conftest import TUNED, bundled


def fit_small(folder, data, **parameters):
    return fit_or_load(folder, data, **{**TUNED, **parameters})


def texts(limit, *, third=False):
    found, labels = bundled(limit=limit)
    if third:
        labels = ["x" if index % 3 == 0 else label for index, label in enumerate(labels)]
    return LabelledTexts(found, labels)


@pytest.mark.long
def test_added_label(tmp_path):
    lines = measure_label(texts(150, third=True), texts(60, third=True), tmp_path, 1, fit_small)
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "before",
        "added, with kept texts of the others",
        "added, with sampled texts of the others",
        "fitted again",
    ]
    assert lines[2].split("|")[3].strip() == "0.000"


@pytest.mark.long
def test_corrections(tmp_path):
    data = texts(150), texts(60)
    lines = measure_corrections(*data, tmp_path, 1, fit_small, num_reserve=40, max_corrections=3)
    assert lines[0].startswith("| 3 corrections, ")
    on_corrected = [float(line.split("|")[3]) for line in lines[2:]]
    assert on_corrected[0] == 0.0
    assert on_corrected[1] > 0.0


@pytest.mark.long
def test_single_corrections(tmp_path):
    test = texts(60)
    flipped = ["ham" if label == "spam" else "spam" for label in test.labels[:2]]
    test = LabelledTexts(test.texts, [*flipped, *test.labels[2:]])
    lines = measure_single_corrections(texts(150), test, tmp_path, 1, fit_small, max_corrections=2)
    assert lines[0].startswith("| single corrections |")
    assert float(lines[2].split("|")[2]) == 1.0


def test_growth(tmp_path):
    lines = measure_growth(texts(150), texts(60), tmp_path, 1, first=60, sizes=[20])
    assert [line.split("|")[1].strip() for line in lines] == [
        "60 texts, then", "---", "none", "20 taught", "20, fitted again",
    ]  # fmt: skip
    assert all(0.5 < float(line.split("|")[2]) <= 1.0 for line in lines[2:])
    assert lines[2] != lines[3]
