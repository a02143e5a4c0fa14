"""How many artificial label errors `lmclassify check` finds, beside cleanlab on a linear SVM's probabilities.

``python -m benchmarks.label_errors --data FOLDER`` reads ``<set>.train.csv`` of six sets, draws rows, gives
5% and 10% of them another label at random, and prints Markdown tables: average precision (AP) of the order
of suspicion, and recall among as many of the most suspicious rows as labels were changed. Errors that the
sets have by themselves count as false alarms, for all methods alike.

- ``check``: cross-fitted n-gram experts, self-confidence (`lmclassify.check.label_errors`).
- ``cleanlab``: `cleanlab.rank.get_label_quality_scores`, self-confidence, on probabilities of a linear SVM on
  words and characters by 5-fold cross-validation, with the best temperature.
- ``--scores``: instead, other orders of the same posteriors, and the number of rows that `check` lists.

cleanlab is not among the packages of lmclassify, as only this script uses it: install it into an environment
of its own beside lmclassify (``pip install cleanlab``).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import average_precision_score

from benchmarks.common import (
    append_record,
    errors_in_one_line,
    print_progress,
    read_records,
    read_table,
    select,
    table_head,
)
from lmclassify.check.label_errors import CrossFit, cross_fit
from lmclassify.classify.ensemble import log_softmax
from lmclassify.comparison.baselines import class_scores, svm
from lmclassify.comparison.splits import stratified_folds
from lmclassify.datasets.labelled import LabelledTexts

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

SETS = ("enron_subjects", "sms_spam", "trec6", "sst2", "ag_news7600", "clinc150")
RATES = (0.05, 0.10)
FOLDS = 5


def with_errors(labels: list[str], rate: float, rng: np.random.Generator) -> tuple[list[str], Mask]:
    """Replace some labels by random other ones; return labels and what was replaced, (n,) each."""
    classes = sorted(set(labels))
    codes = np.array([classes.index(label) for label in labels], dtype=np.intp)
    changed = np.zeros(len(labels), dtype=bool)
    changed[rng.choice(len(labels), round(rate * len(labels)), replace=False)] = True
    others = (codes + rng.integers(1, len(classes), len(codes))) % len(classes)
    return [classes[code] for code in np.where(changed, others, codes)], changed


def quality(suspicion: Array, changed: Mask) -> dict[str, float]:
    """Return average precision, and recall among as many rows as were changed."""
    count = int(changed.sum())
    first = np.argsort(-suspicion, kind="stable")[:count]
    return {
        "ap": float(average_precision_score(changed, suspicion)),
        "recall": float(changed[first].sum() / count),
    }


def svm_probabilities(data: LabelledTexts, seed: int) -> tuple[Codes, Array]:
    """Return codes of the labels, and cross-validated probabilities of a linear SVM, (n, K)."""
    classes, codes = np.unique(np.array(data.labels, dtype=object), return_inverse=True)
    folds = stratified_folds(data.labels, FOLDS, np.random.default_rng(seed))
    scores = np.zeros((len(codes), len(classes)))
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        fitted = svm().fit([data.texts[row] for row in outside], codes[outside])
        scores[np.ix_(inside, fitted.classes_)] = class_scores(fitted, [data.texts[row] for row in inside])

    def log_loss(log_scale: float) -> float:
        return float(-log_softmax(np.exp(log_scale) * scores)[np.arange(len(codes)), codes].mean())

    scale = np.exp(minimize_scalar(log_loss, bounds=(-3.0, 4.0), method="bounded").x)
    return codes, np.asarray(softmax(scale * scores, axis=1))


def cleanlab_suspicion(codes: Codes, probabilities: Array) -> Array:
    """Return 1 minus cleanlab's label quality."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        sys.exit("error: cleanlab is not installed: pip install cleanlab (in an environment of its own)")
    quality_scores = get_label_quality_scores(codes, probabilities, method="self_confidence")
    return np.asarray(1.0 - quality_scores)


def other_orders(fitted: CrossFit) -> dict[str, Array]:
    """Return the suspicion of each row by other scores of the same posteriors."""
    log_p, codes = fitted.log_posteriors, fitted.codes
    n, k = log_p.shape
    p, rows = np.exp(log_p), np.arange(n)
    given = p[rows, codes]
    others = p.copy()
    others[rows, codes] = -np.inf
    entropy = -(p * np.where(p > 0, log_p, 0.0)).sum(axis=1) / np.log(k)
    means = np.array([given[codes == code].mean() if (codes == code).any() else 1.0 for code in range(k)])
    adjusted = p - means + means.max()
    adjusted /= adjusted.sum(axis=1, keepdims=True)
    return {
        "self-confidence": 1.0 - given,
        "normalized margin": others.max(axis=1) - given,
        "confidence-weighted entropy": entropy / np.maximum(given, 1e-12),
        "adjusted self-confidence": 1.0 - adjusted[rows, codes],
    }


def measure(data: LabelledTexts, rate: float, seed: int, threads: int, *, scores: bool) -> dict[str, Any]:
    """Return the measures of each method for one run."""
    labels, changed = with_errors(data.labels, rate, np.random.default_rng([seed, round(100 * rate)]))
    wrong = LabelledTexts(data.texts, labels)
    fitted = cross_fit(wrong.texts, wrong.labels, seed=seed, threads=threads)
    if scores:
        suspects = fitted.suspects()
        listed = {"listed": len(suspects) / len(changed), "precision": float(changed[suspects].mean())}
        orders = other_orders(fitted)
        return {**{name: quality(order, changed) for name, order in orders.items()}, "list": listed}
    codes, probabilities = svm_probabilities(wrong, seed)
    return {
        "check": quality(fitted.suspicion(), changed),
        "cleanlab": quality(cleanlab_suspicion(codes, probabilities), changed),
    }


def rows_of_table(records: list[dict[str, Any]], rate: float) -> list[str]:
    """Return the table for one share of changed labels: mean and standard deviation over the seeds."""
    methods = [name for name in records[0]["figures"] if name != "list"]
    figures = [("ap", "AP"), ("recall", "recall")]
    lines = table_head("set", *(f"{name}, {title}" for _, title in figures for name in methods))
    for name in dict.fromkeys(record["set"] for record in records):
        runs = [one["figures"] for one in records if one["set"] == name and one["rate"] == rate]
        cells = []
        for key, _ in figures:
            means = [statistics.mean(run[method][key] for run in runs) for method in methods]
            for method, mean in zip(methods, means, strict=True):
                spread = statistics.stdev(run[method][key] for run in runs) if len(runs) > 1 else 0.0
                cell = f"{mean:.3f} ± {spread:.3f}"
                cells.append(f"**{cell}**" if mean == max(means) else cell)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Run all sets and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets' files")
    parser.add_argument("--rows", type=int, default=3000, help="rows drawn from each set at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scores", action="store_true", help="compare scores instead of methods")
    parser.add_argument("--results", type=Path, help="JSON Lines file of finished runs")
    options = parser.parse_args()
    with errors_in_one_line():
        records = read_records(options.results) if options.results else []
        kind = "scores" if options.scores else "methods"
        done = {(one["set"], one["rate"], one["seed"]) for one in records if one["kind"] == kind}
        for seed in range(options.seeds):
            for name in options.sets:
                whole = read_table(options.data / f"{name}.train.csv")
                order = np.random.default_rng(seed).permutation(len(whole.texts))[: options.rows]
                data = select(whole, np.sort(order).tolist())
                for rate in RATES:
                    if (name, rate, seed) in done:
                        continue
                    found = measure(data, rate, seed, options.threads, scores=options.scores)
                    record = {"kind": kind, "set": name, "rate": rate, "seed": seed, "figures": found}
                    records.append(record)
                    if options.results:
                        append_record(options.results, record)
                    print_progress(f"{name} {rate:.0%} {seed} {found}")
        chosen = [record for record in records if record["kind"] == kind]
        for rate in RATES:
            print(f"\n**{rate:.0%} of the labels changed**\n", *rows_of_table(chosen, rate), sep="\n")


if __name__ == "__main__":
    main()
