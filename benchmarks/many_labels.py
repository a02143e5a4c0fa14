"""How time, memory and disk grow with the number of labels.

``python -m benchmarks.many_labels TRAIN TEST [--labels 2,10,50,150] [--rows 20000]`` fits the default
recipe to the texts of the first so many labels, labels distinct texts like them by `lmclassify predict`, and
prints a Markdown table. Accuracy is that on TEST, also where every label's language model is asked about
every text.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.resource_usage import cost_of_program
from benchmarks.synthetic_texts import distinct_texts, write_texts
from lmclassify.classify.model import load
from lmclassify.datasets.labelled import LabelledTexts, read_tables
from lmclassify.errors import LMClassifyError

_HEADER = "| labels | texts | fit s | fit MB | texts/s | predict MB | disk MB | accuracy | exact | alike |"


def measure(train: LabelledTexts, test: LabelledTexts, labels: Sequence[str], rows: int) -> list[str]:
    """Return one row of the table, for the texts of some labels."""
    own, told = _only(train, labels), _only(test, labels)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        learnt, new, model = (str(folder / part) for part in ("train.csv", "new.csv", "model"))
        write_texts(learnt, zip(own.texts, own.labels, strict=True))
        write_texts(new, distinct_texts(own.texts, own.labels, rows))
        fit = cost_of_program("fit", learnt, "--model", model, "--quiet")
        predict = cost_of_program("predict", new, "--model", model, "--quiet", "--output", os.devnull)
        disk = sum(file.stat().st_size for file in Path(model).iterdir()) / 1e6
        fitted = load(model)
        codes = np.searchsorted(fitted.classes_, told.labels)
        decided = []
        for fitted.exact in (False, True):
            decided.append(fitted.predict_joint_log_proba(told.texts).argmax(axis=1))
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


def _only(texts: LabelledTexts, labels: Sequence[str]) -> LabelledTexts:
    kept = set(labels)
    pairs = [(text, label) for text, label in zip(texts.texts, texts.labels, strict=True) if label in kept]
    return LabelledTexts([text for text, _ in pairs], [label for _, label in pairs])


def _silent(_: str) -> None:
    """Say nothing: standard output is for the table."""


def _numbers(given: str) -> list[int]:
    return [int(number) for number in given.split(",")]


def main() -> None:
    """Print the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument(
        "--labels", type=_numbers, default=[2, 10, 50, 150], help="how many, separated by commas"
    )
    parser.add_argument("--rows", type=int, default=20_000, help="texts to label for speed and memory")
    given = parser.parse_args()
    try:
        _print_table(given)
    except (LMClassifyError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")


def _print_table(given: argparse.Namespace) -> None:
    train, test = (read_tables([path], say=_silent) for path in (given.train, given.test))
    names = list(dict.fromkeys(train.labels))
    print(f"{_HEADER}\n|{'---|' * (_HEADER.count('|') - 1)}", flush=True)
    for count in given.labels:
        print(f"| {' | '.join(measure(train, test, names[:count], given.rows))} |", flush=True)


if __name__ == "__main__":
    main()
