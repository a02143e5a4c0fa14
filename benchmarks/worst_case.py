"""Texts labelled per second where texts resemble the training texts, and where they do not.

``python -m benchmarks.worst_case TRAIN`` fits the default recipe on TRAIN (or takes ``--model``) and labels
distinct texts from CSV to CSV beside a linear SVM, in turn: first texts sampled from word models of the
training texts, then texts of random training words, of which few can be decided by n-grams alone.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.common import (
    errors_in_one_line,
    fit_or_load,
    print_progress,
    read_table,
    table_head,
    write_section,
)
from benchmarks.speed_rows import measure_rows
from benchmarks.synthetic_texts import distinct_texts
from lmclassify.datasets.labelled import LabelledTexts

_COLUMNS = ("texts", "lmclassify texts/s", "SVM texts/s", "ratio")


def random_texts(data: LabelledTexts, rows: int) -> list[str]:
    """Return distinct texts of random words, as long as the training texts."""
    generator = random.Random(0)
    words = sorted({word for text in data.texts for word in text.split()})
    lengths = [len(text.split()) for text in data.texts]
    texts: dict[str, None] = {}
    while len(texts) < rows:
        texts[" ".join(generator.choices(words, k=max(generator.choice(lengths), 1)))] = None
    return list(texts)


def similar_texts(data: LabelledTexts, rows: int) -> list[str]:
    """Return distinct texts sampled from word models of the labels."""
    return [text for text, _ in islice(distinct_texts(data.texts, data.labels, rows), rows)]


KINDS = {"similar": similar_texts, "random words": random_texts}


def measure(
    data: LabelledTexts, model: Path, texts: Iterable[str], folder: Path, repeats: int
) -> list[float]:
    """Return the median rates of lmclassify and of the SVM, and the median of their ratios."""
    path = folder / "rows.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    rates, _ = measure_rows(data, path, {"lmclassify": [str(model)]}, repeats, print_progress)
    ours, theirs = np.array(rates["lmclassify"]), np.array(rates["svm"])
    return [float(np.median(values)) for values in (ours, theirs, ours / theirs)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description="Rows per second for texts like and unlike the training texts."
    )
    parser.add_argument("train", help="labelled texts, CSV")
    parser.add_argument("--model", type=Path, help="model fitted on TRAIN; fitted and kept there if missing")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--into", type=Path, help="also write the table into a section of this Markdown file")
    options = parser.parse_args()
    with errors_in_one_line(), tempfile.TemporaryDirectory() as name:
        data = read_table(options.train)
        model = options.model or Path(name) / "model"
        fit_or_load(model, data, random_state=0)
        lines = table_head(*_COLUMNS)
        print(*lines, sep="\n", flush=True)
        for kind in options.kinds:
            texts = KINDS[kind](data, options.rows)
            ours, theirs, ratio = measure(data, model, texts, Path(name), options.repeats)
            lines.append(f"| {kind} | {ours:,.0f} | {theirs:,.0f} | {ratio:.2f} |")
            print(lines[-1], flush=True)
        if options.into:
            write_section("worst_case", lines, options.into)


if __name__ == "__main__":
    main()
