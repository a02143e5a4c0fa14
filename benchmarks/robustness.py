"""What spammers' tricks cost: accuracy where the spam of a test part is disguised, beside other classifiers.

``python -m benchmarks.robustness FOLDER`` learns from ``<set>.train.csv`` in the folder, disguises the
spam of ``<set>.test.csv`` (`benchmarks.perturbations`) at rising rates, and prints Markdown tables.
Finished methods are lines of the file ``--results`` names, and are not run again. ``--validation`` tries on a
fifth of the training part instead: for choosing anything.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.incremental import fitted
from benchmarks.perturbations import CHANGES, padding, typical_words
from lmclassify import __version__
from lmclassify.comparison.methods import METHODS, Setup, choose_methods
from lmclassify.comparison.plan import stratified_folds
from lmclassify.datasets.labelled import LabelledTexts, read_tables

SETS = ("sms_spam", "enron_subjects")
OURS, PLAIN_SIGHT = "lmclassify", "lmclassify, disguised_label none"
RIVALS = ("svm", "nb", "fasttext")
RATES: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(CHANGES, (0.1, 0.25, 0.5, 1.0)),
    "padding": (2, 5, 10, 20),
}
"""Attributions of characters or words changed; of padding, words added."""
_VALIDATION_FOLDS = 5

Predict = Callable[[list[str]], npt.NDArray[Any]]
Case = tuple[str, float]


def disguised(
    data: LabelledTexts, positive: str, good: Sequence[str], trick: str, rate: float, seed: int
) -> list[str]:
    """Return texts of which those of one label are disguised."""
    rng = random.Random(f"{trick} {rate} {seed}")

    def change(text: str) -> str:
        if trick == "padding":
            return padding(text, round(rate), good, rng)
        return CHANGES[trick](text, rate, rng)

    return [
        change(text) if label == positive else text
        for text, label in zip(data.texts, data.labels, strict=True)
    ]


def measure(
    predict: Predict, data: LabelledTexts, positive: str, good: Sequence[str], seed: int
) -> dict[str, list[float]]:
    """Return the accuracy on the texts as they are, and by trick, one a rate."""
    true = np.array(data.labels)

    def accuracy(texts: list[str]) -> float:
        return float((predict(texts) == true).mean())

    return {"none": [accuracy(data.texts)]} | {
        trick: [accuracy(disguised(data, positive, good, trick, rate, seed)) for rate in rates]
        for trick, rates in RATES.items()
    }


def predictors(
    training: LabelledTexts, model: Path, setup: Setup, names: Sequence[str]
) -> Iterator[tuple[str, Predict]]:
    """Yield each method's name and what it predicts with, once it has learnt."""
    for name in names:
        if name == PLAIN_SIGHT:
            continue
        if name != OURS:
            classifier = METHODS[name].build(setup).fit(training.texts, training.labels)
            yield name, _by_probability(classifier)
            continue
        ours = fitted(model, training.texts, training.labels, setup.threads)[0].model_
        yield name, ours.predict
        settings = replace(ours.settings, disguised_label="none")
        yield PLAIN_SIGHT, replace(ours, settings=settings).predict


def _by_probability(classifier: Any) -> Predict:
    def predict(texts: list[str]) -> npt.NDArray[Any]:
        labels: npt.NDArray[Any] = np.asarray(classifier.classes_)
        found: npt.NDArray[Any] = labels[np.argmax(classifier.predict_proba(texts), axis=1)]
        return found

    return predict


def tables(records: Sequence[dict[str, Any]]) -> str:
    """Return accuracies and, in points, what each trick costs, set by set."""
    lines = []
    for of_set in dict.fromkeys(record["set"] for record in records):
        found = {record["method"]: record["accuracy"] for record in records if record["set"] == of_set}
        lines += [f"**{of_set}**", "", f"| trick | rate | {' | '.join(found)} | target |"]
        lines.append("|---" * (len(found) + 3) + "|")
        clean = " | ".join(f"{of_method['none'][0]:.4f}" for of_method in found.values())
        lines.append(f"| none | | {clean} | |")
        for trick, rates in RATES.items():
            for place, rate in enumerate(rates):
                losses = {
                    name: 100 * (of_method["none"][0] - of_method[trick][place])
                    for name, of_method in found.items()
                }
                cells = [f"{found[name][trick][place]:.4f} ({-loss:+.2f})" for name, loss in losses.items()]
                lines.append(f"| {trick} | {rate:g} | {' | '.join(cells)} | {_target(losses)} |")
        lines.append("")
    return "\n".join(lines)


def _target(losses: dict[str, float]) -> str:
    """Say whether ours loses less than half of what the best rival loses, or nothing where that one does."""
    rivals = [loss for name, loss in losses.items() if name in RIVALS]
    if OURS not in losses or not rivals:
        return ""
    best = min(rivals)
    reached = losses[OURS] < best / 2 if best > 0 else losses[OURS] <= 0
    return "reached" if reached else "missed"


def _parts(folder: Path, of_set: str, validation: bool) -> tuple[LabelledTexts, LabelledTexts]:
    training, test = (
        read_tables([str(folder / f"{of_set}.{part}.csv")], say=lambda line: None)
        for part in ("train", "test")
    )
    if not validation:
        return training, test
    fold_of = stratified_folds(training.labels, _VALIDATION_FOLDS, np.random.default_rng(0))

    def some(chosen: npt.NDArray[np.bool_]) -> LabelledTexts:
        indices = np.flatnonzero(chosen).tolist()
        return LabelledTexts(
            [training.texts[index] for index in indices], [training.labels[index] for index in indices]
        )

    return some(fold_of != 0), some(fold_of == 0)


def main() -> None:
    """Run what the results file lacks, and print the tables."""
    parser = argparse.ArgumentParser(description="What spammers' tricks cost each classifier.")
    parser.add_argument("folder", type=Path, help="folder with <set>.train.csv and <set>.test.csv")
    parser.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    parser.add_argument("--methods", nargs="+", default=[OURS, *RIVALS], metavar="METHOD")
    parser.add_argument("--positive", default="spam", help="the label that is disguised (default: spam)")
    parser.add_argument("--validation", action="store_true", help="try on a fifth of the training part")
    parser.add_argument("--models", type=Path, required=True, help="a folder to keep models in")
    parser.add_argument("--results", type=Path, required=True, help="a file to append to, JSON Lines")
    parser.add_argument("--seed", type=int, default=0, help="of the disguises and of rivals")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    methods = [method.key for method in choose_methods(options.methods)]
    key = {"version": __version__, "validation": options.validation, "seed": options.seed}
    records = []
    if options.results.exists():
        records = [json.loads(line) for line in options.results.read_text(encoding="utf-8").splitlines()]
    records = [record for record in records if key.items() <= record.items()]
    options.models.mkdir(parents=True, exist_ok=True)
    for of_set in options.sets:
        done = {record["method"] for record in records if record["set"] == of_set}
        training, test = _parts(options.folder, of_set, options.validation)
        good = typical_words(training.texts, training.labels, _other(training.labels, options.positive))
        model = options.models / (f"{of_set}.validation" if options.validation else of_set)
        setup = Setup(options.seed, options.threads, "cpu")
        missing = [name for name in methods if name not in done]
        for name, predict in predictors(training, model, setup, missing):
            print(f"{of_set}, {name}", file=sys.stderr)
            accuracy = measure(predict, test, options.positive, good, options.seed)
            records.append({**key, "set": of_set, "method": name, "texts": len(test.texts)})
            records[-1]["accuracy"] = accuracy
            with open(options.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(records[-1]) + "\n")
    order = [OURS, PLAIN_SIGHT, *METHODS]
    wanted = [record for record in records if record["set"] in options.sets]
    print(tables(sorted(wanted, key=lambda r: (options.sets.index(r["set"]), order.index(r["method"])))))


def _other(labels: Sequence[str], positive: str) -> str:
    """Return the most frequent label that is not the positive one."""
    others = [label for label in labels if label != positive]
    return max(sorted(set(others)), key=others.count)


if __name__ == "__main__":
    main()
