"""Time, memory and disk space for growing numbers of labels.

``python -m benchmarks.many_labels TRAIN TEST [--labels 2,10,50,150] [--rows 20000]`` takes the texts of the
first N labels, fits the default recipe, labels distinct synthetic texts with `lmclassify predict`, and
prints a Markdown table with a row for each N. Accuracy is that on TEST, without and with ``exact`` (every
LSTM scores every text).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import errors_in_one_line, read_table, select, table_head
from benchmarks.resource_usage import measure_lmclassify
from benchmarks.synthetic_texts import distinct_texts, write_texts
from lmclassify.classify.model import load
from lmclassify.datasets.labelled import LabelledTexts

_COLUMNS = (
    "labels",
    "texts",
    "fit s",
    "fit MB",
    "texts/s",
    "predict MB",
    "disk MB",
    "accuracy",
    "exact",
    "alike",
)


def measure(train: LabelledTexts, test: LabelledTexts, labels: Sequence[str], rows: int) -> list[str]:
    """Return the cells of one row of the table: the model of these labels."""
    own, held_out = (_with_labels(data, labels) for data in (train, test))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_path, new, model = (str(folder / part) for part in ("train.csv", "new.csv", "model"))
        write_texts(train_path, zip(own.texts, own.labels, strict=True))
        write_texts(new, distinct_texts(own.texts, own.labels, rows))
        fit = measure_lmclassify("fit", train_path, "--model", model, "--quiet")
        predict = measure_lmclassify("predict", new, "--model", model, "--quiet", "--output", os.devnull)
        disk = sum(file.stat().st_size for file in Path(model).iterdir()) / 1e6
        fitted = load(model)
        codes = np.searchsorted(fitted.classes_, held_out.labels)
        decided = []
        for fitted.exact in (False, True):
            decided.append(fitted.predict_joint_log_proba(held_out.texts).argmax(axis=1))
    return [
        f"{len(labels):,}",
        f"{len(own.texts):,}",
        f"{fit.seconds:.0f}",
        f"{fit.megabytes:,.0f}",
        f"{rows / predict.seconds:,.0f}",
        f"{predict.megabytes:,.0f}",
        f"{disk:.1f}",
        *(f"{(found == codes).mean():.4f}" for found in decided),
        f"{(decided[0] == decided[1]).mean():.4f}",
    ]


def _with_labels(data: LabelledTexts, labels: Sequence[str]) -> LabelledTexts:
    kept = set(labels)
    return select(data, [index for index, label in enumerate(data.labels) if label in kept])


def _numbers(given: str) -> list[int]:
    return [int(number) for number in given.split(",")]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Time, memory and disk space by number of labels.")
    parser.add_argument("train", help="labelled texts to fit on, CSV")
    parser.add_argument("test", help="labelled texts to measure accuracy on, CSV")
    parser.add_argument(
        "--labels", type=_numbers, default=[2, 10, 50, 150], help="numbers of labels, separated by commas"
    )
    parser.add_argument("--rows", type=int, default=20_000, help="number of texts to label (default: 20000)")
    options = parser.parse_args()
    with errors_in_one_line():
        _print_table(options)


def _print_table(options: argparse.Namespace) -> None:
    train, test = read_table(options.train), read_table(options.test)
    names = list(dict.fromkeys(train.labels))
    print(*table_head(*_COLUMNS), sep="\n", flush=True)
    for count in options.labels:
        print(f"| {' | '.join(measure(train, test, names[:count], options.rows))} |", flush=True)


if __name__ == "__main__":
    main()
