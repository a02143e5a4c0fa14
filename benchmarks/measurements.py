"""Accuracy, time and memory of whole commands, as a user runs them.

``python -m benchmarks.measurements DATA`` runs ``lmclassify fit``, ``evaluate`` and ``predict`` on the sets
in the folder DATA (``<set>.train.csv`` and ``<set>.test.csv``) and on the bundled sample, and prints a
Markdown table: mean and standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import mean_and_spread, table_head
from benchmarks.resource_usage import measure_lmclassify
from lmclassify.datasets.bundled import bundled_data

_SETS = ("sms_spam", "enron_subjects")


@dataclass(frozen=True)
class Measurement:
    """Figures of one data set and seed."""

    accuracy: float
    macro_f1: float
    log_loss: float
    """Nats."""
    ece: float
    fit_seconds: float
    """Of the whole command, including imports and reading."""
    fit_megabytes: float
    """Peak resident memory."""
    texts_per_second: float
    """Of `predict`, from CSV to CSV, including start-up, on the larger of the two files."""
    predict_megabytes: float


def measure(train: Path, test: Path, seed: int, recipe: str) -> Measurement:
    """Fit on one CSV file, evaluate on another, and predict the larger of the two."""
    with tempfile.TemporaryDirectory() as folder:
        model, output = os.path.join(folder, "model"), os.path.join(folder, "out.csv")
        fit = measure_lmclassify("fit", train, "-o", model, "--seed", seed, "--recipe", recipe, "-q")
        result = measure_lmclassify("evaluate", test, "-m", model, "--format", "json", "-q").output
        larger = max((train, test), key=lambda path: path.stat().st_size)
        predict = measure_lmclassify("predict", larger, "-m", model, "-o", output, "-q")
        with open(output, newline="", encoding="utf-8") as file:
            rows = sum(1 for _ in csv.reader(file)) - 1
    figures = json.loads(result)
    return Measurement(
        accuracy=figures["accuracy"],
        macro_f1=figures["macro_f1"],
        log_loss=figures["log_loss"],
        ece=figures["ece"],
        fit_seconds=fit.seconds,
        fit_megabytes=fit.megabytes,
        texts_per_second=rows / predict.seconds,
        predict_megabytes=predict.megabytes,
    )


def _rows(folder: Path, seeds: Sequence[int], recipe: str) -> Iterator[str]:
    quality = ("accuracy", "macro F1", "log-loss", "ECE")
    yield from table_head("set", "train / test", *quality, "fit s", "fit MB", "predict texts/s", "predict MB")
    sets = [(name, folder / f"{name}.train.csv", folder / f"{name}.test.csv") for name in _SETS]
    sets.append(("bundled", bundled_data("subjects.csv"), bundled_data("emails.csv")))
    for name, train, test in sets:
        runs = [measure(train, test, seed, recipe) for seed in seeds]
        cells = [
            mean_and_spread([run.accuracy for run in runs], 4),
            mean_and_spread([run.macro_f1 for run in runs], 4),
            mean_and_spread([run.log_loss for run in runs], 3),
            mean_and_spread([run.ece for run in runs], 3),
            *(
                f"{statistics.median(values):,.0f}"
                for values in (
                    [run.fit_seconds for run in runs],
                    [run.fit_megabytes for run in runs],
                    [run.texts_per_second for run in runs],
                    [run.predict_megabytes for run in runs],
                )
            ),
        ]
        sizes = " / ".join(f"{_count(path):,}" for path in (train, test))
        yield f"| {name} | {sizes} | " + " | ".join(cells) + " |"


def _count(path: Path) -> int:
    with open(path, newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Accuracy, time and memory of whole commands.")
    parser.add_argument("data", type=Path, help="folder with <set>.train.csv and <set>.test.csv")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default: 3)")
    parser.add_argument("--recipe", default="plain", help="recipe of the models (default: plain)")
    options = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} processors")
    for row in _rows(options.data, range(options.seeds), options.recipe):
        print(row, flush=True)


if __name__ == "__main__":
    main()
