"""Whole fits on the shared data sets: minutes each."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.conftest import run_cli

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("recipe", "name", "least"),
    [
        ("plain", "sms_spam", 0.965),
        ("plain", "enron_subjects", 0.88),
        ("tuned", "sms_spam", 0.98),
        ("tuned", "enron_subjects", 0.93),
    ],
)
def test_recipes_are_as_good_as_expected(shared_data, tmp_path, recipe, name, least):
    train = shared_data / f"{name}.train.csv"
    validation = _halves(train, tmp_path)
    fit = run_cli("fit", validation[0], "--recipe", recipe, "-q", cwd=tmp_path)
    assert fit.returncode == 0, fit.stderr.decode()
    done = run_cli("evaluate", validation[1], "-q", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["accuracy"] >= least


def _halves(path: Path, folder: Path) -> tuple[Path, Path]:
    """Cut a tenth off the training part: tests must not wear out the test part."""
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    parts = folder / "train.csv", folder / "held-out.csv"
    for part, kept in zip(parts, (lambda n: n % 10 != 3, lambda n: n % 10 == 3), strict=True):
        with open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(row for number, row in enumerate(rows) if kept(number))
    return parts
