"""Robustness to disguised spam: accuracy on perturbed test texts, compared with other classifiers.

``python -m benchmarks.robustness FOLDER`` fits on ``<set>.train.csv`` in the folder, disguises the spam of
``<set>.test.csv`` (`benchmarks.perturbations`) at rising rates, and prints Markdown tables. Each finished
method is a line of the file that ``--results`` names and is not run again. ``--validation`` measures on a
fifth of the training data instead; use it to make choices.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import append_record, fit_or_load, print_progress, read_records, read_set, select
from benchmarks.perturbations import CHANGES, padding, typical_words
from lmclassify import __version__
from lmclassify.comparison.methods import METHODS, Setup, choose_methods
from lmclassify.comparison.splits import stratified_folds
from lmclassify.datasets.labelled import LabelledTexts

SETS = ("sms_spam", "enron_subjects")
OURS, WITHOUT_VARIANTS = "lmclassify", "lmclassify, disguised_label none"
BASELINES = ("svm", "nb", "fasttext")
RATES: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(CHANGES, (0.1, 0.25, 0.5, 1.0)),
    "padding": (2, 5, 10, 20),
}
"""Shares of characters or words that are changed; for padding, numbers of words added."""
_VALIDATION_FOLDS = 5

Predict = Callable[[list[str]], npt.NDArray[Any]]
Case = tuple[str, float]


def disguise(
    data: LabelledTexts,
    positive: str,
    padding_words: Sequence[str],
    perturbation: str,
    rate: float,
    seed: int,
) -> list[str]:
    """Return the texts, those of one label disguised."""
    rng = random.Random(f"{perturbation} {rate} {seed}")

    def change(text: str) -> str:
        if perturbation == "padding":
            return padding(text, round(rate), padding_words, rng)
        return CHANGES[perturbation](text, rate, rng)

    return [
        change(text) if label == positive else text
        for text, label in zip(data.texts, data.labels, strict=True)
    ]


def measure(
    predict: Predict, data: LabelledTexts, positive: str, padding_words: Sequence[str], seed: int
) -> dict[str, list[float]]:
    """Return the accuracy on unchanged texts ("none") and, for each perturbation, at each rate."""
    true = np.array(data.labels)

    def accuracy(texts: list[str]) -> float:
        return float((predict(texts) == true).mean())

    return {"none": [accuracy(data.texts)]} | {
        name: [accuracy(disguise(data, positive, padding_words, name, rate, seed)) for rate in rates]
        for name, rates in RATES.items()
    }


def predictors(
    training: LabelledTexts, model: Path, setup: Setup, names: Sequence[str]
) -> Iterator[tuple[str, Predict]]:
    """Fit the methods one after the other; yield the name and prediction function of each."""
    for name in names:
        if name == WITHOUT_VARIANTS:
            continue
        if name != OURS:
            classifier = METHODS[name].build(setup).fit(training.texts, training.labels)
            yield name, _by_probability(classifier)
            continue
        ours = fit_or_load(model, training, random_state=0, n_jobs=setup.threads).model_
        yield name, ours.predict
        settings = replace(ours.settings, disguised_label="none")
        yield WITHOUT_VARIANTS, replace(ours, settings=settings).predict


def _by_probability(classifier: Any) -> Predict:
    def predict(texts: list[str]) -> npt.NDArray[Any]:
        labels: npt.NDArray[Any] = np.asarray(classifier.classes_)
        found: npt.NDArray[Any] = labels[np.argmax(classifier.predict_proba(texts), axis=1)]
        return found

    return predict


def tables(records: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table per data set: accuracies and their changes in percentage points."""
    lines = []
    for name in dict.fromkeys(record["set"] for record in records):
        found = {record["method"]: record["accuracy"] for record in records if record["set"] == name}
        lines += [f"**{name}**", "", f"| perturbation | rate | {' | '.join(found)} | target |"]
        lines.append("|---" * (len(found) + 3) + "|")
        clean = " | ".join(f"{accuracy['none'][0]:.4f}" for accuracy in found.values())
        lines.append(f"| none | | {clean} | |")
        for perturbation, rates in RATES.items():
            for index, rate in enumerate(rates):
                losses = {
                    method: 100 * (accuracy["none"][0] - accuracy[perturbation][index])
                    for method, accuracy in found.items()
                }
                cells = [
                    f"{found[method][perturbation][index]:.4f} ({-loss:+.2f})"
                    for method, loss in losses.items()
                ]
                lines.append(f"| {perturbation} | {rate:g} | {' | '.join(cells)} | {_target(losses)} |")
        lines.append("")
    return "\n".join(lines)


def _target(losses: dict[str, float]) -> str:
    """Return "reached" if lmclassify loses less than half of what the best baseline loses.

    If that baseline loses nothing, lmclassify must lose nothing either.
    """
    baselines = [loss for name, loss in losses.items() if name in BASELINES]
    if OURS not in losses or not baselines:
        return ""
    best = min(baselines)
    reached = losses[OURS] < best / 2 if best > 0 else losses[OURS] <= 0
    return "reached" if reached else "missed"


def _training_and_test(folder: Path, name: str, validation: bool) -> tuple[LabelledTexts, LabelledTexts]:
    training, test = read_set(folder, name)
    if not validation:
        return training, test
    folds = stratified_folds(training.labels, _VALIDATION_FOLDS, np.random.default_rng(0))
    kept, held_out = (np.flatnonzero(chosen).tolist() for chosen in (folds != 0, folds == 0))
    return select(training, kept), select(training, held_out)


def main() -> None:
    """Run the methods that the results file lacks, and print the tables."""
    parser = argparse.ArgumentParser(description="Robustness of classifiers to disguised spam.")
    parser.add_argument("folder", type=Path, help="folder with <set>.train.csv and <set>.test.csv")
    parser.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET", help="names of data sets")
    parser.add_argument(
        "--methods", nargs="+", default=[OURS, *BASELINES], metavar="METHOD", help="names of methods"
    )
    parser.add_argument("--positive", default="spam", help="the label that is disguised (default: spam)")
    parser.add_argument("--validation", action="store_true", help="measure on a fifth of the training data")
    parser.add_argument("--models", type=Path, required=True, help="folder to keep models in")
    parser.add_argument(
        "--results", type=Path, required=True, help="JSON Lines file to append finished runs to"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of perturbations and baselines (default: 0)"
    )
    parser.add_argument("--threads", type=int, default=1, help="number of threads (default: 1)")
    options = parser.parse_args()
    methods = [method.key for method in choose_methods(options.methods)]
    key = {"version": __version__, "validation": options.validation, "seed": options.seed}
    records = [record for record in read_records(options.results) if key.items() <= record.items()]
    for name in options.sets:
        done = {record["method"] for record in records if record["set"] == name}
        training, test = _training_and_test(options.folder, name, options.validation)
        padding_words = typical_words(
            training.texts, training.labels, _other(training.labels, options.positive)
        )
        model = options.models / (f"{name}.validation" if options.validation else name)
        setup = Setup(options.seed, options.threads, "cpu")
        missing = [method for method in methods if method not in done]
        for method, predict in predictors(training, model, setup, missing):
            print_progress(f"{name}, {method}")
            accuracy = measure(predict, test, options.positive, padding_words, options.seed)
            record = {**key, "set": name, "method": method, "texts": len(test.texts), "accuracy": accuracy}
            append_record(options.results, record)
            records.append(record)
    order = [OURS, WITHOUT_VARIANTS, *METHODS]
    wanted = [record for record in records if record["set"] in options.sets]
    print(tables(sorted(wanted, key=lambda r: (options.sets.index(r["set"]), order.index(r["method"])))))


def _other(labels: Sequence[str], positive: str) -> str:
    """Return the most frequent of the other labels."""
    others = [label for label in labels if label != positive]
    return max(sorted(set(others)), key=others.count)


if __name__ == "__main__":
    main()
