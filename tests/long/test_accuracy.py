"""Accuracy of whole fits on real data sets; minutes each."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import run_cli

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("recipe", "name", "min_accuracy"),
    [
        ("plain", "sms_spam", 0.965),
        ("plain", "enron_subjects", 0.88),
        ("tuned", "sms_spam", 0.98),
        ("tuned", "enron_subjects", 0.93),
    ],
)
def test_accuracy_on_held_out_training_data(shared_data, tmp_path, recipe, name, min_accuracy):
    train = shared_data / f"{name}.train.csv"
    kept, held_out = split(train, tmp_path)
    fit = run_cli("fit", kept, "--recipe", recipe, "-q", cwd=tmp_path)
    assert fit.returncode == 0, fit.stderr.decode()
    done = run_cli("evaluate", held_out, "-q", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["accuracy"] >= min_accuracy


def split(path: Path, folder: Path) -> tuple[Path, Path]:
    """Hold out a tenth of the training data. Tests do not use the test data, so that nothing is tuned on them."""
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    parts = folder / "train.csv", folder / "held-out.csv"
    for part, kept in zip(parts, (lambda n: n % 10 != 3, lambda n: n % 10 == 3), strict=True):
        with open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(row for number, row in enumerate(rows) if kept(number))
    return parts
