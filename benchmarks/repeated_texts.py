"""Folds at random and folds that keep equal texts together, on texts of which many repeat others.

``python -m benchmarks.repeated_texts --data FOLDER`` reads ``<set>.train.csv`` of enron_subjects, trec6 and
sst2, makes sets of them, fits recipe ngram with both kinds of folds and prints a Markdown table. Test parts
are cut from the training files.

- ``enron threads``: subjects that repeat others and as many that do not; test subjects repeat no training
  subjects.
- ``enron threads, random split``: the same, but test subjects repeat training ones.
- ``trec6 threads``, ``sst2 threads``: half of the rows are replies to others, which repeat them with ``Re:``.
- ``enron, random split``: subjects as they are.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import print_progress, read_table, select
from lmclassify.classify.estimator import LMClassifier
from lmclassify.classify.training.ensemble import log_loss
from lmclassify.classify.training.groups import REPEATED_SHARE, equal_texts, repeated_share
from lmclassify.datasets.labelled import LabelledTexts

Codes = npt.NDArray[np.intp]
Split = tuple[LabelledTexts, LabelledTexts]

MAX_GROUP = 20
"""Larger groups are left out: one of enron_subjects has 472 of 19,312 rows."""


def enron_threads(data: LabelledTexts, rng: np.random.Generator, texts: int) -> Split:
    """Return rows of which half repeat others, split by group."""
    rows, groups = _half_repeated(data, rng)
    tested = rng.random(groups.max() + 1) < 0.4
    in_test = tested[groups[rows]]
    return select(data, rows[~in_test].tolist()), select(data, rows[in_test].tolist())


def enron_threads_at_random(data: LabelledTexts, rng: np.random.Generator, texts: int) -> Split:
    """Return rows of which half repeat others, split at random."""
    return _random_split(select(data, _half_repeated(data, rng)[0].tolist()), rng, texts)


def _half_repeated(data: LabelledTexts, rng: np.random.Generator) -> tuple[Codes, Codes]:
    groups = equal_texts(data.texts)
    sizes = np.bincount(groups)[groups]
    repeated = np.flatnonzero((sizes > 1) & (sizes <= MAX_GROUP))
    return np.concatenate(
        [repeated, rng.choice(np.flatnonzero(sizes == 1), len(repeated), replace=False)]
    ), groups


def threads(data: LabelledTexts, rng: np.random.Generator, texts: int) -> Split:
    """Return rows of which half belong to threads of two to five, and new texts without replies."""
    order = rng.permutation(len(data.texts)).tolist()
    test = select(data, order[: len(order) // 3])
    training = LabelledTexts()
    for row in order[len(order) // 3 :]:
        size = int(rng.integers(2, 6)) if rng.random() < 2 / 9 else 1  # 2/9 * 3.5 of 7/9 + 2/9 * 3.5 rows
        for reply in range(size):
            training.texts.append("Re: " * min(reply, 1) + data.texts[row])
            training.labels.append(data.labels[row])
        if len(training.texts) >= texts:
            break
    return training, test


def random_split(data: LabelledTexts, rng: np.random.Generator, texts: int) -> Split:
    """Return rows as they are, split at random."""
    return _random_split(data, rng, texts)


def _random_split(data: LabelledTexts, rng: np.random.Generator, texts: int) -> Split:
    order = rng.permutation(len(data.texts)).tolist()
    cut = min(texts, len(order) * 2 // 3)
    return select(data, order[:cut]), select(data, order[cut : cut + 3000])


SETS: dict[str, tuple[str, Callable[[LabelledTexts, np.random.Generator, int], Split]]] = {
    "enron threads": ("enron_subjects", enron_threads),
    "trec6 threads": ("trec6", threads),
    "sst2 threads": ("sst2", threads),
    "enron threads, random split": ("enron_subjects", enron_threads_at_random),
    "enron, random split": ("enron_subjects", random_split),
}


def measure(training: LabelledTexts, test: LabelledTexts, seed: int) -> list[float]:
    """Return the share of repeated texts, then accuracy and log-loss with folds at random and by group."""
    groups = equal_texts(training.texts)
    found = [repeated_share(groups)]
    for given in ([None] * len(groups), groups):
        fitted = LMClassifier(recipe="ngram", random_state=seed).fit(
            training.texts, training.labels, groups=given
        )
        joint = fitted.predict_joint_log_proba(test.texts)
        codes = np.searchsorted(fitted.classes_, test.labels)
        found += [float((joint.argmax(axis=1) == codes).mean()), log_loss(joint, codes)]
    return found


def main() -> None:
    """Run all sets and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets' files")
    parser.add_argument("--texts", type=int, default=4000, help="training texts at most")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    kinds = "random folds | by group"
    print(f"| set | repeated | accuracy, {kinds} | log-loss, {kinds} | the rule takes |")
    print("|---|---|---|---|---|---|---|")
    for name, (source, make) in SETS.items():
        data = read_table(options.data / f"{source}.train.csv")
        runs = []
        for seed in range(options.seeds):
            training, test = make(data, np.random.default_rng(seed), options.texts)
            runs.append(measure(training, test, seed))
            print_progress(f"{name} {len(training.texts)} {len(test.texts)} {runs[-1]}")
        share, *figures = map(statistics.mean, zip(*runs, strict=True))
        rule = "by group" if share > REPEATED_SHARE else "random folds"
        columns = [f"{figures[column]:.4f}" for column in (0, 2, 1, 3)]
        print(f"| {name} | {share:.0%} | {' | '.join(columns)} | {rule} |", flush=True)


if __name__ == "__main__":
    main()
