"""Accuracy against the number of labels, for several orders in which a person could label texts.

``python -m benchmarks.label_order --data FOLDER`` reads ``<set>.train.csv`` and ``<set>.test.csv`` of six
sets. The training part is the pool: its labels are looked up as a person would give them. Printed is a
Markdown table of the accuracy on the test part, mean and standard deviation over the seeds. With
``--validate`` a part of the training data is tested instead: choices were made with it.

- ``chosen``: the order of `lmclassify label` (`lmclassify.annotation.selection`); tested is recipe ngram,
  which also learns from the pool's texts without label.
- ``random``: random order, the same recipe.
- ``margin LR``: margin sampling with TF-IDF and logistic regression; the first texts are random.
- ``random LR``: random order, logistic regression.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import (
    append_record,
    errors_in_one_line,
    mean_and_spread,
    print_progress,
    read_records,
    read_table,
    table_head,
)
from benchmarks.common import select as rows_of
from lmclassify import LMClassifier
from lmclassify.annotation.selection import Chosen, choose_rows, fit_model, uncertainties
from lmclassify.comparison.baselines import logistic_regression
from lmclassify.datasets.labelled import LabelledTexts

SETS = ("enron_subjects", "sms_spam", "trec6", "sst2", "ag_news7600", "clinc150")
SIZES = (50, 100, 200, 500, 1000)
BATCH = 50
MAX_POOL = 6_000
MAX_TESTED = 2_000
VALIDATED = 1_200
METHODS = ("chosen", "random", "margin LR", "random LR")

Choose = Callable[[Sequence[str], dict[int, str], int, Any, int], list[Chosen]]
Fit = Callable[[Sequence[str], dict[int, str], int], Any]


def fit_logistic_regression(pool: Sequence[str], labels: dict[int, str], seed: int) -> Any:
    """Fit the baseline."""
    return logistic_regression().fit([pool[index] for index in labels], list(labels.values()))


def fit_chooser(pool: Sequence[str], labels: dict[int, str], seed: int) -> Any:
    """Fit the model that chooses texts."""
    return fit_model([pool[index] for index in labels], list(labels.values()), seed)


def fit_final(pool: Sequence[str], labels: dict[int, str], seed: int) -> Any:
    """Fit recipe ngram to the labelled texts and those without label."""
    others = [text for index, text in enumerate(pool) if index not in labels]
    model = LMClassifier(recipe="ngram", random_state=seed)
    return model.fit([pool[index] for index in labels], list(labels.values()), unlabelled=others)


def by_queue(texts: Sequence[str], labels: dict[int, str], n: int, model: Any, seed: int) -> list[Chosen]:
    """Choose as `lmclassify label` does."""
    return choose_rows(texts, labels, n, model=model, seed=seed)


def at_random(texts: Sequence[str], labels: dict[int, str], n: int, model: Any, seed: int) -> list[Chosen]:
    """Choose at random."""
    return choose_rows(texts, labels, n, seed=seed, random_share=1.0)


def by_margin(texts: Sequence[str], labels: dict[int, str], n: int, model: Any, seed: int) -> list[Chosen]:
    """Choose the texts with the smallest margin between the two likeliest labels."""
    if model is None:
        return at_random(texts, labels, n, model, seed)
    left = [index for index in range(len(texts)) if index not in labels]
    order = np.argsort(-uncertainties(model.predict_proba([texts[index] for index in left])), kind="stable")
    return [Chosen(left[at], "uncertain") for at in order[:n]]


def learning_curve(
    pool: LabelledTexts, tested: LabelledTexts, choose: Choose, chooser: Fit, final: Fit, stop: int, seed: int
) -> dict[str, float]:
    """Label the pool in batches; return the accuracy at each size."""
    labels: dict[int, str] = {}
    model: Any = None
    accuracies = {}
    true = np.array(tested.labels, dtype=object)
    while len(labels) < min(stop, len(pool.texts)):
        chosen = choose(pool.texts, labels, BATCH, model, seed * 1000 + len(labels))
        if not chosen:
            break
        labels |= {row.index: pool.labels[row.index] for row in chosen}
        if len(set(labels.values())) > 1 and choose is not at_random:
            model = chooser(pool.texts, dict(sorted(labels.items())), seed)
        if len(labels) in SIZES:
            tester = (
                model if final is chooser and model else final(pool.texts, dict(sorted(labels.items())), seed)
            )
            accuracies[str(len(labels))] = float(np.mean(tester.predict(tested.texts) == true))
    return accuracies


def parts(folder: Path, name: str, seed: int, validate: bool) -> tuple[LabelledTexts, LabelledTexts]:
    """Return the pool and the tested texts."""
    whole = read_table(folder / f"{name}.train.csv")
    order = np.random.default_rng([seed, 17]).permutation(len(whole.texts)).tolist()
    if validate:
        return rows_of(whole, order[VALIDATED : VALIDATED + MAX_POOL]), rows_of(whole, order[:VALIDATED])
    test = read_table(folder / f"{name}.test.csv")
    drawn = np.random.default_rng(0).permutation(len(test.texts))[:MAX_TESTED]
    return rows_of(whole, order[:MAX_POOL]), rows_of(test, drawn.tolist())


def tables(records: list[dict[str, Any]]) -> list[str]:
    """Return a table of accuracies, and one that compares 500 chosen labels with 1,000 random ones."""
    lines = table_head("set", "order", *(f"{size:,}" for size in SIZES))
    reached = table_head("set", "random, 1,000 labels", "chosen, 500 labels", "reached in seeds")
    for name in dict.fromkeys(record["set"] for record in records):
        runs = [record for record in records if record["set"] == name]
        for method in METHODS:
            cells = []
            for size in map(str, SIZES):
                found = [
                    run["accuracy"][size]
                    for run in runs
                    if run["method"] == method and size in run["accuracy"]
                ]
                cells.append(mean_and_spread([100 * value for value in found], 1) if found else "")
            if any(cells):
                lines.append(f"| {name} | {method} | {' | '.join(cells)} |")
        by_seed = {
            method: {run["seed"]: run["accuracy"] for run in runs if run["method"] == method}
            for method in ("random", "chosen")
        }
        pairs = [
            (by_seed["random"][seed]["1000"], by_seed["chosen"][seed]["500"])
            for seed in by_seed["random"].keys() & by_seed["chosen"].keys()
        ]
        if pairs:
            means = [100 * statistics.mean(column) for column in zip(*pairs, strict=True)]
            count = sum(chosen >= random for random, chosen in pairs)
            reached.append(f"| {name} | {means[0]:.1f} | {means[1]:.1f} | {count} of {len(pairs)} |")
    return [*lines, "", *reached]


def set_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the arguments of `parts` and of the file that keeps finished runs."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets' files")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--validate", action="store_true", help="test a part of the training data")
    parser.add_argument("--results", type=Path, help="JSON Lines file of finished runs")
    return parser


def main() -> None:
    """Run all sets and print the tables."""
    parser = set_parser(__doc__)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # labels with few texts
    with errors_in_one_line():
        records = read_records(options.results) if options.results else []
        done = {(one["set"], one["method"], one["seed"]) for one in records}
        how: dict[str, tuple[Choose, Fit, Fit, int]] = {
            "chosen": (by_queue, fit_chooser, fit_final, 500),
            "random": (at_random, fit_chooser, fit_final, 1000),
            "margin LR": (by_margin, fit_logistic_regression, fit_logistic_regression, 1000),
            "random LR": (at_random, fit_logistic_regression, fit_logistic_regression, 1000),
        }
        for seed in range(options.seeds):
            for name in options.sets:
                pool, tested = parts(options.data, name, seed, options.validate)
                for method in options.methods:
                    if (name, method, seed) in done:
                        continue
                    accuracy = learning_curve(pool, tested, *how[method], seed)
                    record = {"set": name, "method": method, "seed": seed, "accuracy": accuracy}
                    records.append(record)
                    if options.results:
                        append_record(options.results, record)
                    print_progress(f"{name} {method} {seed} {accuracy}")
        print("\n".join(tables(records)))


if __name__ == "__main__":
    main()
