from __future__ import annotations

import pytest

from lmclassify.comparison.plots import plot_learning_curves
from tests.comparison.samples import record


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.svg", b"<?xml"),
        pytest.param("a.png", b"\x89PNG\r\n", marks=pytest.mark.long),
        pytest.param("a.pdf", b"%PDF", marks=pytest.mark.long),
    ],
)
def test_learning_curves(tmp_path, name, start):
    records = [
        record(method, 0.5 + number / 10, 0.7, size=size, training_texts=texts, seed=seed)
        for method in ("lmclassify", "svm", "plain")
        for number, (size, texts) in enumerate([(20, 20), ("all", 100)])
        for seed in (0, 1)
    ]
    plot_learning_curves(records, str(tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(start)


def test_learning_curves_of_one_size_and_an_odd_name(tmp_path):
    plot_learning_curves([record("svm", data="$odd_{name.csv")], str(tmp_path / "one.svg"))
    assert "$odd_{name.csv" in (tmp_path / "one.svg").read_text(encoding="utf-8")
