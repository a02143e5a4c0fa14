"""How often `evaluate --drift` finds drift where there is none.

``python -m benchmarks.drift_false_alarms`` prints the share of reports with a drifted chunk, of all texts or
of a label. Two kinds of reports, both on unchanged texts:

- *simulated*: the held-out scores of a model of the bundled sample (recipe "ngram"), split at random into new
  and held-out texts, with and without the smallest change that counts as drift;
- *fitted*: models of random halves of the sample, tested on the other half. Here the new texts are scored by
  the final model and the held-out texts by models of fewer texts, as in use.
"""

from __future__ import annotations

import argparse
import csv

import numpy as np
import numpy.typing as npt

from lmclassify import LMClassifier, bundled_data
from lmclassify.classify.thresholds import HeldOut
from lmclassify.evaluation.drift import MIN_CHANGE, measure_drift


def finds_drift(
    nats: npt.NDArray[np.float64], codes: npt.NDArray[np.intp], held_out: HeldOut, min_change: float
) -> bool:
    """Return whether a report finds drift in any chunk."""
    labels = [str(code) for code in range(held_out.joint.shape[1])]
    rows = [f"row {number}" for number in range(1, len(nats) + 1)]
    drift = measure_drift(
        nats, [labels[code] for code in codes], rows, held_out, labels, min_change=min_change
    )
    return any(part.drifted for part in drift.labels)


def simulated(held_out: HeldOut, reports: int, min_change: float) -> float:
    """Return the share of false alarms where held-out texts are split at random into new and old ones."""
    rng = np.random.default_rng(0)
    nats = held_out.cross_entropies.astype(np.float64)
    codes = held_out.joint.argmax(axis=1)
    alarms = 0
    for _ in range(reports):
        order = rng.permutation(len(nats))
        new, old = np.array_split(order, 2)
        alarms += finds_drift(nats[new], codes[new], held_out.rows(old), min_change)
    return alarms / reports


def fitted(texts: list[str], labels: list[str], reports: int) -> float:
    """Return the share of false alarms of models of random halves, on the other halves."""
    alarms = 0
    for seed in range(reports):
        first, second = np.array_split(np.random.default_rng(seed).permutation(len(texts)), 2)
        classifier = LMClassifier(recipe="ngram", random_state=seed, n_jobs=1)
        classifier.fit([texts[row] for row in first], [labels[row] for row in first])
        model = classifier._fitted()
        joint, _, nats = model.score_texts([texts[row] for row in second])
        alarms += finds_drift(nats, joint.argmax(axis=1), model.held_out, MIN_CHANGE)
    return alarms / reports


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description="False alarms of evaluate --drift.")
    parser.add_argument("--reports", type=int, default=2000, help="simulated reports; default: 2000")
    parser.add_argument("--fits", type=int, default=50, help="fitted models; default: 50")
    options = parser.parse_args()
    with open(bundled_data("subjects.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts, labels = [row["subject"] for row in rows], [row["label"] for row in rows]
    model = LMClassifier(recipe="ngram", random_state=0, n_jobs=1).fit(texts, labels)._fitted()
    for min_change in (0.0, MIN_CHANGE):
        share = simulated(model.held_out, options.reports, min_change)
        print(f"simulated, change above {min_change:.0%}: {share:.2%} of {options.reports:,} reports")
    share = fitted(texts, labels, options.fits)
    print(f"fitted, change above {MIN_CHANGE:.0%}: {share:.2%} of {options.fits:,} reports")


if __name__ == "__main__":
    main()
