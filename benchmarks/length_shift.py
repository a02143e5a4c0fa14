"""Models of short texts, tried on long ones: as of subject lines, tried on messages.

``python -m benchmarks.length_shift --data FOLDER ...`` reads ``<set>.train.csv`` and ``<set>.test.csv`` of
the sets below, as `other_sets` and ``lmclassify download`` write them. It trains on the first words of the
training texts, predicts the rest of the test texts, and prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import print_progress, read_set
from lmclassify.classify.estimator import LMClassifier
from lmclassify.comparison.baselines import Baseline, complement_naive_bayes, svm
from lmclassify.datasets.labelled import LabelledTexts
from lmclassify.evaluation.metrics import expected_calibration_error

Array = npt.NDArray[np.float64]

SETS = {"newsgroups": 8, "reuters52": 8, "film_reviews": 12, "fortunes": 5, "ag_news7600": 6}
"""Sets, and the number of words that are trained on."""
CHARACTERS = {"chinese_reviews": 8}
"""The same in characters, where words are not separated."""


def cut(data: LabelledTexts, units: int, *, characters: bool, first: bool) -> LabelledTexts:
    """Return the first so many words or characters of texts, or the rest; empty texts are left out."""
    result = LabelledTexts()
    for text, label in zip(data.texts, data.labels, strict=True):
        part = slice(units) if first else slice(units, None)
        piece = text[part] if characters else " ".join(text.split()[part])
        if piece.strip():
            result.texts.append(piece)
            result.labels.append(label)
    return result


def baseline(make: Callable[[], Any]) -> Callable[[LabelledTexts, int], Any]:
    """Return a function that fits and calibrates a baseline."""

    def fit(data: LabelledTexts, seed: int) -> Any:
        return Baseline(make).fit(data.texts, data.labels).calibrate(data.texts, data.labels)

    return fit


def ours(recipe: str) -> Callable[[LabelledTexts, int], Any]:
    """Return a function that fits a recipe."""

    def fit(data: LabelledTexts, seed: int) -> Any:
        return LMClassifier(recipe=recipe, random_state=seed, n_jobs=1).fit(data.texts, data.labels)

    return fit


METHODS: dict[str, Callable[[LabelledTexts, int], Any]] = {
    "lmclassify": ours("tuned"),
    "recipe ngram": ours("ngram"),
    "LinearSVC": baseline(svm),
    "complement naive Bayes": baseline(complement_naive_bayes),
}


def figures(probabilities: Array, classes: Sequence[Any], labels: Sequence[str]) -> list[float]:
    """Return accuracy, log-loss, expected calibration error and mean confidence."""
    index = {str(label): code for code, label in enumerate(classes)}
    codes = np.array([index[label] for label in labels])
    top = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == codes
    loss = -np.log(np.maximum(probabilities[np.arange(len(codes)), codes], 1e-300)).mean()
    return [
        float(correct.mean()),
        float(loss),
        expected_calibration_error(top, correct),
        float(top.mean()),
    ]


def main() -> None:
    """Run all sets and methods, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders with the sets' files")
    parser.add_argument("--sets", nargs="+", default=[*SETS, *CHARACTERS])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| set | trained on | method | accuracy | log-loss | ECE | mean confidence | predict, s |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.sets:
        folder = next(folder for folder in options.data if (folder / f"{name}.train.csv").exists())
        characters, units = name in CHARACTERS, {**SETS, **CHARACTERS}[name]
        train, test = read_set(folder, name)
        train = cut(train, units, characters=characters, first=True)
        test = cut(test, units, characters=characters, first=False)
        for method in options.methods:
            print_progress(f"{name}: {method}")
            fitted = METHODS[method](train, options.seed)
            started = time.process_time()
            probabilities = fitted.predict_proba(test.texts)
            seconds = time.process_time() - started
            found = figures(probabilities, fitted.classes_, test.labels)
            cells = " | ".join(f"{value:.3f}" for value in found)
            unit = "characters" if characters else "words"
            print(f"| {name} | {units} {unit} | {method} | {cells} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
